"""Imports a module of types when it is first used: there are more than a hundred."""

from __future__ import annotations

import sys
from importlib import import_module

from wechatpay_chain._forks.no_fork import no_fork

__all__ = ["import_product"]


def import_product(package: str, name: str) -> object:
    """Returns a module of a package of types.

    Raises:
        AttributeError: the package has no such module.
    """
    if name not in sys.modules[package].__all__:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    with no_fork.current:
        return import_module(f"{package}.{name}")
