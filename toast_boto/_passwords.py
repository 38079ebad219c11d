"""Runs the command that prints the API password."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from typing import Any

from .errors import ConfigurationError

TIME_LIMIT = 60.0


def run_password_process(
    command: str,
    source: str,
    seconds: float = TIME_LIMIT,
    run: Callable[..., Any] = subprocess.run,
) -> str:
    """Run a command without a shell; answers what it prints, less the line's end.

    Its stdin is empty, so that a prompt there fails rather than hangs; its stderr is ours.

    Args:
        command: words, quoted as for a shell.
        source: where it was set, for the error's text.
        seconds: how long it may take.
        run: what starts it.

    Raises:
        ConfigurationError: it can't be run, fails, prints nothing, or takes too long.
    """
    what = f"the password command ({source})"
    output = b""
    try:
        result = run(
            # Windows takes a command line as it is, and its paths have backslashes.
            command if os.name == "nt" else shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
        output = result.stdout
        failure = f"failed with exit code {result.returncode}" if result.returncode else ""
    except subprocess.TimeoutExpired:
        failure = f"took more than {seconds:g} s"
    except OSError as error:
        failure = f"can't be run: {error.strerror}"
    except (ValueError, IndexError):
        failure = "can't be run: its quotes don't match, or it is empty"
    password = str(output.decode("utf-8", "replace").rstrip("\r\n"))
    if not failure and not password:
        failure = "printed nothing"
    if failure:  # raised out here: what was caught holds the command's words and its output
        raise ConfigurationError(f"{what} {failure}")
    return password
