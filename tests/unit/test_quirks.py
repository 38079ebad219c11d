"""The handlers on bodies of all kinds, and that they leave alone what is not theirs."""

from __future__ import annotations

import hashlib
import io
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import pytest

from toast_boto._quirks import add_content_md5, replace_location_constraint

DEMANDS = SimpleNamespace(http_checksum_required=True, http_checksum={})
DIGEST = b64encode(hashlib.md5(b"body", usedforsecurity=False).digest()).decode()


def md5_of(body: Any, **headers: str) -> str | None:
    params = {"headers": headers, "body": body}
    add_content_md5(model=DEMANDS, params=params, context={})
    return params["headers"].get("Content-MD5")


@pytest.mark.parametrize("body", [b"body", bytearray(b"body"), "body", io.BytesIO(b"body")])
def test_body(body: Any) -> None:
    """Bytes, text and files have a digest; a file is left where it stood."""
    assert md5_of(body) == DIGEST
    if isinstance(body, io.BytesIO):
        assert body.tell() == 0


def test_file_that_was_read_in_part() -> None:
    """Of a file the rest is sent, so the rest is digested."""
    body = io.BytesIO(b"head body")
    body.seek(5)
    assert md5_of(body) == DIGEST
    assert body.tell() == 5


def test_body_that_can_not_be_read_twice() -> None:
    """A stream gets no digest, rather than being used up."""
    assert md5_of(iter([b"body"])) is None


def test_digest_of_the_callers_own() -> None:
    """A Content-MD5 that is there stays."""
    assert md5_of(b"body", **{"Content-MD5": "mine"}) == "mine"


@pytest.mark.parametrize("given", [None, {}, {"Location": {}}, {"LocationConstraint": None}, "x"])
def test_configuration_without_a_constraint(given: Any) -> None:
    """What names no region is not touched."""
    params = {"CreateBucketConfiguration": given}
    replace_location_constraint(params, context={"client_region": "KR1"})
    assert params == {"CreateBucketConfiguration": given}
