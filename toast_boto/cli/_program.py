"""Where this very program is, for files and commands that must find it without a PATH."""

from __future__ import annotations

import shlex
import sys
import sysconfig
from pathlib import Path


def script(name: str) -> list[str]:
    """The words of a command that this Python has installed; its module where there is no script.

    Args:
        name: of the command, whose module is called likewise.
    """
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists() and Path(sys.argv[0]).name == name:
        path = Path(sys.argv[0]).absolute()
    return [str(path)] if path.exists() else [sys.executable, "-m", name.replace("-", "_")]


def credential_process_command(profile_name: str) -> str:
    """The line that a profile's ``credential_process`` has.

    Some readers split it like a shell, others hand it to one; the quotes suit both.
    """
    return shlex.join([*script("toast-boto"), "credential-process", "--profile", profile_name])
