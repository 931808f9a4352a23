"""WeChat Pay's keys by id: public keys (`PUB_KEY_ID_…`) and platform certificates (by serial number), any mix."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from wechatpay_chain._forks.process import current_process
from wechatpay_chain._keys.loading import PublicKeySource, key_of, load_public, read_public, serial_number
from wechatpay_chain._keys.own_keys import OwnKey
from wechatpay_chain._keys.serials import normalize_serial
from wechatpay_chain._messages.protocols import CertificateCache
from wechatpay_chain._messages.redaction import quote
from wechatpay_chain._schemes.aead import aes_gcm_decrypt
from wechatpay_chain._schemes.characters import Copied
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError, DecryptionError, TransportError, WeChatPayError

__all__ = ["Keyring"]

logger = logging.getLogger("wechatpay_chain")

REFRESH_EVERY = 12 * 3600
"""Seconds in use after which certificates are fetched anew: https://pay.weixin.qq.com/doc/v3/merchant/4012551764"""

REFRESH_BEFORE_END = 24 * 3600
"""Seconds before the end of a certificate from which a newer one is looked for."""

RETRY_AFTER = 60
"""Seconds between two downloads, however many responses name an unknown serial."""

RETRY_AFTER_OUTAGE = 5
"""The same, for a call that has no key yet, where the service could not be reached."""

ABANDONED_AFTER = 90
"""Seconds after which a download has been stopped in a way that let it end nothing, as with its event loop."""

MOST_SKIPPED = 100
"""Certificates that are logged as left out."""

ISSUER = "Tenpay.com Root CA"
"""The common name of whoever issues platform certificates."""


Merchant = tuple[str, RSAPublicKey | None]


PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
_PUBLIC_KEY_ID = re.compile(rf"{PUBLIC_KEY_PREFIX}[0-9A-Za-z]+")


class _Entry(NamedTuple):
    own: OwnKey[RSAPublicKey]
    begins: float
    """Unix time from which the key counts."""
    ends: float

    @property
    def key(self) -> RSAPublicKey:
        return self.own.here

    @property
    def is_valid(self) -> bool:
        return self.begins <= time.time() <= self.ends


class _Refresh(NamedTuple):
    future: Future[None]
    began: float


