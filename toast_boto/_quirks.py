"""What the service wants otherwise than AWS, mended by botocore's events on one session.

Measured on Swift 2.30 to 2.38: DeleteObjects is refused without ``Content-MD5`` up to 2.35, and
``Content-MD5`` is the one form of checksum that every version takes (public reports:
fsspec/s3fs#931, boto/boto3#4392). A LocationConstraint other than the region's own name is
refused with InvalidLocationConstraint.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

from ._regions import is_aws_region

_MARK = "toast_boto_content_md5"
_CHUNK = 1024 * 1024


def register(session: Any) -> None:
    """Register the handlers on a botocore session; registering again changes nothing."""
    for event, handler in (
        ("before-parameter-build.s3.CreateBucket", replace_location_constraint),
        ("before-call.s3", add_content_md5),
        ("before-sign.s3", drop_default_checksum),
    ):
        session.register(event, handler, unique_id=f"toast-boto-{handler.__name__}")


def replace_location_constraint(params: dict[str, Any], context: Any, **_: Any) -> None:
    """CreateBucket: an AWS region as LocationConstraint becomes the client's own region."""
    given = params.get("CreateBucketConfiguration")
    if not isinstance(given, dict) or not isinstance(given.get("LocationConstraint"), str):
        return
    if is_aws_region(given["LocationConstraint"]) or given["LocationConstraint"] == "EU":
        region = context["client_region"]
        params["CreateBucketConfiguration"] = {**given, "LocationConstraint": region}


def add_content_md5(model: Any, params: dict[str, Any], context: Any, **_: Any) -> None:
    """Give every operation whose model demands a checksum a Content-MD5.

    A checksum that the caller asked for by ``ChecksumAlgorithm`` or gave is their own word, and
    is sent beside it.
    """
    if not (model.http_checksum_required or model.http_checksum.get("requestChecksumRequired")):
        return
    headers, body = params["headers"], params["body"]
    if "Content-MD5" in headers:
        return
    digest = _md5(body)
    if digest is None:
        return
    chosen = any(name.lower().startswith(_CHECKSUM_HEADERS) for name in headers)
    headers["Content-MD5"] = digest
    context[_MARK] = not chosen


_CHECKSUM_HEADERS = ("x-amz-checksum-", "x-amz-sdk-checksum-")


def drop_default_checksum(request: Any, **_: Any) -> None:
    """Take off the checksum that botocore adds by itself where Content-MD5 stands for it."""
    if request.context.get(_MARK):
        for name in list(request.headers):
            if name.lower().startswith(_CHECKSUM_HEADERS):
                del request.headers[name]


def _md5(body: Any) -> str | None:
    """The digest as the header wants it; None for a body that can't be read twice."""
    digest = hashlib.md5(usedforsecurity=False)
    if isinstance(body, str):
        body = body.encode("utf-8")
    if isinstance(body, bytes | bytearray):
        digest.update(body)
    elif hasattr(body, "seek"):
        start = body.tell()
        while chunk := body.read(_CHUNK):
            digest.update(chunk)
        body.seek(start)
    else:
        return None
    return b64encode(digest.digest()).decode("ascii")
