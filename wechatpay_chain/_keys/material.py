"""Extracts key material from files, PEM and base64, even if editors, shells or web pages have changed the text.

The entry point is `read_material`. Its result says what each piece is, by the structure of its DER. Characters that
base64 does not have (spaces, quotes, escapes, invisible characters) are removed or unescaped, but no base64 character
is ever replaced by another: the result is either the key or is recognized as damaged.
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

__all__ = ["Contents", "is_key_material", "read_material"]

MAX_FILE_BYTES = 1 << 17
"""The largest key file that is read, in bytes. A certificate chain has a few thousand."""

MIN_BASE64_LENGTH = 64
"""The shortest text that is treated as base64, in characters: the length of the shortest key of any type."""

MAX_FILE_NAME_LENGTH = 255
"""The longest file name that current file systems support, in characters."""


class Contents(NamedTuple):
    """The key material that a source contains.

    Attributes:
        pieces: each piece of key material, in the order of the source; at least one.
        location: the location for error messages, such as " in the file 'apiclient_key.pem'"; empty if the source is
            the key material itself.
    """

    pieces: list[Material]
    location: str

    @property
    def description(self) -> str:
        """The names of the pieces and their location, for error messages."""
        return " and ".join(dict.fromkeys(piece.name for piece in self.pieces)) + self.location


def read_material(setting: str, source: object) -> Contents:
    """Reads key material from a file, or from the source itself.

    A string is key material if it contains a `BEGIN` or `END` line of PEM, or if it has 64 or more characters of base64
    (or of hexadecimal digits) that decode to DER or PEM. Any other string is the path of a file, or its `file:` URL.
    Bytes are always key material, and a `Path` is always a path.

    Args:
        setting: the name of the setting, for error messages.
        source: the key material, or the path of its file.

    Raises:
        ConfigurationError: it is neither, or the file cannot be read. The message shows a path only if it cannot be a
            key.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Contents(_identify_pieces(bytes(source)), "")
    if isinstance(source, str):
        if pieces := _find_in_text(source):
            return Contents(pieces, "")
        path = strip(source)
        if not path:
            raise ConfigurationError(f"{setting}: came an empty string; {EXPECTED}")
        return _read_file(
            setting, path, "a string of {} characters, which is neither PEM nor base64 of a key and is taken as a path"
        )
    if isinstance(source, os.PathLike) and isinstance(path := os.fspath(source), str):
        return _read_file(setting, path, "a path of {} characters")
    raise ConfigurationError(f"{setting}: came a {type(source).__name__}; {EXPECTED}")


def is_key_material(text: str) -> bool:
    """Returns True if a string is key material by the rule of `read_material`."""
    return bool(_find_in_text(text))


EXPECTED = "expected a path, PEM text, PEM or DER bytes, base64 of them, or a loaded key"


def _read_file(setting: str, path: str, hidden: str) -> Contents:
    url = _URL.fullmatch(path)
    name = unquote(url[1]) if url else path
    name = name[1:] if _DRIVE.match(name) else name
    octets, cause = b"", ""
    file = Path(name)
    try:
        file = file.expanduser() if name.startswith("~") else file
        with file.open("rb") as opened:
            octets = opened.read(_FIRST_READ)
            if len(octets) == _FIRST_READ:
                octets += opened.read(MAX_FILE_BYTES)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        cause = f"{reason}; expected a readable PEM or DER file"
        if isinstance(error, OSError) and os.path.isdir(file):  # noqa: PTH112 -- Path.is_dir raises for some names
            cause = "it is a directory; expected a file in it, such as apiclient_key.pem"
    if len(octets) > MAX_FILE_BYTES:
        cause = f"it has more than {MAX_FILE_BYTES} bytes; expected a key or a certificate"
    if cause:
        shown = f"the path {path!r}" if _is_showable(path) else hidden.format(len(path))
        if scheme := _SCHEME.match(path):
            shown = f"a URL with the scheme {scheme[1]!r}"
            cause = "keys are read only from files; expected a path or a file: URL"
        raise ConfigurationError(f"{setting}: came {shown}: {cause}")
    return Contents(_identify_pieces(octets), f" in the file {file.name!r}")


