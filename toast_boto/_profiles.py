"""Reads a profile out of the AWS config and credentials files, and remembers which file said what.

Botocore reads the same files, but merges them without a trace; here an error can name the file.
A contract test holds the two readings together.
"""

from __future__ import annotations

import configparser
import os
import shlex
from pathlib import Path
from typing import NamedTuple

from .errors import ConfigurationError

CONFIG_FILE = "~/.aws/config"
CREDENTIALS_FILE = "~/.aws/credentials"


class Profile(NamedTuple):
    """One profile: its keys, where each came from, and whether it was named in code.

    ``values`` maps a key to its value and the path of its file. A repr never shows values.
    """

    name: str
    named: bool
    values: dict[str, tuple[str, str]]

    def __repr__(self) -> str:
        return f"Profile(name={self.name!r}, named={self.named!r}, keys={sorted(self.values)!r})"


def read_profile(
    name: str,
    *,
    named: bool = False,
    config_file: str = CONFIG_FILE,
    credentials_file: str = CREDENTIALS_FILE,
) -> Profile:
    """Read a profile; the credentials file's keys win over the config file's, as in botocore.

    Args:
        name: of the profile; ``default`` for the default one.
        named: whether code or a command line named it, rather than the environment.
        config_file, credentials_file: paths; ``~`` and variables are expanded.

    Raises:
        ConfigurationError: a file is there and can't be read or parsed.
    """
    values: dict[str, tuple[str, str]] = {}
    for path, prefixed in ((config_file, True), (credentials_file, False)):
        for section, items in _sections(path).items():
            if _profile_name(section, prefixed) == name:
                values.update({key: (value, path) for key, value in items.items()})
    return Profile(name, named, values)


def _profile_name(section: str, prefixed: bool) -> str | None:
    """Which profile a section is; the config file writes ``[profile x]``, but ``[default]``."""
    if not prefixed or section == "default":
        return section
    try:
        words = shlex.split(section)
    except ValueError:
        return None
    return words[1] if len(words) == 2 and words[0] == "profile" else None


def _sections(path: str) -> dict[str, dict[str, str]]:
    # As botocore expands and reads them, in the locale's encoding, and without interpolation.
    expanded = Path(os.path.expanduser(os.path.expandvars(path)))
    if not expanded.is_file():
        return {}
    parser = configparser.RawConfigParser()
    failure = ""
    try:
        parser.read(expanded)
    except OSError as error:
        failure = f"can't be read: {error.strerror}"
    except UnicodeDecodeError as error:
        failure = f"can't be read: it is not in {error.encoding}"
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        where = f" (line {line})" if line else ""
        failure = f"is no valid AWS file{where}: {type(error).__name__}"
    if failure:  # raised out here: what was caught quotes the file, which may hold a key
        raise ConfigurationError(f"{path} {failure}")
    return {section: dict(parser.items(section)) for section in parser.sections()}
