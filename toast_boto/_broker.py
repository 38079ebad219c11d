"""Decides which key is used: memory, cache file, lock, list, reuse, create.

Knows neither botocore nor HTTP: it is handed something that logs in and lists, and something that
remembers. Nothing is created while a usable key exists, and nothing is deleted but the surplus
that a race between two creators leaves.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ._cache import Entry, FileCache, MemoryCache, entry_name
from ._keys import CreateRefused, EC2Key, usable
from ._settings import Settings
from .errors import ConfigurationError, KeyQuotaError, ToastBotoError, ToastBotoWarning

QUOTA = 3  # keys of one user for one tenant, says the service's documentation


class Login(Protocol):
    """What a login told; see :class:`toast_boto._keystone.Login`."""

    user_id: str
    tenant_id: str
    endpoints: dict[str, str]


class Identity(Protocol):
    """What the broker needs of the identity service; see :class:`toast_boto._keystone.Keystone`."""

    def login(self) -> Login: ...
    def list_keys(self) -> list[EC2Key]: ...
    def create_key(self, tenant_id: str) -> EC2Key: ...
    def delete_key(self, access: str) -> bool: ...


class Cache(Protocol):
    """What the broker needs of a cache; see :mod:`toast_boto._cache`."""

    def read(self) -> Entry | None: ...
    def write(self, entry: Entry) -> None: ...
    def lock(self) -> AbstractContextManager[None]: ...


class Broker:
    """The key of one identity, safe to share between threads.

    Args:
        connect: opens the identity service; called only when it must be asked.
        cache: where the key is kept between processes.
        tenant_id: the tenant that the key is for; empty: that of the login.
        may_create: whether a key may be made when there is none.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Identity]],
        cache: Cache,
        *,
        tenant_id: str,
        may_create: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connect = connect
        self._cache = cache
        self._tenant_id = tenant_id
        self._may_create = may_create
        self._clock = clock
        self._entry: Entry | None = None
        self._newer_endpoints: dict[str, str] = {}
        self._lock = threading.Lock()
        self._attempts = 0
        self._failure: ToastBotoError | None = None

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
            return self._cache.read() or self._ask()
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

    # Healing a key that somebody deleted, and rotating one, belong here, beside _ask.

    def _ask(self) -> Entry:
        with self._cache.lock():
            # Another process may have asked while this one waited for the lock.
            entry = self._cache.read()
            if entry is None:
                with self._connect() as identity:
                    entry = self._obtain(identity)
                self._cache.write(entry)
        return entry

    def _obtain(self, identity: Identity) -> Entry:
        login = identity.login()
        tenant_id = self._tenant_id or login.tenant_id
        if login.tenant_id and login.tenant_id != tenant_id:
            raise ConfigurationError(
                f"the login is scoped to the tenant {login.tenant_id}, not to {tenant_id}, which "
                "was set: let both be the same, or leave tenant_id= out"
            )
        if not tenant_id:
            raise ConfigurationError(
                "the login is scoped to no tenant, and a key is made for one: set TOAST_TENANT_ID "
                "or tenant_id=, or give auth= a plugin with a project"
            )
        keys = usable(identity.list_keys(), tenant_id)
        key = keys[0] if keys else self._create(identity, tenant_id)
        return Entry(key, self._clock(), login.endpoints)

    def _create(self, identity: Identity, tenant_id: str) -> EC2Key:
        if not self._may_create:
            raise ConfigurationError(
                f"the tenant {tenant_id} has no key of this user, and the key policy is reuse, "
                "which makes none. Make one in the console, or set the key policy to "
                "reuse-or-create (key_policy=, TOAST_KEY_POLICY or toast_key_policy)."
            )
        try:
            made = identity.create_key(tenant_id)
        except CreateRefused as refusal:
            return self._adopt(identity, tenant_id, refusal)
        first = next(iter(usable(identity.list_keys(), tenant_id)), made)
        if first.access != made.access:
            self._drop_surplus(identity, made)
        return first

    def _adopt(self, identity: Identity, tenant_id: str, refusal: CreateRefused) -> EC2Key:
        """After a refusal: somebody may have made a key meanwhile; else say why there is none."""
        keys = identity.list_keys()
        found = usable(keys, tenant_id)
        if found:
            return found[0]
        count = sum(key.tenant_id == tenant_id for key in keys)
        if refusal.status != 409 and count < QUOTA:
            raise refusal.error from None
        there = "The list shows none of this user's, so ask who manages the tenant."
        if count:
            there = (
                f"The user has {count} there, none of which can be used; delete one that nobody "
                "needs, in the console's list of S3 API credentials, and try again."
            )
        raise KeyQuotaError(
            f"no key can be made for the tenant {tenant_id}: its quota is used up. {there} "
            f"{refusal.error}"
        ) from None

    def _drop_surplus(self, identity: Identity, surplus: EC2Key) -> None:
        """Another process's key came first, and is used by all; ours would only eat the quota."""
        try:
            identity.delete_key(surplus.access)
        except ToastBotoError as error:
            warnings.warn(
                f"the key {surplus.access} was made in vain and could not be deleted: {error}",
                ToastBotoWarning,
                stacklevel=2,
            )


def make_broker(settings: Settings) -> Broker:
    """The broker that the settings ask for; asks nobody, reads nothing."""

    def connect() -> Any:
        from ._keystone import Keystone  # noqa: PLC0415 - only a miss pays for keystoneauth1

        return Keystone(settings)

    tenant_id = settings.text("tenant_id")
    name = entry_name(
        settings.auth_url,
        tenant_id,
        settings.text("username"),
        settings.text("user_domain"),
        settings.text("project_domain"),
    )
    cache: Cache = MemoryCache()
    if settings["auth"] is None and settings.text("cache") == "file":
        cache = FileCache(settings.cache_directory(), name, tenant_id)
    may_create = settings.text("key_policy") != "reuse"
    return Broker(connect, cache, tenant_id=tenant_id, may_create=may_create)
