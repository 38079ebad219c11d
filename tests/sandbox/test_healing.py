"""A key that somebody deletes is replaced under running work, and nothing else is."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

import toast_boto
from tests.support import Tenancy, Watch, sent_requests, set_settings

MIB = 1024 * 1024


@pytest.fixture
def session(strict_tenancy: Tenancy, tmp_path: Path) -> Any:
    return toast_boto.Session(**strict_tenancy.options(cache=str(tmp_path / "cache")))


@pytest.fixture
def s3(session: Any) -> Any:
    """A client that has a bucket ``photos`` with one object of ten bytes, ``cat``."""
    client = session.client("s3")
    client.create_bucket(Bucket="photos")
    client.put_object(Bucket="photos", Key="cat", Body=b"0123456789")
    return client


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "get": lambda s3: s3.get_object(Bucket="photos", Key="cat")["Body"].read(),
    "head": lambda s3: s3.head_object(Bucket="photos", Key="cat")["ContentLength"],
    "head bucket": lambda s3: s3.head_bucket(Bucket="photos") and None,
    "list": lambda s3: s3.list_objects_v2(Bucket="photos")["KeyCount"],
    "delete": lambda s3: s3.delete_object(Bucket="photos", Key="nothing") and None,
    "delete many": lambda s3: s3.delete_objects(
        Bucket="photos", Delete={"Objects": [{"Key": "nothing"}]}
    ).get("Errors"),
    "copy": lambda s3: s3.copy_object(
        Bucket="photos", Key="copy", CopySource={"Bucket": "photos", "Key": "cat"}
    )["CopyObjectResult"]["ETag"],
    "paginator": lambda s3: [
        page["KeyCount"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="photos")
    ],
    "waiter": lambda s3: s3.get_waiter("object_exists").wait(Bucket="photos", Key="cat"),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operations_go_on(
    operation: Callable[[Any], Any], s3: Any, strict_tenancy: Tenancy
) -> None:
    """A call whose key was deleted gives what it gave before; there is one key again."""
    before = operation(s3)
    (dead,) = strict_tenancy.delete_all_keys()
    watch = Watch(strict_tenancy.cloud)
    assert operation(s3) == before
    (key,) = strict_tenancy.list_keys()
    assert key["access"] != dead
    assert watch.identity() == ["login", "list", "create", "list"]


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_every_retry_mode(session: Any, s3: Any, strict_tenancy: Tenancy, mode: str) -> None:
    """It does not depend on how botocore repeats, nor on how often it may."""
    config = Config(retries={"mode": mode, "total_max_attempts": 1})
    client = session.client("s3", config=config)
    strict_tenancy.delete_all_keys()
    with sent_requests(client) as sent:
        client.get_object(Bucket="photos", Key="cat")
    assert len(sent) == 2, "the call was repeated once"


CONTENT = bytes(range(256)) * 40

BODIES = ["bytes", "bytearray", "memory", "file", "memory from the middle", "file from the middle"]


@contextmanager
def body_of(kind: str, path: Path) -> Iterator[Any]:
    start = 1000 if "middle" in kind else 0
    content = bytes(start) + CONTENT
    path.write_bytes(content)
    with path.open("rb") as file:
        body: Any = file if kind.startswith("file") else io.BytesIO(content)
        body.seek(start)
        yield {"bytes": content, "bytearray": bytearray(content)}.get(kind, body)


@pytest.mark.parametrize("kind", BODIES)
def test_bodies_are_sent_again(kind: str, s3: Any, strict_tenancy: Tenancy, tmp_path: Path) -> None:
    """What is stored is what the caller gave: a file that was read to the middle starts there."""
    strict_tenancy.delete_all_keys()
    with body_of(kind, tmp_path / "body") as body:
        s3.put_object(Bucket="photos", Key="new", Body=body)
    assert s3.get_object(Bucket="photos", Key="new")["Body"].read() == CONTENT


@pytest.mark.parametrize("kind", BODIES)
def test_bodies_with_a_checksum(
    kind: str,
    s3: Any,
    strict_tenancy: Tenancy,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """botocore's wrapper for checksums goes back to the very beginning of a file only.

    So a body that starts elsewhere is not sent again: never the wrong bytes.
    """
    strict_tenancy.delete_all_keys()
    with body_of(kind, tmp_path / "body") as body:
        if "middle" in kind:
            with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
                s3.put_object(Bucket="photos", Key="new", Body=body, ChecksumAlgorithm="CRC32")
            assert "can't be read again" in caplog.text
            return
        s3.put_object(Bucket="photos", Key="new", Body=body, ChecksumAlgorithm="CRC32")
    assert s3.get_object(Bucket="photos", Key="new")["Body"].read() == CONTENT


class Stream(io.RawIOBase):
    """A body that can be read once."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._content.readinto(buffer)


