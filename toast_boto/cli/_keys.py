"""``toast-boto keys``: what is done to the S3 keys by command."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ..errors import ConfigurationError
from ._login import login_options

_UNREACHABLE = 4


@click.group()
def keys() -> None:
    """The S3 keys (EC2 credentials) that Keystone holds for the login."""


@keys.command()
@login_options
@click.option(
    "--replace",
    metavar="ACCESS",
    help="A key that may be deleted first, for good, if the quota leaves no slot.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the old key stays; a server remembers a key for a minute.",
)
@click.option("--yes", is_flag=True, help="Do not ask before --replace deletes a key.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def rotate(
    login: dict[str, Any], replace: str | None, grace: float, yes: bool, as_json: bool
) -> int | None:
    """Replace the key in use by a new one, and print the new access key.

    The new key is proved by a signed request before the cache is switched to it; the old one is
    deleted after the grace. Running programs find the new key by themselves. URLs that were
    presigned with the old key stop working.
    """
    from .. import _proof  # noqa: PLC0415 - --help needs no botocore

    if replace is not None and not yes:
        _confirm(replace)
    try:
        rotation = _proof.rotate_key(replace=replace, grace=grace, tell=_say, **login)
    except _proof.UNREACHABLE as error:
        click.echo(f"toast-boto: the S3 server could not be asked: {error}", err=True)
        return _UNREACHABLE
    except _proof.MISTAKES as error:
        raise ConfigurationError(str(error)) from None
    if as_json:
        click.echo(json.dumps({"access_key": rotation.access_key, "deleted": rotation.deleted}))
    else:
        click.echo(rotation.access_key)
    return None


def _say(text: str) -> None:
    click.echo(text, err=True)


def _confirm(replace: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"--replace {replace} may delete that key for good, and there is no terminal to ask "
            "on: give --yes too"
        )
    click.confirm(
        f"Delete the key {replace} for good, if there is no slot for a new one?",
        abort=True,
        err=True,
    )
