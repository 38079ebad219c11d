"""``toast-boto cache``: the key cache on this machine."""

from __future__ import annotations

import click

from .._brokers import make_parts
from .._cache import clear_all
from .._settings import nothing_configured
from .._talk import say
from ._login import Login, LoginCommand, login_options


@click.group()
def cache() -> None:
    """The key cache: one file for each login, by default in ~/.aws/toast/cache."""


@cache.command(cls=LoginCommand)
@click.option("--all", "everybody", is_flag=True, help="Of all logins, not of one.")
@login_options
def clear(login: Login, everybody: bool) -> None:
    """Forget the cached key, so that the next program asks Keystone for it.

    No key is deleted at Keystone. A key that somebody deleted in the console is also found by
    `toast-boto doctor --online`.
    """
    login.may_ask = False  # no password is needed to forget
    settings = login.settings()
    if everybody:
        count = clear_all(settings.cache_directory())
        say(f"forgot {count} cached key{'' if count == 1 else 's'} of {settings.text('cache_dir')}")
        return
    if not settings.has_login:
        failure = nothing_configured(settings)
        raise type(failure)(f"whose key? Name a profile by --profile, or give --all. {failure}")
    cleared = make_parts(settings).cache.clear()
    whose = f"of {settings.text('username')}" if settings["username"] else "of this login"
    say(f"forgot the cached key {whose}" if cleared else f"there is no cached key {whose}")
