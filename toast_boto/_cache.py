"""Keeps the key between processes: one file per identity, readable by its owner alone.

The file holds the secret, and nothing else does. It is made with mode 0600 in a directory of mode
0700, replaced atomically, and trusted only if it is a plain file of this user's that nobody else
can read. What can't be trusted is put aside with a warning; it is never an error, for the key can
be had from Keystone again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from ._files import Distrusted, FileVersion, make_private_directory, read_private, write_private
from ._keys import EC2Key
from .errors import CacheError, ToastBotoWarning

SCHEMA = 1
_LOCK_SECONDS = 120.0
_NAME = "[0-9a-f]" * 40  # of an identity's files; others may keep theirs beside them


def entry_name(auth_url: str, tenant_id: str, username: str, *domains: str) -> str:
    """The file name of an identity: a hash, so that no name or tenant shows in it."""
    text = json.dumps([auth_url, tenant_id, username, *domains])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:40]


class Entry:
    """What is kept of an identity.

    Args:
        key: the key.
        checked_at: when Keystone last listed it, in seconds since the epoch.
        endpoints: the S3 endpoint URLs of the token's catalogue, by region.
    """

    __slots__ = ("checked_at", "endpoints", "key")

    def __init__(self, key: EC2Key, checked_at: float, endpoints: dict[str, str]) -> None:
        self.key = key
        self.checked_at = checked_at
        self.endpoints = endpoints

    def __repr__(self) -> str:
        return f"Entry({self.key!r}, checked_at={self.checked_at!r}, {self.endpoints!r})"


class Cache(Protocol):
    """What is needed of a cache."""

    def read(self) -> Entry | None: ...
    def write(self, entry: Entry) -> None: ...
    def clear(self) -> bool: ...
    def lock(self, seconds: float | None = None) -> AbstractContextManager[None]: ...


class MemoryCache:
    """The cache of one session, for those who want no file."""

    def read(self) -> Entry | None:
        return None

    def write(self, entry: Entry) -> None:
        """The broker remembers it; there is nowhere else to put it."""

    def clear(self) -> bool:
        return False

    @contextlib.contextmanager
    def lock(self, seconds: float | None = None) -> Iterator[None]:
        yield


class FileCache:
    """The cache file of one identity.

    Args:
        directory: where it is; made when first written to.
        name: of :func:`entry_name`.
        tenant_id: the tenant that the key must be for; another's is not this identity's file.
        lock_seconds: how long to wait for another process that is getting the key.
    """

    def __init__(
        self, directory: Path, name: str, tenant_id: str, lock_seconds: float = _LOCK_SECONDS
    ) -> None:
        self._directory = directory
        # Another schema has another name, so that two versions of this package don't fight.
        self._path = directory / f"{name}.v{SCHEMA}.json"
        self._lock_path = directory / f"{name}.lock"
        self._tenant_id = tenant_id
        self._lock_seconds = lock_seconds
        self._warned = False

    def read(self) -> Entry | None:
        """The entry, without a lock; None when there is none that can be trusted."""
        try:
            data, version = read_private(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._warn(f"the key cache {self._path} can't be read ({error.strerror})")
            return None
        except Distrusted as error:
            self._put_aside(str(error), error.version)
            return None
        try:
            return self._parse(data)
        except Exception:  # whatever can be wrong with it, it is not worth a crash
            self._put_aside("it is damaged", version)
            return None

    def _parse(self, data: bytes) -> Entry:
        fields = json.loads(data)
        if fields["schema"] != SCHEMA:
            raise ValueError("schema")
        key = EC2Key.from_json(fields["key"])
        if key.tenant_id != self._tenant_id:
            raise ValueError("another tenant's key")
        endpoints = fields["endpoints"]
        if not all(isinstance(text, str) for item in endpoints.items() for text in item):
            raise ValueError("endpoints")
        checked_at = float(fields["checked_at"])
        if not math.isfinite(checked_at):
            raise ValueError("checked_at")
        return Entry(key, checked_at, endpoints)

    def write(self, entry: Entry) -> None:
        """Replace the entry; where that is impossible, warn once and go on without a file."""
        fields = {
            "schema": SCHEMA,
            "checked_at": entry.checked_at,
            "endpoints": entry.endpoints,
            "key": entry.key.to_json(),
        }
        try:
            make_private_directory(self._directory)
            write_private(self._path, json.dumps(fields).encode("utf-8"))
        except OSError as error:
            self._warn(f"the key cache {self._directory} can't be written ({error.strerror})")

    def clear(self) -> bool:
        """Forget the entry; answers whether there was one.

        Raises:
            CacheError: it can't be removed.
        """
        return _remove(self._path)

    @contextlib.contextmanager
    def lock(self, seconds: float | None = None) -> Iterator[None]:
        """Hold the identity's lock against other threads and processes.

        Args:
            seconds: how long to wait for it, if less than usual.

        Raises:
            CacheError: somebody else held it for the whole time limit.
        """
        import filelock  # noqa: PLC0415 - only a miss pays for it

        seconds = self._lock_seconds if seconds is None else min(seconds, self._lock_seconds)
        lock = filelock.FileLock(str(self._lock_path), timeout=seconds, mode=0o600)
        try:
            make_private_directory(self._directory)
            lock.acquire()
        except filelock.Timeout:
            raise CacheError(
                f"the lock {self._lock_path} was held by another process for "
                f"{seconds:g} s. Try again when that is done, or end it; "
                "TOAST_CACHE=memory does without the file."
            ) from None
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or error
            self._warn(f"the key cache {self._directory} can't be locked ({reason})")
        try:
            yield
        finally:
            lock.release()

    def _put_aside(self, reason: str, version: FileVersion) -> None:
        aside = self._path.with_suffix(".bad")
        moved = f"; it was moved to {aside.name}"
        try:
            # Not a good file that another process has put in its place meanwhile.
            if FileVersion.of(self._path.lstat()) != version:
                return
            self._path.replace(aside)
            if not aside.is_symlink():
                aside.chmod(0o600)
        except OSError:
            moved = ""
        warnings.warn(
            f"the key cache {self._path} is not used, because {reason}{moved}. "
            "The key is asked of Keystone again.",
            ToastBotoWarning,
            stacklevel=2,
        )

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{text}. Every process now has to ask Keystone for the key. Let TOAST_CACHE_DIR "
                "name a directory that can be written, or set TOAST_CACHE=memory.",
                ToastBotoWarning,
                stacklevel=2,
            )


def cached_access_keys(directory: Path) -> set[str]:
    """The access keys in all cache files of a directory, whoever's they are."""
    found = set()
    for path in _files(directory):
        # What can't be read or trusted is mended where it is used.
        with contextlib.suppress(OSError, Distrusted, ValueError, LookupError, TypeError):
            found.add(str(json.loads(read_private(path)[0])["key"]["access"]))
    return found


def clear_all(directory: Path) -> int:
    """Forget the entries of all identities; answers how many there were.

    Locks and notes stay: they hold no key, and another process may use them.

    Raises:
        CacheError: one can't be removed.
    """
    for path in directory.glob(f"{_NAME}.v*.bad"):
        _remove(path)
    return sum(_remove(path) for path in _files(directory))


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"{_NAME}.v{SCHEMA}.json"))


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise CacheError(f"the key cache {path} can't be removed: {error.strerror}") from None
    return True
