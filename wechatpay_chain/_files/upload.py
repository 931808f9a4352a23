"""Uploads: multipart/form-data of a signed `meta` text and a file that is streamed from where it lies.

Only the meta text is signed; it holds the digest of the file. Sources: https://pay.weixin.qq.com/doc/v3/merchant/4012760432
for images, and the pages of the operations that are listed below.
"""

from __future__ import annotations

import io
import mimetypes
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any, BinaryIO, NamedTuple

from wechatpay_chain._messages.json_body import json_bytes
from wechatpay_chain._messages.request import Upload
from wechatpay_chain._schemes.digest import new_digest
from wechatpay_chain.errors import ArgumentError

__all__ = ["RULES", "File", "FileSource", "Files", "Rule", "opened_file", "upload"]

FileSource = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes themselves, or an open binary file, which is read from where it stands."""

Files = Mapping[str, FileSource | tuple[str, FileSource]]
"""One file by the name of its part; a pair is the file's name and the file."""

CHUNK = 1 << 17
"""Bytes that are read and sent at once."""

MB = 1 << 20
"""What the service's pages call 1M."""


class Rule(NamedTuple):
    """What an operation wants to be told about a file.

    Attributes:
        digest: the member of meta that holds the digest.
        algorithm: of the digest.
        name: the member that holds the file's name; empty for none.
        part: the name of the file's part.
        more: members that are always the same.
        most: bytes by suffix; empty where any file will do.
        file_type: the member that holds the suffix in upper case; empty for none.
    """

    digest: str = "sha256"
    algorithm: str = "SHA256"
    name: str = "filename"
    part: str = "file"
    more: Mapping[str, str] = {}
    most: Mapping[str, int] = {}
    file_type: str = ""


def _each(suffixes: str, most: float) -> dict[str, int]:
    return dict.fromkeys(suffixes.split(), int(most))


_PICTURES = "jpg jpeg bmp png"
_PICTURE = Rule(most=_each(_PICTURES, 2 * MB))

# By path, `*` for a variable. Compiled from the package iwechatpay/openapi and the pages of the operations; where pages
# differ in a size, the larger holds, for the service itself refuses what is too large.
RULES = {
    "/v3/merchant/media/upload": Rule(most={**_each(_PICTURES, 5 * MB), "pdf": int(7.5 * MB)}),
    "/v3/merchant/media/video_upload": Rule(most=_each("avi wmv mpeg mp4 mov mkv flv f4v m4v rmvb", 5 * MB)),
    "/v3/marketing/favor/media/image-upload": _PICTURE,
    "/v3/marketing/partner/product-coupon/media/upload-image": _PICTURE,
    "/brand/marketing/product-coupon/media/upload-image": _PICTURE,
    "/v3/merchant-service/images/upload": _PICTURE,
    "/v3/global/merchant-service/images/upload": _PICTURE,
    "/v3/global/merchant-storage/file/upload": Rule("digest", most=_each(f"{_PICTURES} pdf", 5 * MB)),
    "/v3/ecommerce/account/cancel-applications/media": Rule(
        "file_digest", name="file_name", most=_each(_PICTURES, 2 * MB)
    ),
    "/v3/mch-manage/submission-files/sub-mchid/*/upload": Rule("file_digest", name="file_name", part="submission_file"),
    "/v3/mch-operation-manage/enhanced-due-diligence/*/upload": Rule(
        "file_digest", name="file_name", part="due_diligence_file"
    ),
    "/v3/marketing/bank/packages/*/tasks": Rule(),
    "/v3/marketing/shopping-receipt/shoppingreceipts": Rule(name="", most=_each("jpg jpeg png", 200 << 10)),
    "/v3/taxi-invoice/cards/upload-file": Rule(
        "digest",
        "SM3",
        name="",
        more={"digest_algorithm": "DIGEST_ALGORITHM_SM3"},
        most=_each(f"{_PICTURES} pdf", 5 * MB),
    ),
    "/v3/new-tax-control-fapiao/fapiao-applications/upload-fapiao-file": Rule(
        "digest",
        "SM3",
        name="",
        more={"digest_alogrithm": "SM3"},  # so the service spells it
        most=_each("pdf ofd", 2 * MB),
        file_type="file_type",
    ),
}


