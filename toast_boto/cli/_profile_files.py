"""Changes one profile in the AWS config and credentials files, and nothing else in them.

Comments, order, other sections, line ends and modes stay. A file is replaced in one step, and what
was there before is kept beside it.
"""

from __future__ import annotations

import configparser
import difflib
import locale
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from configupdater import ConfigUpdater, Section

from .._files import make_private_directory, write_private
from .._profiles import path_of, profile_of, where_broken
from ..errors import ConfigurationError

BACKUP_SUFFIX = ".toast-boto.bak"
_NESTED_INDENT = "  "
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class ProfileFile:
    """One of the two files, as it was read; changes are made in memory until :meth:`write`.

    Args:
        name: path of the file, as the user gave it.
        prefixed: whether it is the config file, whose sections are called ``[profile x]``.
        private: whether nobody else may read it.

    Raises:
        ConfigurationError: it can't be read.
    """

    def __init__(self, name: str, *, prefixed: bool, private: bool) -> None:
        self.name = name
        self._prefixed = prefixed
        self._private = private
        self._path = Path(path_of(name).resolve())  # a link, of a dotfiles manager, stays one
        self.before = self._read()
        self.after = self.before

    def _read(self) -> str:
        failure = ""
        try:
            with self._path.open(newline="") as file:  # in the locale's encoding, as botocore
                return file.read()
        except FileNotFoundError:
            return ""
        except OSError as error:
            failure = f"can't be read: {error.strerror}"
        except UnicodeDecodeError as error:
            failure = f"can't be read: it is not in {error.encoding}"
        raise ConfigurationError(f"{self.name} {failure}")

    # -- looking

    def section(self, profile_name: str) -> dict[str, str]:
        """The keys of a profile; empty where there is none."""
        found = self._find(_parsed(self.after, self.name), profile_name)
        return {} if found is None else {key: found[key].value or "" for key in found}

    def has(self, profile_name: str) -> bool:
        """Whether there is such a section."""
        return self._find(_parsed(self.after, self.name), profile_name) is not None

    def _find(self, updater: ConfigUpdater, profile_name: str) -> Section | None:
        names = [s for s in updater.sections() if profile_of(s, self._prefixed) == profile_name]
        return updater[names[-1]] if names else None

    # -- changing

    def change(
        self, profile_name: str, changes: Mapping[str, str | Mapping[str, str] | None]
    ) -> None:
        """Set the keys of a profile, or remove those whose value is None.

        A value that is a mapping is a nested one (``s3 =``), of which the other keys stay.

        Raises:
            ConfigurationError: a value can't stand in such a file, or the file is none.
        """
        crlf = "\r\n" in self.after and "\n" not in self.after.replace("\r\n", "")
        text = self.after.replace("\r\n", "\n") if crlf else self.after
        if text and not text.endswith("\n"):
            text += "\n"
        wanted = {key: value for key, value in changes.items() if value is not None}
        if not wanted and not self.has(profile_name):
            return
        if re.search(r'["\x00-\x1f\x7f]', profile_name) or not profile_name.strip():
            raise _no_name(profile_name)
        updater = _parsed(text, self.name)
        section = self._find(updater, profile_name)
        if section is None:
            separator = "\n" if text and not text.endswith("\n\n") else ""
            updater = _parsed(f"{text}{separator}[{self._section_name(profile_name)}]\n", self.name)
            section = self._find(updater, profile_name)
        if section is None:
            raise _no_name(profile_name)
        for key, value in changes.items():
            _change(section, key, value)
        changed = str(updater)
        _verify(text, changed, section.name, changes)
        self.after = changed.replace("\n", "\r\n") if crlf else changed

    def _section_name(self, profile_name: str) -> str:
        if profile_name == "default" or not self._prefixed:
            return profile_name
        quoted = profile_name if re.fullmatch(r"[\w.@+-]+", profile_name) else f'"{profile_name}"'
        return f"profile {quoted}"

    # -- the outcome

    @property
    def changed(self) -> bool:
        """Whether there is something to write."""
        return self.after != self.before

    def diff(self) -> str:
        """The change; of a private file the values are left out."""
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            self.name,
            self.name,
            n=0 if self._private else 2,
            lineterm="",
        )
        if self._private:
            lines = (re.sub(r"^([+ -]\s*[^\s=:+-][^=:]*[=:]).*", r"\1 ***", line) for line in lines)
        return "".join(f"{line}\n" for line in lines)

    def write(self) -> Path | None:
        """Write what changed; answers where the file of before is, None where there was none.

        Raises:
            ConfigurationError: it can't be written; what was there is there still.
        """
        backup = None
        try:
            make_private_directory(self._path.parent)
            mode = 0o600
            if self._path.exists():
                backup = self._path.with_name(self._path.name + BACKUP_SUFFIX)
                write_private(backup, self._path.read_bytes())
                mode = stat.S_IMODE(self._path.stat().st_mode)
            data = self.after.encode(locale.getpreferredencoding(False))
            write_private(self._path, data, 0o600 if self._private else mode)
        except OSError as error:
            failure = f"{self.name} can't be written: {error.strerror}"
        except UnicodeEncodeError as error:
            failure = f"{self.name} can't be written in {error.encoding}"
        else:
            return backup
        raise ConfigurationError(f"{failure}. Nothing in it was changed.")


