"""``toast-boto sandbox``: runs a command in a cloud of its own, on this machine."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._progress import waiting
from ._signals import terminated_politely

if TYPE_CHECKING:
    from ..sandbox import Sandbox

_NOT_FOUND = 127  # as every shell


_PORT = click.IntRange(0, 65535)


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--quota",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Keys of one user for one tenant.",
)
@click.option(
    "--swift-port",
    type=_PORT,
    default=0,
    help="Port of the S3 endpoint (KR1); default any free one.",
)
@click.option(
    "--keystone-port", type=_PORT, default=0, help="Port of the identity service; default any."
)
@click.option("--http", is_flag=True, help="Plain http instead of https.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def sandbox(
    quota: int, swift_port: int, keystone_port: int, http: bool, command: tuple[str, ...]
) -> int:
    """Run COMMAND against a real Keystone and a real Swift on this machine.

    They are started for it, with a user, a tenant and no key, and are gone when it ends;
    COMMAND finds them by its environment. The exit code is COMMAND's.

    \b
    toast-boto sandbox -- python examples/stock_boto3.py

    Without COMMAND the settings are printed for a shell, and the servers run until Ctrl-C:

    \b
    toast-boto sandbox > settings       (in one terminal)
    . ./settings                        (in another)
    """
    from ..sandbox import Sandbox  # noqa: PLC0415 - an extra, which only this command needs

    cloud = Sandbox(
        quota=quota,
        swift_port=swift_port,
        keystone_port=keystone_port,
        scheme="http" if http else "https",
    )
    with terminated_politely(), contextlib.ExitStack() as stack:
        with waiting("Starting Keystone and Swift"):
            stack.enter_context(cloud)
        if command:
            return _run(list(command), _environ(cloud))
        return _print_and_wait(cloud)


def _environ(cloud: Sandbox) -> dict[str, str]:
    """The command's environment; its ``python`` is the one that has toast_boto."""
    environ = cloud.environ()
    own = str(Path(sys.executable).parent)
    environ["PATH"] = os.pathsep.join(filter(None, [own, environ.get("PATH")]))
    return environ


def _run(command: list[str], environ: dict[str, str]) -> int:
    # Popen looks the command up in this process's PATH, which may lack our own Python's folder.
    os.environ["PATH"] = environ["PATH"]
    try:
        process = subprocess.Popen(command, env=environ)  # noqa: S603 - the user's own command
    except OSError as error:
        click.echo(f"toast-boto sandbox: {command[0]}: {error.strerror}", err=True)
        return _NOT_FOUND
    # Ctrl-C reaches the command by itself, being in the same process group; it decides what to do.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGINT, previous)
    return code if code >= 0 else 128 - code


def _print_and_wait(cloud: Sandbox) -> int:
    try:
        for name in sorted(set(os.environ) - set(cloud.environ())):
            click.echo(f"unset {name}")
        for name, value in cloud.settings().items():
            click.echo(f"export {name}={shlex.quote(value)}")
        click.echo("The sandbox runs until Ctrl-C.", err=True)
        while cloud.running:
            time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    raise click.ClickException("the sandbox's servers died")
