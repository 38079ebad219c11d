"""What people otherwise do in the console's list of S3 keys: look, make one, delete one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from ._brokers import make_parts
from ._cache import cached_access_keys
from ._keys import CreateRefused, EC2Key
from ._settings import Settings
from ._slots import Identity, Login, create, refused, tenant_of
from .errors import ConfigurationError


class Listed(NamedTuple):
    """A key of the list."""

    key: EC2Key
    in_use: bool
    """Whether the key cache of this machine's user has it."""


class KeyConsole:
    """The keys of one login; a context manager that holds a connection.

    Args:
        settings: with a whole login.
    """

    def __init__(self, settings: Settings) -> None:
        self._parts = make_parts(settings)
        self._directory: Path = settings.cache_directory()
        self._stack = contextlib.ExitStack()
        self._identity: Identity | None = None

    def __enter__(self) -> KeyConsole:
        self._identity = self._stack.enter_context(self._parts.connect())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def _service(self) -> Identity:
        if self._identity is None:
            raise RuntimeError("use it in a with statement")
        return self._identity

    def login(self) -> Login:
        """Log in, once; raises as :meth:`list`."""
        return self._service.login()

    def list(self) -> list[Listed]:
        """Every key of the user, of all tenants: those of this login's tenant first, by age.

        Raises:
            ToastBotoError: Keystone refused, or could not be asked.
        """
        tenant_id = self._tenant_id()
        in_use = cached_access_keys(self._directory)
        keys = self._service.list_keys()
        keys.sort(
            key=lambda k: (k.tenant_id != tenant_id, k.tenant_id, k.created_at or "", k.access)
        )
        return [Listed(key, key.access in in_use) for key in keys]

    def create(self) -> EC2Key:
        """Make a key for the tenant, whatever keys there are.

        Raises:
            KeyQuotaError: the quota leaves no slot.
            ToastBotoError: it could not be made.
        """
        tenant_id = self._tenant_id()
        listed = self._service.list_keys()
        try:
            return create(self._service, tenant_id, [key.access for key in listed])[0]
        except CreateRefused as refusal:
            failure = refused(tenant_id, listed, refusal, self.in_use())
        raise failure

    def find(self, access: str, *, force: bool = False) -> EC2Key:
        """A key that may be deleted.

        Args:
            access: its access key.
            force: also one that is in use.

        Raises:
            ConfigurationError: there is no such key, or it is in use here.
            ToastBotoError: Keystone refused, or could not be asked.
        """
        listed = self.list()
        found = next((item for item in listed if item.key.access == access), None)
        if found is None:
            raise ConfigurationError(
                f"there is no key {access!r} of this user. There are: "
                f"{', '.join(item.key.access for item in listed) or 'none'}."
            )
        if found.in_use and not force:
            raise ConfigurationError(
                f"the key {access} is in use here: it stands in the key cache. `toast-boto keys "
                "rotate` replaces it by a new one without a gap; --force deletes it nevertheless."
            )
        return found.key

    def delete(self, access: str) -> bool:
        """Delete a key, and forget it if the cache has it; False if it was gone already.

        Raises:
            ToastBotoError: Keystone refused, or could not be asked.
        """
        deleted = self._service.delete_key(access)
        if self.in_use() == access:
            self._parts.cache.clear()
        return deleted

    def _tenant_id(self) -> str:
        return tenant_of(self._service.login(), self._parts.tenant_id)

    def in_use(self) -> str | None:
        """The access key in this login's cache, None where there is none; asks nobody."""
        entry = self._parts.cache.read()
        return entry.key.access if entry else None
