"""Imports what only an extra of this package installs, when it is first needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain.errors import ConfigurationError

__all__ = ["importing"]


@contextmanager
def importing(missing: str) -> Iterator[None]:
    """Surrounds the import of a library that may be missing. No fork can come in between.

    Args:
        missing: what the error says: which library is not installed, and how to install it.

    Raises:
        ConfigurationError: the library is not installed, or cannot be imported.
    """
    try:
        with no_fork.current:
            yield
    except ImportError:
        raise ConfigurationError(missing) from None
