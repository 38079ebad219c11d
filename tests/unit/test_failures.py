"""Which error each refusal becomes. A fake identity service gives those that Keystone would not."""

from __future__ import annotations

from typing import Any

import pytest
from keystoneauth1.identity import v2

from tests.support import GOOD_LOGIN, odd_identity
from toast_boto._keys import CreateRefused
from toast_boto._keystone import Keystone
from toast_boto._profiles import Profile
from toast_boto._settings import resolve
from toast_boto.errors import AuthenticationError, ConfigurationError, IdentityUnavailableError


def answer(status: int, message: str = "so says the server") -> tuple[int, str, bytes]:
    body = f'{{"error": {{"code": {status}, "title": "x", "message": "{message}"}}}}'
    return status, "application/json", body.encode()


def keystone(url: str, **options: Any) -> Keystone:
    login = {"username": "u", "password": "the-password", "tenant_id": "t"}
    profile = Profile("default", False, {})
    settings = resolve({"auth_url": url, **login, **options}, {}, profile)
    return Keystone(settings, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, AuthenticationError, "so says the server. Is the identity URL right? Likely causes"),
        (401, AuthenticationError, "refused the login (401): so says the server. Likely causes"),
        (403, AuthenticationError, "refused the login (403): so says the server. Is the"),
        (404, ConfigurationError, "there is no login at"),
        (405, ConfigurationError, "there is no login at"),
        (407, IdentityUnavailableError, "it answered 407"),
        (408, IdentityUnavailableError, "it answered 408"),
        (429, IdentityUnavailableError, "it answered 429"),
        (500, IdentityUnavailableError, "it answered 500"),
        (503, IdentityUnavailableError, "it answered 503"),
    ],
)
def test_refused_login(status: int, kind: type[Exception], words: str) -> None:
    """A login that is refused, one that is not there, and a server in trouble are three things."""
    with odd_identity(answer(status), answer(status)) as (url, _), keystone(url) as identity:
        with pytest.raises(kind) as caught:
            identity.login()
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert f"{url} (the argument auth_url=)" in str(caught.value)


def test_refused_plugin() -> None:
    """A plugin's refusal names the plugin, not the API password."""
    with odd_identity(answer(401), answer(401)) as (url, _):
        plugin = v2.Password(url, username="u", password="p", tenant_id="t")
        with keystone(url, auth=plugin) as identity, pytest.raises(AuthenticationError) as caught:
            identity.login()
    assert "the plugin given as auth=" in str(caught.value)
    assert "API password" not in str(caught.value)


def test_password_of_a_command_is_named_by_it() -> None:
    """When a command printed the password, the causes name the command's source."""
    options = {"password": None, "password_process": "echo wrong"}
    with odd_identity(answer(401), answer(401)) as (url, _), keystone(url, **options) as identity:
        with pytest.raises(AuthenticationError, match=r"printed by the argument password_process="):
            identity.login()


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, AuthenticationError, "refused access to the user's keys (401)"),
        (403, AuthenticationError, "refused access to the user's keys (403)"),
        (404, ConfigurationError, "knows no EC2 credentials"),
        (500, IdentityUnavailableError, "it answered 500"),
    ],
)
@pytest.mark.parametrize("call", ["list", "delete"])
def test_refused_call(call: str, status: int, kind: type[Exception], words: str) -> None:
    """A refused list or deletion; deleting a key that is not there is no error."""
    with odd_identity(GOOD_LOGIN, answer(status)) as (url, _), keystone(url) as identity:
        if call == "delete" and status == 404:
            assert identity.delete_key("access") is False
            return
        with pytest.raises(kind) as caught:
            _ = identity.list_keys() if call == "list" else identity.delete_key("access")
    assert type(caught.value) is kind
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (403, AuthenticationError, "refused to make a key (403)"),
        (409, AuthenticationError, "refused to make a key (409)"),
        (404, ConfigurationError, "no such tenant (the argument tenant_id=)"),
    ],
)
def test_refused_create(status: int, kind: type[Exception], words: str) -> None:
    """A refused create tells its status, and what to raise where nothing is there to be adopted."""
    with odd_identity(GOOD_LOGIN, answer(status)) as (url, _), keystone(url) as identity:
        with pytest.raises(CreateRefused) as caught:
            identity.create_key("t")
    assert caught.value.status == status
    assert type(caught.value.error) is kind
    assert words in str(caught.value.error)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"credential": {}}', b'{"credentials": []}'])
def test_created_key_of_odd_shape(body: bytes) -> None:
    """A create that is answered with something else is no key, and no crash."""
    created = (200, "application/json", body)
    with odd_identity(GOOD_LOGIN, created) as (url, _), keystone(url) as identity:
        with pytest.raises(IdentityUnavailableError, match="not as Keystone does"):
            identity.create_key("t")


def test_long_and_many_lined_words_of_a_server() -> None:
    """A server's message stands on one line, cut where it gets too long."""
    with odd_identity(answer(401, "a\\nb" + "c" * 500), answer(401)) as (url, _):
        with keystone(url) as identity, pytest.raises(AuthenticationError) as caught:
            identity.login()
    assert "\n" not in str(caught.value)
    assert "a bccc" in str(caught.value)
    assert "c" * 201 not in str(caught.value)


@pytest.mark.parametrize("status", [400, 403])
def test_page_of_a_filter(status: int) -> None:
    """A page of HTML is not Keystone's refusal, whatever its status."""
    page = (status, "text/html", b"<html>blocked</html>")
    with odd_identity(page, page) as (url, _), keystone(url) as identity:
        with pytest.raises(IdentityUnavailableError, match=f"answered {status}, not as Keystone"):
            identity.login()


def test_texts_of_others_are_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that can't be a header, and a proxy's URL, do not stand in an error."""
    status, kind, body = GOOD_LOGIN
    login = (status, kind, body.replace(b'"id": "t"', b'"id": "SECRET-TOKEN\\nx"'))
    with odd_identity(login, answer(200)) as (url, _), keystone(url) as identity:
        with pytest.raises(IdentityUnavailableError) as caught:
            identity.list_keys()
    assert "SECRET-TOKEN" not in str(caught.value)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:PROXYPW@proxy.invalid:99999")
    with keystone("https://identity.invalid/v2.0") as identity:
        with pytest.raises(IdentityUnavailableError) as caught:
            identity.login()
    assert "PROXYPW" not in str(caught.value)


def test_answer_without_end() -> None:
    """An answer is read up to a limit, be it as good as it may."""
    endless = b'{"credentials": [], "more": "' + b"x" * (9 * 1024 * 1024) + b'"}'
    answers = odd_identity(GOOD_LOGIN, (200, "application/json", endless))
    with answers as (url, _), keystone(url) as identity:
        with pytest.raises(IdentityUnavailableError, match="longer than 8388608 bytes"):
            identity.list_keys()
