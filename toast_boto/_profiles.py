"""Reads a profile out of the AWS config and credentials files, and remembers which file said what.

Botocore reads the same files, but merges them without a trace; here an error can name the file.
A contract test holds the two readings together.
"""

from __future__ import annotations

import configparser
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .errors import ConfigurationError

CONFIG_FILE = "~/.aws/config"
CREDENTIALS_FILE = "~/.aws/credentials"
NOBODY = "the default"
PROFILE_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")  # the first one set counts


class Profile(NamedTuple):
    """One profile: its keys, where each came from, and whether it was named in code.

    ``values`` maps a key to its value and the path of its file. A repr never shows values.
    """

    name: str
    named: bool
    values: dict[str, tuple[str, str]]

    def text(self, key: str) -> str:
        """The value of a key; empty where there is none."""
        return self.values.get(key, ("", ""))[0]

    def __repr__(self) -> str:
        return f"Profile(name={self.name!r}, named={self.named!r}, keys={sorted(self.values)!r})"


def profile_in_use(environ: Mapping[str, str], name: str | None = None) -> Profile:
    """The profile that botocore would use, without botocore.

    Args:
        environ: the environment variables.
        name: of a profile that a command line named, None for the ambient one.

    Raises:
        ConfigurationError: there is no such profile, or a file can't be read.
    """
    config_file, credentials_file = file_names(environ)
    named = bool(name)
    source, name = ("--profile", name) if name else ambient_name(environ)
    profiles = _read_all(config_file, credentials_file)
    if name not in profiles and source != NOBODY:
        import difflib  # noqa: PLC0415 - only for a text

        near = difflib.get_close_matches(name, profiles, 1)
        raise ConfigurationError(
            f"there is no profile {name!r} ({source}) in {config_file} or {credentials_file}"
            f"{f' - {near[0]!r} is meant?' if near else ''}; there are: "
            f"{', '.join(sorted(profiles)) or 'none'}. `toast-boto configure --profile "
            f"{shlex.quote(name)}` makes one."
        )
    return Profile(name, named, profiles.get(name, {}))


def ambient_name(environ: Mapping[str, str]) -> tuple[str, str]:
    """What names the ambient profile, and its name, in botocore's order."""
    for variable in PROFILE_VARIABLES:
        if environ.get(variable):
            return variable, environ[variable]
    return NOBODY, "default"


def file_names(environ: Mapping[str, str]) -> tuple[str, str]:
    """The paths of config and credentials file, as botocore finds them."""
    return (
        environ.get("AWS_CONFIG_FILE") or CONFIG_FILE,
        environ.get("AWS_SHARED_CREDENTIALS_FILE") or CREDENTIALS_FILE,
    )


def profile_names(config_file: str, credentials_file: str) -> set[str]:
    """The names of all profiles of the two files.

    Raises:
        ConfigurationError: a file can't be read.
    """
    return set(_read_all(config_file, credentials_file))


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
    return Profile(name, named, _read_all(config_file, credentials_file).get(name, {}))


def _read_all(config_file: str, credentials_file: str) -> dict[str, dict[str, tuple[str, str]]]:
    """The values of every profile, as :class:`Profile` has them; each file is read once."""
    profiles: dict[str, dict[str, tuple[str, str]]] = {}
    for path, prefixed in ((config_file, True), (credentials_file, False)):
        for section, items in _sections(path).items():
            name = profile_of(section, prefixed)
            if name:
                values = profiles.setdefault(name, {})
                values.update({key: (value, path) for key, value in items.items()})
    return profiles


def services_endpoint(config_file: str, services: str) -> str:
    """The S3 endpoint of a ``[services x]`` section, empty where it has none.

    Raises:
        ConfigurationError: the file can't be read.
    """
    for section, items in _sections(config_file).items():
        if section.split() == ["services", services]:
            for line in items.get("s3", "").splitlines():
                name, _, value = line.partition("=")
                if name.strip() == "endpoint_url":
                    return value.strip()
    return ""


def profile_of(section: str, prefixed: bool) -> str | None:
    """Which profile a section is, None for one that is none.

    Args:
        section: its name, as the file has it.
        prefixed: whether it is the config file's, which writes ``[profile x]``, but ``[default]``.
    """
    if not prefixed or section == "default":
        return section
    try:
        words = shlex.split(section)
    except ValueError:
        return None
    return words[1] if len(words) == 2 and words[0] == "profile" else None


def path_of(name: str) -> Path:
    """A file's path, expanded as botocore expands it."""
    return Path(os.path.expanduser(os.path.expandvars(name)))


def login_profiles_hint(environ: Mapping[str, str], flags: bool) -> str:
    """Which profiles have a login, for those who have named none."""
    try:
        profiles = _read_all(*file_names(environ))
    except ConfigurationError:  # of a broken file; whoever needs it will say so
        return ""
    names = sorted(name for name, values in profiles.items() if "toast_username" in values)
    if not names:
        return ""
    how = f"--profile {shlex.quote(names[0])}" if flags else f"profile_name={names[0]!r}"
    return (
        f" {'The profile' if len(names) == 1 else 'The profiles'} {', '.join(map(repr, names))} "
        f"{'has' if len(names) == 1 else 'have'} a login: set AWS_PROFILE={shlex.quote(names[0])}, "
        f"or give {how}."
    )


def where_broken(error: configparser.Error) -> str:
    """At which line a file is no INI file, in words; its text may hold a key, and is not quoted."""
    lines = getattr(error, "errors", None)  # of a ParsingError: line numbers and lines
    line = lines[0][0] if lines else getattr(error, "lineno", None)
    return f" (line {line})" if line else ""


def what_is_broken(error: configparser.Error) -> str:
    """What is wrong with a file that is no INI file, in words."""
    words = {
        configparser.DuplicateOptionError: "a key stands twice in its section",
        configparser.DuplicateSectionError: "a section stands twice",
        configparser.MissingSectionHeaderError: "something stands before the first [section]",
        configparser.ParsingError: "a line is neither [section] nor key = value",
    }
    return words.get(type(error), type(error).__name__)


def _sections(path: str) -> dict[str, dict[str, str]]:
    # As botocore reads them, in the locale's encoding, and without interpolation.
    expanded = path_of(path)
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
        where = where_broken(error)
        failure = f"is no valid AWS file{where}: {what_is_broken(error)}"
    if failure:  # raised out here: what was caught quotes the file, which may hold a key
        raise ConfigurationError(f"{path} {failure}")
    return {section: dict(parser.items(section)) for section in parser.sections()}
