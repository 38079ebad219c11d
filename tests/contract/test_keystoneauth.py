"""What we lean on in keystoneauth1: on a real Keystone, and on a server that misbehaves."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from tests.support import GOOD_LOGIN, Tenancy, Watch, odd_identity
from toast_boto._keystone import TRIES, Keystone
from toast_boto._profiles import Profile
from toast_boto._settings import Settings, resolve
from toast_boto.errors import AuthenticationError, ConfigurationError, IdentityUnavailableError

NO_PROFILE = Profile("default", False, {})


def settings_of(**options: Any) -> Settings:
    return resolve(options, {}, NO_PROFILE)


def settings_for(url: str) -> Settings:
    return settings_of(auth_url=url, username="u", password="the-password", tenant_id="t")


def test_login_is_one_request_and_a_list_one_more(tenancy: Tenancy) -> None:
    """User, tenant and catalogue of a v2.0 login come with one POST; calls share the connection."""
    watch = Watch(tenancy.cloud)
    with Keystone(settings_of(**tenancy.options())) as keystone:
        login = keystone.login()
        assert keystone.list_keys() == []
    assert (login.user_id, login.tenant_id) == (tenancy.user_id, tenancy.tenant_id)
    assert login.endpoints == tenancy.cloud.endpoint_urls
    assert watch.identity() == ["login", "list"]
    assert len({request.client_port for request in watch.of("keystone", "/v2.0")}) == 1


def test_three_calls_of_the_guide(tenancy: Tenancy) -> None:
    """Register, list and delete a key; deleting again finds none."""
    with Keystone(settings_of(**tenancy.options())) as keystone:
        key = keystone.create_key(tenancy.tenant_id)
        assert (key.tenant_id, key.user_id) == (tenancy.tenant_id, tenancy.user_id)
        assert len(key.access) == len(key.secret) == 32
        assert keystone.list_keys() == [key]
        assert keystone.delete_key(key.access) is True
        assert keystone.delete_key(key.access) is False
        assert keystone.list_keys() == []


def test_no_secret_is_logged(tenancy: Tenancy, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, everybody's loggers on: no password, no token, no secret, over create and list."""
    caplog.set_level(logging.DEBUG)
    with Keystone(settings_of(**tenancy.options())) as keystone:
        key = keystone.create_key(tenancy.tenant_id)
        keystone.list_keys()
        keystone.delete_key(key.access)
    assert "credentials/OS-EC2" in caplog.text, "the loggers are on"
    for secret in (tenancy.password, key.secret, "gAAAA"):
        assert secret not in caplog.text


GUIDE_ANSWER = b"""{"credentials": [{"access": "253a3c7ca27f4731a9c757addfac29ca",
 "tenant_id": "84c9e9a51aea402e95389c08ac562ac5", "secret": "be057f235abf45ee8e2ba14edc5fb253",
 "user_id": "84db0c80-3c39-11e7-b29c-005056ac1497", "trust_id": null}]}"""
LATER_ANSWER = b"""{"credential": {"access": "253a3c7ca27f4731a9c757addfac29ca",
 "tenant_id": "84c9e9a51aea402e95389c08ac562ac5", "secret": "be057f235abf45ee8e2ba14edc5fb253",
 "user_id": "84db0c80-3c39-11e7-b29c-005056ac1497",
 "created_at": "2024-10-19T08:24:46.000000Z", "accessed_at": null}}"""


@pytest.mark.parametrize("answer", [GUIDE_ANSWER, LATER_ANSWER])
def test_both_shapes_of_a_created_key(answer: bytes) -> None:
    """The guide's sample answers with a list, later documentation with one: both are read."""
    created = (200, "application/json", answer)
    with odd_identity(GOOD_LOGIN, created) as (url, _), Keystone(settings_for(url)) as keystone:
        key = keystone.create_key("t")
    assert key.access == "253a3c7ca27f4731a9c757addfac29ca"
    assert key.secret == "be057f235abf45ee8e2ba14edc5fb253"


DOCUMENTED_LOGIN = (
    200,
    "application/json",
    b"""{"access": {"token": {"id": "t", "expires": "2099-01-01T00:00:00Z", "tenant": {
 "id": "x", "name": "n", "groupId": "g", "project_domain": "p", "swift": true}},
 "serviceCatalog": [{"type": "object-store", "name": "swift", "endpoints": [
 {"region": "KR1", "publicURL": "https://api-storage.cloud.toast.com/v1/AUTH_x"},
 {"region": "KR2", "publicURL": "https://kr2-api-storage.cloud.toast.com/v1/AUTH_x"}]},
 {"type": "identity", "name": "keystone", "endpoints": [
 {"region": "KR1", "publicURL": "https://i/v2.0"}]}],
 "user": {"id": "u", "username": "n", "name": "n", "roles": [], "roles_links": []}}}""",
)


def test_documented_catalogue() -> None:
    """A catalogue whose entries have only region and publicURL gives the endpoints."""
    answers = odd_identity(DOCUMENTED_LOGIN, GOOD_LOGIN)
    with answers as (url, _), Keystone(settings_for(url)) as keystone:
        login = keystone.login()
    assert login.endpoints == {
        "KR1": "https://api-storage.cloud.toast.com",
        "KR2": "https://kr2-api-storage.cloud.toast.com",
    }


@pytest.fixture
def silent_server() -> Iterator[tuple[str, list[int]]]:
    """Takes connections and never answers; counts them."""
    accepted: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections = []

        def accept() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    return
                accepted.append(1)

        thread = Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v2.0", accepted
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in connections:
            connection.close()


def test_time_limit_of_a_login(silent_server: tuple[str, list[int]]) -> None:
    """A login that is not answered ends in time; keystoneauth1 itself repeats nothing."""
    url, accepted = silent_server
    in_time = pytest.raises(IdentityUnavailableError, match=r"not answer in time.*tried 5 times")
    options = {"timeouts": (0.2, 0.2), "sleep": lambda _: None}
    with Keystone(settings_for(url), **options) as keystone, in_time:
        keystone.login()
    assert len(accepted) == TRIES


def test_errors_hold_nothing_of_theirs() -> None:
    """Neither cause nor context of an error is an exception that holds the request."""
    refusal = (401, "application/json", b'{"error": {"message": "no", "code": 401}}')
    answers = odd_identity(refusal, refusal)
    refused = pytest.raises(AuthenticationError, match="refused the login")
    with answers as (url, _), Keystone(settings_for(url)) as keystone, refused as caught:
        keystone.login()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_password_command_has_its_own_time(tenancy: Tenancy) -> None:
    """The time that a command takes to print the password is not Keystone's."""
    command = f"sh -c 'sleep 1.2; echo {tenancy.password}'"
    options = tenancy.options(password=None, password_process=command, identity_timeout=1)
    with Keystone(settings_of(**options)) as keystone:
        assert keystone.login().user_id == tenancy.user_id
    with pytest.raises(ConfigurationError, match=r"took more than 0\.2 s"):
        Keystone(settings_of(**options), at_most=0.2)
