"""Replaces the key that is in use by a new one, within the quota, and without losing either."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from ._cache import Cache, Entry
from ._keys import CreateRefused, EC2Key, usable
from ._slots import Connect, Identity, create, refused, tenant_of
from .errors import ConfigurationError, IdentityUnavailableError, KeyQuotaError, ToastBotoError

GRACE_SECONDS = 60.0
_LONGEST_GRACE_SECONDS = 24 * 3600


class Rotation(NamedTuple):
    """What a rotation did."""

    access_key: str
    """The access key of the new key, which is in use now."""
    deleted: tuple[str, ...]
    """The access keys that were deleted, in that order."""


class Rotator:
    """One rotation: create, prove, switch; then wait, and delete the old key.

    Args:
        connect: opens the identity service.
        cache: where the key is kept.
        tenant_id: the tenant, empty: that of the login.
        prove: signs a request with a key, and raises when that does not prove the key.
        in_use: access keys that this process signs with.
        replace: access key that may be deleted first, where the quota is used up.
        grace: how long the old key stays, in seconds.
        tell: is told what was done, in words.

    Attributes:
        old: access key of the key that the new one stands in for, None where that is not known.

    Raises:
        ConfigurationError: the grace is no time that can be waited for, or ``replace`` is empty.
    """

    def __init__(
        self,
        connect: Connect,
        cache: Cache,
        tenant_id: str,
        *,
        prove: Callable[[EC2Key], None],
        in_use: Collection[str] = (),
        replace: str | None = None,
        grace: float = GRACE_SECONDS,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not (isinstance(grace, int | float) and 0 <= grace <= _LONGEST_GRACE_SECONDS):
            raise ConfigurationError(
                f"grace={grace!r} (--grace): it is a number of seconds, from 0 to "
                f"{_LONGEST_GRACE_SECONDS}"
            )
        if replace is not None and not replace.strip():
            raise ConfigurationError("--replace or replace= is empty: give an access key, or none")
        self._connect = connect
        self._cache = cache
        self._tenant_id = tenant_id
        self._prove = prove
        self._in_use = in_use
        self._replace = replace
        self._grace = grace
        self._listener = tell
        self.old: str | None = None
        self._others: list[str] = []
        self._new = ""
        self._deleted: list[str] = []

    def switch(self, current: Entry | None) -> Entry:
        """Make the new key, prove it, and put it into the cache.

        Args:
            current: the entry that is in use, if it is known.

        Raises:
            KeyQuotaError: there is no slot, and ``replace`` names none.
            ToastBotoError: the key could not be made; the one in use is untouched.
            Exception: what the proof raised; the new key is deleted again.
        """
        with self._cache.lock():
            with self._connect() as identity:
                entry = self._create(identity, self._cache.read() or current)
            self._new = entry.key.access
            try:
                self._tell(f"Made the key {self._new}.")
                self._prove(entry.key)
            except BaseException:
                self._undo()
                raise
            self._cache.write(entry)
        self._tell(f"The S3 server accepts the key {self._new}, which takes over now.")
        return entry

    def finish(self, sleep: Callable[[float], None]) -> Rotation:
        """Wait out the grace, and delete the old key.

        Raises:
            ToastBotoError: it could not be deleted; the new one is in use.
        """
        if self.old is not None:
            self._tell(f"The old key {self.old} is deleted in {self._grace:g} s.")
            try:
                sleep(self._grace)
            except BaseException:
                self._tell(
                    f"The old key {self.old} was not deleted, and keeps its slot until "
                    f"`toast-boto keys delete {self.old}`."
                )
                raise
            self._delete_old(self.old)
            self._deleted.append(self.old)
            self._tell(f"Deleted the key {self.old}. URLs presigned with it work no more.")
        stay = [access for access in self._others if access not in self._deleted]
        if stay:
            self._tell(f"It is not known which key was in use, so these stay: {', '.join(stay)}.")
        return Rotation(self._new, tuple(self._deleted))

    def _create(self, identity: Identity, current: Entry | None) -> Entry:
        login = identity.login()
        tenant_id = tenant_of(login, self._tenant_id)
        listed = identity.list_keys()
        names = [key.access for key in usable(listed, tenant_id)]
        self.old = current.key.access if current else None
        if current is None:
            # What this process signs with; or the only one, which whoever logs in has used.
            used = [access for access in names if access in self._in_use] or names
            self.old = used[0] if len(used) == 1 else None
        if self.old not in names:
            self.old, self._others = None, names
        if self._replace is not None:
            self._check_replace(listed, tenant_id)
        entry = Entry(self._make(identity, tenant_id, listed), time.time(), login.endpoints)
        if self._replace is not None and not self._deleted:
            self._tell(f"There was a slot for a new key, so the key {self._replace} stays.")
        return entry

    def _check_replace(self, listed: list[EC2Key], tenant_id: str) -> None:
        there = [key.access for key in listed if key.tenant_id == tenant_id]
        if self._replace not in there:
            raise ConfigurationError(
                f"the key {self._replace} (--replace or replace=) can't be deleted: the tenant "
                f"{tenant_id} has no such key of this user. There are: "
                f"{', '.join(there) or 'none'}."
            )
        if self._replace == self.old or self._replace in self._in_use:
            raise ConfigurationError(
                f"the key {self._replace} (--replace or replace=) is in use here; it is deleted "
                "when the new one works. Name another one, which may go before that, or none."
            )

    def _make(self, identity: Identity, tenant_id: str, listed: list[EC2Key]) -> EC2Key:
        known = [key.access for key in listed]
        try:
            return create(identity, tenant_id, known)[0]
        except CreateRefused as refusal:
            failure = refused(tenant_id, listed, refusal, self.old)
        if self._replace is None or not isinstance(failure, KeyQuotaError):
            raise failure
        identity.delete_key(self._replace)
        self._deleted.append(self._replace)
        self._tell(f"Deleted the key {self._replace}, to make room.")
        try:
            return create(identity, tenant_id, known)[0]
        except CreateRefused as refusal:
            failure = refusal.error
        except IdentityUnavailableError as error:
            failure = error
        raise type(failure)(
            f"{failure} The key {self._replace} was deleted before that; the key in use was not."
        )

    def _tell(self, text: str) -> None:
        with contextlib.suppress(Exception):  # to lose a key costs more than to lose a word
            self._listener(text)

    def _undo(self) -> None:
        """Take the new key back: it eats a slot, and nobody uses it."""
        try:
            self._delete(self._new)
        except ToastBotoError as error:
            self._tell(f"The key {self._new} is not used, and could not be deleted: {error}")
        else:
            self._tell(f"Deleted the key {self._new} again, because it could not be proved.")

    def _delete(self, access: str) -> None:
        with self._connect() as identity:
            identity.delete_key(access)

    def _delete_old(self, old: str) -> None:
        try:
            self._delete(old)
        except ToastBotoError as error:
            failure = error
        else:
            return
        raise type(failure)(
            f"the key {self._new} is in use now, but the old key {old} could not be deleted, and "
            f"keeps its slot until `toast-boto keys delete {old}`: {failure}"
        )
