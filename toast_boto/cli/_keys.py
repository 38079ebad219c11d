"""``toast-boto keys``: what is done to the S3 keys by command."""

from __future__ import annotations

import json
from typing import Any

import click

from .._console import KeyConsole, Listed
from .._keys import EC2Key
from .._talk import EXIT_UNREACHABLE, say
from ..errors import ConfigurationError
from ._login import Login, LoginCommand, login_options
from ._progress import count_down, waiting
from ._signals import terminated_politely
from ._tables import show_table

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_secret_option = click.option("--show-secret", is_flag=True, help="Print the secret key too.")
_yes_option = click.option("--yes", is_flag=True, help="Do not ask before a key is deleted.")


@click.group()
def keys() -> None:
    """The S3 keys (EC2 credentials) that Keystone holds for the login."""


@keys.command("list", cls=LoginCommand)
@_secret_option
@_json_option
@login_options
def list_keys(login: Login, show_secret: bool, as_json: bool) -> None:
    """List the user's keys, of all tenants.

    "Here" marks those that stand in this user's key cache.
    """
    settings = login.whole()
    with waiting("Asking the identity service"), KeyConsole(settings) as console:
        listed = console.list()
    if as_json:
        click.echo(json.dumps([_fields(item, show_secret) for item in listed], indent=2))
        return
    if not listed:
        say("there is no key; the first program that needs one makes it")
        return
    heads = ["access key", "tenant", "created", "last used", "in use"]
    rows = [_row(item) for item in listed]
    if show_secret:
        heads.insert(1, "secret key")
        for row, item in zip(rows, listed, strict=True):
            row.insert(1, item.key.secret)
    show_table(heads, rows)


@keys.command("create", cls=LoginCommand)
@_secret_option
@_json_option
@login_options
def create_key(login: Login, show_secret: bool, as_json: bool) -> None:
    """Make one more key for the tenant, and print its access key.

    Programs that use toast_boto need none: they take the oldest one, or make the first.
    """
    settings = login.whole()
    with waiting("Asking the identity service"), KeyConsole(settings) as console:
        key = console.create()
    if as_json:
        fields = {"access_key": key.access, "tenant_id": key.tenant_id}
        click.echo(json.dumps({**fields, "secret_key": key.secret} if show_secret else fields))
    else:
        click.echo(f"{key.access} {key.secret}" if show_secret else key.access)


@keys.command("delete", cls=LoginCommand)
@click.argument("access")
@click.option("--force", is_flag=True, help="Also a key that is in use here.")
@_yes_option
@_json_option
@login_options
def delete_key(login: Login, access: str, force: bool, yes: bool, as_json: bool) -> None:
    """Delete the key ACCESS, for good.

    Everything that signs with it stops working, URLs that were presigned with it too; a server may
    remember it for a minute.
    """
    settings = login.whole()
    with KeyConsole(settings) as console:
        with waiting("Asking the identity service"):
            key = console.find(access, force=force)
        if not yes:
            _confirm(f"Delete the key {access}{_age(key)} of the tenant {key.tenant_id}?", login)
        deleted = console.delete(access)
    if not deleted:
        say(f"somebody else has just deleted the key {access}")
    click.echo(json.dumps({"deleted": [access]}) if as_json else access)


@keys.command(cls=LoginCommand)
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
@_yes_option
@_json_option
@login_options
def rotate(login: Login, replace: str | None, grace: float, yes: bool, as_json: bool) -> int | None:
    """Replace the key in use by a new one, and print the new access key.

    The new key is proved by a signed request before the cache is switched to it; the old one is
    deleted after the grace. Running programs find the new key by themselves. URLs that were
    presigned with the old key stop working.
    """
    from .. import _proof, _sessions  # noqa: PLC0415 - --help needs no botocore

    if replace is not None and not yes:
        question = f"Delete the key {replace} for good, if there is no slot for a new one?"
        _confirm(question, login)
    session = login.session()
    try:
        with terminated_politely():
            rotation = _proof.rotate(
                session, replace=replace, grace=grace, tell=_tell, sleep=count_down
            )
    except _sessions.UNREACHABLE as error:
        say(f"the S3 server could not be asked: {error}")
        return EXIT_UNREACHABLE
    if as_json:
        click.echo(json.dumps({"access_key": rotation.access_key, "deleted": rotation.deleted}))
    else:
        click.echo(rotation.access_key)
    return None


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _fields(item: Listed, show_secret: bool) -> dict[str, Any]:
    key = item.key
    fields = {
        "access_key": key.access,
        "tenant_id": key.tenant_id,
        "created_at": key.created_at,
        "accessed_at": key.accessed_at,
        "in_use": item.in_use,
    }
    return {**fields, "secret_key": key.secret} if show_secret else fields


def _row(item: Listed) -> list[str]:
    key = item.key
    times = [_time(key.created_at), _time(key.accessed_at)]
    return [key.access, key.tenant_id, *times, "here" if item.in_use else ""]


def _time(text: str | None) -> str:
    """Keystone's ``2024-10-19T08:24:46.000000Z``, shorter; a dash where it does not tell."""
    return (text or "-").partition(".")[0].removesuffix("Z").replace("T", " ")


def _age(key: EC2Key) -> str:
    return f", made {_time(key.created_at)}," if key.created_at else ""


def _confirm(question: str, login: Login) -> None:
    if not login.may_ask:
        raise ConfigurationError(
            f"there is no terminal to ask on, or --no-input: {question} Give --yes too."
        )
    click.confirm(question, abort=True, err=True)
