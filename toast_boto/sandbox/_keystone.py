"""Runs Keystone in this process: database, keys, and the sandbox's users, tenants and catalogue."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from werkzeug.test import Client, TestResponse

_CONF = """
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{directory}/keystone.db
[token]
provider = fernet
expiration = {token_lifetime}
[fernet_tokens]
key_repository = {directory}/fernet-keys
[fernet_receipts]
key_repository = {directory}/fernet-keys
[credential]
key_repository = {directory}/credential-keys
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
"""


class Keystone:
    """One Keystone in this process, as a WSGI application, and what an administrator does to it.

    Args:
        directory: an empty directory for configuration, keys and database.
        public_url: where clients reach it, without the version.
        token_lifetime: of a token, in seconds.
    """

    def __init__(self, directory: Path, public_url: str, token_lifetime: int) -> None:
        for repository in ("fernet-keys", "credential-keys"):
            (directory / repository).mkdir(mode=0o700)
            for index in ("0", "1"):
                path = directory / repository / index
                path.touch(mode=0o600)
                path.write_bytes(Fernet.generate_key())
        conf = directory / "keystone.conf"
        conf.write_text(_CONF.format(directory=directory, token_lifetime=token_lifetime))
        # Imported late: keystone reads its keys and its configuration while it loads.
        from keystone import server
        from keystone.common.sql import upgrades
        from keystone.server.flask import application, core

        server.configure(config_files=[str(conf)])
        upgrades.offline_sync_database_to_version()
        self.admin_password = secrets.token_urlsafe(16)
        self._bootstrap(public_url)  # loads the back ends, which can be done only once
        self.app: Any = core.setup_app_middleware(application.application_factory("public"))
        self._client = Client(self.app)
        self._token = self._admin_token()

    def _bootstrap(self, public_url: str) -> None:
        from keystone.cmd.bootstrap import Bootstrapper

        bootstrap = Bootstrapper()
        bootstrap.admin_username = bootstrap.admin_role_name = "admin"
        bootstrap.admin_password = self.admin_password
        bootstrap.project_name = "admin"
        bootstrap.region_id = "KR1"
        bootstrap.service_name = "keystone"
        bootstrap.public_url = bootstrap.internal_url = bootstrap.admin_url = f"{public_url}/v2.0"
        bootstrap.bootstrap()

    def _admin_token(self) -> str:
        user = {"name": "admin", "password": self.admin_password, "domain": {"id": "default"}}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
        }
        response = self._client.post("/v3/auth/tokens", json={"auth": auth})
        if response.status_code != 201:
            raise RuntimeError(f"Keystone's administrator could not log in: {response.status}")
        return str(response.headers["X-Subject-Token"])

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call Keystone's v3 API as its administrator; answers the reply's JSON."""
        response = self._call(method, path, body)
        if response.status_code == 401:  # a token's lifetime may be seconds
            self._token = self._admin_token()
            response = self._call(method, path, body)
        if response.status_code >= 300:
            raise RuntimeError(
                f"{method} {path}: {response.status}: {response.get_data(as_text=True)}"
            )
        return response.get_json(silent=True)

    def _call(self, method: str, path: str, body: Any) -> TestResponse:
        headers = {"X-Auth-Token": self._token}
        return self._client.open(path, method=method, json=body, headers=headers)

    def create_project(self, name: str) -> str:
        """Create a tenant; answers its ID."""
        project = {"name": name, "domain_id": "default"}
        return str(self.call("POST", "/v3/projects", {"project": project})["project"]["id"])

    def create_user(self, name: str, password: str, enabled: bool = True) -> str:
        """Create a user; answers their ID."""
        user = {"name": name, "password": password, "domain_id": "default", "enabled": enabled}
        return str(self.call("POST", "/v3/users", {"user": user})["user"]["id"])

    def grant(self, user_id: str, project_id: str, *roles: str) -> None:
        """Give a user roles on a tenant."""
        for role in roles:
            role_id = self._role_ids[role]
            self.call("PUT", f"/v3/projects/{project_id}/users/{user_id}/roles/{role_id}")

    @functools.cached_property
    def _role_ids(self) -> dict[str, str]:
        return {role["name"]: role["id"] for role in self.call("GET", "/v3/roles")["roles"]}

    def add_object_store(self, endpoints: Mapping[str, str]) -> None:
        """Put Swift's public URLs into the catalogue, by region."""
        service = {"type": "object-store", "name": "swift"}
        service_id = self.call("POST", "/v3/services", {"service": service})["service"]["id"]
        known = {region["id"] for region in self.call("GET", "/v3/regions")["regions"]}
        for region, url in endpoints.items():
            if region not in known:
                self.call("POST", "/v3/regions", {"region": {"id": region}})
            endpoint = {
                "interface": "public",
                "region_id": region,
                "service_id": service_id,
                "url": url,
            }
            self.call("POST", "/v3/endpoints", {"endpoint": endpoint})
