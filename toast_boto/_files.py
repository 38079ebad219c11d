"""Reads and writes small files that nobody but their owner may touch."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

MAX_BYTES = 64 * 1024


class Distrusted(Exception):
    """A file that can't be trusted; the text says why.

    Args:
        reason: in words.
        version: of the file that was looked at.
    """

    def __init__(self, reason: str, version: FileVersion) -> None:
        super().__init__(reason)
        self.version = version


class FileVersion(NamedTuple):
    """Which file it was that stood at a path; another one that replaces it differs."""

    device: int
    inode: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileVersion:
        return cls(found.st_dev, found.st_ino, found.st_mtime_ns)


def read_private(path: Path) -> tuple[bytes, FileVersion]:
    """The bytes of a file that nobody else could have written or read.

    Raises:
        OSError: it can't be opened or read.
        Distrusted: it is no plain file, somebody else's, open to others, or too large.
    """
    at_path = path.lstat()
    version = FileVersion.of(at_path)
    if stat.S_ISLNK(at_path.st_mode):
        raise Distrusted("it is a symbolic link", version)
    # Not to wait for a pipe's other end, and not to follow a link that came this very moment.
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags)
    try:
        found = os.fstat(descriptor)
        version = FileVersion.of(found)
        reason = _distrust(found)
        if reason:
            raise Distrusted(reason, version)
        data = b""
        while len(data) <= MAX_BYTES and (chunk := os.read(descriptor, MAX_BYTES)):
            data += chunk
        return data, version
    finally:
        os.close(descriptor)


def _distrust(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if hasattr(os, "geteuid"):  # elsewhere than POSIX the profile folder's rights protect it
        if found.st_uid != os.geteuid():
            return "it belongs to another user"
        if found.st_mode & 0o077:
            return f"others may read it (mode {stat.S_IMODE(found.st_mode):o})"
    return "it is too large" if found.st_size > MAX_BYTES else ""


class Staged(NamedTuple):
    """A file that is written, and not yet in its place."""

    path: Path
    temporary: Path

    def commit(self) -> None:
        """Put it in its place, in one step; what was there is gone.

        Raises:
            OSError: that is impossible; what was there is there still.
        """
        try:
            self.temporary.replace(self.path)
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Remove it."""
        with contextlib.suppress(OSError):
            self.temporary.unlink()


def stage_private(
    path: Path, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> Staged:
    """Write a file beside the place where it is to be; it has mode 0600 from its first moment.

    Args:
        path: where it is to be.
        data: what will be in it.
        mode: what it has at last, where others may read it.
        owner: user and group, None for this process's.

    Raises:
        OSError: it can't be written, or not for that owner.
    """
    import tempfile  # noqa: PLC0415 - only a write pays for it

    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}.", dir=path.parent)
    staged = Staged(path, Path(name))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if owner is not None and hasattr(os, "fchown"):
                found = os.fstat(file.fileno())
                if (found.st_uid, found.st_gid) != owner:
                    os.fchown(file.fileno(), *owner)
            if mode != 0o600:
                staged.temporary.chmod(mode)
    except BaseException:
        staged.drop()
        raise
    return staged


def write_private(path: Path, data: bytes) -> None:
    """Replace a file in one step; it has mode 0600 from its first moment.

    Raises:
        OSError: it can't be written; what was there before is there still.
    """
    stage_private(path, data).commit()


def make_private_directory(directory: Path) -> None:
    """Make a directory, and what is missing on the way to it, with mode 0700.

    Raises:
        OSError: it can't be made, or something else stands there.
    """
    if not directory.is_absolute():
        raise OSError(errno.ENOENT, "there is no home directory")
    missing = [p for p in (directory, *directory.parents) if not p.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    if not directory.is_dir():
        raise OSError(errno.ENOTDIR, "it is no directory")
