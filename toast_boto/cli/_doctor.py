"""``toast-boto doctor``: says what is set, what is shadowed, and what does not work."""

from __future__ import annotations

import contextlib
import json
import os

import click

from .._talk import say
from ..errors import ConfigurationError
from ._findings import Report
from ._login import Login, LoginCommand, login_options
from ._offline import Offline


@click.command(cls=LoginCommand)
@click.option("--online", is_flag=True, help="Log in, and ask the S3 server too.")
@click.option(
    "--bucket", metavar="NAME", help="With --online: write an object to it and delete it again."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@login_options
def doctor(login: Login, online: bool, bucket: str | None, as_json: bool) -> int:
    """Look for what is wrong, and say the way out.

    Without --online nothing but this machine's files and variables are looked at. With it, name,
    certificate, login, tenant, keys, clock and S3 are tried one after the other; a cached key that
    was deleted is replaced, and where there is none one is made.

    Each line is ok, warning or failed. The exit code is 0 where nothing failed, else that of what
    failed first: 2 configuration, 3 refused, 4 unreachable, 5 quota of keys.
    """
    if bucket and not online:
        raise click.UsageError("--bucket needs --online")
    report = Report(shown=not as_json)
    if online:
        _ask_for_password(login)
    settings = Offline(report, login, os.environ).run()
    if online and settings is None:
        report.warning("online", "nothing was asked, for there is no whole login", "see above")
    elif online and settings is not None:
        from ._online import Online  # noqa: PLC0415 - the offline part needs no network

        Online(report, login, settings, bucket).run()
    if as_json:
        findings = [finding.fields() for finding in report.findings]
        click.echo(json.dumps({"exit_code": report.exit_code, "findings": findings}, indent=2))
    else:
        say(report.summary())
    return report.exit_code


def _ask_for_password(login: Login) -> None:
    """Where the password alone is missing; any mistake is found again, and reported."""
    with contextlib.suppress(ConfigurationError):
        login.settings()
