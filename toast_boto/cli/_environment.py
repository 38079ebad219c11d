"""``toast-boto env`` and ``toast-boto exec``: the key as environment variables.

For programs that read neither AWS profiles nor ours. What they get is the key as it is now: when it
is deleted they fail, and must be started again.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping

import click

from .._options import OPTIONS
from .._profiles import PROFILE_VARIABLES
from .._talk import say
from ..errors import ConfigurationError
from ._login import Login, LoginCommand, login_options

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as every shell
# What would win over the key, or belongs to another one.
_OF_ANOTHER_KEY = (
    *PROFILE_VARIABLES,
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)
_IGNORED = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name)]
_OLD_SECONDS = 60.0  # a key that is handed out for long is looked up first
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Variables:
    """What is set in a program's environment, and what is taken out of it."""

    def __init__(self, values: dict[str, str], removed: list[str], secrets: list[str]) -> None:
        self.values = values
        self.removed = removed
        self.secrets = secrets

    def apply(self, environ: Mapping[str, str]) -> dict[str, str]:
        """A whole environment."""
        kept = {name: value for name, value in environ.items() if name not in self.removed}
        return {**kept, **self.values}


def variables_of(login: Login, environ: Mapping[str, str]) -> Variables:
    """The variables of a login's key.

    Raises:
        ToastBotoError: there is no key to be had.
    """
    from .. import _sessions  # noqa: PLC0415 - --help needs no botocore

    session = login.session()
    failure = _sessions.look_up(session, _OLD_SECONDS)
    if failure is not None:
        say(f"the key could not be looked up, and is used as it is: {failure}")
    key = _sessions.signing_of(session)
    if not key.has_login and environ.get("AWS_ACCESS_KEY_ID"):
        say("note: there is no login here; the key is the one that AWS_ACCESS_KEY_ID holds already")
    values = {
        "AWS_ACCESS_KEY_ID": key.access_key,
        "AWS_SECRET_ACCESS_KEY": key.secret_key,
        "AWS_REGION": key.region,
        "AWS_DEFAULT_REGION": key.region,
        "AWS_ENDPOINT_URL_S3": key.endpoint_url,
        "AWS_ENDPOINT_URL": key.endpoint_url,  # PyArrow reads only this one
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }
    if key.ca_bundle:
        values["AWS_CA_BUNDLE"] = key.ca_bundle
    if key.endpoint_url.startswith("http:"):
        values["AWS_ALLOW_HTTP"] = "true"  # obstore and deltalake refuse it else
    # Half a login, without its password, would be an error in a program that uses toast_boto.
    of_login = ("username", "password", "password_process", "tenant_id")
    names = [name for n in of_login for name in (*OPTIONS[n].environment, *OPTIONS[n].openstack)]
    removed = [name for name in (*_OF_ANOTHER_KEY, *names, "OS_CLOUD") if environ.get(name)]
    return Variables(values, removed, [key.access_key, key.secret_key])


@click.command("exec", context_settings={"allow_interspersed_args": False}, cls=LoginCommand)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@login_options
def run(login: Login, command: tuple[str, ...]) -> int:
    """Run COMMAND with the key in its environment (AWS_ACCESS_KEY_ID and so on).

    \b
    toast-boto exec --profile toast -- restic backup photos

    COMMAND takes this process's place, so that signals reach it and its exit code is the one that
    you see. Passwords are taken out of its environment. It has the key as it is now: start it
    again after a rotation.
    """
    environ = variables_of(login, os.environ).apply(os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # where exec leaves the shell behind
        return subprocess.run(command, env=environ, check=False).returncode  # noqa: S603
    # Python ignores these, and what is ignored stays so over an exec.
    ignored = [number for number in _IGNORED if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606 - the user's own command
    except OSError as error:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        click.echo(f"toast-boto exec: {command[0]}: {error.strerror}", err=True)
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE


@click.command("env", cls=LoginCommand)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["sh", "fish", "powershell", "dotenv", "json", "github"]),
    default="sh",
    show_default=True,
    help="For whom.",
)
@login_options
def env(login: Login, format_name: str) -> None:
    """Print the key as environment variables, the secret included.

    \b
    eval "$(toast-boto env)"
    toast-boto env --format fish | source
    toast-boto env --format powershell | Out-String | Invoke-Expression

    With --format github, inside of GitHub Actions, the key is masked in the log first, and the
    variables are given to the job's next steps.
    """
    variables = variables_of(login, os.environ)
    for name, value in variables.values.items():
        if _CONTROL.search(value):
            raise ConfigurationError(f"the value of {name} has a line's end or the like in it")
    if format_name == "github":
        _give_to_github(variables, os.environ)
        return
    for line in _FORMATS[format_name](variables):
        click.echo(line)


def _sh(variables: Variables) -> list[str]:
    values = [f"export {n}={shlex.quote(v)}" for n, v in variables.values.items()]
    return [f"unset {name}" for name in variables.removed] + values


def _fish(variables: Variables) -> list[str]:
    quoted = {n: v.replace("\\", "\\\\").replace("'", "\\'") for n, v in variables.values.items()}
    values = [f"set -gx {n} '{v}'" for n, v in quoted.items()]
    return [f"set -e {name}" for name in variables.removed] + values


def _powershell(variables: Variables) -> list[str]:
    quoted = {n: v.replace("'", "''") for n, v in variables.values.items()}
    removed = [
        f"Remove-Item Env:{name} -ErrorAction SilentlyContinue" for name in variables.removed
    ]
    return removed + [f"$Env:{n} = '{v}'" for n, v in quoted.items()]


def _dotenv(variables: Variables) -> list[str]:
    # Readers of such files differ in their quotes, so there are none where none are needed.
    return [
        f"{n}={v}" if re.fullmatch(r"[\w./:@%+=,-]*", v) else f"{n}={_quote(v)}{v}{_quote(v)}"
        for n, v in variables.values.items()
    ]


def _quote(value: str) -> str:
    return "'" if '"' in value else '"'


def _json(variables: Variables) -> list[str]:
    return [json.dumps(variables.values, indent=2)]


_FORMATS: dict[str, Callable[[Variables], list[str]]] = {
    "sh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "dotenv": _dotenv,
    "json": _json,
}


def _give_to_github(variables: Variables, environ: Mapping[str, str]) -> None:
    """Mask, then write the file of the job's variables (GitHub's "Workflow commands")."""
    path = environ.get("GITHUB_ENV")
    if not path:
        raise ConfigurationError(
            "--format github is for a step of GitHub Actions: GITHUB_ENV is not set, which names "
            "the file that the variables are written to"
        )
    for secret in variables.secrets:
        click.echo(f"::add-mask::{secret}")
    sys.stdout.flush()
    # An empty token is none; a profile's name must not be empty, and the key's variables win.
    empty = {name: "" for name in variables.removed if name not in PROFILE_VARIABLES}
    lines = [f"{name}={value}\n" for name, value in {**empty, **variables.values}.items()]
    try:
        with open(path, "ab+") as file:  # noqa: PTH123 - it names a path as it is
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            if file.read(1) not in (b"", b"\n"):
                lines.insert(0, "\n")
            file.write("".join(lines).encode())
    except OSError as error:
        failure = f"{path} (GITHUB_ENV) can't be written: {error.strerror}"
    else:
        return
    raise ConfigurationError(failure)
