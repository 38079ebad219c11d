"""Serves WSGI applications on one eventlet hub, in HTTP and HTTPS, with a log of the requests."""

from __future__ import annotations

import threading
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import eventlet
import eventlet.wsgi
from eventlet.green import socket, ssl
from swift.common.http_protocol import SwiftHttpProtocol

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class PortTaken(Exception):
    """A port that was asked for can't be had."""


def listen(port: int) -> Any:
    """Listen on loopback; port 0 lets the system choose one."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError as error:
        raise PortTaken(f"the port {port} can't be had: {error.strerror}") from None
    sock.listen(512)
    return sock


def tls_context(certificate: Path) -> Any:
    """A server context that reads key and certificate from one file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certificate))
    return context


class TLSListener:
    """A listening socket whose accepted connections speak TLS.

    The handshake is left to the first read, in the connection's own green thread: one silent
    client must not keep the others from being accepted.
    """

    def __init__(self, sock: Any, context: Any) -> None:
        self._sock = sock
        self._context = context

    def accept(self) -> tuple[Any, Any]:
        sock, address = self._sock.accept()
        wrapped = self._context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        return wrapped, address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class RequestLog:
    """WSGI middleware that writes a line per request: service, method, path, status, client port.

    Query strings and headers, which may hold signatures and tokens, are left out.
    """

    def __init__(self, app: WSGIApp, service: str, path: Path) -> None:
        self._app = app
        self._service = service
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        request = f"{environ['REQUEST_METHOD']}\t{environ['PATH_INFO']!a}"

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            line = f"{self._service}\t{request}\t{status[:3]}\t{environ['REMOTE_PORT']}\n"
            with self._lock:
                self._file.write(line)
                self._file.flush()
            return start_response(status, headers, *([exc_info] if exc_info else []))

        try:
            return self._app(environ, start)
        except Exception:
            traceback.print_exc()  # into the servers' log; the client gets a 500
            raise


def https(app: WSGIApp) -> WSGIApp:
    """WSGI middleware for a :class:`TLSListener`: lets ``app`` know by which scheme it is asked."""

    def middleware(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["wsgi.url_scheme"] = "https"
        return app(environ, start_response)

    return middleware


class Server:
    """One application on one port, which can be stopped and started again.

    Args:
        sock: the listening socket.
        app: the application.
        context: for HTTPS; None for HTTP.
    """

    def __init__(self, sock: Any, app: WSGIApp, context: Any = None) -> None:
        self._sock = sock
        self._port = sock.getsockname()[1]
        self._app = https(app) if context else app
        self._context = context
        self._thread: Any = None
        self.start()

    def start(self) -> None:
        """Serve, on the port that it had before."""
        if self._thread is not None:
            return
        sock = self._sock or listen(self._port)
        listener = TLSListener(sock, self._context) if self._context else sock
        with warnings.catch_warnings():
            # Swift needs header names as they were stored, else metadata comes back capitalised.
            warnings.filterwarnings("ignore", message="capitalize_response_headers is disabled")
            self._thread = eventlet.spawn(
                eventlet.wsgi.server,
                listener,
                self._app,
                log_output=False,
                protocol=SwiftHttpProtocol,
                capitalize_response_headers=False,
                socket_timeout=120,
                debug=False,
            )
            eventlet.sleep(0)

    def stop(self) -> None:
        """Close the port and every idle connection; what is being answered is finished."""
        if self._thread is not None:
            self._thread.kill()  # eventlet's server closes its socket on the way out
            self._thread = self._sock = None