class File(NamedTuple):
    """A file that can be read again from its beginning.

    Attributes:
        part: the name of its part.
        name: its file name; may be empty.
        size: in bytes.
        source: a path, bytes, or an open file and where it stood.
    """

    part: str
    name: str
    size: int
    source: Path | bytes | tuple[BinaryIO, int]

    def chunks(self) -> Iterator[bytes]:
        """Its content.

        Raises:
            ArgumentError: it cannot be read any more, or has become shorter.
        """
        read = 0
        try:
            for chunk in self._read():
                read += len(chunk)
                yield chunk
        except ArgumentError:
            raise
        except (OSError, ValueError) as error:
            raise ArgumentError(f"files: {self.part!r} cannot be read: {type(error).__name__}") from None
        if read != self.size:
            raise ArgumentError(
                f"files: {self.part!r} had {self.size} bytes, and {read} later; leave it alone till it is sent"
            )

    def _read(self) -> Iterator[bytes]:
        if isinstance(self.source, bytes):
            yield from _pieces(io.BytesIO(self.source), self.size)
        elif isinstance(self.source, Path):
            with self.source.open("rb") as file:
                yield from _pieces(file, self.size)
        else:
            stream, start = self.source
            stream.seek(start)
            yield from _pieces(stream, self.size)

    def __repr__(self) -> str:
        return f"<File {self.part} of {self.size} bytes>"


def opened_file(files: Files) -> File:
    """The one file of an upload.

    Raises:
        ArgumentError: it is not one file, or cannot be read.
    """
    if not isinstance(files, Mapping) or len(files) != 1:
        came = f"{len(files)} of them" if isinstance(files, Mapping) else f"a {type(files).__name__}"
        raise ArgumentError(f"files: came {came}; expected one file by the name of its part, such as {{'file': path}}")
    part, source = next(iter(files.items()))
    if not isinstance(part, str) or not re.fullmatch("[A-Za-z0-9_.-]+", part) or part == "meta":
        raise ArgumentError(f"files: {part!r} is not a part's name")
    name = None
    if isinstance(source, tuple):
        if len(source) != 2 or not isinstance(source[0], str):
            raise ArgumentError(f"files: {part!r} came as a tuple; expected a pair of the file's name and the file")
        name, source = source
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        with _reading(part, path) as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size else file.read()  # a file of the system's own may not tell its size
        return File(part, path.name if name is None else name, size or len(content), content or path)
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
        return File(part, name or "", len(content), content)
    return _of_stream(part, name, source)


def _of_stream(part: str, name: str | None, stream: BinaryIO) -> File:
    if not callable(getattr(stream, "read", None)):
        raise ArgumentError(
            f"files: {part!r} came as a {type(stream).__name__}; expected a path, bytes, or an open binary file"
        )
    known = getattr(stream, "name", "")
    name = (PurePath(known).name if isinstance(known, str) else "") if name is None else name
    seekable = getattr(stream, "seekable", None)
    try:
        if seekable is None or not seekable():
            # It can be read once only, and is read twice at least: for its digest and to be sent.
            content = b"".join(_read_to_its_end(part, stream))
            return File(part, name, len(content), content)
        start = stream.tell()
        size = stream.seek(0, os.SEEK_END) - start
        stream.seek(start)
        if not isinstance(stream.read(0), bytes):
            raise ArgumentError(f"files: {part!r} is open as text; open it in binary mode")
    except (OSError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"files: {part!r} cannot be read: {type(error).__name__}") from None
    return File(part, name, size, (stream, start))


def _read_to_its_end(part: str, stream: BinaryIO) -> Iterator[bytes]:
    while True:
        chunk = stream.read()
        if not isinstance(chunk, bytes):
            raise ArgumentError(f"files: {part!r} is open as text, or has nothing to read yet; expected a binary file")
        if not chunk:
            return
        yield chunk


def _reading(part: str, path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or "no such file"
        raise ArgumentError(f"files: {part!r} cannot be read: {cause}; expected the path of a file") from None


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (chunk := file.read(min(CHUNK, size))):
        if not isinstance(chunk, bytes) or len(chunk) > size:
            raise ArgumentError("files: the open file gives more than was asked for, or no bytes")
        size -= len(chunk)
        yield chunk


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
