"""Small notes that the processes of one host leave each other beside the cache file.

When Keystone was last asked about a key, and with what failure somebody has just asked in vain. No
note holds a secret. Notes are a courtesy: where they can't be read or written, each process goes by
its own.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

from . import errors
from ._files import Distrusted, read_private, write_private

ASK_AGAIN_SECONDS = 60.0


class Refusal(enum.Enum):
    """What the S3 server's refusal of a key looked like."""

    SIGNATURE = "signature"
    """It does not know the key: SignatureDoesNotMatch, InvalidAccessKeyId."""
    DENIED = "denied"
    """It may be the key, but is more often a missing right: AccessDenied, a bare 403."""


class Notes:
    """Notes by name, each a dictionary.

    Args:
        path: of the file; None keeps them in memory.
        clock: seconds since the epoch.
        settings: a text that differs for processes whose settings differ; no secret.
    """

    def __init__(
        self,
        path: Path | None = None,
        clock: Callable[[], float] = time.time,
        settings: str = "",
    ) -> None:
        self._path = path
        self._settings = hashlib.sha256(settings.encode("utf-8")).hexdigest()
        self._clock = clock
        self._own: dict[str, dict[str, Any]] = {}
        self._unsaved: set[str] = set()  # notes that stand in no file, and count nevertheless

    def may_ask(self, access: str, refusal: Refusal) -> bool:
        """Whether Keystone may be asked about a key: once a minute for each kind of refusal.

        An ordinary missing right must not keep us from seeing that the key is gone.
        """
        asked = self._get("asked")
        at = asked.get(refusal.value) if asked.get("access") == access else None
        # A time to come is of a clock that was wrong.
        return not (_is_number(at) and 0 <= self._clock() - at < ASK_AGAIN_SECONDS)

    def asked(self, access: str, refusal: Refusal) -> None:
        """Remember that Keystone was asked about a key; with the cache's lock held."""
        asked = self._get("asked")
        known = asked if asked.get("access") == access else {"access": access}
        self._put("asked", {**known, refusal.value: self._clock()})

    def failed(self, error: errors.ToastBotoError) -> None:
        """Remember that Keystone was asked for a key in vain; with the cache's lock held."""
        note = {
            "at": self._clock(),
            "kind": type(error).__name__,
            "text": str(error),
            "settings": self._settings,
        }
        self._put("failure", note)

    def failure_since(self, started: float) -> errors.ToastBotoError | None:
        """With what error somebody of this host asked in vain after ``started``, or None.

        For those who waited for the lock meanwhile, with the same settings: to ask again, one after
        the other, would take long, or lock the account.
        """
        note = self._get("failure")
        if note.get("settings") != self._settings:
            return None
        at, kind = note.get("at"), getattr(errors, str(note.get("kind")), None)
        if not _is_number(at) or not started < at <= self._clock():
            return None
        if not isinstance(kind, type) or not issubclass(kind, errors.ToastBotoError):
            return None
        return kind(f"{note.get('text')} (Another process of this host has just asked.)")

    def _get(self, name: str) -> dict[str, Any]:
        found = self._own.get(name) if name in self._unsaved else self._read().get(name)
        return found if isinstance(found, dict) else {}

    def _put(self, name: str, note: dict[str, Any]) -> None:
        self._own[name] = note
        self._unsaved.add(name)
        if self._path is not None:
            with contextlib.suppress(OSError):
                write_private(self._path, json.dumps({**self._read(), name: note}).encode("utf-8"))
                self._unsaved.discard(name)

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        with contextlib.suppress(OSError, Distrusted, ValueError, RecursionError):
            found = json.loads(read_private(self._path)[0])
            return found if isinstance(found, dict) else {}
        return {}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def notes_path(directory: Path, name: str) -> Path:
    """Where the notes of an identity are: of this host alone, for a home may be many hosts'."""
    host = hashlib.sha256(_host_name().encode("utf-8", "replace")).hexdigest()[:8]
    return directory / f"{name}.{host}.notes"


def _host_name() -> str:
    if hasattr(os, "uname"):  # not by `platform`, which may import `subprocess`
        return os.uname().nodename
    import platform  # noqa: PLC0415 - for Windows

    return platform.node()
