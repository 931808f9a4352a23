"""Takes key material out of whatever it came in: files, PEM, base64, and what editors, shells and web pages make of them.

There is one step, `read_material`; its result says what each piece is, by the structure of its DER. What base64 does not have
is left out or undone (blanks, quotes, escapes, invisible characters), and never is one character taken for another that
base64 has: what remains is the key, or is damaged.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from wechatpay_chain._keys.der import Kind, Material, identify, is_der
from wechatpay_chain._schemes.characters import Copied, fold, strip
from wechatpay_chain.errors import ConfigurationError

__all__ = ["Found", "holds_material", "read_material"]

MOST_BYTES = 1 << 17
"""Bytes of a file that may hold a key; a chain of certificates has some thousands."""

FEWEST_CHARACTERS = 64
"""Characters that a text needs to be taken for base64: what the shortest key of any kind has."""

LONGEST_NAME = 255
"""Characters that the name of a file can have on today's systems."""


class Found(NamedTuple):
    """What a source held.

    Attributes:
        pieces: each piece of key material, in the order in which they stand; at least one.
        place: where they were, for messages, such as " in the file 'apiclient_key.pem'"; empty for what came as it is.
    """

    pieces: list[Material]
    place: str

    @property
    def came(self) -> str:
        """What came, for messages."""
        return " and ".join(dict.fromkeys(piece.name for piece in self.pieces)) + self.place


