"""The sandbox's child process: Keystone and Swift on one eventlet hub.

Reads its options as one JSON object from standard input, answers what it made as one line of JSON
on standard output, and serves until it is told to stop (SIGTERM) or its parent is gone. SIGUSR1
stops Keystone alone, and SIGUSR2 starts it again.
"""

from __future__ import annotations

import eventlet
import eventlet.debug

eventlet.monkey_patch()

import json  # noqa: E402 - eventlet has to patch the standard library first
import logging  # noqa: E402
import os  # noqa: E402
import secrets  # noqa: E402
import shutil  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from toast_boto.sandbox._identity_v2 import IdentityV2  # noqa: E402
from toast_boto.sandbox._keystone import Keystone  # noqa: E402
from toast_boto.sandbox._serve import (  # noqa: E402
    PortTaken,
    RequestLog,
    Server,
    listen,
    tls_context,
)
from toast_boto.sandbox._swift import Swift  # noqa: E402
from toast_boto.sandbox._tls import write_certificates  # noqa: E402

REGIONS = {"KR1": "AUTH_", "KR2": "KR2_"}  # account prefixes, which keep the regions' storage apart
_CHECK_SECONDS = 0.25


def start(options: dict[str, Any], directory: Path) -> tuple[dict[str, Any], list[Server]]:
    """Start every server; answers the URLs, users and tenants, and the servers of Keystone."""
    ca_bundle, certificate = write_certificates(directory)
    os.environ["REQUESTS_CA_BUNDLE"] = str(ca_bundle)  # Swift asks Keystone by its public URL
    context = tls_context(certificate)
    log = directory / "requests.log"
    ports = options["ports"]
    sockets = {
        (service, scheme): listen(ports.get(service, 0) if scheme == options["scheme"] else 0)
        for service in ("keystone", *REGIONS)
        for scheme in ("http", "https")
    }
    urls = {key: f"{key[1]}://localhost:{sock.getsockname()[1]}" for key, sock in sockets.items()}

    (directory / "keystone").mkdir()
    scheme = options["scheme"]  # of the catalogue; all URLs are served by both
    keystone = Keystone(directory / "keystone", urls["keystone", scheme], options["token_lifetime"])
    service_password = secrets.token_urlsafe(16)
    _add_swift(keystone, service_password, {region: urls[region, scheme] for region in REGIONS})
    users, tenants = _add_users(keystone)
    identity = RequestLog(IdentityV2(keystone.app, options["quota"]), "keystone", log)
    identity_servers = _serve_both(sockets, "keystone", identity, context)

    (directory / "swift").mkdir()
    back_ends = {kind: listen(0) for kind in ("account", "container", "object")}
    swift = Swift(
        directory / "swift", {kind: sock.getsockname()[1] for kind, sock in back_ends.items()}
    )
    for kind, sock in back_ends.items():
        Server(sock, swift.server(kind))
    for region, prefix in REGIONS.items():
        keystone_url = urls["keystone", "http"]
        proxy = swift.proxy(region, prefix, keystone_url, service_password, options["secret_cache"])
        _serve_both(sockets, region, RequestLog(proxy, region, log), context)
    made = {
        "users": users,
        "tenants": tenants,
        "ca_bundle": str(ca_bundle),
        "requests_log": str(log),
        "auth_urls": {s: urls["keystone", s] for s in ("http", "https")},
        "endpoint_urls": {
            s: {region: urls[region, s] for region in REGIONS} for s in ("http", "https")
        },
    }
    return made, identity_servers


def _serve_both(sockets: dict[Any, Any], service: str, app: Any, context: Any) -> list[Server]:
    plain = Server(sockets[service, "http"], app)
    return [plain, Server(sockets[service, "https"], app, context)]


def _add_swift(keystone: Keystone, password: str, endpoint_urls: dict[str, str]) -> None:
    service_user = keystone.create_user("swift", password)
    keystone.grant(service_user, keystone.create_project("service"), "admin", "service")
    keystone.add_object_store(
        {
            region: f"{endpoint_urls[region]}/v1/{prefix}$(project_id)s"
            for region, prefix in REGIONS.items()
        }
    )


def _add_users(keystone: Keystone) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    names = ("photos", "backups", "other", "disabled")
    tenants = {name: keystone.create_project(name) for name in names}
    users = {}
    for name, own in (
        ("alice@example.com", ("photos", "backups", "disabled")),
        ("bob@example.com", ("other",)),
    ):
        password = secrets.token_urlsafe(16)
        user_id = keystone.create_user(name, password)
        for tenant in own:
            keystone.grant(user_id, tenants[tenant], "member")
        users[name] = {"id": user_id, "password": password}
    off = secrets.token_urlsafe(16)
    users["carol@example.com"] = {
        "id": keystone.create_user("carol@example.com", off, enabled=False),
        "password": off,
    }
    keystone.call("PATCH", f"/v3/projects/{tenants['disabled']}", {"project": {"enabled": False}})
    users["admin"] = {"id": "", "password": keystone.admin_password}
    return users, tenants


def main() -> None:
    options = json.loads(sys.stdin.readline())
    directory = Path(options["directory"])
    parent = int(options["parent"])

    def stop(*_: object) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(0)

    keystone_wanted = True

    def want_keystone(number: int, _frame: object) -> None:
        nonlocal keystone_wanted
        keystone_wanted = number == signal.SIGUSR2

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGUSR1, want_keystone)
    signal.signal(signal.SIGUSR2, want_keystone)
    identity_servers: list[Server] = []
    logging.disable(logging.WARNING)
    try:
        ready, identity_servers = start(options, directory)
    except PortTaken as error:
        ready = {"error": str(error)}
    eventlet.debug.hub_exceptions(False)  # a client that breaks off a handshake is no news
    sys.stdout.write(f"{json.dumps(ready)}\n")
    sys.stdout.flush()
    while os.getppid() == parent:
        for server in identity_servers:
            if keystone_wanted:
                server.start()
            else:
                server.stop()
        eventlet.sleep(_CHECK_SECONDS)
    stop()


if __name__ == "__main__":
    main()
