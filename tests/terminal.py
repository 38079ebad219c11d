"""A person at a terminal, for the commands that ask."""

from __future__ import annotations

import os
import sys
from typing import Any

import pexpect


class Terminal:
    """A command that runs on a terminal of its own; what is typed is answered by the command."""

    def __init__(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "toast_boto", *arguments],
            env={**os.environ, **(environ or {}), "TERM": "xterm", "COLUMNS": "200"},
            encoding="utf-8",
            timeout=60,
            dimensions=(50, 200),
        )
        self.seen = ""

    def answer(self, question: str, answer: str) -> None:
        """Wait for a question, and type."""
        self._child.expect_exact(question)
        self.seen += self._child.before + self._child.after
        self._child.sendline(answer)

    def answer_unseen(self, question: str, answer: str) -> None:
        """The same, for what the terminal does not show; typed when that has begun."""
        self._child.expect_exact(question)
        self.seen += self._child.before + self._child.after
        assert self._child.waitnoecho(20)
        self._child.sendline(answer)

    def wait(self) -> int:
        """Read to the end; answers the exit code."""
        self._child.expect(pexpect.EOF)
        self.seen += self._child.before
        self._child.close()
        return int(self._child.exitstatus if self._child.exitstatus is not None else -1)

    def interrupt(self, text: str) -> None:
        """Wait for a text, and press Ctrl-C."""
        self._child.expect_exact(text)
        self.seen += self._child.before + self._child.after
        self._child.sendintr()

    @property
    def child(self) -> Any:
        """Pexpect's own object."""
        return self._child
