"""Tries what an S3 server does with a key, for those who look for what is wrong."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ._sessions import Signing

_PATIENT = {"connect_timeout": 5, "read_timeout": 20, "retries": {"total_max_attempts": 2}}


class Answer(NamedTuple):
    """What a server answered to a call."""

    error: str
    """In its words, with the code; empty where there was none."""
    code: str
    status: int
    """Of HTTP; 0 where nobody answered."""
    date: str
    """Of its clock, as it gave it."""
    buckets: int = 0
    """How many there are."""


class Trial:
    """Calls of one S3 server.

    Args:
        signing: the key and the endpoint.
        profile_name: an AWS profile, None for the ambient one; only that it is there counts.
    """

    def __init__(self, signing: Signing, profile_name: str | None = None) -> None:
        self._signing = signing
        self._profile_name = profile_name
        self._stock = self._client("when_supported")
        self._careful = self._client("when_required")

    def _client(self, checksums: str) -> Any:
        """A client of stock botocore's; what matters is given, whatever the profile says."""
        key = self._signing
        return botocore.session.Session(profile=self._profile_name).create_client(
            "s3",
            region_name=key.region,
            endpoint_url=key.endpoint_url,
            aws_access_key_id=key.access_key,
            aws_secret_access_key=key.secret_key,
            verify=key.ca_bundle,
            config=Config(
                s3={"addressing_style": "path"},
                signature_version="s3v4",
                request_checksum_calculation=checksums,
                response_checksum_validation=checksums,
                **_PATIENT,
            ),
        )

    def list_buckets(self) -> Answer:
        """A signed ListBuckets."""
        return _ask(self._careful.list_buckets)

    def upload(self, bucket: str) -> tuple[str, Answer]:
        """Put an object as a stock client does that computes checksums; answers its key too."""
        key = f".toast-boto-doctor-{secrets.token_hex(8)}"
        return key, _ask(self._stock.put_object, Bucket=bucket, Key=key, Body=b"toast-boto doctor")

    def upload_plainly(self, bucket: str, key: str) -> Answer:
        """Put an object without a checksum."""
        return _ask(self._careful.put_object, Bucket=bucket, Key=key, Body=b"toast-boto doctor")

    def delete_many(self, bucket: str, key: str) -> Answer:
        """DeleteObjects as a stock client sends it, without Content-MD5."""
        objects = {"Objects": [{"Key": key}]}
        return _ask(self._careful.delete_objects, Bucket=bucket, Delete=objects)

    def delete(self, bucket: str, key: str) -> Answer:
        """Delete one object."""
        return _ask(self._careful.delete_object, Bucket=bucket, Key=key)

    def close(self) -> None:
        self._stock.close()
        self._careful.close()


def _ask(call: Any, **arguments: Any) -> Answer:
    try:
        answer = call(**arguments)
    except ClientError as error:
        return _answer(error.response, str(error))
    except BotoCoreError as error:
        return Answer(str(error), "", 0, "")
    return _answer(answer, "")


def _answer(response: Any, error: str) -> Answer:
    metadata = response.get("ResponseMetadata", {})
    failures = response.get("Errors") or []  # of DeleteObjects, per object
    failure = failures[0] if failures else response.get("Error", {})
    code = str(failure.get("Code", ""))
    if failures:
        error = f"{code}: {failure.get('Message', '')}"
    return Answer(
        error,
        code,
        int(metadata.get("HTTPStatusCode", 0)),
        str(metadata.get("HTTPHeaders", {}).get("date", "")),
        len(response.get("Buckets", [])),
    )
