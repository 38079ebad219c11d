"""What the command line says on stderr, and the code with which it ends.

Without click, for the one command that must be quick.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from .errors import (
    AuthenticationError,
    ConfigurationError,
    IdentityUnavailableError,
    KeyQuotaError,
    ToastBotoError,
)

EXIT_UNEXPECTED = 1
EXIT_CONFIGURATION = 2
EXIT_REFUSED = 3
EXIT_UNREACHABLE = 4
EXIT_QUOTA = 5
EXIT_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count

_CODES = (
    (ConfigurationError, EXIT_CONFIGURATION),
    (AuthenticationError, EXIT_REFUSED),
    (IdentityUnavailableError, EXIT_UNREACHABLE),
    (KeyQuotaError, EXIT_QUOTA),
)


def exit_code(error: ToastBotoError) -> int:
    """The exit code of one of our errors."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), EXIT_UNEXPECTED)


def unexpected(error: Exception) -> int:
    """Say that something was raised that nobody foresaw; answers the exit code."""
    if isinstance(error, OSError) and error.strerror:
        say(f"{error.strerror}{f': {error.filename}' if error.filename else ''}")
    else:
        # Not its text: nobody has seen to it that it holds no secret.
        say(f"{type(error).__name__} was raised, which nobody expected. --debug shows where.")
    with contextlib.suppress(OSError, AttributeError, ValueError):
        sys.stdout.flush()
        return EXIT_UNEXPECTED
    sys.stdout = None  # or Python tries it again at its end
    return EXIT_UNEXPECTED


def say(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"toast-boto: {text}\n")


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    say(f"warning: {message}")


@contextlib.contextmanager
def warnings_in_words() -> Iterator[None]:
    """Show warnings as one line in words, without the file that they came from."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        yield
