"""Keystone away or odd: a bounded number of tries, no key too many, and a cached key goes on."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError

import toast_boto
from tests.faults.proxy import FAULTS, LASTING, PASSING, Fault, FaultProxy
from tests.support import Tenancy, key_of
from toast_boto._keystone import TRIES

CALLS = ("login", "list", "create")


def list_buckets(options: dict[str, Any]) -> None:
    toast_boto.Session(**options).client("s3").list_buckets()


def failure_of(options: dict[str, Any]) -> toast_boto.ToastBotoError:
    with pytest.raises(CredentialRetrievalError) as caught:
        list_buckets(options)
    cause = caught.value.__cause__
    assert isinstance(cause, toast_boto.ToastBotoError)
    return cause


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_trouble_that_passes(
    fault: Fault, call: str, identity: FaultProxy, options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """One failure of any kind, at any step, is got over; and there is one key in the end."""
    identity.fault(call, fault, times=1)
    access = key_of(options)
    assert [key["access"] for key in strict_tenancy.list_keys()] == [access]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_trouble_that_lasts(
    fault: Fault, call: str, identity: FaultProxy, options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """The error names the service; tries are few, the time is bounded, and no slot is wasted."""
    if call == "create" and fault in _MADE:
        call = "list"  # for the key was made, and would be found in the list: see above
    identity.fault(call, fault)
    started = time.monotonic()
    with pytest.raises(toast_boto.IdentityUnavailableError) as caught:
        key_of(options, identity_timeout=0.5)
    assert time.monotonic() - started < 8, "the total time is bounded, however slow this machine"
    assert identity.url in str(caught.value)
    assert identity.seen.count(call) <= TRIES
    assert len(strict_tenancy.list_keys()) == 0
    identity.heal()
    access = key_of(options)
    assert [key["access"] for key in strict_tenancy.list_keys()] == [access]


_MADE = [
    PASSING[name]
    for name in ("lost reply", "500 after the work", "504 after the work", "cut body", "cut JSON")
]


@pytest.mark.parametrize("fault", LASTING.values(), ids=LASTING)
def test_list_after_a_create(
    fault: Fault, identity: FaultProxy, options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """When only the look after a create fails, the key that was made is used."""
    passed = []

    def second(exchange: Any) -> None:
        passed.append(1)
        if len(passed) == 1:
            exchange.answer(exchange.forward())
        else:
            fault(exchange)

    identity.fault("list", second)
    access = key_of(options, identity_timeout=1)
    assert [key["access"] for key in strict_tenancy.list_keys()] == [access]


def test_doubtful_create_without_a_list(
    identity: FaultProxy, options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """When neither the create nor the list is answered, nothing more is made; the text says so."""
    identity.fault("create", PASSING["lost reply"])
    calls = []

    def from_the_second_on(exchange: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            exchange.answer(exchange.forward())
        else:
            PASSING["503"](exchange)

    identity.fault("list", from_the_second_on)
    error = failure_of({**options, "identity_timeout": 2})
    assert "Whether a key was made is not known" in str(error)
    assert identity.seen.count("create") == 1
    assert len(strict_tenancy.list_keys()) == 1
    identity.heal()
    list_buckets(options)
    assert identity.seen.count("create") == 1
    assert len(strict_tenancy.list_keys()) == 1


def test_create_is_repeated_only_after_a_look(
    identity: FaultProxy, options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """Between two creates the list is read: never a create blindly again."""
    identity.fault("create", PASSING["503"], times=2)
    list_buckets(options)
    calls = [call for call in identity.seen if call != "login"]
    assert calls == ["list", "create", "list", "create", "list", "create", "list"]
    assert len(strict_tenancy.list_keys()) == 1


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_cached_key_goes_on(fault: Fault, identity: FaultProxy, options: dict[str, Any]) -> None:
    """Whatever Keystone does, a process that finds its key in the cache does not notice."""
    access = key_of(options)
    identity.fault("*", fault)
    before = len(identity.seen)
    assert key_of(options) == access
    assert len(identity.seen) == before


def test_refused_and_unknown_hosts(options: dict[str, Any]) -> None:
    """A connection refused and a name nobody has are tried again, and said with the URL."""
    for url in ("http://127.0.0.1:1/v2.0", "https://identity.invalid/v2.0"):
        error = failure_of({**options, "auth_url": url, "identity_timeout": 1})
        assert type(error) is toast_boto.IdentityUnavailableError
        assert url in str(error)
        assert "tried 2 times" in str(error) or "tried 3 times" in str(error)


def test_no_tls_at_the_port(identity: FaultProxy, options: dict[str, Any]) -> None:
    """https to a port that speaks http is said at once, for it will not pass."""
    url = identity.url.replace("http://", "https://") + "/v2.0"
    error = failure_of({**options, "auth_url": url, "identity_timeout": 5})
    assert type(error) is toast_boto.IdentityUnavailableError
    assert "tried" not in str(error)


def test_login_refused_is_not_repeated(identity: FaultProxy, options: dict[str, Any]) -> None:
    """A wrong password is sent once: accounts get locked."""
    error = failure_of({**options, "password": "wrong"})
    assert type(error) is toast_boto.AuthenticationError
    assert identity.seen == ["login"]


@pytest.mark.parametrize("name", ["503", "html", "dribbled body"])
def test_refused_key_while_keystone_is_away(
    name: str,
    identity: FaultProxy,
    options: dict[str, Any],
    strict_tenancy: Tenancy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The user sees the S3 server's own answer, and the log tells of Keystone, once."""
    s3 = toast_boto.Session(**{**options, "identity_timeout": 1}).client("s3")
    s3.list_buckets()
    strict_tenancy.delete_all_keys()
    identity.fault("*", FAULTS[name])
    for _ in range(2):
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            s3.list_buckets()
    said = [r for r in caplog.records if r.name == "toast_boto" and r.levelno == logging.WARNING]
    assert len(said) == 1, "not again and again"
    assert identity.url in said[0].getMessage()


def test_real_outage(strict_tenancy: Tenancy, tmp_path: Any) -> None:
    """Keystone itself is stopped: a cold start says so; when it is back, all is well."""
    cloud = strict_tenancy.cloud
    options = strict_tenancy.options(
        cache=str(tmp_path / "cache"), endpoint_url=cloud.endpoint_url, identity_timeout=1
    )
    cloud.stop_keystone()
    try:
        error = failure_of(options)
    finally:
        cloud.start_keystone()
    assert type(error) is toast_boto.IdentityUnavailableError
    assert "can this machine reach it?" in str(error)
    list_buckets(options)
