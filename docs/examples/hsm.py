"""Signs with a private key that stays in an HSM, through PKCS#11: `pip install python-pkcs11`."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pkcs11


class HSM:
    """A `Signer`. It logs in at the first signature, so that a process that forks its workers logs in in each of them.

    Args:
        module: the PKCS#11 library of the HSM's vendor, such as /usr/lib/softhsm/libsofthsm2.so.
        token: the label of the token.
        pin: the PIN of the token's user.
        label: the label of the private key.
    """

    def __init__(self, module: str, token: str, pin: str, label: str) -> None:
        self._module, self._token, self._pin, self._label = module, token, pin, label
        self._key: Any = None
        self._lock = threading.Lock()  # a session signs for one thread at a time

    def sign(self, message: bytes) -> str:
        with self._lock:
            if self._key is None:
                session = pkcs11.lib(self._module).get_token(token_label=self._token).open(user_pin=self._pin)
                self._key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=self._label)
            signature = self._key.sign(message, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS)
        return base64.b64encode(signature).decode()
