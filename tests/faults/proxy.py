"""A proxy between the client and a real server of the sandbox, which does damage on demand.

It speaks plain http on loopback, passes every request on as it is, and applies to chosen calls a
fault of :data:`FAULTS`, a given number of times.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "keep-alive", "expect")
_FOREVER = 10**9


class Reply(NamedTuple):
    """What the real server answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Exchange:
    """One request on its way, as a fault sees it."""

    def __init__(self, handler: Any, target: str, body: bytes) -> None:
        self._handler = handler
        self._target = target
        self._body = body

    def forward(self) -> Reply:
        """Ask the real server."""
        parts = urlsplit(self._target)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            handler = self._handler
            connection.putrequest(
                handler.command, handler.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in handler.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(self._body)))
            connection.endheaders(self._body)
            response = connection.getresponse()
            data = response.read()
            return Reply(response.status, response.getheaders(), data)
        finally:
            connection.close()

    def rewrite(self, name: str, change: Callable[[str], str]) -> None:
        """Change a header of the request."""
        self._handler.headers.replace_header(name, change(self._handler.headers[name]))

    def answer(self, reply: Reply, *, length: int | None = None) -> None:
        """Answer the client; ``length`` is what the header says, if not the truth."""
        self._handler.send_response_only(reply.status)
        for name, value in reply.headers:
            if name.lower() not in _HOP_BY_HOP:
                self._handler.send_header(name, value)
        said = len(reply.body) if length is None else length
        if self._handler.command == "HEAD":
            said = int(dict(reply.headers).get("Content-Length", said))
        self._handler.send_header("Content-Length", str(said))
        self._handler.end_headers()
        if self._handler.command != "HEAD":
            self._handler.wfile.write(reply.body)
        self._handler.wfile.flush()

    def say(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        """Answer something else than the server did."""
        more = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.answer(Reply(status, [("Content-Type", kind), *more], body))

    def dribble(self, seconds: float) -> None:
        """Send a byte now and then, until the client has had enough or the time is over."""
        ends = time.monotonic() + seconds
        try:
            while time.monotonic() < ends:
                self._handler.wfile.write(b" ")
                self._handler.wfile.flush()
                time.sleep(0.02)
        except OSError:
            pass

    def write(self, data: bytes) -> None:
        """Send raw bytes."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, politely or by a reset."""
        connection = self._handler.connection
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            connection.shutdown(socket.SHUT_RDWR)
        self._handler.close_connection = True


Fault = Callable[[Exchange], None]


def instead(status: int, kind: str, body: bytes, **headers: str) -> Fault:
    """The server is not asked; this is answered."""
    return lambda exchange: exchange.say(status, kind, body, **headers)


def after(status: int, kind: str, body: bytes) -> Fault:
    """The server does what it was asked, and something else is answered."""

    def fault(exchange: Exchange) -> None:
        exchange.forward()
        exchange.say(status, kind, body)

    return fault


def lost_reply(exchange: Exchange) -> None:
    """The server does what it was asked, and the connection breaks before its reply."""
    exchange.forward()
    exchange.hang_up(reset=True)


def reset(exchange: Exchange) -> None:
    exchange.hang_up(reset=True)


def closed(exchange: Exchange) -> None:
    exchange.hang_up()


def garbage(exchange: Exchange) -> None:
    exchange.write(b"\x00\xff SSH-2.0-OpenSSH\r\n\r\n")
    exchange.hang_up()


def cut_body(exchange: Exchange) -> None:
    """Half of the reply, and then the end of the connection."""
    reply = exchange.forward()
    half = reply._replace(body=reply.body[: len(reply.body) // 2])
    exchange.answer(half, length=len(reply.body))
    exchange.hang_up()


def cut_json(exchange: Exchange) -> None:
    """Half of the reply, with a length that fits."""
    reply = exchange.forward()
    exchange.answer(reply._replace(body=reply.body[: len(reply.body) // 2]))


def dribbled_body(exchange: Exchange) -> None:
    exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    exchange.write(b"Content-Length: 1000000\r\n\r\n")
    exchange.dribble(20)


def dribbled_headers(exchange: Exchange) -> None:
    exchange.write(b"HTTP/1.1 200 OK\r\nX-Slow:")
    exchange.dribble(20)


def silent(exchange: Exchange) -> None:
    time.sleep(6)
    exchange.hang_up()


def huge(exchange: Exchange) -> None:
    exchange.say(200, "application/json", b" " * (9 * 1024 * 1024))


JSON = "application/json"

# What may pass when it is tried again, ...
PASSING: dict[str, Fault] = {
    "500": instead(500, "text/html", b"<html>oops</html>"),
    "502": instead(502, "text/html", b"bad gateway"),
    "503": instead(503, JSON, b"{}"),
    "503 with Retry-After": instead(503, JSON, b"{}", Retry_After="1"),
    "504": instead(504, "text/plain", b"time-out"),
    "429": instead(429, "text/plain", b"slow down"),
    "408": instead(408, "text/plain", b""),
    "reset": reset,
    "closed": closed,
    "garbage": garbage,
    "lost reply": lost_reply,
    "500 after the work": after(500, "text/html", b"oops"),
    "504 after the work": after(504, "text/plain", b"time-out"),
    "cut body": cut_body,
    "cut JSON": cut_json,
    "empty": instead(200, JSON, b""),
}
# ... and what will not, or takes the whole time.
LASTING: dict[str, Fault] = {
    "html": instead(200, "text/html", b"<html>Sign in to the network</html>"),
    "redirect": instead(302, "text/html", b"", Location="http://127.0.0.1:1/stolen"),
    "redirect 307": instead(307, "text/html", b"", Location="http://127.0.0.1:1/stolen"),
    "null": instead(200, JSON, b"null"),
    "list": instead(200, JSON, b"[]"),
    "text": instead(200, JSON, b'"text"'),
    "number": instead(200, JSON, b"7"),
    "odd objects": instead(200, JSON, b'{"access": 1, "credentials": 2, "credential": 3}'),
    "deep": instead(200, JSON, b"[" * 100_000),
    "not UTF-8": instead(200, JSON, b'{"access": "\xff\xfe"}'),
    "Retry-After of a day": instead(503, JSON, b"{}", Retry_After="86400"),
    "407": instead(407, "text/plain", b"proxy"),
    "huge": huge,
    "silent": silent,
    "dribbled body": dribbled_body,
    "dribbled headers": dribbled_headers,
}
FAULTS = {**PASSING, **LASTING}


class FaultProxy:
    """The proxy; ``url`` is where it is, ``seen`` which calls came by."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._rules: list[list[Any]] = []
        self._lock = threading.Lock()
        self.seen: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                exchange = Exchange(self, proxy._target, self.rfile.read(length))
                fault = proxy._fault_for(call_of(self.command, self.path))
                try:
                    if fault is None:
                        exchange.answer(exchange.forward())
                    else:
                        fault(exchange)
                except OSError:
                    self.close_connection = True

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a client that had enough

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def fault(self, call: str, fault: Fault, times: int = _FOREVER) -> None:
        """Apply a fault to the next so many of one kind of call; ``*`` means all."""
        with self._lock:
            self._rules.append([call, fault, times])

    def heal(self) -> None:
        """No faults any more."""
        with self._lock:
            self._rules.clear()

    def _fault_for(self, call: str) -> Fault | None:
        with self._lock:
            self.seen.append(call)
            for rule in self._rules:
                if rule[0] in (call, "*") and rule[2] > 0:
                    rule[2] -= 1
                    return rule[1]  # type: ignore[no-any-return]
        return None

    @contextmanager
    def running(self) -> Iterator[FaultProxy]:
        threading.Thread(target=lambda: self._server.serve_forever(0.02), daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


def call_of(method: str, path: str) -> str:
    """One word for a call: of the identity API, or S3's method."""
    path = path.partition("?")[0]
    if path.endswith("/tokens"):
        return "login"
    if "/OS-EC2" in path:
        return {"GET": "list", "POST": "create", "DELETE": "delete"}[method]
    return method
