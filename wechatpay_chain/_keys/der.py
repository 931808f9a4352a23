"""Tells keys and certificates apart by the structure of their DER.

A label such as `BEGIN PRIVATE KEY` can be wrong or missing; the structure cannot. Sources: RFC 8017 appendix A (PKCS#1),
RFC 5958 (PKCS#8), RFC 5280 (certificates), RFC 2986 (requests), RFC 7292 (PKCS#12), RFC 5652 (PKCS#7), RFC 5915 (EC).
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

__all__ = ["Kind", "Material", "identify", "is_der", "is_sm2"]


class Kind(enum.Enum):
    """Tells which parser a piece of key material is for."""

    PRIVATE_KEY = "RSA private key"
    ENCRYPTED_KEY = "encrypted private key"
    PUBLIC_KEY = "RSA public key"
    CERTIFICATE = "certificate"
    PKCS12 = "PKCS#12"
    OTHER = "no use here"


class Material(NamedTuple):
    """A piece of key material. Its repr shows none of it.

    Attributes:
        kind: which parser it is for.
        name: what it is, for messages, such as "an SM2 private key".
        octets: its DER; of a private key that is encrypted in the way of old PEM files, the PEM (RFC 1421, 4.6.1.1).
    """

    kind: Kind
    name: str
    octets: bytes = b""

    def __repr__(self) -> str:
        return f"<Material {self.name}>"


class _Element(NamedTuple):
    tag: int
    begin: int
    end: int


_SEQUENCE = 0x30
_BLANK = b"\r\n\0 "
_LETTERS = {0x02: "i", 0x03: "b", 0x04: "o", 0x05: "n", 0x06: "d", 0x17: "t", 0x18: "t", _SEQUENCE: "s", 0xA0: "x"}

# The elements of the outer sequence, a letter each; what an inner sequence holds follows it in parentheses.
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
    "2a864886f70d01010": "RSA",  # rsaEncryption, and what RSA-OAEP and RSA-PSS keys are marked with
    "2a8648ce3d0201": "EC",
    "2a811ccf5501": "SM2",
    "2a8648ce380401": "DSA",
    "2b656e": "X25519",
    "2b656f": "X448",
    "2b6570": "Ed25519",
    "2b6571": "Ed448",
}
_SM2_CURVE = bytes.fromhex("06082a811ccf5501822d")  # 1.2.156.10197.1.301


def is_der(octets: bytes) -> bool:
    """Returns whether bytes begin as the DER of a key or a certificate does; they may be cut short."""
    if octets[:5] == _BER_PKCS12:
        return True
    if octets[:1] != b"\x30" or len(octets) < 8:
        return False
    # The length is in two bytes for whatever has 256 bytes or more, in one behind 0x81, or alone up to 127.
    size = octets[1] + 2
    return octets[1] in (0x81, 0x82) or (size < 0x82 and len(octets) >= size and not octets[size:].strip(_BLANK))


def identify(octets: bytes, called: str = "DER") -> Material:
    """Finds out what DER is.

    Args:
        octets: the DER.
        called: what it came as, for the name of what is damaged.
    """
    if octets[:5] == _BER_PKCS12:
        return Material(Kind.PKCS12, "a PKCS#12 file", octets)
    try:
        outer = _element(octets, 0)
        if outer.tag != _SEQUENCE:
            return Material(Kind.OTHER, f"a damaged {called}: it does not begin as DER does")
        if outer.end > len(octets):
            return Material(
                Kind.OTHER, f"a damaged {called}: it is cut short, {len(octets)} of {outer.end} bytes are there"
            )
        if octets[outer.end :].strip(_BLANK) and "trusted" not in called:  # OpenSSL's own marks follow there
            return Material(Kind.OTHER, f"a damaged {called}: {len(octets) - outer.end} bytes follow its end")
        octets = octets[: outer.end]
        children = _elements(octets, outer)
        shape = "".join(map(_shape, children, [octets] * len(children)))
    except (IndexError, ValueError):
        return Material(Kind.OTHER, f"a damaged {called}: its structure is broken")
    found = _STRUCTURE.fullmatch(shape)
    structure = "" if found is None or found.lastgroup is None else list(_SHAPES)[int(found.lastgroup[1:])]
    return _named(structure, octets, children, called)


def _named(structure: str, octets: bytes, children: list[_Element], called: str) -> Material:
    if structure in ("PKCS#8 private key", "PKCS#1 private key"):
        algorithm = _algorithm(octets, children[1]) if structure == "PKCS#8 private key" else "RSA"
        kind = Kind.PRIVATE_KEY if algorithm == "RSA" else Kind.OTHER
        return Material(kind, f"{_article(algorithm)} private key", octets)
    if structure in ("SPKI", "PKCS#1 public key"):
        algorithm = _algorithm(octets, children[0]) if structure == "SPKI" else "RSA"
        kind = Kind.PUBLIC_KEY if algorithm == "RSA" else Kind.OTHER
        return Material(kind, f"{_article(algorithm)} public key", octets)
    if structure == "EC private key":
        return Material(Kind.OTHER, f"an {'SM2' if is_sm2(octets) else 'EC'} private key")
    usable = {
        "encrypted private key": Material(Kind.ENCRYPTED_KEY, "an encrypted private key", octets),
        "certificate": Material(Kind.CERTIFICATE, "a certificate", octets),
        "PKCS#12": Material(Kind.PKCS12, "a PKCS#12 file", octets),
        "request": Material(Kind.OTHER, "a certificate request"),
        "PKCS#7": Material(Kind.OTHER, "a PKCS#7 container"),
        "": Material(Kind.OTHER, f"a {called} of an unknown structure"),
    }
    return usable.get(structure) or Material(Kind.OTHER, f"a {structure}")


def is_sm2(octets: bytes) -> bool:
    """Returns whether DER names the curve of SM2."""
    return _SM2_CURVE in octets


def _article(algorithm: str) -> str:
    return f"{'a' if algorithm[0] in 'Du' else 'an'} {algorithm}"


def _algorithm(octets: bytes, identifier: _Element) -> str:
    name = _elements(octets, identifier)[0]
    oid = octets[name.begin : name.end].hex()
    if is_sm2(octets[identifier.begin : identifier.end]):
        return "SM2"
    return next((known for prefix, known in _ALGORITHMS.items() if oid.startswith(prefix)), "unknown")


def _shape(element: _Element, octets: bytes) -> str:
    letter = _LETTERS.get(element.tag, "z")
    if letter != "s":
        return letter
    return f"s({''.join(_LETTERS.get(child.tag, 'z') for child in _elements(octets, element))})"


def _elements(octets: bytes, parent: _Element) -> list[_Element]:
    found: list[_Element] = []
    at = parent.begin
    while at < parent.end:
        found.append(_element(octets, at))
        at = found[-1].end
    if at != parent.end:
        raise ValueError
    return found


def _element(octets: bytes, at: int) -> _Element:
    size, begin = octets[at + 1], at + 2
    if size >= 0x80:
        begin += size - 0x80
        size = int.from_bytes(octets[at + 2 : begin], "big")
    return _Element(octets[at], begin, begin + size)
