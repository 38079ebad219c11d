"""The sandbox's Identity v2.0 answers as a real Keystone 12 did."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import Tenancy, login_v2
from toast_boto.sandbox import Sandbox

RECORDINGS = json.loads(
    (Path(__file__).parents[1] / "wire" / "recordings.json").read_text(encoding="utf-8")
)

# Where today's Keystone, which does the work, is stricter than Keystone 12 was.
DIFFERENT = {
    "38-ec2-create-unscoped-token": 403,  # an unscoped token could make keys
    "42-ec2-get-other-users-access-own-path": 403,  # one user could read another's key
}
OTHER_WORDS = ("21-token-disabled-user",)  # it told an outsider that the user is disabled


class Scene:
    """The users, tenants, tokens and keys that the recorded requests speak of."""

    def __init__(self, cloud: Sandbox) -> None:
        self.cloud = cloud
        self.own, self.other = Tenancy.create(cloud), Tenancy.create(cloud)
        self.other_access = self.other.create_key()["access"]
        self.token = self._login(self.own.tenant_id)
        self.unscoped_token = self._login(None)
        tenant = self.own.admin.call("GET", f"/projects/{self.own.tenant_id}")
        self.tenant_name = tenant["project"]["name"]

    def token_of(self, kind: str) -> str:
        own = self.own
        if kind == "own":
            return self.token
        if kind == "unscoped":
            return self.unscoped_token
        if kind == "admin":
            return own.admin.token
        if kind == "revoked":
            token = self._login(own.tenant_id)
            requests.delete(
                f"{self.cloud.auth_url_v3}/auth/tokens",
                headers={"X-Auth-Token": own.admin.token, "X-Subject-Token": token},
                verify=self.cloud.ca_bundle,
                timeout=30,
            ).raise_for_status()
            return token
        if kind == "tampered":
            return f"{self.token[:-8]}AAAAAAAA"
        assert kind == "bad"
        return "bad"

    def _login(self, tenant_id: str | None) -> str:
        return login_v2(self.cloud, self.own.username, self.own.password, tenant_id)

    def values(self) -> dict[str, str]:
        carol = self.cloud.users["carol@example.com"]
        return {
            "user_id": self.own.user_id,
            "other_user_id": self.other.user_id,
            "username": self.own.username,
            "password": self.own.password,
            "disabled_username": carol.name,
            "disabled_password": carol.password,
            "tenant_id": self.own.tenant_id,
            "tenant_name": self.tenant_name,
            "other_tenant_id": self.other.tenant_id,
            "disabled_tenant_id": self.cloud.tenants["disabled"],
            "token": self.token,
            "other_access": self.other_access,
        }

    def delete_keys(self) -> None:
        for key in self.own.list_keys():
            path = f"/users/{self.own.user_id}/credentials/OS-EC2/{key['access']}"
            self.own.admin.call("DELETE", path)


@pytest.fixture(scope="module")
def scene(_cloud: Sandbox) -> Scene:
    return Scene(_cloud)


@pytest.fixture
def keys(scene: Scene, recording: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The keys that a recording found there."""
    name = recording["name"]
    values: dict[str, str] = {}
    if "{access}" in recording["path"] or ("-list" in name and name != "30-ec2-list-0"):
        values["access"] = scene.own.create_key()["access"]
    if name == "45-ec2-delete-again":
        path = f"/users/{scene.own.user_id}/credentials/OS-EC2/{values['access']}"
        scene.own.admin.call("DELETE", path)
    yield values
    scene.delete_keys()


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return re.sub(r"\{(\d+)×(.)\}", lambda found: found[2] * int(found[1]), text)


def _send(url: str, recording: dict[str, Any], token: str | None, values: dict[str, str]) -> Any:
    headers = {
        "Content-Type": recording["content_type"],
        "Accept": recording["accept"],
        "X-Auth-Token": token,
    }
    body = recording["body"]
    session = requests.Session()
    session.verify = values["ca_bundle"]
    return session.request(
        recording["method"],
        url + _fill(recording["path"], values),
        data=None if body is None else _fill(body, values).encode(),
        headers={name: value for name, value in headers.items() if value},
        timeout=30,
        allow_redirects=False,
    )


