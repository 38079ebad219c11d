"""Repeats a call whose key is gone, signed with the key that replaces it.

Swift answers a key that was deleted, one that it never knew and one with a wrong secret with the
same 403 (SignatureDoesNotMatch, or no code at all on HEAD), so only Keystone's list can tell.
The handlers are botocore's events on one client whose key is ours. None of them ever raises: the
caller gets the server's own answer, and the log of ``toast_boto`` says what we know about it.
"""

from __future__ import annotations

import logging
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

from ._broker import Broker
from ._lookout import Verdict
from ._notes import Refusal
from .errors import ToastBotoError

logger = logging.getLogger("toast_boto")

_REFUSALS = {
    "SignatureDoesNotMatch": Refusal.SIGNATURE,
    "InvalidAccessKeyId": Refusal.SIGNATURE,
    "AccessDenied": Refusal.DENIED,
    "403": Refusal.DENIED,  # botocore's code for an answer without one
}
_SKEW_SECONDS = 15 * 60  # what the server allows a client's clock to differ
_HINT_AGAIN_SECONDS = 60.0
_REPEATS = 2  # one for a key that was at hand, one for a key that Keystone gave
_ACCESS = re.compile(r"Credential=([^/,\s]+)/")

_SIGNER = "toast_boto_signer"
_BODY = "toast_boto_body"
_HEALED = "toast_boto_healed"


class Healing:
    """The handlers of one session's clients.

    Args:
        broker: of the key that they sign with.
        tenant_id: for the hints; may be empty.
    """

    def __init__(self, broker: Broker, tenant_id: str) -> None:
        self._broker = broker
        self._tenant_id = tenant_id
        self._hinted: dict[str, float] = {}

    def register(self, client: Any) -> None:
        """Look after the key of one client."""
        events = client.meta.events
        events.register("before-call.s3", note_body)
        events.register_first("request-created.s3", rewind_body)
        events.register_last("request-created.s3", note_signer)
        # Before botocore's own handlers, whose "no" would be the last word.
        events.register_first("needs-retry.s3", self.repeat_with_new_key)

    def repeat_with_new_key(self, response: Any, request_dict: Any, **event: Any) -> int | None:
        """0, to repeat the call at once, when another key is at hand; else None."""
        try:
            return self._repeat(response, request_dict, event.get("operation"))
        except ToastBotoError as error:
            self._hint(
                "failed",
                "The S3 server refused the key that Keystone had given, and looking after it "
                f"failed: {error}",
            )
        except Exception:  # whatever it is, the server's answer is worth more to the caller
            logger.debug("a handler failed", exc_info=True)
        return None

    def _repeat(self, response: Any, request: dict[str, Any], operation: Any) -> int | None:
        context = request["context"]
        access = context.get(_SIGNER)
        code = None if response is None else _refusal_code(*response)
        if code is None:
            if response is not None and access and _is_blind(*response):
                self._hint("blind", _BLIND)
            return None
        if code == "RequestTimeTooSkewed" or (code == "403" and _skew(response[0])):
            self._hint_clock(response[0])
            return None
        healed = context.setdefault(_HEALED, [])
        if code not in _REFUSALS or not access or access in healed or len(healed) >= _REPEATS:
            return None
        verdict = self._broker.heal(access, _REFUSALS[code])
        logger.debug("%s for the key %s: %s", code, access, verdict.value)
        if verdict is Verdict.STILL_LISTED:
            self._hint_listed(access, code)
        if verdict is not Verdict.ANOTHER_KEY:
            return None
        healed.append(access)
        if not _can_be_repeated(request):
            name = getattr(operation, "name", "the call")
            self._hint(
                "body",
                f"The key {access} was replaced, but the body of {name} can't be read "
                "again from where it started, so the call was not repeated. Make it once more.",
            )
            return None
        logger.info("the key %s was replaced; the call is repeated with its successor", access)
        return 0

    # -- hints

    def _hint_listed(self, access: str, code: str) -> None:
        tenant = f"the tenant {self._tenant_id}" if self._tenant_id else "the tenant"
        text = (
            f"Has the user a role in {tenant} that may do that, and does no ACL say no?"
            if _REFUSALS[code] is Refusal.DENIED
            else f"Has the user a role in {tenant}? A key of a tenant without a role can be made, "
            "and never works. And does nothing change requests on their way?"
        )
        self._hint(
            f"listed {_REFUSALS[code].value}",
            f"The S3 server answered {code} to the key {access}, which Keystone still lists, so it "
            f"is not the key. {text}",
        )

    def _hint_clock(self, http: Any) -> None:
        skew = _skew(http)
        by = f" by {abs(skew) / 60:.0f} minutes" if skew else ""
        self._hint(
            "clock",
            f"The S3 server refused a request because this machine's clock differs from its own{by}"
            "; 15 minutes are allowed. Set the clock.",
        )

    def _hint(self, subject: str, text: str) -> None:
        """Say it in the log, but not again and again."""
        now = time.monotonic()
        if now - self._hinted.get(subject, -_HINT_AGAIN_SECONDS) >= _HINT_AGAIN_SECONDS:
            self._hinted[subject] = now
            logger.warning("%s", text)


