"""Reads the settings of a client from the environment, or from a file. The same names serve both.

Every name is a setting of `Client`, but for three rules: `public_key_id` and `public_key` are one entry of `certs`; a secret or a
key `NAME` can be given as `NAME_file`, the path of a file that has it; and `retry` is a table of what `Retry` takes, or false.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from wechatpay_chain._keys.material import is_key_material
from wechatpay_chain._pipeline.retry import Retry
from wechatpay_chain._shielding import shielded
from wechatpay_chain.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["KEYS", "SECRETS", "Found", "make_settings", "read_environment", "read_file", "resolve"]

SECRETS = ("apiv3_key", "apiv2_key", "workwx_secret", "passphrase")
"""Texts that nobody else may see."""

KEYS = ("private_key", "public_key", "certificate")
"""Keys and the certificate, each a PEM or the path of its file."""

TEXTS = ("mchid", "brand_id", "public_key_id", "base_url")
PATHS = ("certificate_cache", "ca_bundle")
_JSON: Mapping[str, tuple[tuple[type, ...], str]] = {
    "certs": ((dict,), "a table of keys by id"),
    "trust_anchors": ((list,), "a list of certificates"),
    "former_private_keys": ((list,), "a list of private keys"),
    "former_apiv2_keys": ((list,), "a list of keys"),
    "fetch_certificates": ((bool,), "true or false"),
    "allow_http": ((bool,), "true or false"),
    "timeout": ((int, float, list), "seconds, or a list of them"),
    "max_response_bytes": ((int,), "a number of bytes"),
    "proxies": ((dict,), "a table of URLs by scheme"),
    "retry": ((dict, bool), "a table such as {attempts = 5}, or false"),
}
"""Settings that are no text, with their types. An environment variable has them as JSON."""

SETTINGS = (*TEXTS, "serial", *SECRETS, *KEYS, *PATHS, *_JSON)
"""The names, without those of files."""

_NAMES = (*SETTINGS, *(f"{name}_file" for name in (*SECRETS, *KEYS)))

_COMMAND_LINE = ("config", "profile", "sandbox_url")
"""What the command line reads from the environment, beside settings."""

MISSPELT = 0.75
"""How similar the name of an environment variable must be to that of a setting to be taken for a mistake, from 0 to 1. Others are
another program's, such as WECHATPAY_APPID."""

_PROFILES = "profiles"


class Found(NamedTuple):
    """Settings as they are written.

    Attributes:
        values: the values by name.
        folder: where relative paths start; the current folder for the environment.
        locate: returns where a setting is written, for errors.
    """

    values: Mapping[str, Any]
    folder: Path
    locate: Callable[[str], str]


@shielded
def read_environment(prefix: str, environment: Mapping[str, str]) -> Found:
    """Returns the settings that environment variables have. An empty variable is as good as none.

    Args:
        prefix: what the names begin with, such as WECHATPAY_.
        environment: the variables.

    Raises:
        ConfigurationError: a name is nearly that of a setting, or a value is no JSON where it must be.
    """
    found: dict[str, Any] = {}
    for variable, text in environment.items():
        name = variable.removeprefix(prefix).lower()
        if not variable.startswith(prefix) or not text:
            continue
        if name in _NAMES and variable.isupper():
            found[name] = _parse_json(variable, text, name) if name in _JSON else text
        elif name not in _COMMAND_LINE and (nearest := get_close_matches(name, _NAMES, 1, MISSPELT)):
            raise ConfigurationError(
                f"{variable}: there is no such setting; did you mean {prefix}{nearest[0].upper()}?"
            )
    return Found(found, Path(), lambda name: f"{prefix}{name.upper()}")


@shielded
def read_file(path: str | os.PathLike[str], profile: str | None) -> Found:
    """Returns the settings of a profile of a file.

    Args:
        path: a TOML file; or a JSON file, if its name ends with .json.
        profile: the name of a table below `profiles`; None for the settings at the top.

    Raises:
        ConfigurationError: the file cannot be read or parsed, there is no such profile, or as for `read_environment`.
    """
    file = resolve(Path(), os.fspath(path))
    content = _parse_file(file)
    profiles = content.pop(_PROFILES, {})
    if not isinstance(profiles, dict) or not all(isinstance(each, dict) for each in profiles.values()):
        raise ConfigurationError(f"{str(file)!r}: profiles: expected tables such as [profiles.test]")
    known = ", ".join(map(repr, profiles)) or "none"
    if profile is not None and profile not in profiles:
        raise ConfigurationError(f"profile: came {profile!r}; the profiles of {str(file)!r} are: {known}")
    if profile is None and not content and profiles:
        raise ConfigurationError(f"profile: none was named; the profiles of {str(file)!r} are: {known}")
    where = str(file) if profile is None else f"{file}, profile {profile}"
    values = content if profile is None else profiles[profile]
    for name, value in values.items():
        if name not in _NAMES:
            nearest = get_close_matches(name, _NAMES, 1, 0.0)[0]
            raise ConfigurationError(f"{where}: there is no setting {name!r}; did you mean {nearest!r}?")
        _check_type(f"{where}: {name}", name, value)
    return Found(values, file.parent, lambda name: f"{where}: {name}")


