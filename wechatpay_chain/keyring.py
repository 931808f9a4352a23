"""WeChat Pay's keys by id: public keys (`PUB_KEY_ID_…`) and platform certificates (by serial number), any mix."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from wechatpay_chain.crypto import PublicKeySource, load_public, load_public_key, normalize_serial, serial_number
from wechatpay_chain.errors import ConfigurationError

__all__ = ["Keyring"]

PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"


class Keyring:
    """The keys that answers are verified with.

    Args:
        certs: keys and certificates by their ids.

    Raises:
        ConfigurationError: there is none, one cannot be loaded, or a certificate is filed under another's serial.
    """

    def __init__(self, certs: Mapping[str, PublicKeySource]) -> None:
        if not isinstance(certs, Mapping):
            raise ConfigurationError(
                f"certs: came a {type(certs).__name__}; expected a mapping from the id of each key to the key"
            )
        if not certs:
            raise ConfigurationError(
                "certs: none came; expected WeChat Pay's public key under its PUB_KEY_ID_…, or a platform certificate "
                "under its serial number"
            )
        self._keys: dict[str, RSAPublicKey] = {}
        self.preferred = ""
        newest: datetime | None = None
        for given_id, source in certs.items():
            key_id = _normalize_id(given_id)
            try:
                loaded = load_public(source)
                self._keys[key_id] = load_public_key(loaded)
            except ConfigurationError as error:
                raise ConfigurationError(f"certs[{key_id!r}]: {error}") from None
            if isinstance(loaded, x509.Certificate):
                if (serial := serial_number(loaded)) != key_id:
                    raise ConfigurationError(
                        f"certs[{key_id!r}]: came a certificate whose serial number is {serial}; file it under that"
                    )
                if newest is None or loaded.not_valid_before_utc > newest:
                    newest, self.preferred = loaded.not_valid_before_utc, key_id
        public_keys = [key_id for key_id in self._keys if key_id.startswith(PUBLIC_KEY_PREFIX)]
        # Naming the public key is what moves a merchant from certificates to it:
        # https://pay.weixin.qq.com/doc/v3/merchant/4012154180
        if public_keys or newest is None:
            self.preferred = next(iter(public_keys or self._keys))

    def find(self, key_id: str) -> RSAPublicKey | None:
        """The key of that id, or None. Serial numbers are found in either case."""
        return self._keys.get(key_id) or self._keys.get(key_id.upper())

    def holds(self, key: RSAPublicKey) -> bool:
        """Whether a key is here under whatever id."""
        return key in self._keys.values()

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self._keys)}>"


def _normalize_id(key_id: object) -> str:
    if isinstance(key_id, str) and key_id.startswith(PUBLIC_KEY_PREFIX):
        return key_id
    if isinstance(key_id, (str, int)):
        try:
            return normalize_serial(key_id)
        except ConfigurationError:
            pass
    shown = repr(key_id) if isinstance(key_id, str) and len(key_id) < 64 else f"a {type(key_id).__name__}"
    raise ConfigurationError(
        f"certs: came the id {shown}; expected PUB_KEY_ID_… for a public key, or the serial number of a certificate"
    )
