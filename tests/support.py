"""What the tests share: users and tenants of the sandbox, and a watch on its requests."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from toast_boto._broker import Broker
from toast_boto._brokers import make_broker
from toast_boto._profiles import Profile
from toast_boto._settings import resolve
from toast_boto.errors import ToastBotoWarning
from toast_boto.sandbox import Request, Sandbox

_numbers = itertools.count(1)


class Administrator:
    """Keystone's administrator, by its own v3 API."""

    def __init__(self, cloud: Sandbox) -> None:
        self._cloud = cloud
        self.token = login_v3(cloud, "admin", cloud.users["admin"].password, "admin")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call Keystone; answers the reply's JSON."""
        response = requests.request(
            method,
            f"{self._cloud.auth_url_v3}{path}",
            json=body,
            headers={"X-Auth-Token": self.token},
            verify=self._cloud.ca_bundle,
            timeout=30,
        )
        response.raise_for_status()
        return response.json() if response.content else None

    def create_tenant(self, name: str) -> str:
        project = {"name": name, "domain_id": "default"}
        return str(self.call("POST", "/projects", {"project": project})["project"]["id"])

    def create_user(self, name: str, password: str) -> str:
        user = {"name": name, "password": password, "domain_id": "default"}
        return str(self.call("POST", "/users", {"user": user})["user"]["id"])

    def grant(self, user_id: str, tenant_id: str, role: str = "member") -> None:
        """Give a user a role; ``member`` is one that S3 needs."""
        self._role("PUT", user_id, tenant_id, role)

    def revoke(self, user_id: str, tenant_id: str, role: str = "member") -> None:
        """Take it away again."""
        self._role("DELETE", user_id, tenant_id, role)

    def _role(self, method: str, user_id: str, tenant_id: str, role: str) -> None:
        roles = {r["name"]: r["id"] for r in self.call("GET", "/roles")["roles"]}
        self.call(method, f"/projects/{tenant_id}/users/{user_id}/roles/{roles[role]}")


def login_v3(cloud: Sandbox, name: str, password: str, project: str) -> str:
    """A token by Keystone's own v3 API, scoped to a tenant by its name."""
    domain = {"id": "default"}
    user = {"name": name, "password": password, "domain": domain}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": project, "domain": domain}},
    }
    response = requests.post(
        f"{cloud.auth_url_v3}/auth/tokens",
        json={"auth": auth},
        verify=cloud.ca_bundle,
        timeout=30,
    )
    response.raise_for_status()
    return response.headers["X-Subject-Token"]


def login_v2(cloud: Sandbox, name: str, password: str, tenant_id: str | None) -> str:
    """A token by v2.0, unscoped without a tenant ID."""
    auth: dict[str, Any] = {"passwordCredentials": {"username": name, "password": password}}
    if tenant_id:
        auth["tenantId"] = tenant_id
    response = requests.post(
        f"{cloud.auth_url}/tokens", json={"auth": auth}, verify=cloud.ca_bundle, timeout=30
    )
    response.raise_for_status()
    return str(response.json()["access"]["token"]["id"])


@dataclass
class Tenancy:
    """A user of the sandbox with tenants of their own."""

    cloud: Sandbox
    admin: Administrator
    username: str
    password: str
    user_id: str
    tenant_ids: list[str] = field(default_factory=list)

    @classmethod
    def create(cls, cloud: Sandbox, tenants: int = 1) -> Tenancy:
        admin, number = Administrator(cloud), next(_numbers)
        username, password = f"user-{number}@example.com", f"api-password-{number}-pw"
        made = cls(cloud, admin, username, password, admin.create_user(username, password))
        for index in range(tenants):
            tenant_id = admin.create_tenant(f"tenant-{number}-{index}")
            admin.grant(made.user_id, tenant_id)
            made.tenant_ids.append(tenant_id)
        return made

    @property
    def tenant_id(self) -> str:
        return self.tenant_ids[0]

    def options(self, **changes: Any) -> dict[str, Any]:
        """The arguments of a Session of this user's; its cache is in memory."""
        return {
            "auth_url": self.cloud.auth_url,
            "username": self.username,
            "password": self.password,
            "tenant_id": self.tenant_id,
            "ca_bundle": self.cloud.ca_bundle,
            "cache": "memory",
            **changes,
        }

    def list_keys(self) -> list[dict[str, Any]]:
        """The user's keys, as Keystone lists them."""
        path = f"/users/{self.user_id}/credentials/OS-EC2"
        return list(self.admin.call("GET", path)["credentials"])

    def create_key(self, tenant_id: str | None = None) -> dict[str, Any]:
        """Make a key behind toast_boto's back."""
        path = f"/users/{self.user_id}/credentials/OS-EC2"
        body = {"tenant_id": tenant_id or self.tenant_id}
        return dict(self.admin.call("POST", path, body)["credential"])

    def delete_key(self, access: str) -> None:
        """Delete a key behind toast_boto's back, as somebody does in the console."""
        path = f"/users/{self.user_id}/credentials/OS-EC2/{access}"
        self.admin.call("DELETE", path)

    def delete_all_keys(self) -> list[str]:
        """Delete every key of the user; answers their names."""
        gone = [key["access"] for key in self.list_keys()]
        for access in gone:
            self.delete_key(access)
        return gone


