"""Decides which key is used, and keeps it up to date: memory, cache file, lock, Keystone.

Knows neither botocore nor HTTP: it is handed something that logs in and lists, and something that
remembers.
"""

from __future__ import annotations

import enum
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from ._cache import Cache, Entry
from ._keys import EC2Key, usable
from ._living import living, register
from ._notes import ASK_AGAIN_SECONDS, Notes, Refusal
from ._rotation import Rotation, Rotator
from ._slots import Connect, Identity, Login, take_or_create, tenant_of
from .errors import CacheError, IdentityUnavailableError, ToastBotoError

HEAL_SECONDS = 20.0  # of the total time, for a caller waits for the answer to a call


class Verdict(enum.Enum):
    """What became of a key that the S3 server refused."""

    ANOTHER_KEY = "another key is at hand"
    STILL_LISTED = "Keystone lists it"
    NOT_ASKED = "Keystone was asked a moment ago"


class Broker:
    """The key of one identity, safe to share between threads, and to inherit by a fork.

    Args:
        connect: opens the identity service; called only when it must be asked.
        cache: where the key is kept between processes.
        tenant_id: the tenant that the key is for; empty: that of the login.
        may_create: whether a key may be made when there is none.
        notes: what the processes of this host leave each other.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        connect: Connect,
        cache: Cache,
        *,
        tenant_id: str,
        may_create: bool = True,
        notes: Notes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connect = connect
        self._cache = cache
        self._tenant_id = tenant_id
        self._may_create = may_create
        self._notes = notes or Notes(clock=clock)
        self._clock = clock
        self._entry: Entry | None = None
        self._dead: set[str] = set()  # keys that Keystone does not list any more
        self._newer_endpoints: dict[str, str] = {}
        self._lock = threading.Lock()
        self._lock_was_held_at = -math.inf  # by somebody else, when it was last waited for in vain
        self._attempts = 0
        self._failure: ToastBotoError | None = None
        register(self)

    def renew_lock(self) -> None:
        """In a forked child: whoever held the lock is not there to release it."""
        self._lock = threading.Lock()

    def key(self) -> EC2Key:
        """The key to sign with.

        Raises:
            ToastBotoError: it is not at hand and can't be had from Keystone.
        """
        return self.entry().key

    def entry(self) -> Entry:
        """The key with what else is known of it; raises as :meth:`key`."""
        if self._entry is not None:
            return self._entry
        attempts = self._attempts
        with self._lock:
            if self._entry is None and self._failure and self._attempts != attempts:
                # Somebody asked while we waited, in vain. To ask again for each of many threads
                # would only take long, or lock the account.
                raise type(self._failure)(*self._failure.args)
            if self._entry is None:
                self._entry = self._attempt()
            return self._entry

    def _attempt(self) -> Entry:
        self._failure = None
        try:
            return self._cached() or self._ask()
        except ToastBotoError as error:
            self._failure = error
            raise
        finally:
            self._attempts += 1

    def cached_access(self) -> str | None:
        """The access key in the cache; asks nobody."""
        entry = self._cached()
        return entry.key.access if entry else None

    def _cached(self) -> Entry | None:
        kept = self._cache.read()
        return None if kept is None or kept.key.access in self._dead else kept

    def endpoints(self, *, login_only: bool = False, again: bool = False) -> dict[str, str]:
        """The S3 endpoints of the token's catalogue, by region.

        Args:
            login_only: log in, but get no key: the caller signs with a key of their own.
            again: ask, even if an older catalogue is at hand.

        Raises:
            ToastBotoError: the catalogue is not at hand and can't be had from Keystone.
        """
        entry = (self._entry or self._cache.read()) if login_only else self.entry()
        known = {**(entry.endpoints if entry else {}), **self._newer_endpoints}
        if known and not again:
            return known
        with self._connect() as identity:
            self._newer_endpoints = identity.login().endpoints
        with self._cache.lock():
            kept = self._cache.read()
            if kept is not None:  # of whichever key it is: the endpoints are the identity's
                self._cache.write(Entry(kept.key, kept.checked_at, self._newer_endpoints))
        return {**known, **self._newer_endpoints}

    def _ask(self) -> Entry:
        waiting_since = self._clock()
        with self._cache.lock():
            # Another process may have asked while this one waited for the lock.
            entry = self._cached()
            if entry is not None:
                return entry
            failure = self._notes.failure_since(waiting_since)
            if failure is not None:
                raise failure
            try:
                with self._connect() as identity:
                    entry = self._obtain(identity)
            except ToastBotoError as error:
                self._notes.failed(error)
                raise
            self._cache.write(entry)
        return entry

    def _obtain(self, identity: Identity) -> Entry:
        login, tenant_id, listed = self._look(identity)
        key = take_or_create(identity, tenant_id, listed, may_create=self._may_create)
        return Entry(key, self._clock(), login.endpoints)

    def _look(self, identity: Identity) -> tuple[Login, str, list[EC2Key]]:
        login = identity.login()
        return login, tenant_of(login, self._tenant_id), identity.list_keys()

    def checked(
        self, max_age: float, *, ask_again: bool = False
    ) -> tuple[Entry, ToastBotoError | None]:
        """The key, looked up in Keystone's list if that is long ago, and replaced if it is gone.

        Args:
            max_age: after how many seconds to look it up again.
            ask_again: also when somebody asked in vain within the last minute.

        Returns:
            The key with what is known of it; and, where it should have been looked up and Keystone
            was away, why that failed.

        Raises:
            ToastBotoError: there is no key to be had, or Keystone refused.
        """
        entry = self.entry()
        if self._is_fresh(entry, max_age):
            return entry, None
        try:
            with self._lock, self._cache.lock(HEAL_SECONDS):
                return self._look_up(entry, max_age, ask_again), None
        except (IdentityUnavailableError, CacheError) as error:
            return entry, error

    def _is_fresh(self, entry: Entry, max_age: float) -> bool:
        # A time to come is of a clock that was wrong.
        return 0 <= self._clock() - entry.checked_at < max_age

    def _look_up(self, entry: Entry, max_age: float, ask_again: bool) -> Entry:
        # Another process may have asked while this one waited for the lock.
        kept = self._cached()
        if kept is not None and self._is_fresh(kept, max_age):
            self._entry = kept
            return kept
        failure = self._notes.failure_since(self._clock() - ASK_AGAIN_SECONDS)
        if isinstance(failure, IdentityUnavailableError) and not ask_again:
            raise failure
        access = (kept or entry).key.access
        self._entry = kept or entry
        try:
            with self._connect(HEAL_SECONDS) as identity:
                self._replace_if_gone(identity, access)
        except ToastBotoError as error:
            self._notes.failed(error)
            raise
        return self._entry

    # -- healing

    def heal(self, access: str, refusal: Refusal) -> Verdict:
        """Look after a key that the S3 server refused, and replace it if it is gone.

        Args:
            access: the access key that was refused.
            refusal: how. Keystone is asked at most once a minute for each key and kind.

        Raises:
            ToastBotoError: Keystone was asked in vain; the key goes on being used.
        """
        ends = time.monotonic() + HEAL_SECONDS
        lock = self._lock  # of many threads with one dead key the first replaces it for all
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
        if self._has_another(access):
            return Verdict.ANOTHER_KEY
        return None if may_ask else Verdict.NOT_ASKED

    def _ask_about(self, access: str, refusal: Refusal, ends: float) -> Verdict:
        now = time.monotonic()
        if now >= ends or now - self._lock_was_held_at < HEAL_SECONDS:
            return Verdict.NOT_ASKED  # another thread has just waited in vain
        try:
            with self._cache.lock(ends - time.monotonic()):
                # Another process may have asked while this one waited for the lock.
                verdict = self._without_asking(access, refusal)
                return verdict or self._look_after(access, refusal, ends)
        except CacheError:
            self._lock_was_held_at = time.monotonic()
            raise

    def _look_after(self, access: str, refusal: Refusal, ends: float) -> Verdict:
        try:
            with self._connect(max(ends - time.monotonic(), 1.0)) as identity:
                return self._replace_if_gone(identity, access)
        finally:
            # Not before it is over, or other processes would not wait for what comes of it.
            self._notes.asked(access, refusal)

    def _has_another(self, access: str) -> bool:
        """Whether memory or cache have another key than the refused one; memory has it then."""
        if self._entry is not None and self._entry.key.access != access:
            return True
        kept = self._cached()
        if kept is None or kept.key.access == access:
            return False
        self._entry = kept
        return True

    def _replace_if_gone(self, identity: Identity, access: str) -> Verdict:
        login, tenant_id, listed = self._look(identity)
        mine = self._entry.key if self._entry else None
        still = next((key for key in usable(listed, tenant_id) if key == mine), None)
        if still is None:
            self._dead.add(access)
        key = still or take_or_create(identity, tenant_id, listed, may_create=self._may_create)
        self._dead.discard(key.access)  # it may be the secret alone that was wrong
        self._entry = Entry(key, self._clock(), login.endpoints)
        self._cache.write(self._entry)
        return Verdict.STILL_LISTED if still else Verdict.ANOTHER_KEY

    # -- rotation

    def rotate(
        self,
        prove: Callable[[EC2Key], None],
        sleep: Callable[[float], None] = time.sleep,
        **options: Any,
    ) -> Rotation:
        """Replace the key that is in use: create, prove, switch, wait, delete the old one.

        Args:
            prove: signs a request with a key; raises when that does not prove the key.
            sleep: waits so many seconds.
            **options: of :class:`toast_boto._rotation.Rotator`.

        Raises:
            ToastBotoError: a step failed; the text says what is left as it was.
            Exception: what ``prove`` raised; the new key is deleted then.
        """
        in_use = {broker.access for broker in living() if broker.access}
        rotator = Rotator(
            self._connect, self._cache, self._tenant_id, prove=prove, in_use=in_use, **options
        )
        with self._lock:
            self._entry = rotator.switch(self._entry)
        for broker in living():  # other sessions of this process, which may only presign
            broker.take_over(rotator.old, self._entry)
        return rotator.finish(sleep)

    @property
    def access(self) -> str | None:
        """The access key that it has at hand; asks nobody."""
        return self._entry.key.access if self._entry else None

    def take_over(self, old: str | None, entry: Entry) -> None:
        """Use another key, if the old one is in use here."""
        if old is not None and self.access == old:
            self._entry = entry
