"""The two formats of WeChat Pay's APIs: JSON in APIv3, XML in APIv2. What a path begins with says which one it has."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from wechatpay_chain._catalogue.v2_segments import V2_SEGMENTS

__all__ = ["JSON", "XML", "Format", "format_of", "format_on_wire"]


class Format(NamedTuple):
    """How the calls of one API are written, for code that makes or shows calls of any.

    Attributes:
        root: the first segment of its chains, which is never sent; empty if there is none.
        body: the argument of a verb that takes the body, and the method of a response that reads it.
    """

    root: str
    body: Literal["json", "xml"]

    def to_chain(self, path: str) -> str:
        """Returns a path as a chain has it.

        Args:
            path: the path as it is sent, with its leading slash.
        """
        return f"{self.root}{path}".lstrip("/")

    def to_wire(self, template: str) -> str:
        """Returns a path as it is sent, with its leading slash.

        Args:
            template: the path as a chain has it, without one.
        """
        return f"/{template}".removeprefix(f"/{self.root}" if self.root else "")


JSON: Final = Format("", "json")
XML: Final = Format("v2", "xml")


def format_of(template: str) -> Format:
    """Returns the format of a path as a chain has it."""
    return XML if template.lstrip("/").partition("/")[0] == XML.root else JSON


def format_on_wire(path: str) -> Format:
    """Returns the format of a path as it is sent, or of any other request target."""
    return XML if re.split("[/?{]", path.removeprefix("/"), maxsplit=1)[0] in V2_SEGMENTS else JSON
