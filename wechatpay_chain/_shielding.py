"""Keeps secrets out of the tracebacks of what raises.

Error trackers, `logging.exception` with locals and debuggers on the web show the local variables of every frame that an
exception passed through. A frame that holds a private key, a passphrase or an APIv3 key must therefore not be among them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["shielded"]

P = ParamSpec("P")
R = TypeVar("R")


def shielded(function: Callable[P, R]) -> Callable[P, R]:
    """Lets a function raise without its own frames, so that no traceback holds what it was called with.

    The exception stays the same object. Its traceback begins anew in the wrapper, whose arguments are dropped before it
    raises; the exceptions that it came from lose their tracebacks, and the one that was being handled is forgotten.
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
            del raised, cause  # else the exception and this frame would keep one another alive

    defaults: Any = call
    defaults.__kwdefaults__ = getattr(function, "__kwdefaults__", None)  # where tools look for them
    return call