class Keyring:
    """The keys that responses are verified with.

    Given keys stay. Platform certificates that were fetched stand beside them, and each set of fetched ones replaces the
    one before as a whole. It does no I/O: `middleware/rotate.py` fetches.

    Args:
        certs: keys and certificates by their ids.
        apiv3_key: what fetched certificates are encrypted with. Certificates are fetched when this is given; where public
            keys alone are given, only for a response that a certificate has signed, which happens while a merchant moves
            to the public key: to go on asking for certificates would keep it from ever being done with that
            (https://pay.weixin.qq.com/doc/v3/merchant/4012154180).
        trust_anchors: the certificates that a fetched one must have been issued by; none asks for the issuer's name only.
        cache: where fetched certificates are kept for the next process.
        merchant: the serial number and the key of the merchant's own, which must not be among the keys to believe; no key
            where it is kept elsewhere.
        verifies: whether this keyring is what verifies. Where something else does, it may stay empty.
        fetches: whether certificates may be fetched at all.

    Raises:
        ConfigurationError: there is no key of use and no way to fetch one, one cannot be loaded, or one is filed under
            an id that is not its own.
    """

    def __init__(
        self,
        certs: Mapping[str, PublicKeySource],
        apiv3_key: bytes | None = None,
        trust_anchors: Sequence[x509.Certificate] = (),
        cache: CertificateCache | None = None,
        merchant: Merchant | None = None,
        verifies: bool = True,
        fetches: bool = True,
    ) -> None:
        if certs is not None and not isinstance(certs, Mapping):
            raise ConfigurationError(f"certs: came a {type(certs).__name__}; {_EXPECTED}")
        if verifies and not certs and (apiv3_key is None or not fetches):
            why = "no apiv3_key to fetch certificates with" if fetches else "fetch_certificates is False"
            raise ConfigurationError(f"certs: none came, and {why}; {_EXPECTED}")
        self._given = _entries(certs or {})
        self._merchant = merchant
        _refuse_own(self._given, merchant)
        self._fetched: dict[str, _Entry] = {}
        self._all = _ranked(self._given)
        self._apiv3_key = apiv3_key
        self._trust_anchors = tuple(trust_anchors)
        self._verifies = verifies
        self.cache = cache
        self.fetches = apiv3_key is not None and fetches
        self._has_only_public_keys = bool(self._given) and all(
            key_id.startswith(PUBLIC_KEY_PREFIX) for key_id in self._given
        )
        if verifies and not self.fetches and not any(entry.is_valid for entry in self._given.values()):
            raise ConfigurationError("certs: every certificate in it has expired, or is not valid yet; add a newer one")
        # Under way, by process: a child does not wait for what only its parent will finish.
        self._refreshes: dict[object, _Refresh] = {}
        self._tried = float("-inf")
        self._clock_when_tried = _clock()
        self._skipped: set[tuple[str, str]] = set()
        self._adopted = time.monotonic() if self._given else float("-inf")
        self.failure: WeChatPayError | None = None
        """Why the last refresh failed; None when it did not."""
        self.generation = 0
        """How often certificates were adopted."""

    @property
    def preferred(self) -> tuple[str, RSAPublicKey] | None:
        """The key to encrypt with and to ask for, with its id, or None before certificates are fetched.

        A public key comes before any certificate (https://pay.weixin.qq.com/doc/v3/merchant/4012154180), and the newest
        certificate before the others.
        """
        for key_id, entry in self._all.items():
            if entry.is_valid:
                return key_id, entry.key
        return None

    def find(self, key_id: str) -> RSAPublicKey | None:
        """Returns the key of that id, a serial number in either case, if there is one and it is valid now."""
        entry = self._all.get(key_id) or self._all.get(key_id.upper())
        return entry.key if entry and entry.is_valid else None

    def needs_refresh(self, key_id: str | None) -> bool:
        """Tells whether certificates should be fetched before a response is verified that names this key; None is any key."""
        is_needed = self._verifies or key_id is None
        if not self.fetches or not (is_needed or self._fetched):
            return False
        if key_id is None:
            unknown = self.preferred is None
        else:
            is_serial = key_id != "" and not key_id.startswith(PUBLIC_KEY_PREFIX)
            unknown = is_needed and is_serial and self.find(key_id) is None
        if self._has_only_public_keys:
            return unknown
        ends = min((entry.ends for entry in self._fetched.values()), default=float("inf"))
        return unknown or time.monotonic() - self._adopted >= REFRESH_EVERY or ends - time.time() < REFRESH_BEFORE_END

    @property
    def lacks_keys(self) -> bool:
        """Whether there is no valid key yet to verify a response with, and certificates could be fetched."""
        return self.fetches and self._verifies and self.preferred is None

    @property
    def has_fetched(self) -> bool:
        """Whether there are fetched certificates."""
        return bool(self._fetched)

    def begin_refresh(self, key_id: str | None) -> tuple[Future[None] | None, bool]:
        """The refresh to take part in, and whether the caller has to do it; none where one was tried just now.

        Whoever has to do it calls `end_refresh`, whatever happens.
        """
        ours = _Refresh(Future(), time.monotonic())
        ours.future.set_running_or_notify_cancel()  # so that nobody who waits can cancel it for the others
        # setdefault decides between threads without a lock, which a fork could leave locked in the child.
        refresh = self._refreshes.setdefault(current_process(), ours)
        if refresh is not ours:
            if time.monotonic() - refresh.began < ABANDONED_AFTER:
                return refresh.future, False
            self._end(refresh.future)
            return self.begin_refresh(key_id)
        if self.seconds_to_next_try(key_id) > 0:
            self._end(ours.future)
            return None, False
        self._clock_when_tried = _clock()
        self._tried = time.monotonic()
        return ours.future, True

    def seconds_to_next_try(self, key_id: str | None = None) -> float:
        """Returns how long certificates are not asked for again after they were; 0 or less where they may be now."""
        if abs(_clock() - self._clock_when_tried) > 1:
            return 0.0  # somebody has corrected this machine's clock, which may have been all that was wrong
        # A service that could not be reached may be asked again sooner by a call that waits for its first key: no forged
        # serial number can cause that.
        is_outage = isinstance(self.failure, TransportError)
        backoff = RETRY_AFTER_OUTAGE if key_id is None and is_outage else RETRY_AFTER
        return self._tried + backoff - time.monotonic()

    def end_refresh(self, refresh: Future[None], *, interrupted: bool) -> None:
        """Ends a refresh and wakes the callers that wait for it.

        Args:
            refresh: as `begin_refresh` gave it.
            interrupted: it says nothing of the service, and may be tried again at once.
        """
        if interrupted:
            self._tried = float("-inf")
        self._end(refresh)

    def _end(self, refresh: Future[None]) -> None:
        current = self._refreshes.get(current_process())
        if current is not None and current.future is refresh:
            self._refreshes.pop(current_process(), None)
        with suppress(InvalidStateError):
            refresh.set_result(None)

    def opened(self, answer: bytes) -> dict[str, x509.Certificate]:
        """Returns the certificates in a response to GET v3/certificates by serial number, decrypted and checked one by one.

        That they can be decrypted proves that they come from somebody who has the APIv3 key. One that is of no use, such as
        one with a key of SM2, is left out, and logged once. Source: https://pay.weixin.qq.com/doc/v3/merchant/4012551764

        Raises:
            ConfigurationError: the response is not what it should be, or holds no certificate of use; where none can be
                decrypted, the APIv3 key is another one.
        """
        try:
            listed = list(json.loads(answer)["data"])
        except (ValueError, TypeError, LookupError, RecursionError):
            raise ConfigurationError("apiv3_key: the list of certificates cannot be read") from None
        usable: dict[str, x509.Certificate] = {}
        first: WeChatPayError | None = None
        for entry in listed:
            try:
                serial, certificate = self._open(entry)
                if not _entry_of(certificate).is_valid:
                    raise ConfigurationError("a certificate in the list has expired, or is not valid yet")
                usable[serial] = certificate
            except WeChatPayError as error:
                first = first or error
                self._skip(entry, error)
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                self._skip(entry, ConfigurationError("it cannot be read"))
        if usable:
            return usable
        if isinstance(first, DecryptionError):
            raise ConfigurationError(
                "apiv3_key: the platform certificates cannot be decrypted with it; expected the APIv3 key that is set in the "
                "merchant platform now"
            ) from None
        raise first or ConfigurationError("apiv3_key: the list of certificates holds none that can be read") from None

    def _skip(self, entry: object, error: WeChatPayError) -> None:
        serial = quote(str(entry.get("serial_no")), 64) if isinstance(entry, dict) else "of no form that is known"
        if (serial, str(error)) not in self._skipped and len(self._skipped) < MOST_SKIPPED:
            self._skipped.add((serial, str(error)))
            logger.warning("a platform certificate is left out: %s: %s", serial, error)

    def adopt(self, fetched: Keyring, age: float = 0) -> None:
        """Takes a set of certificates in place of those fetched before.

        Args:
            fetched: the set.
            age: seconds since it was fetched.
        """
        self._all = _ranked({**fetched._given, **self._given})
        self._fetched = fetched._given
        self.generation += 1
        self._adopted = time.monotonic() - age

    def _open(self, listed: Mapping[str, Any]) -> tuple[str, x509.Certificate]:
        sealed = listed["encrypt_certificate"]
        if sealed["algorithm"] != "AEAD_AES_256_GCM" or self._apiv3_key is None:
            raise ConfigurationError("apiv3_key: a certificate is not encrypted with AEAD_AES_256_GCM")
        # Notifications are sealed with the same key; what was sealed for one must not serve as a certificate.
        if sealed.get("associated_data") not in ("certificate", "", None):
            raise ConfigurationError("apiv3_key: what is listed was not sealed as a certificate")
        pem = aes_gcm_decrypt(sealed["ciphertext"], self._apiv3_key, sealed["nonce"], sealed.get("associated_data"))
        if not pem.startswith(b"-----BEGIN CERTIFICATE-----"):
            raise ConfigurationError("apiv3_key: what is listed is no certificate")
        certificate = load_public(pem)
        if not isinstance(certificate, x509.Certificate) or serial_number(certificate) != listed["serial_no"]:
            raise ConfigurationError("apiv3_key: a certificate came under another serial number than its own")
        common_names = [name.value for name in certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if common_names != [ISSUER]:
            raise ConfigurationError(f"apiv3_key: a certificate is issued by {common_names!r}; expected {ISSUER!r}")
        if self._trust_anchors and not any(_is_issued_by(certificate, anchor) for anchor in self._trust_anchors):
            raise ConfigurationError("trust_anchors: a certificate is issued by none of them")
        _refuse_own(_entries({listed["serial_no"]: certificate}), self._merchant)
        return listed["serial_no"], certificate

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self._all) or 'empty'}>"


