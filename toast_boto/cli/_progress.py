"""What a person sees while they wait; silent where no person looks."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

import click

_STEP_SECONDS = 0.5


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show a text on the terminal for as long as something lasts."""
    if not sys.stderr.isatty():
        yield
        return
    click.echo(f"{text} ...", err=True, nl=False)
    try:
        yield
    finally:
        click.echo("\r\033[K", err=True, nl=False)


def count_down(seconds: float) -> None:
    """Wait, with a bar on the terminal."""
    if not sys.stderr.isatty():
        time.sleep(seconds)
        return
    ends = time.monotonic() + seconds
    with click.progressbar(length=max(int(seconds), 1), label="Waiting", file=sys.stderr) as bar:
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(_STEP_SECONDS, left))
            bar.update(max(int(seconds - left) - bar.pos, 0))
        bar.update(max(int(seconds), 1) - bar.pos)