def broker_for(options: dict[str, Any], **changes: Any) -> Broker:
    """The broker that a new process would have, which finds nothing but these options."""
    return make_broker(resolve({**options, **changes}, {}, Profile("default", False, {})))


def key_of(options: dict[str, Any], **changes: Any) -> str:
    """The access key that a new process would sign with."""
    return broker_for(options, **changes).key().access


def set_settings(monkeypatch: pytest.MonkeyPatch, tenancy: Tenancy, cache: Path) -> None:
    """Set the environment variables of a user."""
    for name, value in {
        "TOAST_AUTH_URL": tenancy.cloud.auth_url,
        "TOAST_USERNAME": tenancy.username,
        "TOAST_PASSWORD": tenancy.password,
        "TOAST_TENANT_ID": tenancy.tenant_id,
        "TOAST_CACHE_DIR": str(cache),
        "AWS_ENDPOINT_URL_S3": tenancy.cloud.endpoint_url,
        "AWS_CA_BUNDLE": tenancy.cloud.ca_bundle,
    }.items():
        monkeypatch.setenv(name, value)


class Watch:
    """What the servers answered since it was made."""

    def __init__(self, cloud: Sandbox) -> None:
        self._cloud = cloud
        self._start = len(cloud.requests())

    def of(self, service: str, prefix: str = "/") -> list[Request]:
        """The requests to ``keystone`` or to a region's Swift."""
        new = self._cloud.requests()[self._start :]
        return [r for r in new if r.service == service and r.path.startswith(prefix)]

    def identity(self) -> list[str]:
        """The calls by v2.0, which only clients make, in words."""
        return [call_name(request) for request in self.of("keystone", "/v2.0")]


def call_name(request: Request) -> str:
    """One word for a call of the identity API."""
    if request.path.endswith("/tokens"):
        return "login"
    return {"GET": "list", "POST": "create", "DELETE": "delete"}[request.method]


@contextmanager
def sent_requests(client: Any) -> Iterator[list[Any]]:
    """The HTTP requests that a client sends, as they go out."""
    sent: list[Any] = []

    def record(request: Any, **_: Any) -> None:
        sent.append(request)

    client.meta.events.register("before-send.s3", record)
    try:
        yield sent
    finally:
        client.meta.events.unregister("before-send.s3", record)


def header(request: Any, name: str) -> str:
    """A header of a request that botocore sends, as text; empty where there is none."""
    value = request.headers.get(name, "")
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


@contextmanager
def odd_identity(login: tuple[int, str, bytes], keys: tuple[int, str, bytes]) -> Iterator[Any]:
    """A fake identity service, for answers that a real Keystone can't be made to give."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            seen.append(f"{self.command} {self.path}")
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            status, kind, body = login if self.path.endswith("/tokens") else keys
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/stolen")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v2.0", seen
    finally:
        server.shutdown()
        server.server_close()


GOOD_LOGIN = (
    200,
    "application/json",
    b'{"access": {"token": {"id": "t", "expires": "2099-01-01T00:00:00Z", "tenant": '
    b'{"id": "x", "name": "x"}}, "user": {"id": "u", "name": "u"}, "serviceCatalog": []}}',
)


def count_ours(warned: Iterable[Any]) -> int:
    """How many of the recorded warnings are ours; older botocores add some of Python's."""
    return sum(issubclass(warning.category, ToastBotoWarning) for warning in warned)


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait for something to become true; answers whether it did."""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def run_cli(
    *arguments: str, environ: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "toast_boto", *arguments],
        capture_output=True,
        text=True,
        input=stdin,
        timeout=120,
        check=False,
        env={**os.environ, **(environ or {})},
    )


def write_profile(home: Path, name: str, config: str, credentials: str = "") -> None:
    """Write a profile by hand, as the only one."""
    directory = home / ".aws"
    directory.mkdir(exist_ok=True)
    prefix = "" if name == "default" else "profile "
    directory.joinpath("config").write_text(f"[{prefix}{name}]\n{config}", encoding="utf-8")
    path = directory / "credentials"
    path.touch(mode=0o600)
    path.write_text(f"[{name}]\n{credentials}", encoding="utf-8")


def profile_text(tenancy: Tenancy) -> str:
    """The login of a user in a profile, without the password."""
    return (
        f"toast_auth_url = {tenancy.cloud.auth_url}\ntoast_username = {tenancy.username}\n"
        f"toast_tenant_id = {tenancy.tenant_id}\nca_bundle = {tenancy.cloud.ca_bundle}\n"
    )
