"""The command ``toast-boto``, also ``python -m toast_boto``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with its code."""
    from . import _credential_process  # noqa: PLC0415 - `import toast_boto.__main__` costs nothing

    arguments = sys.argv[1:]
    if _credential_process.takes(arguments):
        sys.exit(_credential_process.main(arguments))
    from .cli import main as run  # noqa: PLC0415 - which needs click

    sys.exit(run())


if __name__ == "__main__":
    main()