def _no_name(profile_name: str) -> ConfigurationError:
    return ConfigurationError(f"{profile_name!r} (--profile) can't be the name of a profile")


def _parsed(text: str, name: str) -> ConfigUpdater:
    updater = ConfigUpdater()
    try:
        updater.read_string(text)
    except configparser.Error as error:
        where = where_broken(error)
        failure = f"{name} is no valid AWS file{where}: {type(error).__name__}"
    else:
        return updater
    raise ConfigurationError(f"{failure}. Nothing in it was changed.")  # the other quotes the file


def _change(section: Section, key: str, value: str | Mapping[str, str] | None) -> None:
    if value is None:
        if key in section:
            del section[key]
    elif isinstance(value, str):
        if _CONTROL.search(value):
            raise ConfigurationError(
                f"the profile is not written: the value of {key} has a line's end or the like in it"
            )
        _option(section, key)
        if section[key].value != value:
            section[key].value = value
    else:
        lines = (section[key].value or "").splitlines() if key in section else []
        known = dict(_pair(line) for line in lines if "=" in line)
        if any(known.get(name) != text for name, text in value.items()):
            _option(section, key)
            pairs = {**known, **value}.items()
            section[key].set_values([f"{n} = {v}" for n, v in pairs], indent=_NESTED_INDENT)


def _option(section: Section, key: str) -> None:
    """See that a section has a key; a new one comes after its last, not after what follows it."""
    if key in section:
        return
    options = section.option_blocks()
    if options:
        options[-1].add_after.option(key, "")
    else:
        section.set(key, "")


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip(), value.strip()


def _verify(
    before: str,
    after: str,
    section_name: str,
    changes: Mapping[str, str | Mapping[str, str] | None],
) -> None:
    """See that the section says what it should, and that everything else stands as it stood.

    Raises:
        ConfigurationError: it does not.
    """
    parser, old = configparser.RawConfigParser(), configparser.RawConfigParser()
    old.read_string(before)
    failure = ""
    try:
        parser.read_string(after)
    except configparser.Error:
        failure = "the file would be damaged"
    else:
        for key, value in changes.items():
            if not isinstance(value, Mapping) and parser[section_name].get(key) != value:
                failure = f"the value of {key} can't stand there; edit the file by hand"
        for name in old.sections():
            if name != section_name and dict(old[name]) != dict(parser[name]):
                failure = f"the section [{name}] would be changed"
    outside = _outside(before, section_name)
    if not failure and _outside(after, section_name) != outside:
        failure = "lines outside of the profile would be changed"
    if failure:
        raise ConfigurationError(f"the profile is not written: {failure}")


def _outside(text: str, section_name: str) -> list[str]:
    """The lines that are not of a section, without blank ones."""
    inside, found = False, []
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.startswith(f"[{section_name}]")
        if not inside and line.strip():
            found.append(line)
    return found
