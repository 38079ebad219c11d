"""Whether a server can be reached: its name, its port, its certificate."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import requests.utils

from .._options import Value

_CONNECT_SECONDS = 10


class Unreachable(Exception):
    """A server that can't be reached.

    Args:
        text: what went wrong.
        way_out: what to look at.
    """

    def __init__(self, text: str, way_out: str) -> None:
        super().__init__(text)
        self.way_out = way_out


def connect(host: str, port: int, tls: bool, bundle: Value | None) -> str:
    """Connect once; answers what was found.

    Args:
        host: a name or an address.
        port: of TCP.
        tls: whether TLS is spoken there.
        bundle: the CA bundle, None for certifi's.

    Raises:
        Unreachable: the name, the port or the certificate is not as it should be.
    """
    names = ", ".join(sorted(_addresses(host, port)))
    context = _context(bundle) if tls else None
    failure = None
    try:
        with socket.create_connection((host, port), _CONNECT_SECONDS) as plain:
            if context is None:
                return f"{host} ({names}) answers on port {port}, plain http"
            with context.wrap_socket(plain, server_hostname=host) as secure:
                until = (secure.getpeercert() or {}).get("notAfter", "?")
                return f"{host} ({names}), {secure.version()}, certificate until {until}"
    except OSError as error:  # TLS' errors are such, too
        failure = _unreachable(host, port, bundle, error)
    raise failure


def _addresses(host: str, port: int) -> set[str]:
    try:
        return {str(a[4][0]) for a in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    raise Unreachable(
        f"the name {host} can't be resolved: {reason}",
        "is the name right, and does this machine have a name server?",
    )


def _unreachable(host: str, port: int, bundle: Value | None, error: OSError) -> Unreachable:
    if isinstance(error, ssl.SSLCertVerificationError):
        way_out = "for a private authority name its certificate by --ca-bundle or AWS_CA_BUNDLE"
        if bundle:
            way_out = f"is {bundle.value} ({bundle.source}) the right CA bundle?"
        reason = f"the certificate of {host} is not accepted: {error.verify_message}"
        return Unreachable(reason, way_out)
    if isinstance(error, ssl.SSLError):
        return Unreachable(f"{host}:{port} does not speak TLS: {error.reason}", "is the URL right?")
    reason = error.strerror or str(error)
    way_out = "is the URL right, and may this machine reach it?"
    return Unreachable(f"no connection to {host}:{port}: {reason}", way_out)


def _context(bundle: Value | None) -> ssl.SSLContext:
    path = str(bundle.value) if bundle else requests.utils.DEFAULT_CA_BUNDLE_PATH
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # TLS' errors are such, too
        reason = getattr(error, "reason", None) or error.strerror
    source = f" ({bundle.source})" if bundle else ""
    raise Unreachable(
        f"the CA bundle {path}{source} can't be used: {reason}",
        "it must be a file of certificates in PEM",
    )
