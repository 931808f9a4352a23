"""Describes what the client adds to an operation of APIv2, and how its response is judged."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["V2Rule"]


class V2Rule(NamedTuple):
    """The rule of one operation of APIv2.

    Attributes:
        merchant: the name of the field with the merchant number; empty if there is none.
        sign_types: the values that `sign_type` may have, the default of the operation first; empty if there is no such field.
        sends_sign_type: whether `sign_type` is added.
        nonce: whether `nonce_str` is added.
        signs: whether the request is signed.
        certificate: whether the merchant's TLS certificate is presented.
        signed: whether the service signs a response of this operation.
        result: whether a response has a result_code.
        content: what a response has if it is not XML: `file`, a table in text or gzip, from an operation that changes nothing; or `json`.
        host: the origin, if it is not that of most operations.
        file: the name of the part of an upload that is the file; empty if there is none.
        workwx: the fields that `workwx_sign` is over; empty if there is no such field.
    """

    merchant: str = "mch_id"
    sign_types: tuple[str, ...] = ()
    sends_sign_type: bool = False
    nonce: bool = True
    signs: bool = True
    certificate: bool = False
    signed: bool = True
    result: bool = True
    content: Literal["xml", "file", "json"] = "xml"
    host: str = ""
    file: str = ""
    workwx: tuple[str, ...] = ()

    @property
    def added(self) -> frozenset[str]:
        """The fields that the client adds if the caller leaves them out."""
        signed = {"sign": self.signs, "workwx_sign": bool(self.workwx)}
        added = {self.merchant: bool(self.merchant), "sign_type": self.sends_sign_type, "nonce_str": self.nonce}
        return frozenset(name for name, is_added in {**added, **signed}.items() if is_added)
