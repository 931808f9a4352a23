"""Writes a product, which is the second segment of a path: its types and its nodes.

`types/v3/pay.py` has the TypedDicts, nested in empty classes that are named as the chain is; users import it, and nothing of the
package does. The roots beside v3 have one module each, such as `types/v2.py`. The nodes of all products of a root are in one stub, `_nodes/v3.pyi`, for type checkers and editors only: a hundred
files more would add 60 kB to the wheel.
"""

from __future__ import annotations

from tools.catalogue.annotations import REF, Definition, Definitions
from tools.catalogue.calls import Signature, sign
from tools.catalogue.tree import Place
from tools.catalogue.writing import STAMP, imports, pascal
from wechatpay_chain._catalogue.operations import Operation

__all__ = ["Product", "node_name", "products", "typed_dict"]

INDENT = " "
"""One step of the types, which are nested up to nine deep; four spaces would add 13 kB to the wheel."""


class Product:
    """One product: its types and its nodes.

    Attributes:
        place: where it begins.
        root: the name of the root.
        name: the name of the product among the types.
        has_module: whether its types are a module, as those of v3 are; those of other roots are few, and share one.
    """

    def __init__(self, place: Place) -> None:
        assert place.parent is not None
        self.place, self.root, self.name = place, place.parent.name, place.name
        self.has_module = self.root == "v3"
        self._definitions: dict[Place, Definitions] = {}
        self._signatures: dict[tuple[Place, str], Signature] = {}
        for each in place.walk():
            prefix = "".join(f"{between.name}." for between in each.line[2 if self.has_module else 1 :])
            self._definitions[each] = Definitions(prefix, {})
            for verb in sorted(each.operations):
                self._signatures[each, verb] = sign(each, verb, self._definitions[each])
        names = [node_name(each) for each in place.walk()]
        if len(set(names)) < len(names):
            raise ValueError(f"{place.template}: two nodes have one name")

    @property
    def definitions(self) -> dict[str, Definition]:
        """The TypedDicts by their names within the module."""
        return {
            f"{definitions.prefix}{name}": definition
            for definitions in self._definitions.values()
            for name, definition in definitions.found.items()
        }

    def types(self) -> str:
        """Returns the module of the types."""
        body = self._namespace(self.place, "")
        return f'{STAMP}"""Types of /{self.place.template}."""\n\n{imports(body)}\n{body}'

    def nested_types(self) -> str:
        """Returns the types within a class, for a module of several products."""
        return f"class {self.name}:\n{self._namespace(self.place, INDENT)}"

    def _namespace(self, place: Place, indent: str) -> str:
        text = "".join(typed_dict(definition, indent) for definition in self._definitions[place].found.values())
        for child in sorted(place.children.values(), key=lambda child: child.name):
            inner = self._namespace(child, f"{indent}{INDENT}")
            if inner:
                text += f"{indent}class {child.name}:\n{inner}"
        return text

    def nodes(self) -> str:
        """Returns the classes of the nodes, of which the first is the product."""
        return "".join(self._node(place) for place in self.place.walk()).replace(
            REF, f"t.{self.name}." if self.has_module else "t."
        )

    def _node(self, place: Place) -> str:
        children = [child for _, child in sorted(place.children.items()) if child.attribute]
        lines = [f"    {child.attribute}: {node_name(child)}\n" for child in children]
        lines += [self._verb(place, verb, mode) for verb in sorted(place.operations) for mode in ("", "_async")]
        return f"class {node_name(place)}(Chain):\n" + ("".join(lines) or "    ...\n")

    def _verb(self, place: Place, verb: str, mode: str) -> str:
        operation, signature = place.operations[verb], self._signatures[place, verb]
        return (
            ('    @deprecated("no longer offered")\n' if operation.deprecated else "")
            + f"    {'async ' if mode else ''}def {verb}{mode}(self, *, {', '.join(signature.parameters)}) "
            + f'-> Response[{signature.result}]:\n        """{_doc(operation)}"""\n'
        )


def products(roots: dict[str, Place]) -> list[Product]:
    """Returns all products, in the order of their paths."""
    return [Product(place) for _, root in sorted(roots.items()) for _, place in sorted(root.children.items())]


def node_name(place: Place) -> str:
    """Returns the name of a node's class, which no other node of its product has."""
    return "_".join(_class_part(each) for each in place.line[1:])


def _class_part(place: Place) -> str:
    return pascal(place.name.replace("__", "-underscore-")) if place.name != "empty" else "Slash"


def _doc(operation: Operation) -> str:
    facts = [operation.title, f"{operation.method} {operation.path}"]
    if operation.tags:
        facts.append(f"产品：{'、'.join(operation.tags)}")
    if operation.roles:
        facts.append(f"适用：{'、'.join(operation.roles)}")
    if operation.deprecated:
        facts.append("已下线。")
    return "\n\n        ".join(facts)


def typed_dict(definition: Definition, indent: str) -> str:
    """Returns the definition of a TypedDict."""
    if not definition.is_plain:
        members = ", ".join(
            f'"{each.name}": {_annotation(each.annotation, each.required, quoted=True)}' for each in definition.members
        )
        return f'{indent}{definition.name} = TypedDict("{definition.name}", {{{members}}})\n'
    lines = [f"{indent}class {definition.name}(TypedDict):\n"]
    lines += [
        f"{indent}{INDENT}{each.name}: {_annotation(each.annotation, each.required)}\n" for each in definition.members
    ]
    return "".join(lines)


def _annotation(annotation: str, required: bool, *, quoted: bool = False) -> str:
    """Returns an annotation that is right at run time: a name that is defined later is quoted, and NotRequired never is."""
    if quoted or REF in annotation:
        annotation = '"' + annotation.replace(REF, "").replace('"', "'") + '"'
    return annotation if required else f"NotRequired[{annotation}]"