def test_body_that_can_be_read_once(
    session: Any, s3: Any, strict_tenancy: Tenancy, caplog: pytest.LogCaptureFixture
) -> None:
    """The user gets the server's own answer, and a hint in the log; the next call works."""
    unsigned_payload = Config(s3={"payload_signing_enabled": False})
    client = session.client("s3", config=unsigned_payload)

    def put() -> None:
        body = Stream(CONTENT)
        client.put_object(Bucket="photos", Key="s", Body=body, ContentLength=len(CONTENT))

    put()
    strict_tenancy.delete_all_keys()
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        put()
    assert "the body of PutObject can't be read again" in caplog.text
    put()
    assert client.get_object(Bucket="photos", Key="s")["Body"].read() == CONTENT


def test_transfers_in_flight(session: Any, s3: Any, strict_tenancy: Tenancy) -> None:
    """Of an upload and a download in parts, whose key dies on the way, nothing is lost."""
    content = os.urandom(12 * MIB)
    config = TransferConfig(multipart_threshold=MIB, multipart_chunksize=MIB * 5, max_concurrency=4)
    done: list[int] = []

    def kill_once(sent: int) -> None:
        if not done:
            done.append(sent)
            strict_tenancy.delete_all_keys()

    s3.upload_fileobj(io.BytesIO(content), "photos", "big", Config=config, Callback=kill_once)
    done.clear()
    target = io.BytesIO()
    s3.download_fileobj("photos", "big", target, Config=config, Callback=kill_once)
    assert done, "the key died under it"
    assert target.getvalue() == content
    resource = session.resource("s3").Object("photos", "big")
    strict_tenancy.delete_all_keys()
    assert resource.content_length == len(content)
    assert len(strict_tenancy.list_keys()) == 1


def test_many_threads_replace_once(session: Any, s3: Any, strict_tenancy: Tenancy) -> None:
    """64 threads with one dead key: one login, one list, one create, and no call fails."""
    clients = [session.client("s3") for _ in range(4)]
    for client in clients:
        client.head_object(Bucket="photos", Key="cat")
    strict_tenancy.delete_all_keys()
    watch = Watch(strict_tenancy.cloud)

    def work(number: int) -> bytes:
        return bytes(clients[number % 4].get_object(Bucket="photos", Key="cat")["Body"].read())

    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(work, range(256))) == {b"0123456789"}
    assert watch.identity() == ["login", "list", "create", "list"]


