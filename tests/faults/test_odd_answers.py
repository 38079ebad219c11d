"""Answers of any shape: our errors and nothing else.

A fake identity service, for Keystone's answers are good. Its own are Keystone's with one thing in
them replaced by something else, or anything at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import odd_identity
from toast_boto._keys import CreateRefused, EC2Key
from toast_boto._keystone import Keystone
from toast_boto._profiles import Profile
from toast_boto._settings import resolve
from toast_boto.errors import ToastBotoError

LOGIN: dict[str, Any] = {
    "access": {
        "token": {"id": "t", "expires": "2099-01-01T00:00:00Z", "tenant": {"id": "x", "name": "x"}},
        "user": {"id": "u", "username": "u", "name": "u", "roles": [{"name": "member"}]},
        "serviceCatalog": [
            {
                "type": "object-store",
                "name": "swift",
                "endpoints": [{"region": "KR1", "publicURL": "https://s/v1/AUTH_x", "id": "e"}],
            }
        ],
    }
}
KEY = {"access": "a", "secret": "s", "tenant_id": "x", "user_id": "u", "trust_id": None}
ANSWERS = {
    "login": LOGIN,
    "list": {"credentials": [KEY, {**KEY, "access": "b"}]},
    "create": {"credential": KEY},
}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from places(inner, (*path, name))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = json.loads(json.dumps(value))
    inner = copied
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = new
    return copied


class Answers:
    """What the fake service answers; to be set between the calls."""

    def __init__(self) -> None:
        self.of: dict[str, tuple[int, str, bytes]] = {}
        self.keys = "list"

    def set(self, **bodies: bytes) -> None:
        good = {name: json.dumps(answer).encode() for name, answer in ANSWERS.items()}
        self.of = {n: (200, "application/json", b) for n, b in {**good, **bodies}.items()}


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, Answers]]:
    answers = Answers()

    class Login:
        def __iter__(self) -> Iterator[Any]:
            return iter(answers.of["login"])

    class Keys:
        def __iter__(self) -> Iterator[Any]:
            return iter(answers.of[answers.keys])

    with odd_identity(Login(), Keys()) as (url, _):  # type: ignore[arg-type]
        yield url, answers


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), call=st.sampled_from(sorted(ANSWERS)))
def test_any_answer(service: tuple[str, Answers], data: st.DataObject, call: str) -> None:
    """A call that is answered with anything gives a whole result, or one of our errors."""
    url, answers = service
    answer = ANSWERS[call]
    if data.draw(st.booleans()):
        path = data.draw(st.sampled_from(list(places(answer))))
        body = json.dumps(replaced(answer, path, data.draw(values))).encode()
    else:
        body = data.draw(st.binary(max_size=60) | values.map(lambda v: json.dumps(v).encode()))
    answers.set(**{call: body})
    login = {"username": "u", "password": "the-password", "tenant_id": "x", "auth_url": url}
    found = resolve(login, {}, Profile("default", False, {}))
    try:
        with Keystone(found, sleep=lambda _: None) as keystone:
            result = keystone.login()
            answers.keys = "list"
            keys = keystone.list_keys()
            answers.keys = "create"
            keys.append(keystone.create_key("x"))
    except (ToastBotoError, CreateRefused) as error:
        assert "the-password" not in str(error)
        return
    assert isinstance(result.user_id, str)
    assert isinstance(result.tenant_id, str)
    assert result.user_id
    assert all(isinstance(text, str) for item in result.endpoints.items() for text in item)
    assert all(isinstance(key, EC2Key) and key.access and key.secret for key in keys)
