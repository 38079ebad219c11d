"""Fixtures of the tests that talk to the sandbox's servers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

import toast_boto
from tests.support import Tenancy
from toast_boto.sandbox import Sandbox

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared_tenancy(_cloud: Sandbox) -> Tenancy:
    """A user for all tests that do not care which."""
    return Tenancy.create(_cloud)


@pytest.fixture(scope="session")
def shared_session(shared_tenancy: Tenancy) -> Any:
    return toast_boto.Session(**shared_tenancy.options())


@pytest.fixture
def s3(cloud: Sandbox, shared_session: Any) -> Any:
    """A client as a user of the library makes it."""
    return shared_session.client("s3")


@pytest.fixture
def new_name() -> Callable[[], str]:
    """Bucket names that no other test has."""
    return lambda: f"bucket-{next(_numbers)}"


@pytest.fixture
def bucket(s3: Any, new_name: Callable[[], str]) -> str:
    """A new bucket; answers its name."""
    name = new_name()
    s3.create_bucket(Bucket=name)
    return name
