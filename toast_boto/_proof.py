"""Rotates the key of a login, with a signed request as the proof of the new one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ._keys import EC2Key
from ._plugin import broker_of
from ._rotation import GRACE_SECONDS, Rotation
from ._sessions import endpoint_of, open_session
from .errors import AuthenticationError

_UNKNOWN_KEY = ("SignatureDoesNotMatch", "InvalidAccessKeyId")
# Said before the key is looked at: too many requests, and a wrong clock here.
_BEFORE_THE_KEY = ("SlowDown", "RequestTimeTooSkewed", "")


def rotate_key(
    *,
    replace: str | None = None,
    grace: float = GRACE_SECONDS,
    tell: Callable[[str], None] = lambda _: None,
    profile_name: str | None = None,
    region_name: str | None = None,
    **options: Any,
) -> Rotation:
    """Replace the S3 key that is in use by a new one, within the quota of keys.

    A key is made and proved by a signed ListBuckets; the cache is switched to it; after the grace
    the old key is deleted. If the proof fails the new key is deleted again. Sessions of other
    processes go on with the old key until it is gone, and then find the new one by themselves. URLs
    that were presigned with the old key die with it. The key policy does not matter here.

    The key in use is the one in the cache, or the only one there is. Where that is not known,
    none is deleted.

    Args:
        replace: an access key that may be deleted *first*, if the quota leaves no slot for a new
            one; for good, whatever comes after. The one in use is refused.
        grace: how long the old key stays, in seconds. A Swift server remembers the secret of a key
            for 60 s (``secret_cache_duration``).
        tell: is told what was done, in words.
        profile_name: an AWS profile.
        region_name: whose endpoint proves the key.
        **options: of the login, by keyword, as for :class:`toast_boto.Session`.

    Returns:
        The access key of the new key, and those that were deleted.

    Raises:
        ConfigurationError: an option makes no sense, or the login is incomplete.
        KeyQuotaError: there is no slot for a new key, and ``replace`` was not given.
        AuthenticationError: the S3 server refused the new key, which was deleted again.
        IdentityUnavailableError: Keystone could not be asked; the text says what was done.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: no S3 server could be
            asked, or it did not answer about the key, and the new key was deleted again; or there
            is no such profile.
    """
    session = open_session(profile_name, region_name, options)
    return rotate(session, replace=replace, grace=grace, tell=tell)


def rotate(
    session: botocore.session.Session,
    *,
    sleep: Callable[[float], None] = time.sleep,
    **options: Any,
) -> Rotation:
    """As :func:`rotate_key`, for a session that was configured; ``sleep`` waits out the grace."""
    return broker_of(session).rotate(_Proof(session), sleep=sleep, **options)


class _Proof:
    """Signs a request with a key; any answer that has checked the signature is a proof."""

    def __init__(self, session: botocore.session.Session) -> None:
        self._session = session
        # It may have to be looked up, for which nobody may hold the cache's lock.
        self._url, _ = endpoint_of(session)

    def __call__(self, key: EC2Key) -> None:
        client = self._session.create_client(
            "s3",
            endpoint_url=self._url,
            aws_access_key_id=key.access,
            aws_secret_access_key=key.secret,
            config=Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3}),
        )
        code, answer = "", {}
        try:
            answer = client.list_buckets()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code not in _UNKNOWN_KEY and not _is_proof(error, code):
                raise
        except BotoCoreError:
            raise
        except Exception:  # of botocore's parsers, over an answer that is nothing like S3's
            answer = {}
        finally:
            client.close()
        if code in _UNKNOWN_KEY:
            raise AuthenticationError(
                f"the S3 server {self._url} did not accept the new key {key.access} ({code}), "
                "so the one in use stays. Has the user a role in the tenant?"
            )
        if not code and not ("Buckets" in answer or "Owner" in answer):
            raise ClientError(_NO_LIST, "ListBuckets")


_NO_LIST = {"Error": {"Code": "NoList", "Message": "what answered is no S3 server"}}


def _is_proof(error: ClientError, code: str) -> bool:
    """Whether an S3 server said it, who had looked at the key: it gives codes in words."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    # InvalidURI, an error within another, is what Swift says while it can't look at keys.
    blind = "InvalidURI" in str(error)
    return status < 500 and not code.isdecimal() and code not in _BEFORE_THE_KEY and not blind
