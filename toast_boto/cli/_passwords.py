"""Keeps the API password in the system's keyring, by the well-known package of that name."""

from __future__ import annotations

import shlex
from typing import Any

from .._settings import Settings
from ..errors import ConfigurationError
from ._program import script

_SERVICE = "toast-boto"


def is_keyring_command(command: str) -> bool:
    """Whether a password command is one that :func:`keep_in_keyring` gave."""
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return "get" in words and any(word.startswith(f"{_SERVICE} ") for word in words)


def keep_in_keyring(settings: Settings, *, write: bool) -> str:
    """Put the password into the keyring; answers the command that prints it.

    Args:
        settings: with a password.
        write: whether to do it, or only to say by what command it would be read.

    Raises:
        ConfigurationError: the extra is not installed, or there is no keyring.
    """
    keyring = check_keyring()
    service, username = f"{_SERVICE} {settings.auth_url}", settings.text("username")
    if write:
        failure = ""
        try:
            keyring.set_password(service, username, settings.text("password"))
        except Exception as error:  # every backend has its own, and none is chained
            failure = type(error).__name__
        if failure:
            raise ConfigurationError(
                f"the keyring did not take the password ({failure}). `keyring --list-backends` "
                "says which there are; --store credentials keeps it in the AWS credentials file."
            )
    return shlex.join([*script("keyring"), "get", service, username])


def check_keyring() -> Any:
    """The package keyring.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import keyring  # noqa: PLC0415 - an extra
    except ImportError:
        pass
    else:
        return keyring
    raise ConfigurationError("--store keyring needs an extra: pip install 'toast-boto[keyring]'")
