"""What the doctor found, and how it says it."""

from __future__ import annotations

from typing import Any, NamedTuple

import click

from .._talk import EXIT_CONFIGURATION

OK, WARNING, FAILED = "ok", "warning", "failed"
_COLOURS = {OK: "green", WARNING: "yellow", FAILED: "red"}


class Finding(NamedTuple):
    """One line of the report."""

    level: str
    subject: str
    text: str
    way_out: str = ""
    code: int = 0
    """The exit code of what failed."""

    def fields(self) -> dict[str, Any]:
        """For JSON."""
        names = ("level", "subject", "text", "way_out")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


class Report:
    """The findings in their order.

    Args:
        shown: whether each is shown when it comes.
    """

    def __init__(self, shown: bool = True) -> None:
        self.findings: list[Finding] = []
        self._shown = shown

    def ok(self, subject: str, text: str) -> None:
        """Something is as it should be."""
        self._add(Finding(OK, subject, text))

    def warning(self, subject: str, text: str, way_out: str) -> None:
        """Something works, but perhaps not as it was meant."""
        self._add(Finding(WARNING, subject, text, way_out))

    def failed(
        self, subject: str, text: str, way_out: str = "", code: int = EXIT_CONFIGURATION
    ) -> None:
        """Something does not work; the text may hold the way out itself."""
        self._add(Finding(FAILED, subject, text, way_out, code))

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        if self._shown:
            level = click.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
            click.echo(f"{level} {finding.subject}: {finding.text}")
            if finding.way_out:
                click.echo(f"{'':8} -> {finding.way_out}")

    @property
    def exit_code(self) -> int:
        """0 where nothing failed, else the code of what failed first."""
        return next((f.code for f in self.findings if f.level == FAILED), 0)

    def summary(self) -> str:
        """How many of each."""
        counts = [(level, sum(f.level == level for f in self.findings)) for level in _COLOURS]
        plural = {WARNING: "s"}
        return ", ".join(
            f"{count} {level}{plural.get(level, '') if count > 1 else ''}"
            for level, count in counts
            if count
        )
