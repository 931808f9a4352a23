"""Uploads: multipart/form-data of a signed `meta` text and a file that is streamed from where it lies.

Only the meta text is signed; it holds the digest of the file. Sources: https://pay.weixin.qq.com/doc/v3/merchant/4012760432
for images, and the pages of the operations that are listed below.
"""

from __future__ import annotations

import mimetypes
import re
import secrets
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from wechatpay_chain._catalogue.uploads import RULES, Rule
from wechatpay_chain._files.source import File
from wechatpay_chain._messages.json_body import json_bytes
from wechatpay_chain._messages.request import Upload
from wechatpay_chain._schemes.digest import new_digest
from wechatpay_chain.errors import ArgumentError

__all__ = ["upload"]


def upload(path: str, file: File, meta: Any) -> tuple[bytes, Upload]:
    """The meta text, which is signed, and the multipart body, which is sent: the meta text, then the file.

    What an operation asks for is filled in where it is missing: the file's name, its digest. An operation that is not
    listed here gets what the caller gives, where a name or a digest of None is filled in too; where he gives nothing, the
    file's name and its SHA-256.

    Args:
        path: of the target.
        file: that is uploaded.
        meta: what the caller gives, a mapping or None.

    Raises:
        ArgumentError: the operation does not take such a file, or the meta says something else of it.
    """
    if meta is not None and not isinstance(meta, Mapping):
        raise ArgumentError(
            f"json: came a {type(meta).__name__} beside files=; expected a mapping, the meta of the file"
        )
    given = dict(meta or {})
    rule = next((rule for place, rule in RULES.items() if fnmatchcase(path, place)), None)
    name = (given.get(rule.name) or file.name) if rule else file.name
    if not isinstance(name, str):
        raise ArgumentError(f"json: the file's name came as a {type(name).__name__}; expected a text")
    if rule or meta is None:
        given = _filled(rule or Rule(part=file.part), file, name, given)
    else:
        given = {member: _asked(member, file, name) if value is None else value for member, value in given.items()}
    text = json_bytes(given)
    return text, _multipart(file, text, name or "file")


def _asked(member: str, file: File, name: str) -> str | None:
    """What a member of None asks for, of an operation that is not listed."""
    if member in ("filename", "file_name"):
        return name
    return _digest_of(file, member.upper()) if member in ("sha256", "sha1", "md5", "sm3") else None


def _digest_of(file: File, algorithm: str) -> str:
    digest = new_digest(algorithm)
    for chunk in file.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def _filled(rule: Rule, file: File, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    _check(rule, file, suffix)
    if rule.name and not name:
        raise ArgumentError(
            f"files: {file.part!r} has no file name; give one, {{{file.part!r}: ('a.jpg', …)}} or json={{{rule.name!r}: "
            "'a.jpg'}"
        )
    digest, said = _digest_of(file, rule.algorithm), given.get(rule.digest)
    if said is not None and (not isinstance(said, str) or said.lower() != digest):
        raise ArgumentError(
            f"json: {rule.digest!r} is not the {rule.algorithm} of the file; leave it out to have it made"
        )
    filled = {
        **({rule.name: name} if rule.name else {}),
        rule.digest: digest,
        **({rule.file_type: suffix.upper()} if rule.file_type else {}),
        **rule.more,
    }
    return {**filled, **{member: value for member, value in given.items() if value is not None or member not in filled}}


def _check(rule: Rule, file: File, suffix: str) -> None:
    if file.part != rule.part:
        raise ArgumentError(f"files: came the part {file.part!r}; expected {rule.part!r}, as this operation names it")
    if rule.most and suffix not in rule.most:
        raise ArgumentError(
            f"files: {file.part!r} came with the suffix {suffix!r}; expected a file name that ends in one of "
            f"{', '.join(rule.most)}"
        )
    if file.size == 0:
        raise ArgumentError(f"files: {file.part!r} is empty")
    if rule.most and file.size > rule.most[suffix]:
        raise ArgumentError(
            f"files: {file.part!r} has {file.size} bytes; expected at most {rule.most[suffix]} of a {suffix}"
        )


def _multipart(file: File, meta: bytes, name: str) -> Upload:
    """The multipart body, as RFC 7578 has it.

    A file name is UTF-8 as it is, as browsers write it; quotes, backslashes and line breaks, which would end it, are percent-encoded.
    """
    boundary = secrets.token_hex(16)
    kind = mimetypes.guess_type(f"a.{name.rpartition('.')[2]}")[0] or "application/octet-stream"
    quoted = re.sub(r'["\\\r\n]', lambda found: f"%{ord(found[0]):02X}", name)
    before = f'--{boundary}\r\nContent-Disposition: form-data; name="meta"\r\nContent-Type: application/json\r\n\r\n'
    between = (
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="{file.part}"; filename="{quoted}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    head, tail = before.encode() + meta + _utf8(between), f"\r\n--{boundary}--\r\n".encode()

    def chunks() -> Iterator[bytes]:
        yield head
        yield from file.chunks()
        yield tail

    return Upload(f"multipart/form-data; boundary={boundary}", len(head) + file.size + len(tail), chunks)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ArgumentError("files: the file's name holds half of a surrogate pair, which UTF-8 cannot write") from None
