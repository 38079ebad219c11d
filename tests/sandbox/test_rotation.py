"""Replacing the key in use: within the quota, without losing either key, by code and by command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest

import toast_boto
from tests.support import Tenancy, Watch, broker_for, key_of, set_settings
from toast_boto import ConfigurationError, KeyQuotaError
from toast_boto._keys import EC2Key


@pytest.fixture
def options(strict_tenancy: Tenancy, tmp_path: Path) -> dict[str, Any]:
    return strict_tenancy.options(
        cache=str(tmp_path / "cache"), endpoint_url=strict_tenancy.cloud.endpoint_url
    )


def names(tenancy: Tenancy) -> list[str]:
    return sorted(key["access"] for key in tenancy.list_keys())


def test_key_is_replaced(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """A new key is in the cache and works, the old one is deleted; running clients go on."""
    client = toast_boto.Session(**options).client("s3")
    client.create_bucket(Bucket="photos")
    (old,) = names(strict_tenancy)
    said: list[str] = []
    rotation = toast_boto.rotate_key(**options, grace=0, tell=said.append)
    assert rotation == (rotation.access_key, (old,))
    assert names(strict_tenancy) == [rotation.access_key]
    assert key_of(options) == rotation.access_key
    watch = Watch(strict_tenancy.cloud)
    client.head_bucket(Bucket="photos")
    assert watch.identity() == [], "it found the new key in the cache"
    assert [text.split()[0] for text in said] == ["Made", "The", "The", "Deleted"]


@pytest.mark.parametrize("cache", ["file", "memory"])
def test_sessions_of_this_process(
    cache: str, options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """They sign with the new key at once, also what only presigns, which no answer tells of it."""
    if cache == "memory":
        options["cache"] = "memory"
    session = toast_boto.Session(**options)
    client = session.client("s3")
    old = session.get_credentials().access_key
    rotation = toast_boto.rotate_key(**options, grace=0)
    assert rotation.deleted == (old,)
    assert session.get_credentials().access_key == rotation.access_key
    assert rotation.access_key in client.generate_presigned_url("list_buckets")
    client.list_buckets()


def test_key_of_a_session_is_not_replaced_first(
    options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """A key that a session of this process has in memory is in use here."""
    options["cache"] = "memory"
    session = toast_boto.Session(**options)
    used = session.get_credentials().access_key
    others = [strict_tenancy.create_key()["access"] for _ in range(2)]
    with pytest.raises(ConfigurationError, match="is in use here"):
        toast_boto.rotate_key(**options, grace=0, replace=used)
    rotation = toast_boto.rotate_key(**options, grace=0, replace=others[0])
    assert rotation.deleted == (others[0], used)


def test_requests_of_a_rotation(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """Login, list, create; a signed ListBuckets; login, delete."""
    key_of(options)
    watch = Watch(strict_tenancy.cloud)
    toast_boto.rotate_key(**options, grace=0)
    assert watch.identity() == ["login", "list", "create", "login", "delete"]
    assert [(r.method, r.path) for r in watch.of("KR1")] == [("GET", "/")]


def test_grace(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """Until the grace is over both keys are there, and the new one is in use."""
    broker = broker_for(options)
    old = broker.key().access
    seen: list[Any] = []

    def sleep(seconds: float) -> None:
        seen.append((seconds, names(strict_tenancy), key_of(options)))

    rotation = broker.rotate(lambda _: None, sleep, grace=61.5)
    assert seen == [(61.5, sorted([old, rotation.access_key]), rotation.access_key)]
    assert names(strict_tenancy) == [rotation.access_key]


def test_without_any_key(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """Where there is none, one is made, and nothing is deleted or waited for."""
    rotation = toast_boto.rotate_key(**options, grace=3600)
    assert rotation.deleted == ()
    assert names(strict_tenancy) == [rotation.access_key]


def test_cached_key_that_is_dead(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """The old key is the one in use, and one that is gone already is not deleted again."""
    key_of(options)
    strict_tenancy.delete_all_keys()
    assert toast_boto.rotate_key(**options, grace=3600).deleted == ()


@pytest.mark.parametrize("cached", [False, True])
def test_key_in_use_that_is_not_known(
    cached: bool, options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """Somebody else's keys are not deleted for want of one's own, be that dead or not known."""
    if cached:
        key_of(options)
        strict_tenancy.delete_all_keys()
    others = [strict_tenancy.create_key()["access"] for _ in range(1 if cached else 2)]
    said: list[str] = []
    rotation = toast_boto.rotate_key(**options, grace=3600, tell=said.append)
    assert rotation.deleted == ()
    assert names(strict_tenancy) == sorted([*others, rotation.access_key])
    assert "It is not known which key was in use" in said[-1]


@pytest.mark.parametrize("when", ["talk", "grace"])
def test_rotation_that_is_broken_off(
    when: str, options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """A listener that fails costs no key; an interrupt in the grace leaves two, and says so."""
    broker = broker_for(options)
    old = broker.key().access
    said: list[str] = []

    def tell(text: str) -> None:
        said.append(text)
        if when == "talk":
            raise BrokenPipeError

    def sleep(_: float) -> None:
        if when == "grace":
            raise KeyboardInterrupt

    if when == "talk":
        rotation = broker.rotate(lambda _: None, sleep, tell=tell)
        assert names(strict_tenancy) == [rotation.access_key]
        return
    with pytest.raises(KeyboardInterrupt):
        broker.rotate(lambda _: None, sleep, tell=tell)
    assert said[-1].startswith(f"The old key {old} was not deleted, and keeps its slot")
    assert len(names(strict_tenancy)) == 2
    assert key_of(options) != old


def test_interrupted_proof(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """Ctrl-C while the key is proved takes it back."""

    def prove(_: EC2Key) -> None:
        raise KeyboardInterrupt

    broker = broker_for(options)
    old = broker.key().access
    with pytest.raises(KeyboardInterrupt):
        broker.rotate(prove)
    assert names(strict_tenancy) == [old]


def test_key_in_use_is_the_cached_one(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """With several keys, it is the one in the cache that is replaced."""
    used = key_of(options)
    others = [strict_tenancy.create_key()["access"]]
    rotation = toast_boto.rotate_key(**options, grace=0)
    assert rotation.deleted == (used,)
    assert names(strict_tenancy) == sorted([*others, rotation.access_key])


def test_proof_that_fails(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """When the S3 server does not accept the new key, it is deleted again, and nothing changes."""
    broker = broker_for(options)
    old = broker.key().access
    said: list[str] = []

    def prove(key: EC2Key) -> None:
        raise toast_boto.AuthenticationError(f"{key.access} refused")

    with pytest.raises(toast_boto.AuthenticationError):
        broker.rotate(prove, tell=said.append)
    assert names(strict_tenancy) == [old]
    assert broker.key().access == key_of(options) == old
    assert "could not be proved" in said[-1]


def test_any_other_answer_is_a_proof(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """A server that knows the key and does not like the request has proved the key."""
    old = key_of(options)
    elsewhere = strict_tenancy.cloud.endpoint_urls["KR2"]  # 400 AuthorizationHeaderMalformed
    rotation = toast_boto.rotate_key(**{**options, "endpoint_url": elsewhere}, grace=0)
    assert rotation.deleted == (old,)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://s3.invalid"])
def test_s3_server_out_of_reach(options: dict[str, Any], strict_tenancy: Tenancy, url: str) -> None:
    """Without a proof the new key is deleted again, and botocore's error goes out."""
    old = key_of(options)
    with pytest.raises(botocore.exceptions.BotoCoreError):
        toast_boto.rotate_key(**{**options, "endpoint_url": url}, grace=0)
    assert names(strict_tenancy) == [old]
    assert key_of(options) == old


