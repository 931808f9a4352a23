"""Writes what leads to the products: the packages of types, the roots of the chain, and the paths in brackets."""

from __future__ import annotations

import json

from tools.catalogue.modules import Product, node_name
from tools.catalogue.tree import Place
from tools.catalogue.writing import STAMP, imports, pascal

__all__ = ["brackets", "module_of_root", "nodes_of_root", "roots_of_nodes", "types_of_root"]

_LAZY = """

def __getattr__(name: str) -> object:
    from wechatpay_chain.types._lazy import import_product

    return import_product(__name__, name)


def __dir__() -> list[str]:
    return __all__
"""


def types_of_root(products: list[Product]) -> str:
    """Returns the package of a root's types, which imports a product when it is first used."""
    names = sorted(product.name for product in products)
    root = products[0].root
    lines = "".join(f"    from wechatpay_chain.types.{root} import {name} as {name}\n" for name in names)
    return (
        f'{STAMP}"""Types of the operations below /{products[0].place.template.partition("/")[0]}."""\n\n'
        f"from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n{lines}\n__all__ = {json.dumps(names)}\n{_LAZY}"
    )


def module_of_root(products: list[Product]) -> str:
    """Returns the module of a root whose products have none of their own."""
    root = products[0].place.template.partition("/")[0]
    body = "".join(product.nested_types() for product in sorted(products, key=lambda product: product.name))
    return f'{STAMP}"""Types of the operations below /{root}."""\n\n{imports(body)}\n{body}'


def nodes_of_root(products: list[Product]) -> str:
    """Returns the stub of a root of the chain, with the nodes of all its products."""
    root = products[0].root
    body = f"from wechatpay_chain.types import {root} as t\n\nclass {pascal(root)}(Chain):\n"
    body += "".join(
        f"    {product.place.attribute}: {node_name(product.place)}\n"
        for product in products
        if product.place.attribute
    )
    body += "".join(product.nodes() for product in products)
    return f"{STAMP}{imports(body)}{body}"


def roots_of_nodes(roots: list[str]) -> str:
    """Returns the stub that has every root of the chain."""
    return STAMP + "".join(
        f"from wechatpay_chain._nodes.{root} import {pascal(root)} as {pascal(root)}\n" for root in roots
    )


def brackets(products: list[Product]) -> str:
    """Returns the stub of `client["…"]`: a node for each path, in both spellings of a variable."""
    body = "\nclass Brackets:\n"
    for product in products:
        for place in product.place.walk():
            if place.operations:
                node = f"{product.root}.{node_name(place)}"
                body += f"    @overload\n    def __getitem__(self, path: {_literal(place)}) -> {node}: ...\n"
    modules = ", ".join(sorted({product.root for product in products}))
    body += "    @overload\n    def __getitem__(self, path: str) -> Node: ...\n"
    head = '# mypy: disable-error-code="overload-overlap"\n'
    return f"{STAMP}{head}{imports(body)}from wechatpay_chain._nodes import {modules}\n{body}"


def _literal(place: Place) -> str:
    template = place.template
    spellings = dict.fromkeys((template, template.replace("{", "<").replace("}", ">")))
    return f"Literal[{', '.join(json.dumps(spelling) for spelling in spellings)}]"