def _is_showable(path: str) -> bool:
    """Returns True if a path looks like a path. Anything else may be a secret that was pasted by mistake."""
    parts = re.split(r"[/\\.]", path)
    is_random = any(len(part) > 15 and _MIXED.match(part) for part in parts)
    return len(path) <= MAX_FILE_NAME_LENGTH and path.isprintable() and not is_random and bool(_PATH.search(path))


_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])")
_PATH = re.compile(r"\A(?:/|~|\.|[A-Za-z]:|file:)|\.[A-Za-z0-9]{1,5}\Z")
_FIRST_READ = 1 << 14  # enough for nearly every file; read() allocates all that it is asked for
_URL = re.compile(r"file:(?://(?:localhost(?=/))?)?(.*)", re.IGNORECASE | re.DOTALL)
_DRIVE = re.compile(r"/[A-Za-z]:[/\\]")
_SCHEME = re.compile(r"(?!file:)([A-Za-z][A-Za-z0-9+.-]{1,15}):/?/")


def _identify_pieces(octets: bytes) -> list[Material]:
    pieces = _find_in_octets(octets)
    if pieces:
        return pieces
    name = f"{len(octets)} bytes that are neither a key nor a certificate"
    if not octets.strip():
        name = f"nothing ({len(octets)} bytes)"
    return [Material(Kind.OTHER, name)]


def _find_in_octets(octets: bytes) -> list[Material]:
    if is_der(octets):
        return [identify(octets)]
    for signature, name in _SIGNATURES.items():
        if octets.startswith(signature):
            return [Material(Kind.OTHER, name)]
    return _find_in_text(_decode_text(octets))