def test_quota_used_up(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """With three keys there the error names them, which is in use, and the command."""
    used = key_of(options)
    others = [strict_tenancy.create_key()["access"] for _ in range(2)]
    with pytest.raises(KeyQuotaError) as caught:
        toast_boto.rotate_key(**options, grace=0)
    assert f"{used} (in use here)" in str(caught.value)
    assert all(access in str(caught.value) for access in others)
    assert "toast-boto keys rotate --replace ACCESS" in str(caught.value)
    assert names(strict_tenancy) == sorted([used, *others])
    rotation = toast_boto.rotate_key(**options, grace=0, replace=others[0])
    assert rotation.deleted == (others[0], used)
    assert names(strict_tenancy) == sorted([others[1], rotation.access_key])


def test_room_for_a_new_key(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """Where there is a slot, the key that may be replaced is left alone."""
    used, other = key_of(options), strict_tenancy.create_key()["access"]
    said: list[str] = []
    rotation = toast_boto.rotate_key(**options, grace=0, replace=other, tell=said.append)
    assert rotation.deleted == (used,)
    assert f"so the key {other} stays" in said[0]
    assert other in names(strict_tenancy)


@pytest.mark.parametrize("which", ["in use", "nobody", "another tenant"])
def test_keys_that_are_not_replaced(which: str, strict_cloud: Any, tmp_path: Path) -> None:
    """The key in use here, one that is not there, another tenant's: refused, nothing touched."""
    tenancy = Tenancy.create(strict_cloud, tenants=2)
    options = tenancy.options(cache=str(tmp_path), endpoint_url=strict_cloud.endpoint_url)
    used = key_of(options)
    foreign = tenancy.create_key(tenancy.tenant_ids[1])["access"]
    replace = {"in use": used, "nobody": "0" * 32, "another tenant": foreign}[which]
    before = names(tenancy)
    with pytest.raises(ConfigurationError, match=r"--replace or replace="):
        toast_boto.rotate_key(**options, grace=0, replace=replace)
    assert names(tenancy) == before


@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf"), 1e9, "soon", None])
def test_grace_that_makes_no_sense(options: dict[str, Any], grace: Any) -> None:
    """It is refused before anything is made."""
    with pytest.raises(ConfigurationError, match="--grace"):
        toast_boto.rotate_key(**options, grace=grace)


def test_login_that_is_missing() -> None:
    """The error is that of a session without a login."""
    with pytest.raises(ConfigurationError, match="there is no login"):
        toast_boto.rotate_key()


def test_old_key_that_can_not_be_deleted(options: dict[str, Any], strict_tenancy: Tenancy) -> None:
    """When Keystone goes away meanwhile, the new key is in use and the text names the old one."""
    broker, cloud = broker_for(options, identity_timeout=1), strict_tenancy.cloud
    old = broker.key().access
    try:
        with pytest.raises(toast_boto.IdentityUnavailableError) as caught:
            broker.rotate(lambda _: None, lambda _: cloud.stop_keystone(), grace=1)
    finally:
        cloud.start_keystone()
    assert f"the old key {old} could not be deleted" in str(caught.value)
    assert key_of(options) != old
    assert len(names(strict_tenancy)) == 2


# -- by command


@pytest.fixture
def environment(
    strict_tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Tenancy:
    set_settings(monkeypatch, strict_tenancy, tmp_path / "cache")
    return strict_tenancy


def command(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toast_boto", "keys", "rotate", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        input=given,
    )


def test_command(environment: Tenancy) -> None:
    """stdout is the new access key, stderr tells the steps."""
    old = environment.create_key()["access"]
    done = command("--grace", "0")
    assert (done.returncode, done.stdout.split()) == (0, names(environment))
    assert f"Deleted the key {old}." in done.stderr
    again = command("--grace", "0", "--json")
    assert json.loads(again.stdout) == {
        "access_key": names(environment)[0],
        "deleted": [done.stdout.strip()],
    }


def test_command_asks_before_it_deletes(environment: Tenancy) -> None:
    """--replace without --yes and without a terminal is refused, and nothing is touched."""
    keys = sorted(environment.create_key()["access"] for _ in range(3))
    done = command("--grace", "0")
    assert done.returncode == 5
    assert "keys rotate --replace ACCESS" in done.stderr
    refused = command("--grace", "0", "--replace", keys[2], given="y\n")
    assert refused.returncode == 2
    assert "Give --yes too" in refused.stderr
    assert names(environment) == keys
    done = command("--grace", "0", "--replace", keys[2], "--yes")
    assert done.returncode == 0, done.stderr
    assert f"so these stay: {', '.join(keys[:2])}." in done.stderr
    assert names(environment) == sorted([*keys[:2], done.stdout.strip()])


def test_command_on_a_terminal(environment: Tenancy) -> None:
    """On a terminal it asks; an answer that is not yes ends it, with nothing touched."""
    pty = pytest.importorskip("pty")
    keys = sorted(environment.create_key()["access"] for _ in range(3))
    for answer, code in ((b"n\n", 130), (b"y\n", 0)):
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "toast_boto", "keys", "rotate", "--grace", "0",
             "--replace", keys[2]],
            stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        os.write(master, answer)
        _, talk = process.communicate(timeout=60)
        os.close(master)
        os.close(slave)
        assert process.returncode == code
        assert b"for good" in talk
        assert (keys[2] in names(environment)) is (code != 0)


def test_command_with_flags(strict_tenancy: Tenancy, tmp_path: Path) -> None:
    """Every setting can be a flag, but for the password, which comes by standard input."""
    cloud = strict_tenancy.cloud
    flags = {
        "--auth-url": cloud.auth_url,
        "--username": strict_tenancy.username,
        "--tenant-id": strict_tenancy.tenant_id,
        "--ca-bundle": cloud.ca_bundle,
        "--cache": str(tmp_path / "cache"),
        "--region": "KR2",
    }
    arguments = [text for flag in flags.items() for text in flag]
    done = command(*arguments, "--password-stdin", given=f"{strict_tenancy.password}\n")
    assert done.returncode == 0, done.stderr
    assert names(strict_tenancy) == [done.stdout.strip()]
    empty = command(*arguments, "--password-stdin", given="")
    assert empty.returncode == 2
    assert "nothing on standard input" in empty.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--grace", "soon"], 2, "--grace"),
        (["--grace", "-5"], 2, "--grace"),
        (["--profile", "nosuch"], 2, "nosuch"),
        (["--endpoint-url", "https://localhost:1"], 4, "S3 server could not be asked"),
        (["--cloud", "nosuch"], 2, "there is no cloud"),
        (["--username", "nobody@example.com"], 3, "refused the login"),
        (["--auth-url", "http://127.0.0.1:1/v2.0", "--identity-timeout", "1"], 4, "127.0.0.1:1"),
        (["--endpoint-url", "http://127.0.0.1:1"], 4, "S3 server could not be asked"),
        (["--replace", "nobody", "--yes"], 2, "no such key"),
        (["--replace", "", "--yes"], 2, "--replace or replace= is empty"),
    ],
)
def test_mistakes(environment: Tenancy, arguments: list[str], code: int, words: str) -> None:
    """Each is an exit code and one line that says what it was, without a traceback."""
    key = environment.create_key()["access"]
    done = command(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert names(environment) == [key]


def test_presigned_urls_die_with_the_old_key(
    options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """What the documentation warns of."""
    import requests

    client = toast_boto.Session(**options).client("s3")
    client.create_bucket(Bucket="photos")
    client.put_object(Bucket="photos", Key="cat", Body=b"cat")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": "cat"})

    def status() -> int:
        answer = requests.get(url, verify=strict_tenancy.cloud.ca_bundle, timeout=30)
        return int(answer.status_code)

    assert status() == 200
    toast_boto.rotate_key(**options, grace=0)
    assert status() == 403


def test_stock_boto3_is_untouched(options: dict[str, Any]) -> None:
    """A rotation leaves boto3's default session alone."""
    toast_boto.rotate_key(**options, grace=0)
    assert boto3.DEFAULT_SESSION is None
