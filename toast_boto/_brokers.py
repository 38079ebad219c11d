"""Makes the broker that the settings ask for, and what it is made of."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ._broker import Broker
from ._cache import Cache, FileCache, MemoryCache, entry_name
from ._notes import Notes, notes_path
from ._settings import Settings
from ._slots import Connect


class Parts(NamedTuple):
    """What a broker is made of."""

    connect: Connect
    cache: Cache
    notes: Notes
    tenant_id: str


def make_parts(settings: Settings) -> Parts:
    """The identity service, the cache and the notes of a login; asks nobody, reads nothing."""

    def connect(at_most: float = math.inf, /) -> Any:
        from ._keystone import Keystone  # noqa: PLC0415 - only a miss pays for keystoneauth1

        return Keystone(settings, at_most)

    tenant_id = settings.text("tenant_id")
    name = entry_name(
        settings.auth_url,
        tenant_id,
        settings.text("username"),
        settings.text("user_domain"),
        settings.text("project_domain"),
    )
    cache: Cache = MemoryCache()
    notes = Notes()
    if settings["auth"] is None and settings.text("cache") == "file":
        cache = FileCache(settings.cache_directory(), name, tenant_id)
        notes = Notes(notes_path(settings.cache_directory(), name), settings=settings.login_mark())
    return Parts(connect, cache, notes, tenant_id)


def make_broker(settings: Settings) -> Broker:
    """The broker that the settings ask for; asks nobody, reads nothing."""
    connect, cache, notes, tenant_id = make_parts(settings)
    may_create = settings.text("key_policy") != "reuse"
    return Broker(connect, cache, tenant_id=tenant_id, may_create=may_create, notes=notes)
