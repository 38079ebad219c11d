"""The flags of a login, made of the table of options; every command that logs in has them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from .._options import OPTIONS, Option


def login_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags; it is called with ``login``, the options by name."""

    @functools.wraps(command)
    def wrapper(**arguments: Any) -> Any:
        names = ("profile_name", "region_name", *_flags())
        login = {name: arguments.pop(name) for name in names}
        if arguments.pop("password_stdin"):
            login["password"] = sys.stdin.readline().rstrip("\r\n")
            if not login["password"]:
                raise click.UsageError("--password-stdin: there is nothing on standard input")
        return command(login={n: v for n, v in login.items() if v is not None}, **arguments)

    decorated: Callable[..., Any] = wrapper
    decorators: list[Callable[[Any], Any]] = [
        *(_flag(option) for option in reversed(_flags().values())),
        click.option(
            "--password-stdin", is_flag=True, help="Read the API password from standard input."
        ),
        click.option("--region", "region_name", metavar="REGION", help="A region of the cloud."),
        click.option("--profile", "profile_name", metavar="NAME", help="An AWS profile."),
    ]
    for decorate in decorators:
        decorated = decorate(decorated)
    return decorated


def _flags() -> dict[str, Option]:
    """The options that can be flags: no secret, and nothing that lives in a process."""
    return {
        option.name: option
        for option in OPTIONS.values()
        if option.argument and not option.secret and option.name != "auth"
    }


def _flag(option: Option) -> Callable[[Any], Any]:
    name = f"--{option.name.replace('_', '-')}"
    if option.name == "allow_http":
        text = "Allow plain http to other hosts than this one."
        return click.option(name, option.name, is_flag=True, default=None, help=text)
    return click.option(name, option.name, metavar="TEXT", help=f"The {option.title}.")
