"""The customers of the sandbox: a merchant and a brand, each with its keys."""

from __future__ import annotations

import threading
from collections.abc import Callable

from wechatpay_chain._schemes.brand_rsa import BRAND_RSA
from wechatpay_chain._schemes.scheme import Scheme
from wechatpay_chain.errors import ConfigurationError
from wechatpay_chain.sandbox._keys import Keys
from wechatpay_chain.sandbox._tls import Authority

__all__ = ["Customers"]


class Customers:
    """Has the keys of the merchant, and makes those of the brand when they are first asked for.

    Args:
        scheme: the scheme of the merchant.
        authority: issues certificates that TLS can use.
    """

    def __init__(self, scheme: Scheme, authority: Authority) -> None:
        self.merchant = Keys(scheme, authority)
        self._authority, self._lock = authority, threading.Lock()
        self._brand: Keys | None = None

    def find_brand(self) -> Keys:
        """Returns the keys of the brand."""
        with self._lock:
            if self._brand is None:
                self._brand = Keys(BRAND_RSA, self._authority)
            return self._brand

    def find(self, to: str) -> Keys:
        """Returns the keys of a customer by its name.

        Raises:
            ConfigurationError: it is neither merchant nor brand.
        """
        known: dict[str, Callable[[], Keys]] = {"merchant": lambda: self.merchant, "brand": self.find_brand}
        if to not in known:
            raise ConfigurationError(f"to: came {to!r}; expected {' or '.join(known)}")
        return known[to]()
