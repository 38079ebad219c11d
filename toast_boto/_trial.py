"""Tries what an S3 server does with a key, for those who look for what is wrong."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any, NamedTuple

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ._clouds import is_loopback
from ._sessions import Signing

_BODY = b"toast-boto doctor"
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
    length: int = 0
    """Of an object, in bytes."""


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
                # As a TOAST session's: a proxy of the environment can't reach this machine.
                proxies={} if is_loopback(key.endpoint_url) else None,
                signature_version="s3v4",
                request_checksum_calculation=checksums,
                response_checksum_validation=checksums,
                **_PATIENT,
            ),
        )

    def list_buckets(self) -> Answer:
        """A signed ListBuckets; only a list of buckets is an answer."""
        return _ask(self._careful.list_buckets, needed=("Buckets", "Owner"))

    def upload(self, bucket: str) -> tuple[str, Answer]:
        """Put an object as a stock client does that computes checksums; answers its key too."""
        key = f".toast-boto-doctor-{secrets.token_hex(8)}"
        return key, self._upload(self._stock, bucket, key)

    def upload_plainly(self, bucket: str, key: str) -> Answer:
        """Put an object without a checksum."""
        return self._upload(self._careful, bucket, key)

    def _upload(self, client: Any, bucket: str, key: str) -> Answer:
        answer = _ask(client.put_object, ("ETag",), Bucket=bucket, Key=key, Body=_BODY)
        if answer.error:
            return answer
        found = _ask(self._careful.head_object, ("ETag",), Bucket=bucket, Key=key)
        if found.error or found.length == len(_BODY):
            return found
        return found._replace(error=f"it stored {found.length} bytes of {len(_BODY)}")

    def delete_many(self, bucket: str, key: str) -> Answer:
        """DeleteObjects as a stock client sends it, without Content-MD5."""
        objects = {"Objects": [{"Key": key}]}
        return _ask(self._careful.delete_objects, (), Bucket=bucket, Delete=objects)

    def delete(self, bucket: str, key: str) -> Answer:
        """Delete one object."""
        return _ask(self._careful.delete_object, (), Bucket=bucket, Key=key)

    def close(self) -> None:
        self._stock.close()
        self._careful.close()


def _ask(call: Any, needed: Collection[str], **arguments: Any) -> Answer:
    """Call; an answer that has nothing of what is needed is none of an S3 server's."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        return _answer(error.response, str(error))
    except BotoCoreError as error:
        return Answer(str(error), "", 0, "")
    except Exception as error:  # of botocore's parsers, over an answer that is nothing like S3's
        return Answer(f"what answered is no S3 server ({type(error).__name__})", "", 0, "")
    if needed and not any(name in answer for name in needed):
        return _answer(answer, "what answered is no S3 server")
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
        int(response.get("ContentLength", 0)),
    )