def test_other_processes_find_the_new_key(
    strict_tenancy: Tenancy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process with the dead key in memory takes its successor from the cache, asking nobody."""
    set_settings(monkeypatch, strict_tenancy, tmp_path / "cache")
    script = (
        "import sys, toast_boto; s3 = toast_boto.client('s3'); s3.list_buckets()\n"
        "print('ready', flush=True); sys.stdin.readline(); s3.list_buckets(); print('done')"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout
    assert other.stdout.readline() == "ready\n"
    mine = toast_boto.client("s3")
    mine.list_buckets()
    strict_tenancy.delete_all_keys()
    mine.list_buckets()
    watch = Watch(strict_tenancy.cloud)
    assert other.communicate("\n", timeout=60)[0] == "done\n"
    assert watch.identity() == []


def test_successor_that_is_dead_as_well(
    session: Any, s3: Any, strict_tenancy: Tenancy, tmp_path: Path
) -> None:
    """When the key in the cache is dead too, Keystone is asked, within the same call."""
    before = session.get_credentials().access_key
    other = toast_boto.Session(**strict_tenancy.options(cache=str(tmp_path / "cache")))
    other.client("s3").list_buckets()
    strict_tenancy.delete_all_keys()
    s3.list_buckets()  # the cache has a second key now
    second = session.get_credentials().access_key
    strict_tenancy.delete_all_keys()
    assert other.get_credentials().access_key == before
    with sent_requests(client := other.client("s3")) as sent:
        client.list_buckets()
    assert len(sent) == 3
    assert other.get_credentials().access_key not in (before, second)


# -- what is not healed


@pytest.mark.parametrize("call", ["list_buckets", "head_bucket"])
def test_missing_role(
    call: str, s3: Any, strict_tenancy: Tenancy, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that Keystone lists is not the trouble: the server's answer, a hint, no new key.

    Keystone is asked once, as often as one tries.
    """
    admin, own = strict_tenancy.admin, (strict_tenancy.user_id, strict_tenancy.tenant_id)
    keys = strict_tenancy.list_keys()
    admin.grant(*own, role="reader")
    admin.revoke(*own)
    watch = Watch(strict_tenancy.cloud)
    for _ in range(4):
        with pytest.raises(ClientError, match=r"AccessDenied|403"):
            s3.list_buckets() if call == "list_buckets" else s3.head_bucket(Bucket="photos")
    assert watch.identity() == ["login", "list"]
    assert [k["access"] for k in strict_tenancy.list_keys()] == [k["access"] for k in keys]
    hints = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(hints) == 1
    assert "Has the user a role in the tenant" in hints[0]


def test_role_that_is_gone(
    s3: Any, strict_tenancy: Tenancy, caplog: pytest.LogCaptureFixture
) -> None:
    """Without any role the login itself is refused: the log says so, the key goes on being used."""
    strict_tenancy.admin.revoke(strict_tenancy.user_id, strict_tenancy.tenant_id)
    for _ in range(2):
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            s3.list_buckets()
    assert "refused the login (401)" in caplog.text
    strict_tenancy.admin.grant(strict_tenancy.user_id, strict_tenancy.tenant_id)
    s3.list_buckets()


def test_ordinary_refusal_does_not_blind(session: Any, s3: Any, strict_tenancy: Tenancy) -> None:
    """After a minute's allowance is spent on HEAD, a dead key is still seen by its signature."""
    strict_tenancy.delete_all_keys()
    s3.head_bucket(Bucket="photos")
    strict_tenancy.delete_all_keys()
    s3.list_buckets()
    assert len(strict_tenancy.list_keys()) == 1


def test_wrong_clock(s3: Any, strict_tenancy: Tenancy, caplog: pytest.LogCaptureFixture) -> None:
    """RequestTimeTooSkewed is the server's answer, and the log says what to do."""
    watch = Watch(strict_tenancy.cloud)

    def back(request: Any, **_: Any) -> None:
        request.headers["X-Amz-Date"] = "20200101T000000Z"

    s3.meta.events.register_last("before-send.s3", back)
    with pytest.raises(ClientError) as caught:
        s3.list_buckets()
    assert caught.value.response["Error"]["Code"] in ("RequestTimeTooSkewed", "AccessDenied")
    assert watch.identity().count("create") == 0


def test_server_without_its_keystone(
    s3: Any, strict_tenancy: Tenancy, caplog: pytest.LogCaptureFixture
) -> None:
    """A Swift that can't check keys says InvalidURI; the log says, once, what that means."""
    strict_tenancy.cloud.stop_keystone()
    try:
        for _ in range(3):
            with pytest.raises(ClientError, match="InvalidURI"):
                s3.list_buckets()
    finally:
        strict_tenancy.cloud.start_keystone()
    assert caplog.text.count("can't reach its own Keystone") == 1
    s3.list_buckets()


def test_keys_that_the_user_gave(strict_tenancy: Tenancy) -> None:
    """A pasted key that is dead stays dead, and nobody is asked."""
    key = strict_tenancy.create_key()
    session = toast_boto.Session(
        key["access"], key["secret"], endpoint_url=strict_tenancy.cloud.endpoint_url,
        ca_bundle=strict_tenancy.cloud.ca_bundle,
    )  # fmt: skip
    with_login = toast_boto.Session(**strict_tenancy.options())
    explicit = {"aws_access_key_id": key["access"], "aws_secret_access_key": key["secret"]}
    clients = [session.client("s3"), with_login.client("s3", **explicit)]
    strict_tenancy.delete_all_keys()
    watch = Watch(strict_tenancy.cloud)
    for client in clients:
        with sent_requests(client) as sent, pytest.raises(ClientError, match="SignatureDoesNot"):
            client.list_buckets()
        assert len(sent) == 1
    assert watch.identity() == []


def test_unsigned_calls(strict_tenancy: Tenancy) -> None:
    """A client without signatures has no key to look after."""
    session = toast_boto.Session(**strict_tenancy.options())
    client = session.client("s3", config=Config(signature_version=UNSIGNED))
    watch = Watch(strict_tenancy.cloud)
    with pytest.raises(ClientError):
        client.list_buckets()
    assert watch.identity() == []


def test_policy_reuse_makes_none(strict_tenancy: Tenancy, caplog: pytest.LogCaptureFixture) -> None:
    """With the policy reuse a dead key is replaced by one that is there, and never by a new one."""
    strict_tenancy.create_key()
    strict_tenancy.create_key()
    s3 = toast_boto.Session(**strict_tenancy.options(key_policy="reuse")).client("s3")
    s3.list_buckets()
    keys = sorted(key["access"] for key in strict_tenancy.list_keys())
    strict_tenancy.delete_key(keys[0])
    s3.list_buckets()
    strict_tenancy.delete_key(keys[1])
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.list_buckets()
    assert "key policy is reuse" in caplog.text
    assert strict_tenancy.list_keys() == []


def test_wrong_secret_in_the_cache(
    session: Any, s3: Any, strict_tenancy: Tenancy, tmp_path: Path
) -> None:
    """A key that is listed with another secret than ours is taken from the list."""
    (path,) = (tmp_path / "cache").glob("*.json")
    (key,) = strict_tenancy.list_keys()
    path.write_text(path.read_text().replace(key["secret"], "0" * 32))
    other = toast_boto.Session(**strict_tenancy.options(cache=str(tmp_path / "cache")))
    other.client("s3").list_buckets()
    assert [k["access"] for k in strict_tenancy.list_keys()] == [key["access"]]
    assert key["secret"] in path.read_text()


def test_successor_is_logged(
    s3: Any, strict_tenancy: Tenancy, caplog: pytest.LogCaptureFixture
) -> None:
    """A replacement is told at INFO."""
    caplog.set_level(logging.INFO, "toast_boto")
    (dead,) = strict_tenancy.delete_all_keys()
    s3.list_buckets()
    assert f"the key {dead} was replaced" in caplog.text
