"""WeChat Pay's keys by id: public keys (`PUB_KEY_ID_…`) and platform certificates (by serial number), any mix."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from wechatpay_chain.crypto import PublicKeySource, load_public, load_public_key, normalize_serial, serial_number
from wechatpay_chain.errors import ConfigurationError

__all__ = ["Keyring"]

PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
_PUBLIC_KEY_ID = re.compile(rf"{PUBLIC_KEY_PREFIX}[0-9A-Za-z]+")


class _Entry(NamedTuple):
    key: RSAPublicKey
    begins: float
    """Unix time from which the key counts."""
    ends: float

    @property
    def is_valid(self) -> bool:
        return self.begins <= time.time() <= self.ends


class Keyring:
    """The keys that answers are verified with.

    Args:
        certs: keys and certificates by their ids.

    Raises:
        ConfigurationError: there is none of use, one cannot be loaded, or one is filed under an id that is not its own.

    Attributes:
        preferred: the id of the key to encrypt with and to ask for: a public key before any certificate
            (https://pay.weixin.qq.com/doc/v3/merchant/4012154180), else the newest certificate.
    """

    def __init__(self, certs: Mapping[str, PublicKeySource]) -> None:
        if certs is not None and not isinstance(certs, Mapping):
            raise ConfigurationError(f"certs: came a {type(certs).__name__}; {_EXPECTED}")
        if not certs:
            raise ConfigurationError(f"certs: none came; {_EXPECTED}")
        self._entries: dict[str, _Entry] = {}
        for given_id, source in certs.items():
            key_id = _normalize_id(given_id)
            if key_id in self._entries:
                raise ConfigurationError(f"certs[{key_id!r}]: came twice, in two spellings; expected it once")
            try:
                self._entries[key_id] = _entry(key_id, given_id, source)
            except ConfigurationError as error:
                raise ConfigurationError(f"certs[{key_id!r}]: {error}") from None
        valid = {key_id: entry for key_id, entry in self._entries.items() if entry.is_valid}
        if not valid:
            raise ConfigurationError("certs: every certificate in it has expired, or is not valid yet; add a newer one")
        public_key_ids = [key_id for key_id in valid if key_id.startswith(PUBLIC_KEY_PREFIX)]
        self.preferred = min(public_key_ids) if public_key_ids else max(valid, key=lambda key_id: valid[key_id].begins)

    def find(self, key_id: str) -> RSAPublicKey | None:
        """The key of that id, in either case, if there is one and it is valid now."""
        entry = self._entries.get(key_id) or self._entries.get(key_id.upper())
        return entry.key if entry and entry.is_valid else None

    def id_of(self, key: RSAPublicKey) -> str | None:
        """The id under which a key is here, or None."""
        return next((key_id for key_id, entry in self._entries.items() if entry.key == key), None)

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._entries

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self._entries)}>"


_EXPECTED = (
    "expected WeChat Pay's keys by id, such as {'PUB_KEY_ID_0114…': Path('pub_key.pem')}, or platform certificates by serial "
    "number"
)


def _entry(key_id: str, given_id: object, source: PublicKeySource) -> _Entry:
    loaded = load_public(source)
    if isinstance(loaded, RSAPublicKey):
        if isinstance(given_id, str) and given_id.isdecimal():
            raise ConfigurationError(
                "came a public key under digits alone; expected its whole id, PUB_KEY_ID_ and digits"
            )
        return _Entry(loaded, 0, float("inf"))
    if (serial := serial_number(loaded)) != key_id:
        raise ConfigurationError(
            f"came a certificate whose serial number is {serial}; expected the key of that id, or the certificate under its "
            "own serial number, if it is WeChat Pay's"
        )
    return _Entry(
        load_public_key(loaded), loaded.not_valid_before_utc.timestamp(), loaded.not_valid_after_utc.timestamp()
    )


def _normalize_id(key_id: object) -> str:
    if isinstance(key_id, str) and _PUBLIC_KEY_ID.fullmatch(key_id.strip()):
        return key_id.strip()
    if isinstance(key_id, (str, int)):
        try:
            return normalize_serial(key_id)
        except ConfigurationError:
            pass
    shown = repr(key_id) if isinstance(key_id, str) and len(key_id) < 64 else f"a {type(key_id).__name__}"
    raise ConfigurationError(
        f"certs: came the id {shown}; expected PUB_KEY_ID_… for a public key, or the serial number of a certificate"
    )
