"""The S3 key: an EC2 credential of Keystone's, as the rest of the package passes it around."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class EC2Key:
    """An access key and its secret, registered with Keystone for one user and one tenant.

    Args:
        access: the access key.
        secret: the secret key; no representation of this object shows it.
        tenant_id: the tenant (project) that it signs for.
        user_id: the API user ID of its owner.
        created_at: when it was made, as Keystone writes it, None where Keystone does not say.
        accessed_at: when it was last used, likewise.
        trust_id: of a key made through a trust; such a key is its maker's own business.
    """

    __slots__ = (
        "access",
        "accessed_at",
        "created_at",
        "secret",
        "tenant_id",
        "trust_id",
        "user_id",
    )

    def __init__(
        self,
        access: str,
        secret: str,
        tenant_id: str,
        user_id: str = "",
        created_at: str | None = None,
        accessed_at: str | None = None,
        trust_id: str | None = None,
    ) -> None:
        self.access = access
        self.secret = secret
        self.tenant_id = tenant_id
        self.user_id = user_id
        self.created_at = created_at
        self.accessed_at = accessed_at
        self.trust_id = trust_id

    def __repr__(self) -> str:
        return f"EC2Key(access={self.access!r}, tenant_id={self.tenant_id!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EC2Key):
            return NotImplemented
        return (self.access, self.secret) == (other.access, other.secret)

    def __hash__(self) -> int:
        return hash(self.access)

    @classmethod
    def from_json(cls, fields: Any) -> EC2Key:
        """The key that Keystone's JSON object describes; unknown fields are ignored.

        Raises:
            ValueError: a field that every key has is missing or no text.
        """
        if not isinstance(fields, dict):
            raise ValueError("a key is not a JSON object")
        for name in ("access", "secret", "tenant_id"):
            if not isinstance(fields.get(name), str) or not fields[name]:
                raise ValueError(f"a key has no {name!r}")
        optional = {
            name: fields[name]
            for name in ("user_id", "created_at", "accessed_at", "trust_id")
            if isinstance(fields.get(name), str)
        }
        return cls(fields["access"], fields["secret"], fields["tenant_id"], **optional)

    def to_json(self) -> dict[str, str | None]:
        """The fields, the secret included: for the cache file alone."""
        return {name: getattr(self, name) for name in self.__slots__}


def usable(keys: Iterable[EC2Key], tenant_id: str) -> list[EC2Key]:
    """The keys that sign for a tenant, in the order in which everybody takes them.

    Keystone promises no order and mixes all tenants of the user. The oldest comes first, and the
    smallest access key where ages are equal or unknown, so that two processes that look at the
    same list take the same key.
    """
    own = (key for key in keys if key.tenant_id == tenant_id and not key.trust_id)
    return sorted(own, key=lambda key: (key.created_at or "", key.access))


class CreateRefused(Exception):
    """Keystone would not make a key. ``error`` is what the user is told if none is there already.

    Args:
        status: the HTTP status of the refusal.
        error: one of :mod:`toast_boto.errors`.
    """

    def __init__(self, status: int, error: Exception) -> None:
        super().__init__(str(error))
        self.status = status
        self.error = error
