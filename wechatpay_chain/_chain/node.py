"""The node of a chain: a path template with verbs at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from wechatpay_chain._chain.call import Call, Fields, Seconds
from wechatpay_chain._chain.template import Params, PathValue, extend, hide_query, literal
from wechatpay_chain._messages.response import Response

if TYPE_CHECKING:
    from wechatpay_chain._files.source import Files

__all__ = ["PUBLIC", "VERBS", "Node", "Root"]


class Sender(Protocol):
    """Sends the calls of a node."""

    def send(self, call: Call) -> Response:
        """Sends a call and returns its verified response."""
        ...

    async def send_async(self, call: Call) -> Response:
        """Sends a call for callers that await."""
        ...


class _HasSender(Protocol):
    _dispatch: Any


class Root:
    """An attribute of a client at which a chain starts.

    Args:
        segment: the first segment of its paths.
    """

    def __init__(self, segment: str) -> None:
        self._segment = segment

    def __get__(self, client: _HasSender, owner: type | None = None) -> Node:
        return Node(client._dispatch, self._segment)


class Node:
    """A path template that grows by attributes and is called by its verbs.

    `node.pre_send_coupon` adds a segment, `node._openid_` a path variable, `node["a/{b}"]` a path as written. Nodes are
    immutable; equal templates of one client are equal nodes. `str(node)` is the template as it was written, whole; `repr`
    hides the values of a query that was written into it, for such a query can hold a token.

    Every verb takes the same keywords:

    - `json`: the body, a dict or a list of what JSON can write, which the client encodes; None sends no body.
    - `params`: the query; a list repeats its key, None is left out; a date and a datetime that knows its time zone are
      written in ISO 8601.
    - `headers`: added to the request's own, or in their place.
    - `timeout`: seconds, one number, or (connect, read) or (connect, read, total) of them; see `Client`.
    - `idempotent`, of all but GET: that it may be sent again although it may have been acted on, for the service knows it
      again by its number; see `Retry`. A GET always may.
    - `files`, of POST: one file by the name of its part, a path, bytes or an open binary file; `json` is its meta, in which
      what the operation asks for, names and digests, is filled in.
    - any other keyword: a path variable, a text, an int or a date.

    and raises:

    - PathVariableError, ArgumentError, UnsupportedError: before anything is sent.
    - ConfigurationError: before anything is sent; a key or a certificate is missing.
    - TransportError: no whole response came; a TransportTimeout where it took too long.
    - ContentError: the response is too large to be read into memory.
    - SignatureError: the response is not proven to be WeChat Pay's.
    - APIError: the service responded with a status other than 2xx; see its subclasses.

    `sent` of each says whether the service may have acted on the call. Any other exception is a bug of this package, but for an
    OSError of a file of your own, a TypeError or an AttributeError where the call is written wrongly, what your own layers and
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
        """The node that a path as written leads to; `<name>` is another spelling of `{name}`."""
        if not isinstance(path, str):
            raise TypeError(f"a path in brackets is a text such as 'a/b/{{c}}'; came one of type {type(path).__name__}")
        return Node(self._sender, literal(self._template, path))

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
        """Sends a GET; `Node` says what it takes and raises."""
        return self._sender.send(
            Call(
                method="GET",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=True,
            )
        )

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
        """Sends a GET and awaits its answer; `Node` says what it takes and raises."""
        return await self._sender.send_async(
            Call(
                method="GET",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=True,
            )
        )

    def post(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        files: Files | None = None,
        **variables: PathValue,
    ) -> Response:
        """Sends a POST; `Node` says what it takes and raises."""
        return self._sender.send(
            Call(
                method="POST",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=idempotent,
                files=files,
            )
        )

    async def post_async(
        self,
        /,
        *,
        json: Any = None,
        params: Params = None,
        headers: Fields = None,
        timeout: Seconds = None,
        idempotent: bool = False,
        files: Files | None = None,
        **variables: PathValue,
    ) -> Response:
        """Sends a POST and awaits its answer; `Node` says what it takes and raises."""
        return await self._sender.send_async(
            Call(
                method="POST",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=idempotent,
                files=files,
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
        """Sends a PUT; `Node` says what it takes and raises."""
        return self._sender.send(
            Call(
                method="PUT",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=idempotent,
            )
        )

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
        """Sends a PUT and awaits its answer; `Node` says what it takes and raises."""
        return await self._sender.send_async(
            Call(
                method="PUT",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=idempotent,
            )
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
        """Sends a PATCH; `Node` says what it takes and raises."""
        return self._sender.send(
            Call(
                method="PATCH",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=idempotent,
            )
        )

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
        """Sends a PATCH and awaits its answer; `Node` says what it takes and raises."""
        return await self._sender.send_async(
            Call(
                method="PATCH",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=idempotent,
            )
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
        """Sends a DELETE; `Node` says what it takes and raises."""
        return self._sender.send(
            Call(
                method="DELETE",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=idempotent,
            )
        )

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
        """Sends a DELETE and awaits its answer; `Node` says what it takes and raises."""
        return await self._sender.send_async(
            Call(
                method="DELETE",
                template=self._template,
                variables=variables,
                json=json,
                params=params,
                headers=headers,
                timeout=timeout,
                idempotent=idempotent,
            )
        )

    if not TYPE_CHECKING:  # a type checker is to report a node that is called

        def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
            """Always a mistake: a segment was taken for a verb."""
            import difflib

            segment = self._template.rpartition("/")[2].replace("-", "_")
            meant = next(iter(difflib.get_close_matches(segment, PUBLIC, cutoff=0.6)), None)
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

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: object) -> Node:
        return self

    def __str__(self) -> str:
        return self._template

    def __repr__(self) -> str:
        return f"<Node {hide_query(self._template)}>"

    def __dir__(self) -> list[str]:
        return list(PUBLIC)


VERBS = tuple(f"{verb}{mode}" for verb in ("get", "post", "put", "patch", "delete") for mode in ("", "_async"))
PUBLIC = ("chain", *VERBS)
