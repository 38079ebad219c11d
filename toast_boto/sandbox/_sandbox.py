"""The sandbox as its user sees it: starts and stops the child process that runs the servers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit

from toast_boto.sandbox._process import SandboxError, ServerProcess, is_foreign

_NO_PROXY = "localhost,127.0.0.1"


class User(NamedTuple):
    """A user of the sandbox's Keystone. The password is for the sandbox alone and dies with it."""

    name: str
    id: str
    password: str

    def __repr__(self) -> str:
        return f"User(name={self.name!r}, id={self.id!r})"


class Request(NamedTuple):
    """One request that a server of the sandbox answered."""

    service: str
    """``keystone``, or the region of the Swift that answered."""
    method: str
    path: str
    status: int
    client_port: int
    """Equal for requests of one connection."""


class URLs(NamedTuple):
    """Where the servers are, by one scheme."""

    auth_url: str
    auth_url_v3: str
    endpoint_urls: dict[str, str]


class Sandbox:
    """A real Keystone and a real Swift on loopback, with the cloud's v2.0 login and key quota.

    Use it as a context manager. There are two users, ``alice@example.com``, who belongs to the
    tenants ``photos`` and ``backups``, and ``bob@example.com``, who belongs to ``other``. The
    regions KR1 and KR2 have storage of their own. Objects are kept in memory; everything is gone
    when it stops, and soon after this process has died: the servers look for it twice a second.

    Args:
        quota: how many keys a user may have for one tenant.
        swift_port: port of KR1's S3 endpoint; 0 lets the system choose.
        keystone_port: port of the identity service; 0 lets the system choose.
        token_lifetime: of an identity token, in seconds.
        secret_cache: how long Swift remembers the secret of a key, in seconds: so long does a
            deleted key go on working. 60 is Swift's own default; 0 asks Keystone at each request.
        scheme: ``https``, with a certificate made at start, or ``http``: that of ``auth_url``,
            ``endpoint_url``, the catalogue and the chosen ports. Both are always served.
        python: interpreter that runs the servers, 3.11 or newer, with toast_boto and its extra
            installed. Default: that of the environment variable ``TOAST_BOTO_SANDBOX_PYTHON``,
            else this one.
    """

    def __init__(
        self,
        *,
        quota: int = 3,
        swift_port: int = 0,
        keystone_port: int = 0,
        token_lifetime: int = 3600,
        secret_cache: int = 60,
        scheme: str = "https",
        python: str | None = None,
    ) -> None:
        if scheme not in ("http", "https"):
            raise SandboxError(f"scheme={scheme!r}: it is http or https")
        options = {
            "quota": quota,
            "scheme": scheme,
            "token_lifetime": token_lifetime,
            "secret_cache": secret_cache,
            "ports": {"KR1": swift_port, "keystone": keystone_port},
        }
        self._scheme = scheme
        self._servers = ServerProcess(options, python)

    # -- life

    def start(self) -> Sandbox:
        """Start the servers and wait until they answer.

        Raises:
            SandboxError: the interpreter is too old, the extra is not installed, a port is taken.
        """
        self._servers.start()
        return self

    def stop(self) -> None:
        """Stop the servers and remove every file of theirs. Stopping twice is harmless."""
        self._servers.stop()

    def stop_keystone(self) -> None:
        """Stop Keystone and leave Swift running, as in an outage; its ports refuse connections.

        Raises:
            SandboxError: the servers do not run.
        """
        self._servers.switch_keystone(self._keystone_port(), on=False)

    def start_keystone(self) -> None:
        """Start Keystone again, on its ports, with all that it knew.

        Raises:
            SandboxError: the servers do not run.
        """
        self._servers.switch_keystone(self._keystone_port(), on=True)

    def _keystone_port(self) -> int:
        return urlsplit(self.urls("https").auth_url).port or 0

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # -- what there is

    @property
    def pid(self) -> int | None:
        """Process ID of the servers, None when they do not run."""
        return self._servers.pid

    @property
    def running(self) -> bool:
        """Whether the servers run."""
        return self._servers.running

    @property
    def directory(self) -> Path:
        """Where the servers keep their files."""
        return self._servers.directory

    def urls(self, scheme: str) -> URLs:
        """The servers' URLs by ``http`` or ``https``; both are always served."""
        root = self._servers.made["auth_urls"][scheme]
        endpoint_urls = dict(self._servers.made["endpoint_urls"][scheme])
        return URLs(f"{root}/v2.0", f"{root}/v3", endpoint_urls)

    @property
    def auth_url(self) -> str:
        """Identity v2.0."""
        return self.urls(self._scheme).auth_url

    @property
    def auth_url_v3(self) -> str:
        """Identity v3."""
        return self.urls(self._scheme).auth_url_v3

    @property
    def endpoint_url(self) -> str:
        """The S3 endpoint of KR1."""
        return self.endpoint_urls["KR1"]

    @property
    def endpoint_urls(self) -> dict[str, str]:
        """The S3 endpoints by region."""
        return self.urls(self._scheme).endpoint_urls

    @property
    def ca_bundle(self) -> str:
        """Path of the certificate that proves the servers."""
        return str(self._servers.made["ca_bundle"])

    @property
    def users(self) -> dict[str, User]:
        """The users by name; ``admin`` is Keystone's administrator, ``carol@…`` is disabled."""
        return {n: User(n, u["id"], u["password"]) for n, u in self._servers.made["users"].items()}

    @property
    def tenants(self) -> dict[str, str]:
        """Tenant IDs by name; ``disabled`` is."""
        return dict(self._servers.made["tenants"])

    @property
    def username(self) -> str:
        """Name of the first user."""
        return "alice@example.com"

    @property
    def password(self) -> str:
        """Password of the first user."""
        return self.users[self.username].password

    @property
    def user_id(self) -> str:
        """ID of the first user."""
        return self.users[self.username].id

    @property
    def tenant_id(self) -> str:
        """ID of the first user's first tenant."""
        return self.tenants["photos"]

    def requests(self) -> list[Request]:
        """What the servers have answered so far, oldest first, Swift's own calls included."""
        lines = Path(self._servers.made["requests_log"]).read_text(encoding="utf-8").splitlines()
        rows = (line.split("\t") for line in lines)
        return [Request(r[0], r[1], r[2].strip("'"), int(r[3]), int(r[4])) for r in rows]

    # -- for a command

    def settings(self) -> dict[str, str]:
        """The environment variables that lead a program of the first user's into the sandbox."""
        return {
            "TOAST_AUTH_URL": self.auth_url,
            "TOAST_USERNAME": self.username,
            "TOAST_PASSWORD": self.password,
            "TOAST_TENANT_ID": self.tenant_id,
            "TOAST_CACHE_DIR": str(self.directory / "cache"),
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_CA_BUNDLE": self.ca_bundle,
            "AWS_CONFIG_FILE": str(self.directory / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "aws-credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": _NO_PROXY,
            "no_proxy": _NO_PROXY,
        }

    def environ(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """A whole environment for a command: ``base`` without other clouds' settings, and ours.

        Args:
            base: the environment to start from; default ``os.environ``.
        """
        base = os.environ if base is None else base
        kept = {name: value for name, value in base.items() if not is_foreign(name)}
        settings = self.settings()
        for name in ("NO_PROXY", "no_proxy"):
            settings[name] = ",".join(filter(None, [kept.get(name), settings[name]]))
        return {**kept, **settings}