@pytest.mark.parametrize(
    "recording",
    [r for r in RECORDINGS if r["token"] != "expired"],
    ids=lambda recording: str(recording["name"]),
)
def test_answers_as_recorded(scene: Scene, recording: dict[str, Any], keys: dict[str, str]) -> None:
    """Status, shape of the body and words of a refusal are those of Keystone 12."""
    cloud = scene.cloud
    values = {**scene.values(), **keys, "ca_bundle": cloud.ca_bundle}
    token = scene.token_of(recording["token"]) if recording["token"] else None
    url = cloud.auth_url.removesuffix("/v2.0")
    response = _send(url, recording, token, values)
    if recording["name"] in DIFFERENT:
        assert response.status_code == DIFFERENT[recording["name"]]
        assert response.status_code != recording["status"], "no difference any more"
        return
    _compare(response, recording, values, url)


def _compare(response: Any, recording: dict[str, Any], values: dict[str, str], url: str) -> None:
    assert response.status_code == recording["status"], response.text
    if recording["status"] == 204:
        assert not response.content
    elif "shape" in recording:
        expected = recording["shape"]
        if recording["path"].startswith("/v3"):
            expected = _without_links(expected)
            assert _without_links(_shape(response.json())) == expected
        else:
            _assert_shape(response.json(), expected)
    else:
        expected = json.loads(_fill(json.dumps(recording["error"]), {**values, "url": url}))
        found = response.json()
        if recording["name"] in OTHER_WORDS:
            assert found["error"].pop("message") != expected["error"].pop("message")
        assert _without_ids(found) == _without_ids(expected)
    if recording["status"] == 401:
        assert response.headers["WWW-Authenticate"].startswith("Keystone uri=")


def _assert_shape(found: Any, expected: Any, where: str = "") -> None:
    if isinstance(expected, list):
        assert isinstance(found, list), where
        for item in found:
            assert expected, f"{where}: it was empty"
            _assert_shape(item, expected[0], f"{where}[]")
    elif isinstance(expected, dict):
        assert set(found) == set(expected), where
        for name, value in expected.items():
            _assert_shape(found[name], value, f"{where}.{name}")
    else:
        assert _shape(found) == expected, where


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return {str: "text", int: "number", bool: "boolean", type(None): "null"}[type(value)]


def _without_links(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {n: _without_links(s) for n, s in shape.items() if n != "links"}
    return shape


def _without_ids(body: Any) -> Any:
    text = re.sub(r"[0-9a-f]{32,64}", "ID", json.dumps(body))
    return json.loads(re.sub(r": identity:\w+", "", text))


@pytest.fixture(scope="module")
def short_lived() -> Iterator[Sandbox]:
    with Sandbox(token_lifetime=2) as cloud:
        yield cloud


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "recording",
    [r for r in RECORDINGS if r["token"] == "expired"],
    ids=lambda recording: str(recording["name"]),
)
def test_expired_token_as_recorded(short_lived: Sandbox, recording: dict[str, Any]) -> None:
    """A token that has expired is refused as one that never was."""
    cloud = short_lived
    token = login_v2(cloud, cloud.username, cloud.password, cloud.tenant_id)
    values = {
        "user_id": cloud.user_id,
        "tenant_id": cloud.tenant_id,
        "ca_bundle": cloud.ca_bundle,
    }
    url = cloud.auth_url.removesuffix("/v2.0")
    deadline = time.monotonic() + 20
    while True:  # Keystone's clock decides; it rounds to whole seconds
        response = _send(url, recording, token, values)
        if response.status_code == 401 or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    _compare(response, recording, values, url)


@pytest.mark.parametrize("version", ["v2.0", "v3"])
def test_fourth_key_of_a_tenant_is_refused(cloud: Sandbox, version: str) -> None:
    """The cloud's rule: three keys for one user and tenant, of each tenant its own three."""
    own = Tenancy.create(cloud, tenants=2)
    token = login_v2(cloud, own.username, own.password, own.tenant_id)
    url = f"{cloud.auth_url.removesuffix('/v2.0')}/{version}/users/{own.user_id}/credentials/OS-EC2"

    def create(tenant_id: str) -> Any:
        return requests.post(
            url,
            json={"tenant_id": tenant_id},
            headers={"X-Auth-Token": token},
            verify=cloud.ca_bundle,
            timeout=30,
        )

    codes = [create(own.tenant_ids[0]).status_code for _ in range(3)]
    assert codes == [200 if version == "v2.0" else 201] * 3
    refusal = create(own.tenant_ids[0])
    assert (refusal.status_code, refusal.json()["error"]["title"]) == (409, "Conflict")
    assert create(own.tenant_ids[1]).ok
    assert len(own.list_keys()) == 4
