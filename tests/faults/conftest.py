"""Fixtures: the sandbox's servers behind proxies that can do damage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.proxy import FaultProxy
from tests.support import Tenancy


@pytest.fixture
def identity(strict_tenancy: Tenancy) -> Iterator[FaultProxy]:
    """Keystone behind a proxy."""
    root = strict_tenancy.cloud.urls("http").auth_url.removesuffix("/v2.0")
    with FaultProxy(root).running() as proxy:
        yield proxy


@pytest.fixture
def storage(strict_tenancy: Tenancy) -> Iterator[FaultProxy]:
    """Swift behind a proxy."""
    with FaultProxy(strict_tenancy.cloud.urls("http").endpoint_urls["KR1"]).running() as proxy:
        yield proxy


@pytest.fixture
def options(strict_tenancy: Tenancy, identity: FaultProxy, tmp_path: Any) -> dict[str, Any]:
    """The arguments of a Session whose Keystone is behind the proxy, with a cache file."""
    return strict_tenancy.options(
        auth_url=f"{identity.url}/v2.0",
        endpoint_url=strict_tenancy.cloud.endpoint_url,
        cache=str(tmp_path / "cache"),
    )
