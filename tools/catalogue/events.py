"""Writes the types of the notifications: a TypedDict for each resource, and the overloads of `Notification.resource_for`."""

from __future__ import annotations

import json

from tools.catalogue.annotations import REF, Definition, Definitions, Direction
from tools.catalogue.modules import typed_dict
from tools.catalogue.writing import STAMP, imports, pascal
from wechatpay_chain._catalogue.operations import Event, find_event, list_events

__all__ = ["Events"]


class Events:
    """All notifications: their types, and how a handler gets one.

    Attributes:
        definitions: the TypedDicts by name.
    """

    def __init__(self) -> None:
        self._definitions = Definitions("", {})
        self._overloads = [
            line for name in list_events() if (event := find_event(name)) for line in self._overload(event)
        ]

    @property
    def definitions(self) -> dict[str, Definition]:
        """The TypedDicts by name."""
        return self._definitions.found

    def types(self) -> str:
        """Returns the module of the resources."""
        body = "".join(typed_dict(definition, "") for definition in self._definitions.found.values())
        return f'{STAMP}"""Types of the resources of notifications, named as their events are."""\n\n{imports(body)}\n{body}'

    def stub(self) -> str:
        """Returns the stub of `resource_for`."""
        body = "\nclass Resources:\n" + "".join(self._overloads)
        body += (
            "    @overload\n    def resource_for(self, event_type: str, original_type: str | None = ...) -> Any: ...\n"
        )
        types = "from wechatpay_chain.types import notifications as t\n"
        return f'{STAMP}# mypy: disable-error-code="overload-overlap"\n{imports(body)}{types}{body}'

    def _overload(self, event: Event) -> list[str]:
        """Returns an overload for each kind of resource, and one without the kind."""
        name, single = pascal(event.event_type.lower()), len(event.resources) == 1
        found = []
        for resource in event.resources:
            full = name if single else f"{name}{pascal(resource.original_type)}"
            annotation = (
                self._definitions.annotate(resource.schema, full, Direction.RESPONSE) if resource.schema else "Any"
            )
            found.append((resource.original_type, annotation.replace(REF, "t.")))
        one = f"event_type: Literal[{json.dumps(event.event_type)}]"
        lines = [
            self._line(
                f"{one}, original_type: Literal[{json.dumps(original)}]{' = ...' if single else ''}", annotation, event
            )
            for original, annotation in found
            if original
        ]
        if not single or not found[0][0]:
            lines.append(self._line(one, " | ".join(annotation for _, annotation in found), event))
        return lines

    def _line(self, parameters: str, result: str, event: Event) -> str:
        return f'    @overload\n    def resource_for(self, {parameters}) -> {result} | None:\n        """{event.title}"""\n'
