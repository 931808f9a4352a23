"""The chain: a path template that grows by attributes, and the verbs that send calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from wechatpay_chain._chain.call import Call, Fields, Seconds, Sender
from wechatpay_chain._chain.template import Params, PathValue, extend, hide_query, literal
from wechatpay_chain._messages.response import Response

if TYPE_CHECKING:
    from typing_extensions import Self

    from wechatpay_chain._files.source import Files

__all__ = ["VERBS", "Chain", "Node"]

VERBS = tuple(f"{verb}{mode}" for verb in ("get", "post", "put", "patch", "delete") for mode in ("", "_async"))
_PUBLIC = ("chain", *VERBS)


class Chain:
    """Any part of a chain: a path template that grows by attributes. Annotate a parameter that takes any part with it.

    `chain.pre_send_coupon` adds a segment, `chain._openid_` a path variable, `chain["a/{b}"]` a path as written. Chains are
    immutable; equal templates of one client are equal chains. `str(chain)` is the whole template as it was written; `repr`
    hides the values of its query, which can be a token.

    At run time every part is a `Node`. For a type checker, a part that the catalogue knows has the segments and the verbs that exist
    there, and any other segment leads to a `Node`.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, attribute: str) -> Node: ...

        def __getitem__(self, path: str) -> Node: ...

        def chain(self, path: str) -> Node:
            """Adds a path as written; `<name>` is another spelling of the variable `{name}`."""
            ...


