"""Decides which key is used, and keeps it up to date: memory, cache file, lock, Keystone.

Knows neither botocore nor HTTP: it is handed something that logs in and lists, and something that
remembers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ._cache import Cache, Entry
from ._held import Held
from ._keys import EC2Key
from ._living import living, register
from ._lookout import Lookout, Verdict
from ._notes import Notes, Refusal
from ._rotation import Rotation, Rotator
from ._slots import Connect
from .errors import ToastBotoError


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
        self._notes = notes or Notes(clock=clock)
        self._clock = clock
        self._held = Held(cache, tenant_id, may_create, clock)
        self._lookout = Lookout(self._held, connect, self._notes, clock)
        self._newer_endpoints: dict[str, str] = {}
        self._attempts = 0
        self._failure: ToastBotoError | None = None
        register(self)

    def renew_lock(self) -> None:
        """In a forked child: whoever held the lock is not there to release it."""
        self._held.renew_lock()

    def key(self) -> EC2Key:
        """The key to sign with.

        Raises:
            ToastBotoError: it is not at hand and can't be had from Keystone.
        """
        return self.entry().key

    def entry(self) -> Entry:
        """The key with what else is known of it; raises as :meth:`key`."""
        if self._held.entry is not None:
            return self._held.entry
        attempts = self._attempts
        with self._held.lock:
            if self._held.entry is None and self._failure and self._attempts != attempts:
                # Somebody asked while we waited, in vain. To ask again for each of many threads
                # would only take long, or lock the account.
                raise type(self._failure)(*self._failure.args)
            if self._held.entry is None:
                self._held.entry = self._attempt()
            return self._held.entry

    def _attempt(self) -> Entry:
        self._failure = None
        try:
            return self._held.cached() or self._ask()
        except ToastBotoError as error:
            self._failure = error
            raise
        finally:
            self._attempts += 1

    def endpoints(self, *, login_only: bool = False, again: bool = False) -> dict[str, str]:
        """The S3 endpoints of the token's catalogue, by region.

        Args:
            login_only: log in, but get no key: the caller signs with a key of their own.
            again: ask, even if an older catalogue is at hand.

        Raises:
            ToastBotoError: the catalogue is not at hand and can't be had from Keystone.
        """
        entry = (self._held.entry or self._cache.read()) if login_only else self.entry()
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
            entry = self._held.cached()
            if entry is not None:
                return entry
            failure = self._notes.failure_since(waiting_since)
            if failure is not None:
                raise failure
            try:
                with self._connect() as identity:
                    entry = self._held.obtain(identity)
            except ToastBotoError as error:
                self._notes.failed(error)
                raise
            self._cache.write(entry)
        return entry

    # -- looking after it

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
        return self._lookout.checked(self.entry(), max_age, ask_again)

    def heal(self, access: str, refusal: Refusal) -> Verdict:
        """Look after a key that the S3 server refused, and replace it if it is gone.

        Args:
            access: the access key that was refused.
            refusal: how. Keystone is asked at most once a minute for each key and kind.

        Raises:
            ToastBotoError: Keystone was asked in vain; the key goes on being used.
        """
        return self._lookout.heal(access, refusal)

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
        with self._held.lock:
            self._held.entry = rotator.switch(self._held.entry)
        for broker in living():  # other sessions of this process, which may only presign
            broker.take_over(rotator.old, self._held.entry)
        return rotator.finish(sleep)

    @property
    def access(self) -> str | None:
        """The access key that it has at hand; asks nobody."""
        return self._held.entry.key.access if self._held.entry else None

    def take_over(self, old: str | None, entry: Entry) -> None:
        """Use another key, if the old one is in use here."""
        if old is not None and self.access == old:
            self._held.entry = entry