def read_material(setting: str, source: object) -> Found:
    """Reads key material from a file, or from what came itself.

    A text is key material when it has a `BEGIN` or an `END` line of PEM, or when it is 64 or more characters of base64 (or
    of hexadecimal digits) that begin as DER does, or are a PEM. Any other text is the path of a file, or its `file:` URL.
    Bytes are always key material, and a `Path` is always a path.

    Args:
        setting: which setting it came in, for messages.
        source: the key material, or where it is.

    Raises:
        ConfigurationError: it is neither, or the file cannot be read. The message shows a path only where it cannot be a
            key.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Found(_pieces(bytes(source)), "")
    if isinstance(source, str):
        if pieces := _unpack_text(source):
            return Found(pieces, "")
        path = strip(source)
        if not path:
            raise ConfigurationError(f"{setting}: came an empty text; {EXPECTED}")
        return _read_file(
            setting, path, "a text of {} characters, which is neither PEM nor base64 of a key, and so a path"
        )
    if isinstance(source, os.PathLike) and isinstance(path := os.fspath(source), str):
        return _read_file(setting, path, "a path of {} characters")
    raise ConfigurationError(f"{setting}: came a {type(source).__name__}; {EXPECTED}")


def holds_material(text: str) -> bool:
    """Returns whether a text is key material, by the rule of `read_material`."""
    return bool(_unpack_text(text))


EXPECTED = "expected a path, PEM text, PEM or DER bytes, base64 of them, or a loaded key"


def _read_file(setting: str, path: str, hidden: str) -> Found:
    url = _URL.fullmatch(path)
    name = unquote(url[1]) if url else path
    name = name[1:] if _DRIVE.match(name) else name
    octets, cause = b"", ""
    file = Path(name)
    try:
        file = file.expanduser() if name.startswith("~") else file
        with file.open("rb") as opened:
            octets = opened.read(_FILE_BYTES)
            if len(octets) == _FILE_BYTES:
                octets += opened.read(MOST_BYTES)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        cause = f"{reason}; expected a readable PEM or DER file"
        if isinstance(error, OSError) and os.path.isdir(file):  # noqa: PTH112 -- Path.is_dir raises for some names
            cause = "it is a directory; expected a file in it, such as apiclient_key.pem"
    if len(octets) > MOST_BYTES:
        cause = f"it has more than {MOST_BYTES} bytes; expected a key or a certificate"
    if cause:
        shown = f"the path {path!r}" if _is_showable(path) else hidden.format(len(path))
        if scheme := _SCHEME.match(path):
            shown = f"a URL of the scheme {scheme[1]!r}"
            cause = "keys are read from files only; expected a path, or a URL of the scheme 'file'"
        raise ConfigurationError(f"{setting}: came {shown}: {cause}")
    return Found(_pieces(octets), f" in the file {file.name!r}")


def _is_showable(path: str) -> bool:
    """Returns whether a path looks like one; anything else may be a secret that was pasted in its place."""
    parts = re.split(r"[/\\.]", path)
    is_random = any(len(part) > 15 and _MIXED.match(part) for part in parts)
    return len(path) <= LONGEST_NAME and path.isprintable() and not is_random and bool(_PATH.search(path))


_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])")
_PATH = re.compile(r"\A(?:/|~|\.|[A-Za-z]:|file:)|\.[A-Za-z0-9]{1,5}\Z")
_FILE_BYTES = 1 << 14  # more than nearly every file has, since room for all is made before it is read
_URL = re.compile(r"file:(?://(?:localhost(?=/))?)?(.*)", re.IGNORECASE | re.DOTALL)
_DRIVE = re.compile(r"/[A-Za-z]:[/\\]")
_SCHEME = re.compile(r"(?!file:)([A-Za-z][A-Za-z0-9+.-]{1,15}):/?/")


def _pieces(octets: bytes) -> list[Material]:
    pieces = _unpack(octets)
    if pieces:
        return pieces
    name = f"{len(octets)} bytes that are neither a key nor a certificate"
    if not octets.strip():
        name = f"nothing ({len(octets)} bytes)"
    return [Material(Kind.OTHER, name)]


def _unpack(octets: bytes) -> list[Material]:
    if is_der(octets):
        return [identify(octets)]
    for beginning, name in _BEGINNINGS.items():
        if octets.startswith(beginning):
            return [Material(Kind.OTHER, name)]
    return _unpack_text(_decoded(octets))


_BEGINNINGS = {
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF-": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\xfe\xed\xfe\xed": "a Java keystore",
    b"\xce\xce\xce\xce": "a Java keystore",
    b"openssh-key-v1\0": "an OpenSSH private key",
}


def _decoded(octets: bytes) -> str:
    """Decodes the text of a file, in the encoding that an editor saved it in."""
    if octets.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return octets.decode("utf-32", errors="replace")
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return octets.decode("utf-16", errors="replace")
    try:
        return octets.decode()  # of UTF-16 without its mark, the zero bytes are left out as invisible
    except UnicodeDecodeError:
        return octets.decode("gb18030", errors="replace")


def _unpack_text(text: str) -> list[Material]:
    if plain := _PLAIN.fullmatch(text):
        return [_block(plain[1], plain[2])]
    if _NOISE.search(text):
        text = _cleaned(text)
    if blocks := _blocks(text):
        return blocks
    for pattern, name in _TEXTS.items():
        if pattern.match(text):
            return [Material(Kind.OTHER, name)]
    if (bare := _PREFIX.match(text)) is not None:
        text = text[bare.end() :]
    digits = "".join(text.split())
    if len(digits) < FEWEST_CHARACTERS:
        return []
    if _HEX.fullmatch(digits):
        return _unpack(bytes.fromhex(digits))
    if not _BASE64.fullmatch(digits):
        return []
    octets = _decode(digits)
    pieces = [] if octets is None else _unpack(octets)
    if not pieces and len(digits) > LONGEST_NAME:
        return [
            Material(Kind.OTHER, "damaged base64, or of something that does not begin as a key or a certificate does")
        ]
    return pieces


# The very form that tools write, which needs no search for anything else.
_PLAIN = re.compile(
    r"-----BEGIN ((?:RSA )?PRIVATE KEY|PUBLIC KEY|CERTIFICATE)-----\n([A-Za-z0-9+/\n]+={0,2}\n)-----END \1-----\n?"
)
_NOISE = re.compile(r"[^A-Za-z0-9+/=\s_,:.-]", re.ASCII)
_HEX = re.compile(r"30(?:[0-9A-Fa-f]{2})+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+=*")
_PREFIX = re.compile(  # of data URLs, of the PHP SDK, of lines in .env files
    r"\s*(?:[^\x00-\x7F]+|data:[^,]*,|base64:|(?:private|public)\.(?:pkcs1|pkcs8|spki)://|(?:export\s+)?[A-Za-z_]\w{0,50}\s*=(?=[^=\s].{62}))",
    re.IGNORECASE | re.DOTALL,
)
_TEXTS = {
    re.compile(r"\s*<(!doctype\s+html|html|head|body|meta|script)\b", re.IGNORECASE): "an HTML page",
    re.compile(r"\s*<RSAKeyValue"): "an XML key of .NET",
    re.compile(r"\s*<\?xml"): "an XML document",
    re.compile(r'\s*\{.*"?kty\b', re.DOTALL): "a JWK",
    re.compile(r"\s*\{"): "a JSON text",
    re.compile(r"\s*PuTTY-User-Key-File-"): "a PuTTY key",
    re.compile(r"\s*(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+)\s+AAAA"): "an OpenSSH public key",
    re.compile(r"\s*PUB_KEY_ID_[0-9A-Za-z]*\s*\Z"): "the id of WeChat Pay's public key",
}


def _cleaned(text: str) -> str:
    if "BEGIN+" in text:  # a form's encoding of a blank
        text = text.replace("+", " ")
    for pattern, written in _NOTATIONS:
        text = pattern.sub(written, text)
    return _FRAMES.sub("", fold(text))


# Repetitions have an end, so that no text takes long.
_NOTATIONS = (
    (re.compile(r"\\{1,8}u([0-9A-Fa-f]{4})"), lambda found: chr(int(found[1], 16))),
    (re.compile(r"\\{1,8}[nrt]"), lambda _: "\n"),
    (re.compile(r"\\{1,8}(?=[/\n\r+=-])"), lambda _: ""),
    (re.compile(r"(?:%[0-9A-Fa-f]{2})+"), lambda found: unquote(found[0])),
    (re.compile(r"<(?:br|/?p|/?pre|/?code|/?div|/?span)\b[^>]{0,200}>", re.IGNORECASE), lambda _: "\n"),
    (re.compile(r"&#?\w+;"), lambda found: _unescaped(found[0])),
)


def _unescaped(entity: str) -> str:
    import html

    return html.unescape(entity)


# Quotes, and what stands before and behind a line in source code, mails, comments and YAML.
_FRAMES = re.compile(
    r"""^[ \t>#|*;&+.]*(?:\b[bru]{0,2}(?=["'`]))?["'`]{1,8}(?:[ \t+.,;&\\)]{0,16}$)?|^[ \t>#|*;]+"""
    r"""|["'`]{1,8}[ \t+.,;&\\)]{0,16}$|\\{1,8}$""",
    re.MULTILINE,
)


