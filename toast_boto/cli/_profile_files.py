"""Changes one profile in the AWS config and credentials files, and nothing else in them.

Comments, order, other sections, line ends and modes stay. A file is replaced in one step, and what
was there before is kept beside it.
"""

from __future__ import annotations

import configparser
import contextlib
import locale
import re
import stat
from pathlib import Path

from configupdater import ConfigUpdater, Section

from .._files import Staged, make_private_directory, stage_private
from .._profiles import path_of, profile_of
from ..errors import ConfigurationError
from ._profile_text import Changes, change_key, diff, parsed, verify

BACKUP_SUFFIX = ".toast-boto.bak"
_NO_NAMES = ("", configparser.DEFAULTSECT)  # the latter is what every section inherits from


class ProfileFile:
    """One of the two files, as it was read; changes are made in memory, staged, and put there.

    Args:
        name: path of the file, as the user gave it.
        prefixed: whether it is the config file, whose sections are called ``[profile x]``.
        private: whether nobody else may read it.

    Attributes:
        backup: where the file of before is kept, None where there was none.

    Raises:
        ConfigurationError: it can't be read.
    """

    def __init__(self, name: str, *, prefixed: bool, private: bool) -> None:
        self.name = name
        self._prefixed = prefixed
        self._private = private
        self._path = Path(path_of(name).resolve())  # a link, of a dotfiles manager, stays one
        if self._path.exists() and not self._path.is_file():
            raise ConfigurationError(f"{name} is no regular file, and can't be changed")
        self._staged: Staged | None = None
        self.backup: Path | None = None
        self.before = self._read()
        self.after = self._kept = self.before

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
        found = self._find(parsed(self.after, self.name), profile_name)
        return {} if found is None else {key: found[key].value or "" for key in found}

    def has(self, profile_name: str) -> bool:
        """Whether there is such a section."""
        return self._find(parsed(self.after, self.name), profile_name) is not None

    def _find(self, updater: ConfigUpdater, profile_name: str) -> Section | None:
        names = [s for s in updater.sections() if profile_of(s, self._prefixed) == profile_name]
        return updater[names[-1]] if names else None

    # -- changing

    def change(self, profile_name: str, changes: Changes) -> None:
        """Set the keys of a profile, or remove those whose value is None.

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
        if re.search(r'["[\]\x00-\x1f\x7f]', profile_name) or profile_name.strip() in _NO_NAMES:
            raise _no_name(profile_name)
        updater = parsed(text, self.name)
        section = self._find(updater, profile_name)
        if section is None:
            separator = "\n" if text and not text.endswith("\n\n") else ""
            updater = parsed(f"{text}{separator}[{self._section_name(profile_name)}]\n", self.name)
            section = self._find(updater, profile_name)
        if section is None:
            raise _no_name(profile_name)
        for key, value in changes.items():
            change_key(section, key, value)
        changed = str(updater)
        verify(text, changed, section.name, changes)
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
        """The change, without secrets."""
        return diff(self.before, self.after, self.name, private=self._private)

    def keep_out_of_backup(self, profile_name: str, key: str) -> None:
        """Leave a secret that was moved elsewhere out of the file of before."""
        after, self.after = self.after, self.before
        self.change(profile_name, {key: None})
        self._kept, self.after = self.after, after

    def _encoded(self, text: str) -> bytes:
        return text.encode(locale.getpreferredencoding(False))

    def stage(self) -> None:
        """Keep the file of before, and write the new one beside it.

        Raises:
            ConfigurationError: it can't be written; what was there is there still.
        """
        try:
            make_private_directory(self._path.parent)
            mode, owner = 0o600, None
            if self._path.is_file():
                found = self._path.stat()
                mode, owner = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
                self.backup = self._path.with_name(self._path.name + BACKUP_SUFFIX)
                stage_private(self.backup, self._encoded(self._kept), owner=owner).commit()
            data = self._encoded(self.after)
            mode = 0o600 if self._private else mode
            self._staged = stage_private(self._path, data, mode, owner)
        except (OSError, UnicodeEncodeError) as error:
            failure = self._failure(error)
        else:
            return
        raise failure

    def commit(self) -> None:
        """Put the new one in its place, in one step; raises as :meth:`stage`."""
        try:
            if self._staged is not None:
                self._staged.commit()
        except OSError as error:
            failure = self._failure(error)
        else:
            self._staged = None
            return
        raise failure

    def drop(self) -> None:
        """Forget what was staged and not put in its place."""
        if self._staged is not None:
            self._staged.drop()

    def undo(self) -> None:
        """Put the file of before back."""
        with contextlib.suppress(OSError):
            if self.backup is None:
                self._path.unlink()
            else:
                found = self._path.stat()
                mode, owner = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
                stage_private(self._path, self._encoded(self.before), mode, owner).commit()

    def _failure(self, error: OSError | UnicodeEncodeError) -> ConfigurationError:
        reason = f"({error.strerror})" if isinstance(error, OSError) else f"in {error.encoding}"
        return ConfigurationError(f"{self.name} can't be written {reason}. Nothing was changed.")


def _no_name(profile_name: str) -> ConfigurationError:
    return ConfigurationError(f"{profile_name!r} (--profile) can't be the name of a profile")


def write_all(files: list[ProfileFile]) -> None:
    """Write all of them, or none.

    Raises:
        ConfigurationError: one can't be written; all are as they were.
    """
    written: list[ProfileFile] = []
    try:
        for file in files:
            file.stage()
        for file in files:
            file.commit()
            written.append(file)
    except BaseException:
        for file in written:
            file.undo()
        for file in files:
            file.drop()
        raise
