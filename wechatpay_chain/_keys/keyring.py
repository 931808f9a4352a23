"""WeChat Pay's keys by id: public keys (`PUB_KEY_ID_…`) and platform certificates (by serial number), in any mix."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from wechatpay_chain._keys.loading import PublicKeySource, key_of, read_public, serial_number
from wechatpay_chain._keys.own_keys import OwnKey
from wechatpay_chain._keys.serials import normalize_serial
from wechatpay_chain._schemes.characters import Copied
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError, WeChatPayError

__all__ = ["EXPECTED", "NO_MERCHANT", "PUBLIC_KEY_PREFIX", "Keyring", "Merchant", "is_valid_now", "refuse_own"]

PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
_PUBLIC_KEY_ID = re.compile(rf"{PUBLIC_KEY_PREFIX}[0-9A-Za-z]+")

Merchant = tuple[str, RSAPublicKey | None]
"""The merchant's own serial number and public key; no key where it is kept elsewhere."""

NO_MERCHANT: Merchant = ("", None)


class _Entry(NamedTuple):
    own: OwnKey[RSAPublicKey]
    begins: float
    """Unix time from which the key is valid."""
    ends: float

    @property
    def key(self) -> RSAPublicKey:
        return self.own.here

    @property
    def is_valid(self) -> bool:
        return self.begins <= time.time() <= self.ends


class Keyring:
    """The keys that responses are verified with, and that personal data is encrypted with.

    Keys that were given stay. Platform certificates that were fetched are added, and each fetched set replaces the one
    before as a whole. `Refresh` fetches them.

    Args:
        certs: keys and certificates by their ids.
        merchant: the merchant's own serial number and key, which must not be among them.

    Attributes:
        failure: why the last refresh failed; None if it did not.

    Raises:
        ConfigurationError: a key cannot be loaded, or is under an id that is not its own.
    """

    def __init__(self, certs: Mapping[str, PublicKeySource], merchant: Merchant = NO_MERCHANT) -> None:
        if not isinstance(certs, Mapping):
            raise ConfigurationError(f"certs: came a {type(certs).__name__}; {EXPECTED}")
        self._given = _entries(certs)
        _refuse_own(self._given, merchant)
        self._fetched: dict[str, _Entry] = {}
        self._all = _ranked(self._given)
        self.failure: WeChatPayError | None = None

    @property
    def preferred(self) -> tuple[str, RSAPublicKey] | None:
        """The key to encrypt with and to ask for, with its id; None if there is no valid key.

        A public key comes before any certificate (https://pay.weixin.qq.com/doc/v3/merchant/4012154180), and the newest
        certificate before the others.
        """
        for key_id, entry in self._all.items():
            if entry.is_valid:
                return key_id, entry.key
        return None

    def find(self, key_id: str) -> RSAPublicKey | None:
        """Returns the key of an id, if it is valid now. A serial number may be in upper or lower case."""
        entry = self._all.get(key_id) or self._all.get(key_id.upper())
        return entry.key if entry and entry.is_valid else None

    def require_valid(self) -> None:
        """Raises a ConfigurationError unless one of the keys that were given is valid now."""
        if not self._given:
            raise ConfigurationError(f"certs: none came; {EXPECTED}")
        if not any(entry.is_valid for entry in self._given.values()):
            raise ConfigurationError("certs: every certificate in it has expired, or is not valid yet; add a newer one")

    @property
    def has_only_public_keys(self) -> bool:
        """Whether the keys that were given are public keys, without any certificate."""
        return bool(self._given) and all(key_id.startswith(PUBLIC_KEY_PREFIX) for key_id in self._given)

    @property
    def has_given(self) -> bool:
        """Whether keys were given."""
        return bool(self._given)

    @property
    def has_fetched(self) -> bool:
        """Whether there are fetched certificates."""
        return bool(self._fetched)

    @property
    def fetched_until(self) -> float:
        """Unix time at which the first of the fetched certificates ends; infinity if there are none."""
        return min((entry.ends for entry in self._fetched.values()), default=float("inf"))

    def adopt(self, fetched: Keyring) -> None:
        """Takes a set of fetched certificates in place of those that were fetched before."""
        self._all = _ranked({**fetched._given, **self._given})
        self._fetched = fetched._given

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self._all) or 'empty'}>"


def _ranked(entries: Mapping[str, _Entry]) -> dict[str, _Entry]:
    """Sorts keys by preference, valid or not."""

    def rank(item: tuple[str, _Entry]) -> tuple[int, str, float]:
        key_id, entry = item
        return (0, key_id, 0) if key_id.startswith(PUBLIC_KEY_PREFIX) else (1, "", -entry.begins)

    return dict(sorted(entries.items(), key=rank))


def refuse_own(certs: Mapping[str, PublicKeySource], merchant: Merchant) -> None:
    """Raises a ConfigurationError if one of these is the merchant's own key or certificate."""
    _refuse_own(_entries(certs), merchant)


def is_valid_now(certificate: x509.Certificate) -> bool:
    """Tells whether a certificate is within its period of validity.

    Raises:
        ConfigurationError: its key or its dates cannot be used.
    """
    return _entry_of(certificate).is_valid


def _refuse_own(entries: Mapping[str, _Entry], merchant: Merchant) -> None:
    serial, key = merchant
    if serial in entries:
        raise ConfigurationError(
            f"certs: the merchant's own serial {serial} is among them, or serial= is not the merchant's; expected WeChat "
            "Pay's keys in certs=, and in serial= the serial number of the merchant API certificate"
        )
    for key_id, entry in entries.items():
        if entry.key == key:
            raise ConfigurationError(
                f"certs[{key_id!r}]: came the merchant's own key; expected WeChat Pay's, for a client must not accept "
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


EXPECTED = (
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
