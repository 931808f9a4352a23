"""Keeps WeChat Pay's keys by id: public keys (`PUB_KEY_ID_…`) and platform certificates (by serial number)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from cryptography import x509

from wechatpay_chain._keys.loading import PublicKeySource, load_key_or_certificate, serial_number
from wechatpay_chain._keys.parsing import extract_public_key
from wechatpay_chain._keys.per_process_key import PerProcessKey
from wechatpay_chain._keys.serials import normalize_serial
from wechatpay_chain._schemes.characters import Copied
from wechatpay_chain._schemes.merchant_rsa import MERCHANT_RSA
from wechatpay_chain._schemes.scheme import PublicKey, Scheme
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError, WeChatPayError

__all__ = [
    "EXPECTED",
    "NO_MERCHANT",
    "PUBLIC_KEY_PREFIX",
    "Keyring",
    "Merchant",
    "check_not_merchant_key",
    "is_valid_now",
]

PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
_PUBLIC_KEY_ID = re.compile(rf"{PUBLIC_KEY_PREFIX}[0-9A-Za-z]+")

Merchant = tuple[str, PublicKey | None]
"""The merchant's own serial number and public key; None as the key if only a remote signer has it."""

NO_MERCHANT: Merchant = ("", None)


class _Entry(NamedTuple):
    copies: PerProcessKey[PublicKey]
    valid_from: float
    """Unix time in seconds."""
    valid_until: float
    """Unix time in seconds."""

    @property
    def key(self) -> PublicKey:
        return self.copies.current

    @property
    def is_valid(self) -> bool:
        return self.valid_from <= time.time() <= self.valid_until


class Keyring:
    """The keys that verify responses and encrypt personal data.

    The configured keys never change. `Refresh` fetches platform certificates and adds them; each fetched set replaces
    the previous one as a whole.

    Args:
        certs: the configured keys and certificates by id.
        merchant: the merchant's own serial number and key, which must not be among them.
        scheme: the algorithms to encrypt with. Responses are verified by the algorithms of each key.

    Attributes:
        scheme: the algorithms to encrypt with.
        has_configured: whether keys were given.
        has_only_public_keys: whether keys were given and none of them is a certificate.
        has_fetched: whether there are fetched certificates.
        fetched_until: the Unix time at which the first fetched certificate expires; infinity if there are none.
        refresh_error: the error of the last refresh; None if it succeeded, and before the first one.

    Raises:
        ConfigurationError: a key cannot be loaded, or its id is wrong.
    """

    def __init__(
        self, certs: Mapping[str, PublicKeySource], merchant: Merchant = NO_MERCHANT, scheme: Scheme = MERCHANT_RSA
    ) -> None:
        if not isinstance(certs, Mapping):
            raise ConfigurationError(f"certs: came a {type(certs).__name__}; {EXPECTED}")
        self.scheme = scheme
        self._configured = _load_entries(certs)
        _check_entries(self._configured, merchant)
        self._all = _sort_by_preference(self._configured)
        self.refresh_error: WeChatPayError | None = None
        self.has_configured = bool(self._configured)
        self.has_only_public_keys = self.has_configured and all(
            key_id.startswith(PUBLIC_KEY_PREFIX) for key_id in self._configured
        )
        self.has_fetched, self.fetched_until = False, float("inf")

    @property
    def preferred_id(self) -> str | None:
        """The id of the preferred key; None if there is no valid key."""
        first = self._first_valid()
        return first[0] if first else None

    @property
    def preferred(self) -> tuple[str, PublicKey] | None:
        """The id and the key to encrypt with and to name in requests; None if there is no valid key.

        Public keys are preferred to certificates (https://pay.weixin.qq.com/doc/v3/merchant/4012154180), and newer
        certificates to older ones.
        """
        first = self._first_valid()
        return (first[0], first[1].key) if first else None

    def _first_valid(self) -> tuple[str, _Entry] | None:
        # A new set of keys replaces the dict, so this goes through one set, even if another thread adopts one meanwhile.
        for key_id, entry in self._all.items():
            if entry.is_valid and isinstance(entry.key, self.scheme.keys.public):
                return key_id, entry
        return None

    def find(self, key_id: str) -> PublicKey | None:
        """Returns the key with an id if it is valid now, otherwise None. Serial numbers are case-insensitive."""
        entry = self._all.get(key_id) or self._all.get(key_id.upper())
        return entry.key if entry and entry.is_valid else None

    def require_valid(self) -> None:
        """Raises a ConfigurationError unless a configured key is valid now."""
        if not self._configured:
            raise ConfigurationError(f"certs: none came; {EXPECTED}")
        if not any(entry.is_valid for entry in self._configured.values()):
            raise ConfigurationError("certs: every certificate in it has expired or is not valid yet; add a valid one")

    def require_preferred(self) -> None:
        """Raises a ConfigurationError unless a configured key is valid now, and of the type of the customer's own keys."""
        self.require_valid()
        if self.preferred_id is None:
            raise ConfigurationError(
                f"certs: it has no valid {self.scheme.keys.name} key, and this client signs with {self.scheme.keys.name}; add that of WeChat Pay"
            )

    def adopt(self, fetched: Keyring) -> None:
        """Replaces the fetched certificates by a new set."""
        self._all = _sort_by_preference({**fetched._configured, **self._configured})
        self.has_fetched = bool(fetched._configured)
        self.fetched_until = min((entry.valid_until for entry in fetched._configured.values()), default=float("inf"))

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self._all) or 'empty'}>"


