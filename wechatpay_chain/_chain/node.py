"""The node of a chain: a path template with the verbs that send calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wechatpay_chain._chain.call import Call, Fields, Seconds
from wechatpay_chain._chain.chain import Chain
from wechatpay_chain._chain.template import Params, PathValue
from wechatpay_chain._messages.response import Response

if TYPE_CHECKING:
    from wechatpay_chain._files.source import Files

__all__ = ["Node"]


class Node(Chain):
    """A chain whose path can be called with a verb.

    Every verb encodes `json` itself, and writes a date, and a datetime with a time zone, in ISO 8601. With `files`, `json` is the
    meta of the file; a name and a digest that the operation asks for are filled in. Every verb raises:

    - PathVariableError, ArgumentError, UnsupportedError: before anything is sent.
    - ConfigurationError: before anything is sent; a key or a certificate is missing.
    - TransportError: there is no whole response; a TransportTimeout if it took too long.
    - ContentError: the response is too large to be read into memory.
    - SignatureError: the signature of the response is not verified.
    - APIError: the service responded with a status other than 2xx; see its subclasses.

    `sent` of each says whether the service may have acted on the call. Any other exception is a bug of this package, except an
    OSError of a file of your own, a TypeError or an AttributeError if the call is written wrongly, what your own layers and
    callbacks raise, and cancellation.
    """

    __slots__ = ()

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
        """Sends a GET and returns its verified response, for callers that await.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            **variables: the path variables: text, int or date.
        """
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
        """Sends a POST and returns its verified response.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            files: one file, by the name of its part: a path, bytes or an open binary file. `json` is its meta.
            **variables: the path variables: text, int or date.
        """
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
        """Sends a POST and returns its verified response, for callers that await.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            files: one file, by the name of its part: a path, bytes or an open binary file. `json` is its meta.
            **variables: the path variables: text, int or date.
        """
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
        """Sends a PUT and returns its verified response.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            **variables: the path variables: text, int or date.
        """
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
        """Sends a PATCH and returns its verified response.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            **variables: the path variables: text, int or date.
        """
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
        """Sends a DELETE and returns its verified response.

        Args:
            json: the body, a dict or a list of what JSON can write.
            params: the query. A list repeats its key; None is left out.
            headers: headers to add or replace.
            timeout: seconds: one number, (connect, read) or (connect, read, total).
            idempotent: True if it may be repeated even if the service may have acted on it; see `Retry`.
            **variables: the path variables: text, int or date.
        """
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
