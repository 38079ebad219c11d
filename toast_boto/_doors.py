"""The two doors of a botocore session, held until its first use decides whose session it is.

``create_client`` and ``get_credentials`` are replaced on the instance. Somebody else may wrap them
there meanwhile, and their wrapper stays: what is behind a door is changed, not what is before it.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ._living import snapshot

NAMES = ("create_client", "get_credentials")

_known: weakref.WeakKeyDictionary[Any, weakref.ref[Doors]] = weakref.WeakKeyDictionary()


class Doors:
    """The doors of one session, which lives no longer for them.

    Args:
        session: whose attributes are replaced.
        decide: is called with the session at the first knock; what it raises is the caller's, and
            the next knock asks again.

    Attributes:
        originals: what was behind them, by name.
        behind: what is called instead of these, once that is decided.
    """

    def __init__(self, session: Any, decide: Callable[[Any], None]) -> None:
        self._session = session
        self._decide = decide
        self._decided = False
        self._lock = threading.RLock()
        self._mine: dict[str, Any] = {}
        self.originals: dict[str, Any] = {name: getattr(session, name) for name in NAMES}
        self.behind: dict[str, Any] = {}
        for name in NAMES:
            self._mine[name] = self._door(name)
            setattr(session, name, self._mine[name])
        _known[session] = weakref.ref(self)

    def _door(self, name: str) -> Callable[..., Any]:
        @functools.wraps(self.originals[name])
        def door(*args: Any, **kwargs: Any) -> Any:
            self._knock()
            return self.behind.get(name, self.originals[name])(*args, **kwargs)

        return door

    def _knock(self) -> None:
        with self._lock:
            if not self._decided:
                self._decide(self._session)
                self._decided = True

    def remove(self) -> None:
        """Give the session its own ones back; a door that somebody has wrapped lets all through."""
        own = vars(self._session)
        for name in NAMES:
            if own.get(name) is self._mine[name]:
                own.pop(name, None)  # another thread may have been quicker
        if NAMES[0] not in own:  # else somebody's wrapper still leads here
            _known.pop(self._session, None)

    def renew_lock(self) -> None:
        """In a forked child: whoever held the lock is not there to release it."""
        self._lock = threading.RLock()


def doors_of(session: Any) -> Doors | None:
    """The doors of a session, None where it has none."""
    reference = _known.get(session)
    return reference() if reference else None


def watched() -> list[Any]:
    """The sessions that have doors, and are in use."""
    return snapshot(_known)


def _renew_locks() -> None:
    for reference in snapshot(_known.values()):
        doors = reference()
        if doors is not None:
            doors.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
