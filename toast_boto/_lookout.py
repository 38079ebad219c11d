"""Looks after the key that is held: when a server refuses it, and when its last look is old."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable

from ._cache import Entry
from ._held import Held
from ._notes import ASK_AGAIN_SECONDS, Notes, Refusal
from ._slots import Connect
from .errors import CacheError, IdentityUnavailableError, ToastBotoError

HEAL_SECONDS = 20.0  # of the total time, for a caller waits for the answer to a call


class Verdict(enum.Enum):
    """What became of a key that the S3 server refused."""

    ANOTHER_KEY = "another key is at hand"
    STILL_LISTED = "Keystone lists it"
    NOT_ASKED = "Keystone was asked a moment ago"


class Lookout:
    """Asks Keystone about a key, once for all threads and processes.

    Args:
        held: the key.
        connect: opens the identity service.
        notes: what the processes of this host leave each other.
        clock: seconds since the epoch.
    """

    def __init__(
        self, held: Held, connect: Connect, notes: Notes, clock: Callable[[], float]
    ) -> None:
        self._held = held
        self._connect = connect
        self._notes = notes
        self._clock = clock
        self._lock_was_held_at = -math.inf  # by somebody else, when it was last waited for in vain

    # -- a key that was refused

    def heal(self, access: str, refusal: Refusal) -> Verdict:
        """As :meth:`toast_boto._broker.Broker.heal`."""
        ends = time.monotonic() + HEAL_SECONDS
        lock = self._held.lock  # of many threads with one dead key the first replaces it for all
        if not lock.acquire(timeout=HEAL_SECONDS):
            return Verdict.NOT_ASKED
        try:
            verdict = self._without_asking(access, refusal)
            return verdict or self._ask_about(access, refusal, ends)
        finally:
            lock.release()

    def _without_asking(self, access: str, refusal: Refusal) -> Verdict | None:
        # In this order: who asks writes the cache before the note, so that whoever sees the note
        # sees the new key too.
        may_ask = self._notes.may_ask(access, refusal)
        if self._held.has_another(access):
            return Verdict.ANOTHER_KEY
        return None if may_ask else Verdict.NOT_ASKED

    def _ask_about(self, access: str, refusal: Refusal, ends: float) -> Verdict:
        now = time.monotonic()
        if now >= ends or now - self._lock_was_held_at < HEAL_SECONDS:
            return Verdict.NOT_ASKED  # another thread has just waited in vain
        try:
            with self._held.cache.lock(ends - time.monotonic()):
                # Another process may have asked while this one waited for the lock.
                verdict = self._without_asking(access, refusal)
                return verdict or self._look_after(access, refusal, ends)
        except CacheError:
            self._lock_was_held_at = time.monotonic()
            raise

    def _look_after(self, access: str, refusal: Refusal, ends: float) -> Verdict:
        try:
            with self._connect(max(ends - time.monotonic(), 1.0)) as identity:
                replaced = self._held.replace_if_gone(identity, access)
                return Verdict.ANOTHER_KEY if replaced else Verdict.STILL_LISTED
        finally:
            # Not before it is over, or other processes would not wait for what comes of it.
            self._notes.asked(access, refusal)

    # -- a key that was long not looked up

    def checked(
        self, entry: Entry, max_age: float, ask_again: bool
    ) -> tuple[Entry, ToastBotoError | None]:
        """As :meth:`toast_boto._broker.Broker.checked`, for the key that is at hand."""
        if self._is_fresh(entry, max_age):
            return entry, None
        waiting_since = self._clock()
        try:
            with self._held.lock, self._held.cache.lock(HEAL_SECONDS):
                return self._look_up(entry, max_age, ask_again, waiting_since), None
        except (IdentityUnavailableError, CacheError) as error:
            return entry, error

    def _is_fresh(self, entry: Entry, max_age: float) -> bool:
        # A time to come is of a clock that was wrong.
        return 0 <= self._clock() - entry.checked_at < max_age

    def _look_up(
        self, entry: Entry, max_age: float, ask_again: bool, waiting_since: float
    ) -> Entry:
        # Another process may have asked while this one waited for the lock.
        kept = self._held.cached()
        if kept is not None and self._is_fresh(kept, max_age):
            self._held.entry = kept
            return kept
        failure = self._notes.failure_since(self._clock() - ASK_AGAIN_SECONDS)
        if isinstance(failure, IdentityUnavailableError) and not ask_again:
            raise failure
        failure = self._notes.failure_since(waiting_since)
        if failure is not None:  # a refused login, which to repeat for each would lock the account
            raise failure
        self._held.entry = kept or entry
        try:
            with self._connect(HEAL_SECONDS) as identity:
                self._held.replace_if_gone(identity, self._held.entry.key.access)
        except ToastBotoError as error:
            self._notes.failed(error)
            raise
        return self._held.entry