def _blocks(text: str) -> list[Material]:
    """Finds the blocks of a PEM. One whose BEGIN line is missing begins with the text, and one without END ends with it."""
    blocks: list[Material] = []
    edges = list(_EDGE.finditer(text))
    for number, edge in enumerate(edges):
        last, following = edges[number - 1] if number else None, edges[number + 1] if edge is not edges[-1] else None
        if edge[1] == "BEGIN":
            body = text[edge.end() : following.start() if following else None]
        elif last is None or last[1] == "END":
            body = text[last.end() if last else 0 : edge.start()]
        else:
            continue
        block = _block(" ".join(edge[2].split()), body.rstrip().rstrip("-"))
        if block not in blocks:
            blocks.append(block)
    # The parameters of a curve stand before the key that they belong to, and say nothing more.
    return [block for block in blocks if block.name != _FOREIGN["PARAMETERS"]] or blocks


_EDGE = re.compile(  # the dashes may be missing, and the blanks too
    r"(BEGIN|END)\s*((?:(?:RSA|EC|DSA|SM2|ENCRYPTED|ANY|OPENSSH|PGP|SSH2\s*ENCRYPTED)\s*)?PRIVATE\s*KEY(?:\s*BLOCK)?"
    r"|(?:(?:RSA|EC|DSA|PGP|SSH2)\s*)?PUBLIC\s*KEY(?:\s*BLOCK)?|(?:NEW\s*)?CERTIFICATE\s*REQUEST"
    r"|(?:X509\s*|TRUSTED\s*)?CERTIFICATE|X509\s*CRL|PKCS7|[A-Z0-9 ]{1,40}(?=-))\s*-*"
)
_ENCRYPTED = re.compile(r"\s*(?:Proc-Type:\s*4,\s*ENCRYPTED\s+)?DEK-Info:\s*([A-Z0-9-]+),\s*([0-9A-Fa-f]+)\s+")
_HEADER = re.compile(r"^[ \t]*[A-Za-z][A-Za-z0-9-]*:.*$", re.MULTILINE)
_FOREIGN = {
    "OPENSSH": "an OpenSSH private key",
    "SSH2": "an SSH key",
    "PGP": "a PGP block",
    "PARAMETERS": "the parameters of an elliptic curve",
}


def _block(label: str, body: str) -> Material:
    for word, name in _FOREIGN.items():
        if word in label:
            return Material(Kind.OTHER, name)
    encrypted = _ENCRYPTED.match(body)
    body = body[encrypted.end() :] if encrypted else body
    if ":" in body:
        body = _HEADER.sub("", body)
    digits = "".join(body.split())
    called = f"PEM block ({label.lower()})"
    if not digits:
        return Material(Kind.OTHER, f"an empty {called}")
    if not _BASE64.fullmatch(digits):
        flaw = Copied(body).find_flaw(r"A-Za-z0-9+/=_\s-") or "padding before its end"
        return Material(Kind.OTHER, f"a damaged {called}: it holds {flaw} of it, which is no base64")
    octets = _decode(digits)
    if octets is None:
        return Material(Kind.OTHER, f"a damaged {called}: characters of its base64 are missing, or some do not belong")
    if encrypted is None:
        return identify(octets, called)
    headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {encrypted[1]},{encrypted[2]}\n"
    content = base64.encodebytes(octets).decode()
    pem = f"-----BEGIN {label}-----\n{headers}\n{content}-----END {label}-----\n"
    return Material(Kind.ENCRYPTED_KEY, "an encrypted private key", pem.encode())


def _decode(digits: str) -> bytes | None:
    """Decodes base64 in either alphabet, with or without its padding; None where characters are missing or do not belong."""
    digits = digits.rstrip("=")
    is_of_urls = "-" in digits or "_" in digits
    if len(digits) % 4 == 1 or (is_of_urls and ("+" in digits or "/" in digits)):
        return None
    return base64.b64decode(digits + "=" * (-len(digits) % 4), b"-_" if is_of_urls else None)