def _refusal_code(http: Any, parsed: dict[str, Any]) -> str | None:
    """The code of a refusal, None for an answer that is none."""
    if http.status_code == 403:
        return str(parsed.get("Error", {}).get("Code", "")) or "403"
    # DeleteObjects: Swift checks the key again for each object. To repeat it whole is harmless:
    # what was deleted already counts as deleted.
    errors = parsed.get("Errors") if http.status_code == 200 else None
    codes = [str(error.get("Code")) for error in errors or () if isinstance(error, dict)]
    return next((code for code in codes if _REFUSALS.get(code) is Refusal.SIGNATURE), None)


_BLIND = (
    "The S3 server answered InvalidURI to a request with a good URI: Swift does that while it "
    "can't reach its own Keystone to check a key. Try again later."
)


def _is_blind(http: Any, parsed: dict[str, Any]) -> bool:
    """Whether Swift could not check the key (seen on 2.38)."""
    said = parsed.get("Error", {})
    return http.status_code == 400 and "InvalidURI" in f"{said.get('Code')} {said.get('Message')}"


def note_signer(request: Any, **_: Any) -> None:
    """Remember which key signed this attempt: while it was under way the key may have changed."""
    found = request.headers.get("Authorization", "")
    text = found.decode("ascii", "replace") if isinstance(found, bytes) else str(found)
    match = _ACCESS.search(text)
    request.context[_SIGNER] = match[1] if match else None


def note_body(params: dict[str, Any], context: Any, **_: Any) -> None:
    """Remember where a body starts that is not at its beginning, or that it can't be rewound."""
    body = params.get("body")
    if body is None or isinstance(body, bytes | bytearray | str):
        return
    try:
        start = body.tell()
        body.seek(start)
    except Exception:  # of whatever object a caller calls a body
        start = None
    context[_BODY] = (body, start)


def rewind_body(request: Any, **_: Any) -> None:
    """Go back to where the body started: botocore rewinds to the very beginning of the file."""
    body, start = request.context.get(_BODY, (None, None))
    if start and request.data is body and body.tell() != start:
        body.seek(start)


def _can_be_repeated(request: dict[str, Any]) -> bool:
    body, start = request["context"].get(_BODY, (None, 0))
    if start is None:
        return False
    # Where botocore has wrapped the body, it is the wrapper that is rewound, to the beginning.
    return start == 0 or request["body"] is body


def _skew(http: Any) -> float:
    """By how many seconds the server's clock is ahead, if that is more than it allows; else 0."""
    try:
        theirs = parsedate_to_datetime(http.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0.0
    skew = theirs - time.time()
    return skew if abs(skew) > _SKEW_SECONDS else 0.0
