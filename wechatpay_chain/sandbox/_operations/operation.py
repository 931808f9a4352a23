"""The types of an operation: its description, the checked request that it receives, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from wechatpay_chain.sandbox._operations.account import Account, StoredFile
from wechatpay_chain.sandbox._schema import Checker

__all__ = ["CheckedRequest", "Handler", "Operation", "Result", "UploadedFile"]


class UploadedFile(NamedTuple):
    """The file of an upload.

    Attributes:
        part: the name of its part in the multipart body.
        name: its file name; empty if it has none.
        content: its bytes.
    """

    part: str
    name: str
    content: bytes


class CheckedRequest(NamedTuple):
    """A request whose signature and fields have been checked.

    Attributes:
        path: the path variables by name, percent-decoded.
        query: the query parameters.
        body: the JSON body, or the meta of an upload, decrypted.
        file: the file of an upload; None if it is no upload.
        origin: scheme, host and port that it was sent to.
    """

    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    file: UploadedFile | None
    origin: str


Result = tuple[int, Mapping[str, Any] | StoredFile | None]
"""The status, and a JSON body, a file, or None for no body."""

Handler = Callable[[Account, CheckedRequest], Result]
"""Carries out an operation. It raises a Refusal for an error response."""


class Operation(NamedTuple):
    """One operation.

    Attributes:
        method: the HTTP method.
        path: the URI template, such as /v3/pay/transactions/id/{transaction_id}.
        handle: carries out the operation.
        query: checks the query parameters; None if there are none.
        body: checks the JSON body, or the meta of an upload; None if the operation takes no body.
        body_required: whether a request must have a body.
        upload: True for multipart/form-data with a meta and a file.
    """

    method: str
    path: str
    handle: Handler
    query: Checker | None = None
    body: Checker | None = None
    body_required: bool = True
    upload: bool = False
