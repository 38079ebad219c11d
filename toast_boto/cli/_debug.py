"""``--debug``: the traceback of an error, without its secrets."""

from __future__ import annotations

import os
import re
import traceback

import click

from .._options import OPTIONS

# Access keys, secret keys, tokens, hashes: whatever is long and has no word's end in it.
_LONG = re.compile(r"[A-Za-z0-9+_=-]{32,}")
_SECRET_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    *(n for o in OPTIONS.values() if o.secret for n in (*o.environment, *o.openstack)),
)


class Debug:
    """Whether tracebacks are wanted; every command has the flag."""

    def __init__(self) -> None:
        self.wanted = False

    def add_to(self, command: click.Command) -> None:
        """Give the flag to a command, and to all that are in it."""
        command.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=self._set,
                help="Show where an error came from; secrets are left out.",
            )
        )
        for child in getattr(command, "commands", {}).values():
            self.add_to(child)

    def _set(self, _context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        self.wanted = self.wanted or value

    def show(self, error: BaseException) -> None:
        """Show the traceback, if it is wanted."""
        if self.wanted:
            click.echo(redacted("".join(traceback.format_exception(error))), err=True, nl=False)


def redacted(text: str) -> str:
    """A text without what is, or may be, a secret."""
    for name in _SECRET_VARIABLES:
        if os.environ.get(name):
            text = text.replace(os.environ[name], "***")
    return _LONG.sub("***", text)
