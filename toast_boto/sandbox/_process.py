"""The child process that runs the servers, as its parent sees it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from toast_boto.errors import ConfigurationError

PYTHON_VARIABLE = "TOAST_BOTO_SANDBOX_PYTHON"
_START_SECONDS = 120
_STOP_SECONDS = 10
_TAKEN_OUT = ("AWS_", "BOTO_", "OS_", "TOAST_")
_KEPT = (PYTHON_VARIABLE,)
_NOT_RUNNING = "this sandbox does not run: use it in a with statement"


class SandboxError(ConfigurationError):
    """The sandbox could not be started; the text says what is missing."""


def is_foreign(name: str) -> bool:
    """Whether an environment variable could lead a program to another cloud than the sandbox."""
    return name.startswith(_TAKEN_OUT) and name not in _KEPT


class ServerProcess:
    """Starts the servers in a directory of their own, and stops them without a trace.

    Args:
        options: for the child, see :mod:`toast_boto.sandbox._child`.
        python: the interpreter; default that of the environment variable, else this one.
    """

    def __init__(self, options: dict[str, Any], python: str | None) -> None:
        self._options = options
        self._python = sys.executable
        if python or os.environ.get(PYTHON_VARIABLE):
            # Absolute, but not resolved: the link is what makes a virtual environment.
            self._python = str(Path(python or os.environ[PYTHON_VARIABLE]).absolute())
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._made: dict[str, Any] | None = None

    @property
    def pid(self) -> int | None:
        """Process ID of the servers, None when they do not run."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the servers run."""
        return self._process is not None and self._process.poll() is None

    @property
    def directory(self) -> Path:
        """Where the servers keep their files."""
        if self._directory is None:
            raise SandboxError(_NOT_RUNNING)
        return self._directory

    @property
    def made(self) -> dict[str, Any]:
        """What the child made: URLs, users and tenants."""
        if self._made is None:
            raise SandboxError(_NOT_RUNNING)
        return self._made

    def start(self) -> None:
        """Start the servers and wait until they answer.

        Raises:
            SandboxError: the interpreter is too old, the extra is not installed, a port is taken.
        """
        if self._directory is not None:
            raise SandboxError("this sandbox runs already")
        self._check_interpreter()
        self._owner = os.getpid()
        self._directory = Path(tempfile.mkdtemp(prefix="toast-boto-sandbox-"))
        try:
            self._made = self._launch(self._directory)
        except OSError as error:
            self.stop()
            raise SandboxError(f"the servers' interpreter {self._python}: {error}") from None
        except BaseException:
            self.stop()
            raise

    def _check_interpreter(self) -> None:
        if self._python != sys.executable:
            return  # if it lacks something, what it says is in the error
        if sys.version_info < (3, 11):
            version = ".".join(map(str, sys.version_info[:2]))
            raise SandboxError(
                f"the sandbox's servers need Python 3.11 or newer, and this is {version}. Run it "
                f"with a newer Python, or name one by python= or the variable {PYTHON_VARIABLE}; "
                "toast_boto with its extra 'sandbox' must be installed there."
            )
        for package in ("swift", "keystone", "keystonemiddleware", "eventlet"):
            if importlib.util.find_spec(package) is None:
                raise SandboxError(
                    f"the sandbox needs the package {package!r}: install toast_boto with its "
                    "extra 'sandbox' (in a clone: pip install '.[sandbox]')"
                )

    def _launch(self, directory: Path) -> dict[str, Any]:
        log = directory / "servers.log"
        with log.open("wb") as stderr:
            process = self._process = subprocess.Popen(
                [self._python, "-W", "ignore", "-m", "toast_boto.sandbox._child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=directory,
                env=self._child_environ(),
                start_new_session=True,  # a Ctrl-C is for the parent, which then stops the child
            )
        options = {**self._options, "directory": str(directory), "parent": os.getpid()}
        pipes = process.stdin, process.stdout
        with contextlib.suppress(BrokenPipeError), pipes[0]:  # type: ignore[union-attr]
            pipes[0].write(json.dumps(options).encode() + b"\n")  # type: ignore[union-attr]
        line = _read_line(pipes[1].fileno(), _START_SECONDS)  # type: ignore[union-attr]
        if not line:
            raise SandboxError(f"the servers did not start:\n{_tail(log)}")
        made: dict[str, Any] = json.loads(line)
        if "error" in made:
            raise SandboxError(made["error"])
        return made

    def _child_environ(self) -> dict[str, str]:
        environ = {
            name: value
            for name, value in os.environ.items()
            if not is_foreign(name) and not name.lower().endswith("_proxy")
        }
        if self._python == sys.executable:
            environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        return environ

    def switch_keystone(self, port: int, on: bool) -> None:
        """Stop or start Keystone alone, and wait until that is seen on its port.

        Raises:
            SandboxError: the servers do not run, or it took too long.
        """
        if not self.running:
            raise SandboxError(_NOT_RUNNING)
        os.kill(self._process.pid, signal.SIGUSR2 if on else signal.SIGUSR1)  # type: ignore[union-attr]
        deadline = time.monotonic() + _STOP_SECONDS
        while _listens(port) != on:
            if time.monotonic() > deadline:
                raise SandboxError(f"Keystone did not {'start' if on else 'stop'}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the servers and remove every file of theirs. Stopping twice is harmless."""
        process, self._process = self._process, None
        directory, self._directory, self._made = self._directory, None, None
        if directory is None or self._owner != os.getpid():
            return  # not started, or a forked copy, which must not stop its parent's servers
        if process:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        shutil.rmtree(directory, ignore_errors=True)


def _read_line(descriptor: int, seconds: float) -> bytes:
    """One line; nothing where the file or the time ends before it."""
    deadline = time.monotonic() + seconds
    line = b""
    while not line.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([descriptor], [], [], remaining)[0]:
            return b""
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return b""
        line += chunk
    return line


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
