"""Identifies keys and certificates by the structure of their DER.

A PEM label such as `BEGIN PRIVATE KEY` can be wrong or missing; the structure cannot.

Sources: RFC 8017 appendix A (PKCS#1), RFC 5958 (PKCS#8), RFC 5280 (certificates), RFC 2986 (requests), RFC 7292
(PKCS#12), RFC 5652 (PKCS#7), RFC 5915 (EC).
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

__all__ = ["Element", "Kind", "Material", "identify", "is_der", "is_sm2", "read_children", "read_element"]


class Kind(enum.Enum):
    """The kinds of key material, by the parser that each needs."""

    PRIVATE_KEY = "private key"
    ENCRYPTED_KEY = "encrypted private key"
    PUBLIC_KEY = "public key"
    CERTIFICATE = "certificate"
    PKCS12 = "PKCS#12"
    OTHER = "unusable"


class Material(NamedTuple):
    """A piece of key material. Its repr shows none of the bytes.

    Attributes:
        kind: the parser that it needs.
        name: its description for error messages, such as "an SM2 private key".
        octets: its DER; for a private key with the encryption of old PEM files, the PEM (RFC 1421, 4.6.1.1).
    """

    kind: Kind
    name: str
    octets: bytes = b""

    def __repr__(self) -> str:
        return f"<Material {self.name}>"


class Element(NamedTuple):
    """An element of DER.

    Attributes:
        tag: its tag.
        begin: where its content begins.
        end: where it ends.
    """

    tag: int
    begin: int
    end: int


_SEQUENCE = 0x30
_BLANK = b"\r\n\0 "
_LETTERS = {0x02: "i", 0x03: "b", 0x04: "o", 0x05: "n", 0x06: "d", 0x17: "t", 0x18: "t", _SEQUENCE: "s", 0xA0: "x"}

# One letter for each element of the outer sequence; the elements of an inner sequence follow it in parentheses.
_SHAPES = {
    "PKCS#1 private key": r"i{9}(s\(.*\))?",
    "PKCS#8 private key": r"is\(d.*?\)o.*",
    "encrypted private key": r"s\(ds\)o",
    "SPKI": r"s\(d.?\)b",
    "PKCS#1 public key": r"ii",
    "certificate": r"s\((xis|is)ssss.*\)s\(d.*\)b",
    "request": r"s\(issx?\)s\(d.*\)b",
    "revocation list": r"s\(i?sst.*\)s\(d.*\)b",
    "PKCS#12": r"is\(dx\).*",
    "PKCS#7": r"dx",
    "EC private key": r"io.*",
    "DSA private key": r"i{6}",
}
_STRUCTURE = re.compile("|".join(f"(?P<_{number}>{shape})" for number, shape in enumerate(_SHAPES.values())))
_BER_PKCS12 = bytes.fromhex("3080020103")

_ALGORITHMS = {
    "2a864886f70d01010": "RSA",  # rsaEncryption, and the identifiers of RSA-OAEP and RSA-PSS keys
    "2a8648ce3d0201": "EC",
    "2a811ccf5501": "SM2",
    "2a8648ce380401": "DSA",
    "2b656e": "X25519",
    "2b656f": "X448",
    "2b6570": "Ed25519",
    "2b6571": "Ed448",
}
_USABLE = ("RSA", "SM2")
_SM2_CURVE = bytes.fromhex("06082a811ccf5501822d")  # 1.2.156.10197.1.301


def is_der(octets: bytes) -> bool:
    """Returns True if bytes begin like the DER of a key or a certificate, which may be truncated."""
    if octets[:5] == _BER_PKCS12:
        return True
    if octets[:1] != b"\x30" or len(octets) < 8:
        return False
    # DER writes a length up to 127 in one byte, up to 255 as 0x81 and one byte, up to 65535 as 0x82 and two bytes.
    size = octets[1] + 2
    return octets[1] in (0x81, 0x82) or (size < 0x82 and len(octets) >= size and not octets[size:].strip(_BLANK))


def identify(octets: bytes, form: str = "DER") -> Material:
    """Identifies the key material in DER.

    Args:
        octets: the DER.
        form: the form that it came in, for the names of damaged material.
    """
    if octets[:5] == _BER_PKCS12:
        return Material(Kind.PKCS12, "a PKCS#12 file", octets)
    try:
        outer = read_element(octets, 0)
        if outer.tag != _SEQUENCE:
            return Material(Kind.OTHER, f"a damaged {form}: it does not begin like DER")
        if outer.end > len(octets):
            return Material(
                Kind.OTHER, f"a damaged {form}: it is cut short, {len(octets)} of {outer.end} bytes are there"
            )
        if octets[outer.end :].strip(_BLANK) and "trusted" not in form:  # OpenSSL appends its own data to those
            return Material(Kind.OTHER, f"a damaged {form}: {len(octets) - outer.end} bytes follow its end")
        octets = octets[: outer.end]
        children = read_children(octets, outer)
        shape = "".join(map(_describe_shape, children, [octets] * len(children)))
    except (IndexError, ValueError):
        return Material(Kind.OTHER, f"a damaged {form}: its structure is broken")
    found = _STRUCTURE.fullmatch(shape)
    structure = "" if found is None or found.lastgroup is None else list(_SHAPES)[int(found.lastgroup[1:])]
    return _describe(structure, octets, children, form)


def _describe(structure: str, octets: bytes, children: list[Element], form: str) -> Material:
    if structure in ("PKCS#8 private key", "PKCS#1 private key"):
        algorithm = _read_algorithm(octets, children[1]) if structure == "PKCS#8 private key" else "RSA"
        kind = Kind.PRIVATE_KEY if algorithm in _USABLE else Kind.OTHER
        return Material(kind, f"{_add_article(algorithm)} private key", octets)
    if structure in ("SPKI", "PKCS#1 public key"):
        algorithm = _read_algorithm(octets, children[0]) if structure == "SPKI" else "RSA"
        kind = Kind.PUBLIC_KEY if algorithm in _USABLE else Kind.OTHER
        return Material(kind, f"{_add_article(algorithm)} public key", octets)
    if structure == "EC private key":
        if is_sm2(octets):
            return Material(Kind.PRIVATE_KEY, "an SM2 private key", octets)
        return Material(Kind.OTHER, "an EC private key")
    materials = {
        "encrypted private key": Material(Kind.ENCRYPTED_KEY, "an encrypted private key", octets),
        "certificate": Material(Kind.CERTIFICATE, "a certificate", octets),
        "PKCS#12": Material(Kind.PKCS12, "a PKCS#12 file", octets),
        "request": Material(Kind.OTHER, "a certificate request"),
        "PKCS#7": Material(Kind.OTHER, "a PKCS#7 container"),
        "": Material(Kind.OTHER, f"a {form} with an unknown structure"),
    }
    return materials.get(structure) or Material(Kind.OTHER, f"a {structure}")


def is_sm2(octets: bytes) -> bool:
    """Returns True if DER contains the identifier of the SM2 curve."""
    return _SM2_CURVE in octets


def _add_article(algorithm: str) -> str:
    return f"{'a' if algorithm[0] in 'Du' else 'an'} {algorithm}"


def _read_algorithm(octets: bytes, identifier: Element) -> str:
    name = read_children(octets, identifier)[0]
    oid = octets[name.begin : name.end].hex()
    if is_sm2(octets[identifier.begin : identifier.end]):
        return "SM2"
    return next((known for prefix, known in _ALGORITHMS.items() if oid.startswith(prefix)), "unknown")


def _describe_shape(element: Element, octets: bytes) -> str:
    letter = _LETTERS.get(element.tag, "z")
    if letter != "s":
        return letter
    return f"s({''.join(_LETTERS.get(child.tag, 'z') for child in read_children(octets, element))})"


def read_children(octets: bytes, parent: Element) -> list[Element]:
    """Returns the elements inside an element.

    Raises:
        IndexError, ValueError: they do not fill it exactly.
    """
    found: list[Element] = []
    at = parent.begin
    while at < parent.end:
        found.append(read_element(octets, at))
        at = found[-1].end
    if at != parent.end:
        raise ValueError
    return found


def read_element(octets: bytes, at: int) -> Element:
    """Returns the element that begins at an offset. It may end beyond the bytes.

    Raises:
        IndexError: there is none.
    """
    size, begin = octets[at + 1], at + 2
    if size >= 0x80:
        begin += size - 0x80
        size = int.from_bytes(octets[at + 2 : begin], "big")
    return Element(octets[at], begin, begin + size)
