"""The command line without servers: help, usage and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest

import toast_boto
from tests.support import write_profile
from toast_boto import cli
from toast_boto._clouds import CLOUDS
from toast_boto._talk import warnings_in_words
from toast_boto.cli._debug import Debug
from toast_boto.cli._progress import count_down, waiting
from toast_boto.errors import (
    AuthenticationError,
    CacheError,
    ConfigurationError,
    IdentityUnavailableError,
    KeyQuotaError,
    ToastBotoWarning,
    UnsupportedServiceError,
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toast_boto", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_and_version() -> None:
    """--help tells the commands, --version the version, both on stdout with exit code 0."""
    shown = run("--help")
    assert shown.returncode == 0
    assert "sandbox" in shown.stdout
    assert run("--version").stdout.strip() == f"toast-boto, version {toast_boto.__version__}"
    assert "exit code is COMMAND's" in run("sandbox", "--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["--nosuch"],
        ["sandbox", "--quota", "many"],
        ["sandbox", "--quota", "-1"],
        ["sandbox", "--swift-port", "80000"],
        ["sandbox", "--prot", "5", "--", "true"],
    ],
)
def test_usage_errors(arguments: list[str]) -> None:
    """A mistake in the usage is exit code 2, on stderr, without a traceback."""
    done = run(*arguments)
    assert done.returncode == 2
    assert not done.stdout
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError, 2),
        (UnsupportedServiceError, 2),
        (AuthenticationError, 3),
        (IdentityUnavailableError, 4),
        (KeyQuotaError, 5),
        (CacheError, 1),
    ],
)
def test_exit_codes(error: type[Exception], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of our errors is one line on stderr and its exit code."""

    @cli.toast_boto.command("fail")
    def fail() -> None:
        raise error("what went wrong")

    try:
        assert cli.main(["fail"]) == code
    finally:
        del cli.toast_boto.commands["fail"]
    assert capsys.readouterr() == ("", "toast-boto: what went wrong\n")


COMMANDS = [
    ("configure",), ("credential-process",), ("doctor",), ("env",), ("exec",), ("clouds",),
    ("sandbox",), ("cache", "clear"), ("keys", "list"), ("keys", "create"), ("keys", "delete"),
    ("keys", "rotate"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_each_command(command: tuple[str, ...]) -> None:
    """It says what the command does, has --debug, and no password among its arguments."""
    shown = run(*command, "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"Usage: toast-boto {' '.join(command)} ")
    assert "--debug" in shown.stdout
    assert "--password " not in shown.stdout
    if command not in {("clouds",), ("sandbox",)}:
        assert "--profile NAME" in shown.stdout and "--password-stdin" in shown.stdout


def test_every_command_is_tested() -> None:
    """The list above has them all."""

    def names(group: click.Command, path: tuple[str, ...]) -> set[tuple[str, ...]]:
        commands = getattr(group, "commands", {})
        found = set() if commands else {path}
        return found.union(*(names(c, (*path, n)) for n, c in commands.items()))

    assert names(cli.toast_boto, ()) == set(COMMANDS)


def test_clouds() -> None:
    """The table of clouds, as a table and as JSON."""
    rows = [line.split() for line in run("clouds").stdout.splitlines()]
    assert rows[0][:2] == ["cloud", "region"]
    fields = json.loads(run("clouds", "--json").stdout)
    assert set(fields) == set(CLOUDS)
    for name, cloud in CLOUDS.items():
        assert fields[name] == {"auth_url": cloud.auth_url, "endpoint_urls": cloud.endpoint_urls}
        region, url = next(iter(cloud.endpoint_urls.items()))
        assert [name, region, url, cloud.auth_url] in rows


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_place_and_no_secret(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --debug an unexpected error is a line; with it, a traceback less what is secret."""
    monkeypatch.setenv("TOAST_PASSWORD", "pa.ss")
    token = "gAAAAABm" + "x" * 60

    @click.command("fail")
    def fail() -> None:
        raise RuntimeError(f"pa.ss and {token}")

    debug = Debug()
    debug.add_to(fail)
    monkeypatch.setattr(cli, "_debug", debug)
    monkeypatch.setitem(cli.toast_boto.commands, "fail", fail)
    assert cli.main(["fail"]) == 1
    quiet = capsys.readouterr().err
    assert quiet == (
        "toast-boto: RuntimeError was raised, which nobody expected. --debug shows where.\n"
    )
    assert cli.main(["fail", "--debug"]) == 1
    loud = capsys.readouterr().err
    assert "Traceback" in loud and "RuntimeError: *** and ***" in loud
    assert "pa.ss" not in loud and token not in loud


def test_completion(clean_environment: Path) -> None:
    """Commands, flags, profiles and clouds are completed."""
    write_profile(clean_environment, "photos", "region = KR1\n")

    def complete(words: str) -> list[str]:
        number = str(len(words.split(" ")) - 1)
        done = subprocess.run(
            [sys.executable, "-c", "from toast_boto.cli import main; main()"],
            capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "_TOAST_BOTO_COMPLETE": "bash_complete",
                 "COMP_WORDS": words, "COMP_CWORD": number},
        )  # fmt: skip
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert complete("toast-boto do") == ["doctor"]
    assert complete("toast-boto doctor --onl") == ["--online"]
    assert complete("toast-boto env --profile ph") == ["photos"]
    assert complete("toast-boto env --cloud ng") == ["ngoic", "ngovc", "ngsc", "ngcc"]


def test_warnings_are_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """On the command line a warning has no file and no source line."""
    with warnings_in_words(), pytest.MonkeyPatch.context():
        warnings.simplefilter("default")
        warnings.warn("something was put right", ToastBotoWarning, stacklevel=1)
    assert capsys.readouterr().err == "toast-boto: warning: something was put right\n"


def test_no_progress_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """Only a terminal shows it."""
    with waiting("Doing something"):
        count_down(0.01)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "list"], ["env"], ["exec", "--", "true"], ["doctor"], ["keys", "rotate"],
        ["credential-process"], ["cache", "clear"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_profile_that_is_not_there(arguments: list[str], clean_environment: Path) -> None:
    """Every command says which there are and how to make it."""
    write_profile(clean_environment, "photos", "region = KR1\n")
    shown = run(arguments[0], *arguments[1:2], "--profile", "phots", *arguments[2:])
    if arguments[0] in ("env", "doctor", "credential-process", "exec"):
        shown = run(arguments[0], "--profile", "phots", *arguments[1:])
    assert shown.returncode == 2
    said = shown.stdout + shown.stderr
    assert "no profile 'phots' (--profile)" in said and "there are: photos" in said
    assert "Traceback" not in said


def test_flags_are_named_in_errors() -> None:
    """A command line is told of flags, not of Python's arguments."""
    shown = run("env", "--username", "you@example.com")
    assert shown.returncode == 2
    assert "user name (--username)" in shown.stderr
    assert "by --tenant-id, TOAST_TENANT_ID" in shown.stderr
    assert "argument" not in shown.stderr
