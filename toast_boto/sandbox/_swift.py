"""Runs Swift in this process: proxies for two regions, and account, container and object servers.

Objects are kept in memory by Swift's own in-memory object server. Rings are made here, with one
device each, on the ports that the system gave the sockets.
"""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swift.common import constraints, storage_policy, utils
from swift.common.ring import RingData
from swift.common.wsgi import loadapp

_PART_POWER = 4

_PIPELINE = (
    "catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl authtoken "
    "s3api s3token keystoneauth copy container_quotas account_quotas slo dlo "
    "versioned_writes symlink proxy-server"
)
_PLAIN_FILTERS = (
    "catch_errors gatekeeper healthcheck listing_formats bulk tempurl copy container_quotas "
    "account_quotas slo dlo versioned_writes symlink"
)

_PROXY_CONF = """
[DEFAULT]
swift_dir = {swift_dir}
log_level = ERROR

[pipeline:main]
pipeline = {pipeline}

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 60

[filter:cache]
paste.filter_factory = toast_boto.sandbox._swift:cache_factory

[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
{service_user}
cafile =
delay_auth_decision = True
cache = swift.cache
include_service_catalog = False

[filter:s3api]
use = egg:swift#s3api
location = {region}
s3_acl = false

[filter:s3token]
use = egg:swift#s3token
auth_uri = {auth_url}/v3
reseller_prefix = {prefix}
secret_cache_duration = {secret_cache}
http_timeout = 60
{service_user}

[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, swiftoperator, member
reseller_prefix = {prefix}
"""

_SERVICE_USER = """auth_type = password
auth_url = {auth_url}
username = swift
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default"""

_SERVER_CONF = """
[DEFAULT]
swift_dir = {swift_dir}
devices = {devices}
mount_check = false
bind_port = {port}
log_level = ERROR
fallocate_reserve = 0
disable_fallocate = true

[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{app}
"""


class Swift:
    """The configuration and applications of one Swift in this process.

    Args:
        directory: an empty directory for configuration, rings and container databases.
        ports: port of the ``account``, ``container`` and ``object`` server.
    """

    def __init__(self, directory: Path, ports: dict[str, int]) -> None:
        self._directory = directory
        self._ports = ports
        self._devices = directory / "devices"
        (self._devices / "sda1").mkdir(parents=True)
        self._load_swift_conf()
        for kind, port in ports.items():
            self._write_ring(kind, port)

    def _load_swift_conf(self) -> None:
        # Swift reads /etc/swift/swift.conf while it is imported: point it at ours and read again.
        path = self._directory / "swift.conf"
        path.write_text(
            "[swift-hash]\nswift_hash_path_suffix = sandbox\n"
            "[storage-policy:0]\nname = Policy-0\ndefault = yes\n"
        )
        utils.SWIFT_CONF_FILE = str(path)
        utils.HASH_PATH_PREFIX = utils.HASH_PATH_SUFFIX = b""
        utils.set_swift_dir(str(self._directory))
        constraints.reload_constraints()
        storage_policy.reload_storage_policies()
        utils.validate_configuration()

    def _write_ring(self, kind: str, port: int) -> None:
        device = {
            "id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "sda1",
            "replication_ip": "127.0.0.1", "replication_port": port, "weight": 1.0, "meta": "",
        }  # fmt: skip
        assignment = [array("H", [0] * 2**_PART_POWER)]
        ring = RingData(assignment, [device], 32 - _PART_POWER)
        ring.save(str(self._directory / f"{kind}.ring.gz"))

    def server(self, kind: str) -> Any:
        """The account, container or object server's application."""
        app = "mem_object" if kind == "object" else kind
        text = _SERVER_CONF.format(
            swift_dir=self._directory,
            devices=self._devices,
            port=self._ports[kind],
            kind=kind,
            app=app,
        )
        return self._load(f"{kind}-server", text)

    def proxy(
        self, region: str, prefix: str, auth_url: str, password: str, secret_cache: int
    ) -> Any:
        """The proxy of one region.

        Args:
            region: the name that S3 signatures must carry.
            prefix: what account names begin with; a prefix of its own keeps regions apart.
            auth_url: Keystone, without the version.
            password: of the service user ``swift``.
            secret_cache: how long the secret of a key is remembered, in seconds; 0: not at all.
        """
        text = _PROXY_CONF.format(
            swift_dir=self._directory,
            pipeline=_PIPELINE,
            region=region,
            prefix=prefix,
            auth_url=auth_url,
            secret_cache=secret_cache,
            service_user=_SERVICE_USER.format(auth_url=auth_url, password=password),
        )
        for name in _PLAIN_FILTERS.split():
            text += f"\n[filter:{name}]\nuse = egg:swift#{name}\n"
        return self._load(f"proxy-{region}", text)

    def _load(self, name: str, text: str) -> Any:
        path = self._directory / f"{name}.conf"
        path.touch(mode=0o600)
        path.write_text(text)
        return loadapp(str(path), global_conf={"log_name": name}, allow_modify_pipeline=False)


class MemoryCache:
    """What Swift's middleware needs of memcached, in a dictionary."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._values: dict[str, tuple[str, float]] = {}

    def get(self, key: str, *_: Any, **__: Any) -> Any:
        text, expires = self._values.get(key, ("null", 0.0))
        if expires and expires <= self._clock():
            del self._values[key]
            return None
        return json.loads(text)

    def set(self, key: str, value: Any, *_: Any, time: float = 0, **__: Any) -> None:
        # authtoken stores bytes; Swift's own client decodes them, so that they come back as text.
        if isinstance(value, bytes):
            value = value.decode("utf-8")
        self._values[key] = (json.dumps(value), self._clock() + time if time else 0.0)

    def delete(self, key: str, *_: Any, **__: Any) -> None:
        self._values.pop(key, None)

    def incr(self, key: str, delta: int = 1, time: float = 0, **__: Any) -> int:
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key: str, delta: int = 1, time: float = 0, **__: Any) -> int:
        return self.incr(key, -int(delta), time=time)

    def set_multi(self, mapping: dict[str, Any], *_: Any, time: float = 0, **__: Any) -> None:
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys: list[str], *_: Any, **__: Any) -> list[Any]:
        return [self.get(key) for key in keys]


def cache_factory(_global_conf: dict[str, Any], **_local_conf: Any) -> Callable[[Any], Any]:
    """A paste filter that hands each request the proxy's own :class:`MemoryCache`."""
    cache = MemoryCache()

    def factory(app: Any) -> Any:
        def middleware(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return middleware

    return factory