@shielded
def make_settings(found: Found) -> dict[str, Any]:
    """Returns the arguments of `Client`.

    Raises:
        ConfigurationError: a file with a secret cannot be read, or two settings contradict each other.
    """
    values, folder, locate = found
    settings = {name: value for name, value in values.items() if not name.endswith("_file")}
    for name in (*SECRETS, *KEYS):
        if (file := values.get(f"{name}_file")) is None:
            continue
        if name in values:
            raise ConfigurationError(f"{locate(name)}: it came twice, also as {name}_file; expected one of them")
        path = resolve(folder, file)
        settings[name] = path if name in KEYS else _read_secret(locate(f"{name}_file"), path)
    for name in PATHS:
        if name in settings:
            settings[name] = resolve(folder, settings[name])
    for name in KEYS:
        if name in settings:
            settings[name] = _resolve_key(folder, settings[name])
    for name in ("trust_anchors", "former_private_keys"):
        if name in settings:
            settings[name] = [_resolve_key(folder, source) for source in settings[name]]
    if isinstance(serial := settings.get("serial"), str) and _is_file(folder, serial):
        settings["serial"] = resolve(folder, serial)
    certs = {key_id: _resolve_key(folder, source) for key_id, source in settings.pop("certs", {}).items()}
    key_id, key = settings.pop("public_key_id", None), settings.pop("public_key", None)
    if (key_id is None) != (key is None):
        present, missing = ("public_key", "public_key_id") if key_id is None else ("public_key_id", "public_key")
        raise ConfigurationError(f"{locate(missing)}: it is missing; it belongs to {present}")
    if key_id is not None:
        certs[key_id] = key
    if "retry" in settings:
        settings["retry"] = _make_retry(locate("retry"), settings["retry"])
    if isinstance(timeout := settings.get("timeout"), list):
        settings["timeout"] = tuple(timeout)
    return {**settings, **({"certs": certs} if certs else {})}


def _parse_file(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        content = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{str(file)!r}: {error.strerror}; expected a TOML file with settings") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{str(file)!r}: it is no text in UTF-8; expected a TOML file with settings") from None
    except RecursionError:
        raise ConfigurationError(
            f"{str(file)!r}: it is nested too deeply; expected a TOML file with settings"
        ) from None
    except ValueError as error:  # also that of tomllib; neither shows the text
        raise ConfigurationError(f"{str(file)!r}: it cannot be parsed: {error}") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{str(file)!r}: came a {type(content).__name__}; expected an object with settings")
    return content


def _parse_json(variable: str, text: str, name: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{variable}: it is not JSON; expected {_JSON[name][1]}") from None
    _check_type(variable, name, value)
    return value


def _check_type(where: str, name: str, value: object) -> None:
    types, expected = _JSON.get(name, ((str,), "a text"))
    if name in ("mchid", "brand_id", "serial"):
        types, expected = (str, int), "a text or a number"
    is_wrong_bool = isinstance(value, bool) and bool not in types
    if is_wrong_bool or not isinstance(value, types) or (name == "retry" and value is True):
        raise ConfigurationError(f"{where}: came a {type(value).__name__}; expected {expected}")


def _make_retry(where: str, value: Any) -> Retry | None:
    if value is False:
        return None
    names = {field.name for field in dataclasses.fields(Retry)}
    if unknown := value.keys() - names:
        raise ConfigurationError(f"{where}: came {', '.join(sorted(unknown))}; expected {', '.join(sorted(names))}")
    return Retry(**value)


def _read_secret(where: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise ConfigurationError(f"{where}: {str(path)!r}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{where}: {str(path)!r} is no text") from None


def resolve(folder: Path, path: str) -> Path:
    """Returns a path that starts at the folder of the settings, or at a home.

    Raises:
        ConfigurationError: there is no such user, for a path that begins with ~.
    """
    try:
        return folder / Path(path).expanduser()
    except RuntimeError as error:  # there is no such user
        raise ConfigurationError(f"{path!r}: {error}") from None


def _resolve_key(folder: Path, source: Any) -> Any:
    """Returns a key as it is, and the path of one in the folder of the settings."""
    if not isinstance(source, str) or not source or is_key_material(source) or source.startswith("file:"):
        return source
    return resolve(folder, source)


def _is_file(folder: Path, name: str) -> bool:
    try:
        return len(name) < 256 and resolve(folder, name).is_file()
    except (OSError, ConfigurationError, ValueError):
        return False