def _sort_by_preference(entries: Mapping[str, _Entry]) -> dict[str, _Entry]:
    """Sorts keys by preference, whether they are valid or not."""

    def rank(item: tuple[str, _Entry]) -> tuple[int, str, float]:
        key_id, entry = item
        return (0, key_id, 0) if key_id.startswith(PUBLIC_KEY_PREFIX) else (1, "", -entry.valid_from)

    return dict(sorted(entries.items(), key=rank))


def check_not_merchant_key(certs: Mapping[str, PublicKeySource], merchant: Merchant) -> None:
    """Raises a ConfigurationError if one of the keys or certificates is the merchant's own."""
    _check_entries(_load_entries(certs), merchant)


def is_valid_now(certificate: x509.Certificate) -> bool:
    """Returns True if a certificate is within its validity period.

    Raises:
        ConfigurationError: its key or its dates cannot be used.
    """
    return _make_entry(certificate).is_valid


def _check_entries(entries: Mapping[str, _Entry], merchant: Merchant) -> None:
    serial, key = merchant
    if serial in entries:
        raise ConfigurationError(
            f"certs: it contains the merchant's own serial {serial}, or serial= is not the merchant's; expected "
            "WeChat Pay's keys in certs=, and the serial number of the merchant API certificate in serial="
        )
    for key_id, entry in entries.items():
        if entry.key == key:
            raise ConfigurationError(
                f"certs[{key_id!r}]: came the merchant's own key; expected WeChat Pay's key, because a client must not "
                "accept responses that the merchant can sign"
            )


@shielded
def _load_entries(certs: Mapping[str, PublicKeySource]) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for configured_id, source in certs.items():
        key_id = normalize_id(configured_id)
        if key_id in entries:
            raise ConfigurationError(f"certs[{key_id!r}]: came twice in different notations; expected it once")
        entries[key_id] = _load_entry(key_id, configured_id, source)
    return entries


EXPECTED = (
    "expected a dict of WeChat Pay's keys by id, such as {'PUB_KEY_ID_0114…': Path('pub_key.pem')}, or platform "
    "certificates by serial number"
)


def _load_entry(key_id: str, configured_id: object, source: PublicKeySource) -> _Entry:
    setting = f"certs[{key_id!r}]"
    loaded = load_key_or_certificate(setting, source)
    if not isinstance(loaded, x509.Certificate):
        if str(configured_id).strip().isdecimal():
            raise ConfigurationError(
                f"{setting}: came a public key whose id has digits only; expected the whole id, PUB_KEY_ID_ and digits"
            )
        return _Entry(PerProcessKey(loaded), 0, float("inf"))
    entry = _make_entry(loaded, setting)
    if (serial := serial_number(loaded)) != key_id:
        raise ConfigurationError(
            f"{setting}: came a certificate whose serial number is {serial}; if that is apiclient_cert.pem, it is the "
            "merchant's own, and expected is WeChat Pay's key, pub_key.pem; if it is WeChat Pay's, expected its own "
            "serial number as the id"
        )
    return entry


def _make_entry(certificate: x509.Certificate, setting: str = "certificate") -> _Entry:
    key = extract_public_key(setting, certificate)
    try:
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except ValueError:
        raise ConfigurationError(f"{setting}: its dates cannot be read; get it again") from None
    return _Entry(PerProcessKey(key), not_before.timestamp(), not_after.timestamp())


def normalize_id(key_id: object) -> str:
    """Returns the id of a key as the service writes it: of a public key, or the serial number of a certificate.

    Raises:
        ConfigurationError: it is neither.
    """
    reason = ""
    if isinstance(key_id, str):
        copied = Copied(key_id)
        _, prefix, rest = copied.text.upper().partition(PUBLIC_KEY_PREFIX)
        rest = copied.text[len(copied.text) - len(rest) :]
        if _PUBLIC_KEY_ID.fullmatch(prefix + rest):
            return prefix + rest
        if prefix:
            flaw = copied.find_flaw("0-9A-Za-z", len(copied.text) - len(rest))
            reason = f", which contains {flaw}" if flaw else ", whose digits are missing"
    if not reason and isinstance(key_id, (str, int)):
        try:
            return normalize_serial(key_id)
        except ConfigurationError as error:
            reason = f" (as a serial number: {str(error).removeprefix('serial: ').partition('; expected')[0]})"
    shown = repr(key_id) if isinstance(key_id, str) and len(key_id) < 64 else f"a {type(key_id).__name__}"
    raise ConfigurationError(
        f"certs: came the id {shown}{reason}; expected PUB_KEY_ID_… for a public key or the serial number of a "
        "certificate"
    )