def _clock() -> float:
    """Returns what changes only when somebody sets this machine's clock."""
    return time.time() - time.monotonic()


def _ranked(entries: Mapping[str, _Entry]) -> dict[str, _Entry]:
    """The keys in the order in which they are preferred, valid or not."""

    def rank(item: tuple[str, _Entry]) -> tuple[int, str, float]:
        key_id, entry = item
        return (0, key_id, 0) if key_id.startswith(PUBLIC_KEY_PREFIX) else (1, "", -entry.begins)

    return dict(sorted(entries.items(), key=rank))


def _is_issued_by(certificate: x509.Certificate, anchor: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _refuse_own(entries: Mapping[str, _Entry], merchant: Merchant | None) -> None:
    if merchant is None:
        return
    serial, key = merchant
    if serial in entries:
        raise ConfigurationError(
            f"certs: the merchant's own serial {serial} is among them, or serial= is not the merchant's; expected WeChat "
            "Pay's keys in certs=, and in serial= the serial number of the merchant API certificate"
        )
    for key_id, entry in entries.items():
        if entry.key == key:
            raise ConfigurationError(
                f"certs[{key_id!r}]: came the merchant's own key; expected WeChat Pay's, for a client must not believe "
                "responses that the merchant could have signed"
            )


@shielded
def _entries(certs: Mapping[str, PublicKeySource]) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for given_id, source in certs.items():
        key_id = _normalize_id(given_id)
        if key_id in entries:
            raise ConfigurationError(f"certs[{key_id!r}]: came twice, in two spellings; expected it once")
        entries[key_id] = _entry(key_id, given_id, source)
    return entries


_EXPECTED = (
    "expected WeChat Pay's keys by id, such as {'PUB_KEY_ID_0114…': Path('pub_key.pem')}, or platform certificates by serial "
    "number"
)


def _entry(key_id: str, given_id: object, source: PublicKeySource) -> _Entry:
    setting = f"certs[{key_id!r}]"
    loaded = read_public(setting, source)
    if isinstance(loaded, RSAPublicKey):
        if str(given_id).strip().isdecimal():
            raise ConfigurationError(
                f"{setting}: came a public key under digits alone; expected its whole id, PUB_KEY_ID_ and digits"
            )
        return _Entry(OwnKey(loaded), 0, float("inf"))
    entry = _entry_of(loaded, setting)
    if (serial := serial_number(loaded)) != key_id:
        raise ConfigurationError(
            f"{setting}: came a certificate whose serial number is {serial}; expected the key of that id, or the certificate "
            "under its own serial number, if it is WeChat Pay's"
        )
    return entry


def _entry_of(certificate: x509.Certificate, setting: str = "certificate") -> _Entry:
    key = key_of(setting, certificate)
    try:
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except ValueError:
        raise ConfigurationError(f"{setting}: its dates cannot be read; get it again") from None
    return _Entry(OwnKey(key), begins.timestamp(), ends.timestamp())


def _normalize_id(key_id: object) -> str:
    reason = ""
    if isinstance(key_id, str):
        copied = Copied(key_id)
        _, prefix, rest = copied.text.upper().partition(PUBLIC_KEY_PREFIX)
        rest = copied.text[len(copied.text) - len(rest) :]
        if _PUBLIC_KEY_ID.fullmatch(prefix + rest):
            return prefix + rest
        if prefix:
            flaw = copied.find_flaw("0-9A-Za-z", len(copied.text) - len(rest))
            reason = f", which holds {flaw}" if flaw else ", of which the digits are missing"
    if not reason and isinstance(key_id, (str, int)):
        try:
            return normalize_serial(key_id)
        except ConfigurationError as error:
            reason = f", and as a serial number {str(error).removeprefix('serial: ').partition('; expected')[0]}"
    shown = repr(key_id) if isinstance(key_id, str) and len(key_id) < 64 else f"a {type(key_id).__name__}"
    raise ConfigurationError(
        f"certs: came the id {shown}{reason}; expected PUB_KEY_ID_… for a public key, or the serial number of a certificate"
    )
