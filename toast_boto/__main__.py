"""The command ``toast-boto``, also ``python -m toast_boto``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with its code."""
    from .cli import main as run  # noqa: PLC0415 - commands that must be quick will not need click

    sys.exit(run())


if __name__ == "__main__":
    main()
