"""The command line without servers: help, usage and exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

import toast_boto
from toast_boto import cli
from toast_boto.errors import (
    AuthenticationError,
    CacheError,
    ConfigurationError,
    IdentityUnavailableError,
    KeyQuotaError,
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
