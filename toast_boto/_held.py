"""The key that a process holds: in memory, with the lock of its threads, and in the cache."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ._cache import Cache, Entry
from ._keys import EC2Key, usable
from ._slots import Identity, Login, take_or_create, tenant_of


class Held:
    """What is at hand of one identity.

    Args:
        cache: where the key is kept between processes.
        tenant_id: the tenant that the key is for; empty: that of the login.
        may_create: whether a key may be made when there is none.
        clock: seconds since the epoch.

    Attributes:
        entry: what is in memory.
        lock: of threads; who changes ``entry`` holds it.
    """

    def __init__(
        self, cache: Cache, tenant_id: str, may_create: bool, clock: Callable[[], float]
    ) -> None:
        self.cache = cache
        self.entry: Entry | None = None
        self.lock = threading.Lock()
        self._tenant_id = tenant_id
        self._may_create = may_create
        self._clock = clock
        self._dead: set[str] = set()  # keys that Keystone does not list any more

    def renew_lock(self) -> None:
        """In a forked child: whoever held the lock is not there to release it."""
        self.lock = threading.Lock()

    def cached(self) -> Entry | None:
        """What the cache has, unless that is known to be dead."""
        kept = self.cache.read()
        return None if kept is None or kept.key.access in self._dead else kept

    def has_another(self, access: str) -> bool:
        """Whether memory or cache have another key than this one; memory has it then."""
        if self.entry is not None and self.entry.key.access != access:
            return True
        kept = self.cached()
        if kept is None or kept.key.access == access:
            return False
        self.entry = kept
        return True

    # -- with the cache's lock held

    def obtain(self, identity: Identity) -> Entry:
        """The first usable key of Keystone's list, else a new one.

        Raises:
            ToastBotoError: there is none, and none can be made.
        """
        login, tenant_id, listed = self._look(identity)
        key = take_or_create(identity, tenant_id, listed, may_create=self._may_create)
        return Entry(key, self._clock(), login.endpoints)

    def replace_if_gone(self, identity: Identity, access: str) -> bool:
        """Look a key up in Keystone's list, and put another one in its place if it is not there.

        Returns:
            Whether it was replaced.

        Raises:
            ToastBotoError: there is no other, and none can be made.
        """
        login, tenant_id, listed = self._look(identity)
        mine = self.entry.key if self.entry else None
        still = next((key for key in usable(listed, tenant_id) if key == mine), None)
        if still is None:
            self._dead.add(access)
        key = still or take_or_create(identity, tenant_id, listed, may_create=self._may_create)
        self._dead.discard(key.access)  # it may be the secret alone that was wrong
        self.entry = Entry(key, self._clock(), login.endpoints)
        self.cache.write(self.entry)
        return still is None

    def _look(self, identity: Identity) -> tuple[Login, str, list[EC2Key]]:
        login = identity.login()
        return login, tenant_of(login, self._tenant_id), identity.list_keys()