_SIGNATURES = {
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


def _decode_text(octets: bytes) -> str:
    """Decodes the text of a file in the encoding that an editor saved it in: UTF-8, UTF-16, UTF-32 or GB 18030."""
    if octets.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return octets.decode("utf-32", errors="replace")
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return octets.decode("utf-16", errors="replace")
    try:
        return octets.decode()  # UTF-16 without a BOM too: its zero bytes are removed later as invisible characters
    except UnicodeDecodeError:
        return octets.decode("gb18030", errors="replace")


def _find_in_text(text: str) -> list[Material]:
    if plain := _PLAIN.fullmatch(text):
        return [_parse_block(plain[1], plain[2])]
    if _NOISE.search(text):
        text = _clean(text)
    if blocks := _find_blocks(text):
        return blocks
    for pattern, name in _TEXTS.items():
        if pattern.match(text):
            return [Material(Kind.OTHER, name)]
    if (prefix := _PREFIX.match(text)) is not None:
        text = text[prefix.end() :]
    digits = "".join(text.split())
    if len(digits) < MIN_BASE64_LENGTH:
        return []
    if _HEX.fullmatch(digits):
        return _find_in_octets(bytes.fromhex(digits))
    if not _BASE64.fullmatch(digits):
        return []
    octets = _decode_base64(digits)
    pieces = [] if octets is None else _find_in_octets(octets)
    if not pieces and len(digits) > MAX_FILE_NAME_LENGTH:
        return [Material(Kind.OTHER, "damaged base64, or base64 of something that is neither a key nor a certificate")]
    return pieces


# The exact form that tools write. It is tried first, because it needs no search for anything else.
_PLAIN = re.compile(
    r"-----BEGIN ((?:RSA )?PRIVATE KEY|PUBLIC KEY|CERTIFICATE)-----\n([A-Za-z0-9+/\n]+={0,2}\n)-----END \1-----\n?"
)
_NOISE = re.compile(r"[^A-Za-z0-9+/=\s_,:.-]", re.ASCII)
_HEX = re.compile(r"30(?:[0-9A-Fa-f]{2})+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+=*")
_PREFIX = re.compile(  # data URLs, the PHP SDK, lines of .env files
    r"\s*(?:[^\x00-\x7F]+|data:[^,]*,|base64:|(?:private|public)\.(?:pkcs1|pkcs8|spki)://|(?:export\s+)?[A-Za-z_]\w{0,50}\s*=(?=[^=\s].{62}))",
    re.IGNORECASE | re.DOTALL,
)
_TEXTS = {
    re.compile(r"\s*<(!doctype\s+html|html|head|body|meta|script)\b", re.IGNORECASE): "an HTML page",
    re.compile(r"\s*<RSAKeyValue"): "an XML key of .NET",
    re.compile(r"\s*<\?xml"): "an XML document",
    re.compile(r'\s*\{.*"?kty\b', re.DOTALL): "a JWK",
    re.compile(r'\s*\{\s*["}]'): "a JSON text",
    re.compile(r"\s*PuTTY-User-Key-File-"): "a PuTTY key",
    re.compile(r"\s*(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+)\s+AAAA"): "an OpenSSH public key",
    re.compile(r"\s*PUB_KEY_ID_[0-9A-Za-z]*\s*\Z"): "the id of WeChat Pay's public key",
}


def _clean(text: str) -> str:
    if "BEGIN+" in text:  # form encoding of a space
        text = text.replace("+", " ")
    for pattern, replacement in _ESCAPES:
        text = pattern.sub(replacement, text)
    return _FRAMES.sub("", fold(text))


# Every repetition is bounded, so that no input takes long.
_ESCAPES = (
    (re.compile(r"\\{1,8}u([0-9A-Fa-f]{4})"), lambda found: chr(int(found[1], 16))),
    (re.compile(r"\\{1,8}[nrt]"), lambda _: "\n"),
    (re.compile(r"\\{1,8}(?=[/\n\r+=-])"), lambda _: ""),
    (re.compile(r"(?:%[0-9A-Fa-f]{2})+"), lambda found: unquote(found[0])),
    (re.compile(r"<(?:br|/?p|/?pre|/?code|/?div|/?span)\b[^>]{0,200}>", re.IGNORECASE), lambda _: "\n"),
    (re.compile(r"&#?\w+;"), lambda found: _unescape_html(found[0])),
)


def _unescape_html(entity: str) -> str:
    import html

    return html.unescape(entity)


# Quotes, and what precedes or follows a line in source code, e-mail, comments and YAML.
_FRAMES = re.compile(
    r"""^[ \t>#|*;&+.]*(?:\b[bru]{0,2}(?=["'`]))?["'`]{1,8}(?:[ \t+.,;&\\)]{0,16}$)?|^[ \t>#|*;]+"""
    r"""|["'`]{1,8}[ \t+.,;&\\)]{0,16}$|\\{1,8}$""",
    re.MULTILINE,
)


def _find_blocks(text: str) -> list[Material]:
    """Finds the blocks of a PEM. A missing BEGIN or END line is taken to be at the start or the end of the text."""
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
        block = _parse_block(" ".join(edge[2].split()), body.rstrip().rstrip("-"))
        if block not in blocks:
            blocks.append(block)
    # The parameters of a curve precede the key that they belong to, which repeats them.
    return [block for block in blocks if block.name != _FOREIGN["PARAMETERS"]] or blocks


_EDGE = re.compile(  # the dashes and the spaces may be missing
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


def _parse_block(label: str, body: str) -> Material:
    for word, name in _FOREIGN.items():
        if word in label:
            return Material(Kind.OTHER, name)
    encrypted = _ENCRYPTED.match(body)
    body = body[encrypted.end() :] if encrypted else body
    if ":" in body:
        body = _HEADER.sub("", body)
    digits = "".join(body.split())
    label_name = f"PEM block ({label.lower()})"
    if not digits:
        return Material(Kind.OTHER, f"an empty {label_name}")
    if not _BASE64.fullmatch(digits):
        flaw = Copied(body).find_flaw(r"A-Za-z0-9+/=_\s-") or "padding before its end"
        return Material(Kind.OTHER, f"a damaged {label_name}: it contains {flaw} of it, which is not base64")
    octets = _decode_base64(digits)
    if octets is None:
        return Material(Kind.OTHER, f"a damaged {label_name}: its base64 lacks characters or has too many")
    if encrypted is None:
        return identify(octets, label_name)
    headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {encrypted[1]},{encrypted[2]}\n"
    content = base64.encodebytes(octets).decode()
    pem = f"-----BEGIN {label}-----\n{headers}\n{content}-----END {label}-----\n"
    return Material(Kind.ENCRYPTED_KEY, "an encrypted private key", pem.encode())


def _decode_base64(digits: str) -> bytes | None:
    """Decodes base64 in either alphabet, with or without padding; returns None if its length or alphabet is wrong."""
    digits = digits.rstrip("=")
    is_url_safe = "-" in digits or "_" in digits
    if len(digits) % 4 == 1 or (is_url_safe and ("+" in digits or "/" in digits)):
        return None
    return base64.b64decode(digits + "=" * (-len(digits) % 4), b"-_" if is_url_safe else None)
