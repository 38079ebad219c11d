"""Fixtures: a clean environment for every test, and one sandbox for all that need it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import toast_boto
from tests.support import Tenancy, set_settings
from toast_boto.sandbox import Sandbox

_FOREIGN = ("AWS_", "BOTO", "OS_", "TOAST_", "REQUESTS_", "CURL_", "SSL_")
_KEPT = ("TOAST_BOTO_SANDBOX_PYTHON",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need servers."""
    for item in items:
        if {"cloud", "strict_cloud"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.sandbox)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No test sees this machine's settings or files; answers the test's home directory."""
    for name in os.environ:
        if (name.startswith(_FOREIGN) or name.lower().endswith("_proxy")) and name not in _KEPT:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(toast_boto, "DEFAULT_SESSION", None)  # none of an earlier test
    return home


@contextmanager
def started(**options: Any) -> Iterator[Sandbox]:
    """A sandbox that this machine's settings don't reach."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        with Sandbox(**options) as cloud:
            yield cloud


@pytest.fixture(scope="session")
def _cloud() -> Iterator[Sandbox]:
    with started() as cloud:
        yield cloud


@pytest.fixture(scope="session")
def _strict_cloud() -> Iterator[Sandbox]:
    with started(secret_cache=0) as cloud:
        yield cloud


@pytest.fixture
def strict_cloud(_strict_cloud: Sandbox) -> Sandbox:
    """A Swift that remembers no secrets: a key that was deleted is dead at once."""
    return _strict_cloud


@pytest.fixture
def strict_tenancy(strict_cloud: Sandbox) -> Tenancy:
    """A new user of that cloud, and no key yet."""
    return Tenancy.create(strict_cloud)


@pytest.fixture
def cloud(_cloud: Sandbox) -> Sandbox:
    """A real Keystone and a real Swift."""
    return _cloud


@pytest.fixture
def tenancy(cloud: Sandbox) -> Tenancy:
    """A new user with a new tenant, and no key yet."""
    return Tenancy.create(cloud)


@pytest.fixture
def toast_environment(tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tenancy:
    """The environment variables that a user of the service sets; answers whose they are."""
    set_settings(monkeypatch, tenancy, tmp_path / "cache")
    return tenancy
