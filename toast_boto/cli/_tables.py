"""Prints tables on stdout."""

from __future__ import annotations

from collections.abc import Sequence

import click


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under heads, in columns as wide as they need."""
    lines = [list(heads), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    for number, line in enumerate(lines):
        text = "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True))
        click.secho(text.rstrip(), bold=number == 0)
