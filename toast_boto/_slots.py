"""The three slots of a tenant: which key is taken, and how one is made without wasting a slot.

Nothing is made while a usable key exists. A create whose reply is lost is looked up in the list
before anything else is tried, and nothing is deleted but the surplus that a race between two
creators leaves.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol

from ._keys import CreateRefused, EC2Key, usable
from .errors import (
    ConfigurationError,
    IdentityUnavailableError,
    KeyQuotaError,
    ToastBotoError,
    ToastBotoWarning,
)

QUOTA = 3  # keys of one user for one tenant, says the service's documentation


class Login(Protocol):
    """What a login told; see :class:`toast_boto._keystone.Login`."""

    user_id: str
    tenant_id: str
    endpoints: dict[str, str]


class Identity(Protocol):
    """What is needed of the identity service; see :class:`toast_boto._keystone.Keystone`."""

    def login(self) -> Login: ...
    def list_keys(self) -> list[EC2Key]: ...
    def create_key(self, tenant_id: str) -> EC2Key: ...
    def delete_key(self, access: str) -> bool: ...
    def pause(self, attempt: int) -> bool: ...


class Connect(Protocol):
    """Opens the identity service; all that is asked of it is over within so many seconds."""

    def __call__(self, at_most: float = ..., /) -> AbstractContextManager[Identity]: ...


def tenant_of(login: Login, tenant_id: str) -> str:
    """The tenant that keys are for: the one that was set, else the login's.

    Raises:
        ConfigurationError: the two differ, or there is neither.
    """
    tenant_id = tenant_id or login.tenant_id
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
    return tenant_id


def take_or_create(
    identity: Identity, tenant_id: str, listed: list[EC2Key], *, may_create: bool
) -> EC2Key:
    """The tenant's key: the first usable one of the list, else a new one.

    Raises:
        ToastBotoError: there is none, and none can be made.
    """
    keys = usable(listed, tenant_id)
    return keys[0] if keys else _create_first(identity, tenant_id, may_create)


def _create_first(identity: Identity, tenant_id: str, may_create: bool) -> EC2Key:
    if not may_create:
        raise ConfigurationError(
            f"the tenant {tenant_id} has no key of this user, and the key policy is reuse, "
            "which makes none. Make one by `toast-boto keys create`, or set the key policy to "
            "reuse-or-create (key_policy=, TOAST_KEY_POLICY or toast_key_policy)."
        )
    try:
        made, sure = create(identity, tenant_id)
    except CreateRefused as refusal:
        return _adopt(identity, tenant_id, refusal)
    try:
        listed = identity.list_keys()
    except IdentityUnavailableError:
        return made  # it was made, and that is what counts
    first = next(iter(usable(listed, tenant_id)), made)
    if sure and first.access != made.access:
        _drop_surplus(identity, made)
    return first


def create(
    identity: Identity, tenant_id: str, known: Collection[str] | None = None
) -> tuple[EC2Key, bool]:
    """Make a key; after a reply that was lost, find out by the list whether it was made.

    Args:
        identity: the service.
        tenant_id: the tenant.
        known: access keys that were there before, if it must be the one that was made here;
            without it any usable key will do.

    Returns:
        The key, and whether Keystone's reply named it; if not, it may be somebody else's.

    Raises:
        CreateRefused: Keystone will not.
        IdentityUnavailableError: it is not known whether it did, or which key it was.
    """
    for attempt in itertools.count(1):
        try:
            return identity.create_key(tenant_id), True
        except IdentityUnavailableError as error:
            doubt = error
        found = _new_keys(identity, tenant_id, known or (), doubt)
        if len(found) == 1 or (found and known is None):
            return found[0], False
        if found:
            names = " and ".join(key.access for key in found)
            raise IdentityUnavailableError(
                f"{doubt} Meanwhile {names} appeared, and it is not known which of them was made "
                "here: try again."
            )
        if not identity.pause(attempt):
            break
    raise doubt


def _new_keys(
    identity: Identity, tenant_id: str, known: Collection[str], doubt: IdentityUnavailableError
) -> list[EC2Key]:
    try:
        listed = identity.list_keys()
    except IdentityUnavailableError as error:
        failure = str(error)
    else:
        return [key for key in usable(listed, tenant_id) if key.access not in known]
    raise IdentityUnavailableError(
        f"{doubt} Whether a key was made is not known, for {failure} If it was, it stands in the "
        "list, and is taken from there at the next try."
    )


def _adopt(identity: Identity, tenant_id: str, refusal: CreateRefused) -> EC2Key:
    """After a refusal: somebody may have made a key meanwhile; else say why there is none."""
    keys = identity.list_keys()
    found = usable(keys, tenant_id)
    if found:
        return found[0]
    raise refused(tenant_id, keys, refusal)


def refused(
    tenant_id: str, keys: list[EC2Key], refusal: CreateRefused, in_use: str | None = None
) -> Exception:
    """The error of a key that could not be made: the quota, or the server's own refusal."""
    there = [
        f"{key.access} (in use here)" if key.access == in_use else key.access
        for key in keys
        if key.tenant_id == tenant_id
    ]
    if refusal.status != 409 and len(there) < QUOTA:
        return refusal.error
    way_out = "The list shows none of this user's, so ask who manages the tenant."
    if there:
        way_out = (
            f"The user has {len(there)} there: {', '.join(there)}. If nobody needs one of them, "
            "`toast-boto keys delete ACCESS` makes room; `toast-boto keys rotate --replace ACCESS` "
            "deletes it and makes a new one at once."
        )
    return KeyQuotaError(
        f"no key can be made for the tenant {tenant_id}: its quota is used up. {way_out} "
        f"{refusal.error}"
    )


def _drop_surplus(identity: Identity, surplus: EC2Key) -> None:
    """Another process's key came first, and is used by all; ours would only eat the quota."""
    try:
        identity.delete_key(surplus.access)
    except ToastBotoError as error:
        warnings.warn(
            f"the key {surplus.access} was made in vain and could not be deleted: {error}",
            ToastBotoWarning,
            stacklevel=2,
        )
