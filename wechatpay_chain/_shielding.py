"""Keeps secrets out of tracebacks.

Error trackers, `logging.exception` with locals and web debuggers show the local variables of every frame in a
traceback. A frame with a private key, a passphrase or an APIv3 key must therefore not be part of one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["shielded"]

P = ParamSpec("P")
R = TypeVar("R")


def shielded(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function so that its frames and arguments are in no traceback.

    The exception stays the same object, but its traceback starts in the wrapper, which deletes the arguments before it
    raises. The exceptions in its chain of causes lose their tracebacks, and `__context__` is removed.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raised = error
        del args, kwargs
        cause: BaseException | None = raised
        while cause is not None:
            cause.__traceback__ = cause.__context__ = None
            cause = cause.__cause__
        try:
            raise raised
        finally:
            del raised, cause  # otherwise the exception and this frame would form a reference cycle

    defaults: Any = call
    defaults.__kwdefaults__ = getattr(function, "__kwdefaults__", None)  # tools read the defaults from here
    return call
