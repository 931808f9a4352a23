"""The grammar of the chain: an attribute becomes a path segment, a template becomes the target of a request.

A template is a path without its leading slash, in which `{name}` is a variable (RFC 6570). A target is the path and query of a
request line, percent-encoded: the result of `expand` is signed and sent as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from wechatpay_chain._catalogue.formats import XML
from wechatpay_chain._catalogue.irregular import IRREGULAR
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._messages.json_body import encode_json
from wechatpay_chain._messages.redaction import HIDDEN, escape_unprintable
from wechatpay_chain._messages.urls import has_dot_segment, normalize
from wechatpay_chain.errors import ArgumentError, PathVariableError

if TYPE_CHECKING:
    from uritemplate import URITemplate
    from uritemplate.variable import VariableValue

__all__ = ["Params", "PathValue", "expand", "extend", "hide_query", "literal", "without_query"]

PathValue = str | int | date | list[str] | list[int] | tuple[str | int | date, ...]
"""A path variable: a text, a number or a date; a list or a tuple for a variable that RFC 6570 explodes, such as `{ids*}`.

A mapping can be exploded too. It is not in this type, so that a type checker reports a body under a misspelt `json=`.
"""

Params = Mapping[str, object] | Iterable[tuple[str, object]] | None
"""Query parameters. A list repeats its key; None is left out; a dict becomes JSON text; a date, and a datetime with a time zone,
becomes ISO 8601 text."""

OPTIONS = ("json", "params", "headers", "timeout", "idempotent", "files")
"""The keywords of a verb that are not path variables."""

# What users of other libraries write for one of our keywords.
_ALIASES = {"query": "params", "data": "json", "body": "json", "content": "json", "header": "headers", "file": "files"}

# The plain name works too where the service itself writes an underscore or a capital.
_IRREGULAR = {re.sub("_|(?=[A-Z])", "-", place).lower(): place.rpartition("/")[2] for place in IRREGULAR}

_VARIABLE = re.compile(r"_([A-Za-z0-9](?:[A-Za-z0-9_]*[A-Za-z0-9])?)_")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
_BOUNDARY = re.compile(r"(?P<underscore>__)|(?P<escape>_\Z)|_|(?<=[A-Za-z0-9])(?=[A-Z])")
_BRACED = re.compile(r"\{[^{}]*\}")


@lru_cache(maxsize=4096)
def extend(template: str, attribute: str) -> str:
    """Returns the template extended by an attribute.

    `snake_case` and `camelCase` become `kebab-case`, `__` a literal underscore, one trailing `_` is dropped, `_name_`
    is the variable `{name}`.

    Raises:
        AttributeError: the attribute is no segment.
    """
    if variable := _VARIABLE.fullmatch(attribute):
        return _join(template, f"{{{variable[1]}}}")
    if not _NAME.fullmatch(attribute):
        raise AttributeError(
            f"{attribute!r} is not a path segment: expected a name such as pre_send_coupon, a variable such as "
            '_openid_, or ["…"] around anything else'
        )
    extended = _join(template, _BOUNDARY.sub(_boundary, attribute).lower())
    if segment := _IRREGULAR.get(_BRACED.sub("{}", extended)):
        return _join(template, segment)
    return extended


def _boundary(match: re.Match[str]) -> str:
    if match["underscore"]:
        return "_"
    return "" if match["escape"] else "-"


@lru_cache(maxsize=4096)
def literal(template: str, path: str) -> str:
    """Returns the template extended by a path as written; `<name>` is another spelling of `{name}`, and `V2` of `v2`."""
    extended = _join(template, re.sub(r"<([^<>{}/]+)>", r"{\1}", path.lstrip("/")))
    root, slash, rest = extended.partition("/")
    return f"{XML.root}{slash}{rest}" if root.lower() == XML.root else extended


def _join(parent: str, child: str) -> str:
    return f"{parent.removesuffix('/')}/{child}" if parent else child


def expand(template: str, variables: Mapping[str, object], params: Params = None) -> str:
    """Returns the target of a request: path and query, percent-encoded.

    Args:
        template: as `extend` and `literal` make it.
        variables: a value for each path variable.
        params: the query, added to the query of the template.

    Raises:
        PathVariableError: the template is malformed; a variable is missing or unknown; a value is None, empty, `.` or
            `..`, has a NUL, CR or LF, or is of a type that a path cannot have.
        ArgumentError: a query parameter cannot be written.
    """
    return _target(template, variables, params) if variables or params is not None else _target_alone(template)


@lru_cache(maxsize=4096)
def _target_alone(template: str) -> str:
    """Returns the target of a template without variables, as most orders have. The cache saves 3 µs a call."""
    return _target(template, {}, None)


def _target(template: str, variables: Mapping[str, object], params: Params) -> str:
    parsed = _parse(template)
    if not parsed.required <= variables.keys() or not variables.keys() <= parsed.names:
        raise PathVariableError(_mismatch(template, parsed, variables))
    values = {name: _path_value(template, name, value) for name, value in variables.items()}
    path, _, query = f"/{_expanded(parsed, values)}".partition("?")
    if has_dot_segment(path):
        raise PathVariableError(
            f"{hide_query(template)}: a segment of the path would be '.' or '..', also with parameters, which servers and proxies rewrite"
        )
    # HTTP libraries drop an empty query and, on the way to a proxy, an empty parameter at the end of a path.
    path = f"{path[:-1]}%3B" if path.endswith(";") else path
    query = "&".join(part for part in (query, *_query(params)) if part)
    return f"{path}?{query}" if query else path


class _Template(NamedTuple):
    text: str
    names: frozenset[str]
    required: frozenset[str]
    plain: str | None
    """A format string for values that are texts, if every variable is a plain `{name}`; else None."""


# RFC 6570, 2.2 to 2.4, without the fragment operator: a fragment is never sent.
_VARSPEC = r"(?:\w|%[0-9A-Fa-f]{2})(?:\.?(?:\w|%[0-9A-Fa-f]{2}))*(?:\*|:[1-9][0-9]{0,3})?"
_EXPRESSION = re.compile(rf"\{{([+./;?&]?)({_VARSPEC}(?:,{_VARSPEC})*)\}}", re.ASCII)
_MALFORMED = re.compile(r"[{}<>#\\\x00-\x1f\x7f\ud800-\udfff]|%(?![0-9A-Fa-f]{2})|^\Z")
_URL = re.compile(r"[^?#]*?://[^/?#]*/*")

_SPEC = rf"{_VARSPEC}(?:,{_VARSPEC})*"
# A query begins at a question mark, or at an expression that brings one.
_HEAD = re.compile(rf"(?:\{{[+./;]?{_SPEC}\}}|(?!\{{[?&]{_SPEC}\}})[^?#])*", re.ASCII)
_QUERY_EXPRESSIONS = re.compile(rf"(?:\{{[?&]{_SPEC}\}})*", re.ASCII)
_QUERY_PIECE = re.compile(
    rf"""(?P<kept>{_EXPRESSION.pattern})
    |(?P<start>[?&#]) (?P<name>[\w.\[\]-]{{1,64}}=(?={_EXPRESSION.pattern}|[^?&\#=]))?
    |(?:(?!{_EXPRESSION.pattern})[^?&\#])+""",
    re.ASCII | re.VERBOSE,
)


@lru_cache(maxsize=4096)
def without_query(template: str) -> str:
    """Returns the template without its query, which may have a download token. For logs."""
    head = _HEAD.match(template)[0]  # type: ignore[index]  # it always matches, if only the empty text
    return escape_unprintable(head + _QUERY_EXPRESSIONS.match(template, len(head))[0])  # type: ignore[index]


def hide_query(template: str) -> str:
    """Hides the values in the query of a template or a target; the names stay. For errors and reprs."""
    head = _HEAD.match(template)[0]  # type: ignore[index]
    query = _QUERY_PIECE.sub(_hidden_piece, template[len(head) :])
    return escape_unprintable(re.sub(r"(?<=://)[^/]*@", f"{HIDDEN}@", head) + query)


def _hidden_piece(piece: re.Match[str]) -> str:
    return piece["kept"] or (f"{piece['start']}{piece['name'] or ''}" if piece["start"] else HIDDEN)


@lru_cache(maxsize=4096)
def _parse(template: str) -> _Template:
    if url := _URL.match(template):
        raise PathVariableError(
            f"/{hide_query(template[url.end() :])} is not a template: a full URL came; expected its path alone, such as "
            "v3/pay/transactions/id/{transaction_id}. To fetch a file, use client.download(url, to)"
        )
    if fault := _MALFORMED.search(_EXPRESSION.sub("*", template)):
        raise PathVariableError(
            f"{hide_query(template)!r} is not a template: {fault[0]!r} cannot stand there; expected a path such as "
            "v3/pay/transactions/id/{transaction_id}, its variables as in RFC 6570"
        )
    names, required = set[str](), set[str]()
    for operator, specs in _EXPRESSION.findall(template):
        found = {re.split(r"[:*]", spec)[0] for spec in specs.split(",")}
        names |= found
        if operator not in ("?", "&"):  # a missing query variable is left out: RFC 6570, 3.2.8
            required |= found
    if reserved := names.intersection(OPTIONS):
        raise PathVariableError(
            f"{hide_query(template)}: {min(reserved)} is a keyword of the verbs; give the path variable another name"
        )
    plain = None
    if _PLAIN.fullmatch(template) and _EMPTY not in names:
        plain = _PLAIN_VARIABLE.sub(r"%(\1)s", template)
    return _Template(template, frozenset(names), frozenset(required - {_EMPTY}), plain)


# Letters, digits and characters that a URI has unescaped, and variables that have neither operator nor modifier.
_PLAIN_VARIABLE = re.compile(r"\{(\w+)\}", re.ASCII)
_PLAIN = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|\{\w+\})*", re.ASCII)


def _expanded(template: _Template, values: dict[str, VariableValue]) -> str:
    """Returns the path of a template, percent-encoded. uritemplate takes 6 µs; for plain variables, a format string takes 2."""
    if template.plain is not None and all(type(value) is str for value in values.values()):
        return template.plain % {name: quote(value, "") for name, value in values.items()}  # type: ignore[arg-type]
    return normalize(_uri_template(template.text).expand(values))


@lru_cache(maxsize=4096)
def _uri_template(template: str) -> URITemplate:
    with no_fork.current:
        from uritemplate import URITemplate

    return URITemplate(template)


# `{empty}` is how the PHP original's documentation writes a trailing slash.
_EMPTY = "empty"


def _mismatch(template: str, parsed: _Template, variables: Mapping[str, object]) -> str:
    names = sorted(parsed.names)
    has = f"its path variables are {', '.join(names)}" if names else "it has no path variables"
    faults = [f"{name} is missing" for name in names if name in parsed.required - variables.keys()]
    for name in sorted(variables.keys() - parsed.names):
        if name in OPTIONS:
            faults.append(
                f"{name}= is not for this verb" + (": a GET may always be repeated" if name == "idempotent" else "")
            )
            continue
        import difflib

        meant = _ALIASES.get(name) or next(iter(difflib.get_close_matches(name, [*names, *OPTIONS], cutoff=0.5)), None)
        faults.append(f"{name} is not one of them" + (f" (did you mean {meant}=?)" if meant else ""))
    return f"{hide_query(template)}: {has}; {'; '.join(faults)}"


def _path_value(template: str, name: str, value: object) -> VariableValue:
    """Returns a checked value in the form that uritemplate takes, its numbers as text."""
    if isinstance(value, Mapping) and value:
        return {_path_text(template, name, key): _path_text(template, name, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and value:
        return [_path_text(template, name, item) for item in value]
    return _path_text(template, name, value)


def _path_text(template: str, name: str, value: object) -> str:
    match value:
        case int() if not isinstance(value, bool):
            if abs(value) < 10**_MOST_DIGITS:
                return str(int(value))
            fault = "is a number of too many digits"
        case "" if name != _EMPTY:
            fault = "is empty"
        case "." | "..":
            fault = "is '.' or '..', which servers and proxies rewrite"
        case str() if re.search(r"[\x00\r\n]", value):
            fault = "has a NUL, CR or LF"
        case str() if re.search(r"[\ud800-\udfff]", value):
            fault = "has an unpaired surrogate, which UTF-8 cannot write"
        case str():
            return str.__str__(value)  # of an Enum, its value
        case date() if text := _iso_text(value):
            return text
        case _:
            from wechatpay_chain._messages.json_faults import describe

            fault = describe(value)
    raise PathVariableError(
        f"{hide_query(template)}: {name} {fault}; expected the text, int or date of one path segment"
    )


_MOST_DIGITS = 100  # Python refuses to write a number of thousands of digits


def _iso_text(moment: date) -> str:
    """Returns a date, or a datetime with a time zone, in ISO 8601 as the service writes it; "" for one without."""
    if not isinstance(moment, datetime):
        return moment.isoformat()
    return moment.isoformat(timespec="seconds") if moment.utcoffset() is not None else ""


def _query(params: Params) -> Iterator[str]:
    for name, value in _pairs(params):
        for index, item in enumerate(value if isinstance(value, (list, tuple)) else (value,)):
            if item is None:
                continue
            try:
                yield f"{quote(_checked_name(name), safe='')}={quote(_query_text(item), safe='')}"
            except (TypeError, ValueError):
                raise ArgumentError(f"params: {_query_fault(name, value, index)}") from None


def _pairs(params: Params) -> list[tuple[object, object]]:
    if params is None:
        return []
    if not isinstance(params, (str, bytes)):
        try:
            return [(key, value) for key, value in (params.items() if isinstance(params, Mapping) else params)]
        except (TypeError, ValueError):
            pass
    raise ArgumentError(f"params: came a {type(params).__name__}; expected a mapping, or pairs of a name and a value")


def _checked_name(name: object) -> str:
    if isinstance(name, str):
        return name
    raise TypeError


def _query_text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return str.__str__(value)  # of an Enum, its value
        case int() if abs(value) < 10**_MOST_DIGITS:
            return str(int(value))
        case float() if math.isfinite(value):
            return float.__repr__(value)
        case Mapping():
            return encode_json(value).decode()
        case date() if text := _iso_text(value):
            return text
    raise TypeError


def _query_fault(name: object, value: object, index: int) -> str:
    """Explains what a query cannot have, and what to write instead."""
    from wechatpay_chain._messages.json_faults import find_fault, name_member

    if fault := find_fault({name: None}):
        return fault  # the name is at fault
    place = name_member("", name)
    if isinstance(value, (list, tuple)):
        place, value = name_member(place, index), value[index]
    if isinstance(value, (list, tuple)):
        return f"{place} is a list within a list; expected a text, a number, a bool, a dict or None"
    return find_fault(value, place) or f"{place} is not what a query can write"
