"""The flags of a login, made of the table of options; every command that logs in has them."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from .._checks import CHOICES
from .._clouds import CLOUDS
from .._options import OPTIONS, Option
from .._profiles import file_names, profile_in_use, profile_names
from .._settings import Settings, nothing_configured, resolve
from ..errors import ConfigurationError


class Login:
    """Whose login a command line asks for.

    Args:
        profile_name: of ``--profile``.
        region_name: of ``--region``.
        options: the other flags that were given, by option name.
        may_ask: whether a password that is missing may be asked for on the terminal.
    """

    def __init__(
        self,
        profile_name: str | None,
        region_name: str | None,
        options: dict[str, Any],
        may_ask: bool,
    ) -> None:
        self.profile_name = profile_name
        self.region_name = region_name
        self.options = options
        self.may_ask = may_ask and sys.stdin.isatty()
        self.typed: set[str] = set()  # options that were asked for

    def settings(self) -> Settings:
        """The settings; the password is asked for if it alone is missing.

        Raises:
            ConfigurationError: there is no such profile, or a value makes no sense.
        """
        settings = self._resolve()
        names = ("password", "password_process", "auth")
        if self.may_ask and settings["username"] and not any(settings[name] for name in names):
            text = f"API password of {settings.text('username')}"
            self.options["password"] = click.prompt(text, hide_input=True, err=True)
            self.typed.add("password")
            settings = self._resolve()
        return settings

    def whole(self) -> Settings:
        """As :meth:`settings`, of a login that is complete.

        Raises:
            ConfigurationError: it is missing or incomplete, or a value makes no sense.
        """
        settings = self.settings()
        if not settings.has_login:
            raise nothing_configured(settings)
        settings.check_login()
        return settings

    def session(self) -> Any:
        """A botocore session that is configured by it.

        Raises:
            ConfigurationError: there is no such profile, or a value makes no sense.
        """
        from .. import _sessions  # noqa: PLC0415 - --help needs no botocore

        self.settings()
        try:
            return _sessions.open_session(
                self.profile_name, self.region_name, self.options, flags=True
            )
        except _sessions.MISTAKES as error:
            failure = str(error)
        raise ConfigurationError(failure)

    def _resolve(self) -> Settings:
        profile = profile_in_use(os.environ, self.profile_name)
        return resolve(self.options, os.environ, profile, flags=True, typed=self.typed)


class LoginCommand(click.Command):
    """A command whose help has the flags of a login apart from its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, the command's own first."""
        own: list[tuple[str, str]] = []
        login: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                (login if isinstance(parameter, _LoginOption) else own).append(record)
        for title, records in (("Options", own), ("Login options", login)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class _LoginOption(click.Option):
    """One of the flags of a login."""


def login_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags; it is called with ``login``, a :class:`Login`."""

    @functools.wraps(command)
    def wrapper(**arguments: Any) -> Any:
        profile_name, region_name = arguments.pop("profile_name"), arguments.pop("region_name")
        options = {name: arguments.pop(name) for name in _flags()}
        if arguments.pop("password_stdin"):
            options["password"] = _read_password()
        given = {name: value for name, value in options.items() if value is not None}
        may_ask = not arguments.pop("no_input")
        return command(login=Login(profile_name, region_name, given, may_ask), **arguments)

    decorated: Callable[..., Any] = wrapper
    decorators: list[Callable[[Any], Any]] = [
        _option("--no-input", is_flag=True, help="Never ask; what is missing is an error then."),
        _option(
            "--password-stdin", is_flag=True, help="Read the API password from standard input."
        ),
        *(_flag(option) for option in reversed(_flags().values())),
        _option("--region", "region_name", metavar="REGION", help="A region of the cloud."),
        _option(
            "--profile",
            "profile_name",
            metavar="NAME",
            help="An AWS profile.",
            shell_complete=_complete_profile,
        ),
    ]
    for decorate in decorators:
        decorated = decorate(decorated)
    return decorated


def _read_password() -> str:
    line = b""
    # A byte at a time: what follows the line is for the command that `exec` becomes.
    while not line.endswith(b"\n") and (byte := os.read(sys.stdin.fileno(), 1)):
        line += byte
    password = line.decode("utf-8", "replace").rstrip("\r\n")
    if not password:
        raise click.UsageError("--password-stdin: there is nothing on standard input")
    return password


def _flags() -> dict[str, Option]:
    """The options that can be flags: no secret, and nothing that lives in a process."""
    return {
        option.name: option
        for option in OPTIONS.values()
        if option.argument and not option.secret and option.name != "auth"
    }


def _flag(option: Option) -> Callable[[Any], Any]:
    if option.name == "allow_http":
        text = "Allow plain http to other hosts than this one."
        return _option(option.flag, option.name, is_flag=True, default=None, help=text)
    metavar = _METAVARS.get(option.name, "TEXT")
    text = f"The {option.title}"
    choices = CHOICES.get(option.name, ())
    if choices:
        text += f": {', '.join(choices[:-1])} or {choices[-1]}"
    if option.default:
        text += f"; default {option.default}"
    if option.environment:
        text += f"  [{option.environment[0]}]"
    complete = _complete_cloud if option.name == "cloud" else None
    return _option(option.flag, option.name, metavar=metavar, help=text, shell_complete=complete)


_option = functools.partial(click.option, cls=_LoginOption)


_METAVARS = {
    "auth_url": "URL",
    "ca_bundle": "PATH",
    "cloud": "NAME",
    "endpoint_url": "URL",
    "identity_timeout": "SECONDS",
    "password_process": "COMMAND",
    "tenant_id": "ID",
    "username": "NAME",
}


def _complete_profile(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:
    try:
        names = profile_names(*file_names(os.environ))
    except ConfigurationError:  # of a broken file; the command itself will say so
        return []
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def _complete_cloud(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(cloud.name, help=", ".join(cloud.endpoint_urls))
        for cloud in CLOUDS.values()
        if cloud.name.startswith(incomplete)
    ]