class Node(Chain):
    """A chain whose path can be called with any verb.

    Every verb encodes `json` and `xml` itself; in JSON, a date, and a datetime with a time zone, are written in ISO 8601. With `files`,
    `json` is the meta of the file; a name and a digest that the operation asks for are filled in. Every verb raises:

    - PathVariableError, ArgumentError, UnsupportedError: before anything is sent.
    - ConfigurationError: before anything is sent; a key or a certificate is missing.
    - TransportError: there is no whole response; a TransportTimeout if it took too long.
    - ContentError: the response is too large to be read into memory.
    - SignatureError: the signature of the response is not verified.
    - APIError: the service responded with a status other than 2xx, or in APIv2 with a failure; see its subclasses.

    `sent` of each says whether the service may have acted on the call. Any other exception is a bug of this package, except an
    OSError of a file of your own, a TypeError or an AttributeError if the call is written wrongly, what your own layers and
    callbacks raise, and cancellation.
    """

    __slots__ = ("_sender", "_template")

    _sender: Sender
    _template: str

    def __init__(self, sender: Sender, template: str) -> None:
        object.__setattr__(self, "_sender", sender)
        object.__setattr__(self, "_template", template)

    def __getattr__(self, attribute: str) -> Node:
        return Node(self._sender, extend(self._template, attribute))

    def __getitem__(self, path: str) -> Node:
        return self.chain(path)

    def chain(self, path: str) -> Node:
        """Adds a path as written; `<name>` is another spelling of the variable `{name}`."""
        if not isinstance(path, str):
            raise TypeError(f"a path in brackets is a text such as 'a/b/{{c}}'; came one of type {type(path).__name__}")
        return Node(self._sender, literal(self._template, path))

    if not TYPE_CHECKING:  # a type checker is to report a node that is called

        def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
            """Raises a TypeError that names the verb that was probably meant."""
            import difflib

            segment = self._template.rpartition("/")[2].replace("-", "_")
            meant = next(iter(difflib.get_close_matches(segment, _PUBLIC, cutoff=0.6)), None)
            advice = f"did you mean .{meant}(…)?" if meant else f"end the chain with one of {', '.join(VERBS)}"
            raise TypeError(f"{self!r} is a path, not a verb: {advice}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self!r} is immutable; {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r} is immutable; {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self._sender is other._sender and self._template == other._template

    def __hash__(self) -> int:
        return hash((id(self._sender), self._template))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __str__(self) -> str:
        return self._template

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {hide_query(self._template)}>"

    def __dir__(self) -> list[str]:
        return list(_PUBLIC)

    def get(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        **variables: PathValue,
    ) -> Response:
        """Sends a GET and returns its verified response.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            **variables: the path variables: text, int or date.
        """
        return self._sender.send(Call("GET", self._template, variables, json, params, headers, timeout, True))

    async def get_async(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        **variables: PathValue,
    ) -> Response:
        """Sends a GET and returns its verified response, for callers that await.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            **variables: the path variables: text, int or date.
        """
        return await self._sender.send_async(
            Call("GET", self._template, variables, json, params, headers, timeout, True)
        )

    def post(
        self,
        /,
        *,
        json: Any = None,
        xml: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        files: Files | None = None,
        certificate: bool | None = None,
        **variables: PathValue,
    ) -> Response:
        """Sends a POST and returns its verified response.

        Args:
            json: the body, a dict or a list of what JSON can write.
            xml: the body in APIv2, a dict of texts and whole numbers. Merchant number, nonce and signature are added.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            files: one file, by the name of its part: a path, bytes or an open binary file. `json` is its meta.
            certificate: whether to present the merchant's TLS certificate; None does where an operation of APIv2 needs it.
            **variables: the path variables: text, int or date.
        """
        return self._sender.send(
            Call(
                "POST",
                self._template,
                variables,
                json,
                params,
                headers,
                timeout,
                idempotent,
                files,
                xml,
                certificate,
            )
        )

    async def post_async(
        self,
        /,
        *,
        json: Any = None,
        xml: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        files: Files | None = None,
        certificate: bool | None = None,
        **variables: PathValue,
    ) -> Response:
        """Sends a POST and returns its verified response, for callers that await.

        Args:
            json: the body, a dict or a list of what JSON can write.
            xml: the body in APIv2, a dict of texts and whole numbers. Merchant number, nonce and signature are added.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            files: one file, by the name of its part: a path, bytes or an open binary file. `json` is its meta.
            certificate: whether to present the merchant's TLS certificate; None does where an operation of APIv2 needs it.
            **variables: the path variables: text, int or date.
        """
        return await self._sender.send_async(
            Call(
                "POST",
                self._template,
                variables,
                json,
                params,
                headers,
                timeout,
                idempotent,
                files,
                xml,
                certificate,
            )
        )

    def put(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        **variables: PathValue,
    ) -> Response:
        """Sends a PUT and returns its verified response.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            **variables: the path variables: text, int or date.
        """
        return self._sender.send(Call("PUT", self._template, variables, json, params, headers, timeout, idempotent))

    async def put_async(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        **variables: PathValue,
    ) -> Response:
        """Sends a PUT and returns its verified response, for callers that await.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            **variables: the path variables: text, int or date.
        """
        return await self._sender.send_async(
            Call("PUT", self._template, variables, json, params, headers, timeout, idempotent)
        )

    def patch(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        **variables: PathValue,
    ) -> Response:
        """Sends a PATCH and returns its verified response.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            **variables: the path variables: text, int or date.
        """
        return self._sender.send(Call("PATCH", self._template, variables, json, params, headers, timeout, idempotent))

    async def patch_async(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        **variables: PathValue,
    ) -> Response:
        """Sends a PATCH and returns its verified response, for callers that await.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            **variables: the path variables: text, int or date.
        """
        return await self._sender.send_async(
            Call("PATCH", self._template, variables, json, params, headers, timeout, idempotent)
        )

    def delete(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        **variables: PathValue,
    ) -> Response:
        """Sends a DELETE and returns its verified response.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            **variables: the path variables: text, int or date.
        """
        return self._sender.send(Call("DELETE", self._template, variables, json, params, headers, timeout, idempotent))

    async def delete_async(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        **variables: PathValue,
    ) -> Response:
        """Sends a DELETE and returns its verified response, for callers that await.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            **variables: the path variables: text, int or date.
        """
        return await self._sender.send_async(
            Call("DELETE", self._template, variables, json, params, headers, timeout, idempotent)
        )
