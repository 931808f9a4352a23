"""The options by which commands get the settings of a client: a file, the environment, or the options themselves."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, get_type_hints

import typer

from wechatpay_chain._cli.outcome import Failure

if TYPE_CHECKING:
    from wechatpay_chain._client import Client
    from wechatpay_chain._settings import Found

__all__ = ["Credentials", "with_credentials"]

P = ParamSpec("P")
PREFIX = "WECHATPAY_"


@dataclasses.dataclass(frozen=True)
class Credentials:
    """The options of a command that needs a client. Settings come from one source, so that two merchants are never mixed.

    A file that is named is that source, else the environment; the other options replace single settings. Secrets are never
    options, because other users of a machine can read a command line.
    """

    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="WECHATPAY_CONFIG", help="A TOML or JSON file with settings."),
    ] = None
    profile: Annotated[str | None, typer.Option(envvar="WECHATPAY_PROFILE", help="A profile of that file.")] = None
    mchid: Annotated[str | None, typer.Option(help="The merchant number.")] = None
    brand_id: Annotated[str | None, typer.Option(help="The number of a brand, in place of --mchid.")] = None
    serial: Annotated[
        str | None,
        typer.Option(
            metavar="SERIAL|FILE", help="The serial number of the merchant API certificate, or the certificate."
        ),
    ] = None
    private_key_file: Annotated[
        Path | None,
        typer.Option("--private-key", metavar="FILE", help="apiclient_key.pem, or apiclient_cert.p12."),
    ] = None
    apiv3_key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="A file with the APIv3 key.")] = None
    public_key_id: Annotated[str | None, typer.Option(help="The id of WeChat Pay's public key.")] = None
    public_key_file: Annotated[
        Path | None, typer.Option("--public-key", metavar="FILE", help="WeChat Pay's public key.")
    ] = None
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="The base URL of the service.")] = None
    ca_bundle: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate authorities to trust.")] = None

    def read(self) -> dict[str, Any]:
        """Returns the settings.

        Raises:
            ConfigurationError: a name or a value is wrong.
            Failure: there are none.
        """
        from wechatpay_chain._settings import make_settings

        source, options = self._find()
        settings = {**make_settings(source), **make_settings(options)}
        if not settings:
            raise Failure(
                "there are no settings; name a file with --config or WECHATPAY_CONFIG, or set WECHATPAY_MCHID "
                "or WECHATPAY_BRAND_ID, WECHATPAY_SERIAL, WECHATPAY_PRIVATE_KEY_FILE and so on"
            )
        return settings

    def find_secret_files(self) -> dict[str, Path]:
        """Returns the files that have secrets, by the name of the setting: also the file with settings, if it has one itself."""
        from wechatpay_chain._settings import SECRETS, resolve

        files: dict[str, Path] = {}
        for found in self._find():
            for name in (*(f"{name}_file" for name in SECRETS), "private_key_file"):
                if name in found.values:
                    files[name] = resolve(found.folder, found.values[name])
        key = self.read().get("private_key")
        if isinstance(key, Path):
            files.setdefault("private_key_file", key)
        if self.config is not None and (isinstance(key, str) or not self._find()[0].values.keys().isdisjoint(SECRETS)):
            files["config"] = self.config
        return files

    def _find(self) -> tuple[Found, Found]:
        """Returns the settings of the source, and those of the options."""
        from wechatpay_chain._settings import Found, read_environment, read_file

        values = {name: str(value) for name, value in dataclasses.asdict(self).items() if value is not None}
        config, profile = values.pop("config", None), values.pop("profile", None)
        if profile is not None and config is None:
            raise Failure("--profile: it needs a file; name one with --config or WECHATPAY_CONFIG")
        source = read_file(config, profile) if config is not None else read_environment(PREFIX, os.environ)
        return source, Found(values, Path(), lambda name: f"--{name.replace('_', '-')}")

    def client(self, **settings: Any) -> Client:
        """Returns a client.

        Args:
            **settings: settings that replace those of the options.

        Raises:
            ConfigurationError, Failure: as for `read`.
        """
        from wechatpay_chain._client import Client

        return Client(**{**self.read(), **settings})


def with_credentials(command: Callable[Concatenate[Credentials, P], None]) -> Callable[..., None]:
    """Adds the options of `Credentials` to a command, which gets them as its first argument."""
    hints = get_type_hints(Credentials, include_extras=True)
    fields = dataclasses.fields(Credentials)

    def run(**arguments: Any) -> None:
        credentials = Credentials(**{field.name: arguments.pop(field.name) for field in fields})
        call: Callable[..., None] = command
        call(credentials, **arguments)

    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    options = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields
    ]
    parameters = [*(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own), *options]
    described: Any = run
    described.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run
