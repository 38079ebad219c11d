"""The HTTP below keystoneauth1: every wait has an end, and loopback has no proxy.

keystoneauth1 sets no time limit of its own, and a limit of requests' bounds each read, not the
whole: a server that sends a byte now and then, or a name server that never answers, could hold a
caller for ever. So each call is made in a thread of its own, and is left alone when its time is up.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

from ._clouds import is_loopback

_MAX_ANSWER_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 256
_T = TypeVar("_T")


class TimeUp(Exception):
    """The total time is used up."""


def call_within(seconds: float, call: Callable[[], _T]) -> _T:
    """Call in another thread, and wait no longer than so many seconds.

    Raises:
        TimeUp: it takes longer; the thread is left to end by itself.
    """
    if seconds <= 0:
        raise TimeUp
    results: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            results.put((call(), None))
        except BaseException as error:  # whatever it is, it is the caller's
            results.put((None, error))

    try:
        threading.Thread(target=work, name="toast-boto-keystone", daemon=True).start()
    except RuntimeError:  # no more threads, or the interpreter is about to end
        return call()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeUp from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


class BoundedSession(requests.Session):
    """A requests session whose every request is bounded in time and size.

    Args:
        timeouts: how long to wait for a connection, and for more of an answer, in seconds.
        deadline: when everything must be over, by the monotonic clock.
    """

    def __init__(self, timeouts: tuple[float, float], deadline: float) -> None:
        super().__init__()
        self._adapter = _BoundedAdapter(timeouts, deadline)
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)

    def close(self) -> None:
        """Close, also for a call that was left alone: it can send nothing more."""
        self._adapter.deadline = 0.0
        super().close()


class _BoundedAdapter(HTTPAdapter):
    def __init__(self, timeouts: tuple[float, float], deadline: float) -> None:
        self._timeouts = timeouts
        self.deadline = deadline
        super().__init__()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeUp
        kwargs["timeout"] = tuple(min(limit, remaining) for limit in self._timeouts)
        if is_loopback(request.url):
            kwargs["proxies"] = {}  # a proxy of the environment would get the password to read
        response = super().send(request, *args, **kwargs)
        response.raw = _BoundedBody(response.raw, lambda: self.deadline)
        return response


class _BoundedBody:
    """The body of an answer, which ends when the time is up, or when it gets too long."""

    def __init__(self, raw: Any, deadline: Callable[[], float]) -> None:
        self._raw = raw
        self._deadline = deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, _amount: int = 0, decode_content: bool = True) -> Iterator[bytes]:
        size = 0
        try:
            for chunk in self._raw.stream(_CHUNK_BYTES, decode_content=decode_content):
                size += len(chunk)
                if size > _MAX_ANSWER_BYTES:
                    raise ValueError(f"it is longer than {_MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > self._deadline():
                    raise TimeUp
                yield chunk
        except BaseException:
            self._raw.close()  # what is left of it is not read, so its connection is of no use
            raise
