"""Understands what keystoneauth1 brings back: replies, and exceptions that become ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from keystoneauth1 import exceptions

from ._failures import NETWORK_HINT, URL_HINT, Failures

_PASSING = (
    exceptions.ConnectFailure,
    exceptions.ConnectTimeout,
    exceptions.UnknownConnectionError,
)
# What keystoneauth1 and we ourselves stumble over in an answer that is not Keystone's.
_ODD_SHAPE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def translated(
    failures: Failures, what: str, refused: Callable[[int, str], Exception], error: Exception
) -> Exception:
    """One of our errors for an exception of keystoneauth1's, or for an answer of an odd shape.

    Args:
        failures: makes the errors.
        what: what was asked.
        refused: makes the error of a refusal, of its status and the server's words.
        error: what was raised; one that nobody expects is answered as it is.
    """
    unavailable = failures.unavailable
    if isinstance(error, exceptions.HttpError):
        status = error.http_status
        if status in (407, 408, 429) or status >= 500 or status < 400:
            return unavailable(what, f"it answered {status}")
        if status not in (401, 404, 405) and not _is_json(error.response):
            return unavailable(what, f"it answered {status}, not as Keystone does", URL_HINT)
        return refused(status, _server_words(error))
    if isinstance(error, exceptions.SSLError):
        return failures.untrusted(what, _text(error))
    if isinstance(error, exceptions.ConnectTimeout):
        return unavailable(what, "it did not answer in time")
    if isinstance(error, exceptions.InvalidResponse):
        return unavailable(what, "it answered, but not as Keystone does", URL_HINT)
    if isinstance(error, exceptions.ConnectFailure):
        return unavailable(what, _text(error), NETWORK_HINT)
    if isinstance(error, exceptions.ClientException | OSError):
        # Their texts may quote a header or the URL of a proxy, and with it a secret.
        return unavailable(what, f"{type(error).__name__} was raised", NETWORK_HINT)
    if isinstance(error, _ODD_SHAPE):
        reason = f"it answered, but not as Keystone does: {_shape(error)}"
        return unavailable(what, reason, URL_HINT)
    return error


class _NoJSON(ValueError):
    """An answer that is no JSON; ``cut`` if it was meant to be some."""

    def __init__(self, cut: bool) -> None:
        super().__init__("it is no JSON")
        self.cut = cut


def retry_after(error: Exception) -> float | None:
    """How many seconds to wait before a new try, at least; None when that would not help."""
    if isinstance(error, exceptions.HttpError):
        if error.http_status in (408, 429) or error.http_status >= 500:
            asked = getattr(error.response, "headers", {}).get("Retry-After", "")
            return float(asked) if asked.isdecimal() else 0.0
        return None
    if isinstance(error, exceptions.SSLError):
        return None
    if isinstance(error, exceptions.InvalidResponse):
        return 0.0 if _is_json(error.response) else None
    return 0.0 if isinstance(error, _PASSING) or getattr(error, "cut", False) else None


def endpoints_of(access: Any) -> dict[str, str]:
    """Scheme and host of the catalogue's object-store URLs: the S3 endpoints, by region."""
    if not access.has_service_catalog():
        return {}
    found = access.service_catalog.get_endpoint_data_list(
        service_type="object-store", interface="public"
    )
    endpoints: dict[str, str] = {}
    for data in found:
        parts = urlsplit(data.url or "")
        named = isinstance(data.region_name, str) and data.region_name
        if parts.scheme in ("http", "https") and parts.netloc and named:
            endpoints.setdefault(data.region_name, f"{parts.scheme}://{parts.netloc}")
    return endpoints


def json_of(response: Any) -> Any:
    """The JSON of an answer; ValueError when it is a redirect, or none."""
    check_no_redirect(response)
    try:
        return response.json()
    except ValueError:
        pass
    raise _NoJSON(cut=_is_json(response))  # out here: the other quotes the answer


def check_no_redirect(response: Any) -> None:
    if 300 <= response.status_code < 400:
        raise ValueError(f"it answered {response.status_code}, a redirect, which is not followed")


def _server_words(error: exceptions.HttpError) -> str:
    """The server's message, on one line and not too long."""
    words = " ".join(str(error.message or "").split())
    words = words.removesuffix(f" (HTTP {error.http_status})")[:200]  # keystoneauth1 adds that
    return words if words.endswith((".", "!", "?")) or not words else f"{words}."


def _is_json(response: Any) -> bool:
    return "json" in getattr(response, "headers", {}).get("Content-Type", "")


def _shape(error: Exception) -> str:
    """What was wrong with an answer; never the answer itself, which may hold a token or secret."""
    if isinstance(error, KeyError):
        return f"the field {error.args[0]!r} is missing"
    text = str(error)
    return (
        text if type(error) in (ValueError, _NoJSON) and len(text) < 100 else type(error).__name__
    )


def _text(error: Exception) -> str:
    text = re.sub(
        r"//[^/@\s]*@", "//", str(error)
    )  # who is whose proxy's user, and by what password
    reason = re.search(r"\[Errno -?\d+\] [^'\")>]+", text)
    if reason:  # the cause, of which urllib3 and keystoneauth1 have each made a longer text
        return f"no connection: {reason[0]}"
    return " ".join(text.split())[:500].rstrip(".")
