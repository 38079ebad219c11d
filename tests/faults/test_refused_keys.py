"""When Keystone is asked about a key that the S3 server refused: once a minute, for each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

import toast_boto
from tests.faults.proxy import PASSING, Exchange, FaultProxy, instead
from tests.support import Tenancy
from toast_boto._broker import Broker
from toast_boto._brokers import make_broker
from toast_boto._cache import FileCache
from toast_boto._keystone import Keystone
from toast_boto._lookout import Verdict
from toast_boto._notes import ASK_AGAIN_SECONDS, Notes, Refusal
from toast_boto._profiles import Profile
from toast_boto._settings import resolve

# Swift answers AccessDenied for rights that its S3 users can hardly set; here a proxy says it.
DENIED = instead(
    403, "application/xml", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"
)


# As Swift 2.38 answered a DeleteObjects whose key was deleted while it worked.
NOT_DELETED = (
    b"<?xml version='1.0'?><DeleteResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Error>"
    b"<Key>object-0</Key><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"
    b"</DeleteResult>"
)


def changed_on_the_way(exchange: Exchange) -> None:
    """What a proxy does that rewrites a signed header; Swift itself then refuses."""
    exchange.rewrite("X-Amz-Date", lambda date: f"{date[:-2]}{(int(date[-2]) + 1) % 10}Z")
    exchange.answer(exchange.forward())


@pytest.fixture
def s3(options: dict[str, Any], storage: FaultProxy) -> Any:
    client = toast_boto.Session(**{**options, "endpoint_url": storage.url}).client("s3")
    client.create_bucket(Bucket="photos")
    return client


def test_signature_broken_on_the_way(
    s3: Any, storage: FaultProxy, identity: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """SignatureDoesNotMatch with a key that is listed: the server's answer, and a hint."""
    storage.fault("GET", changed_on_the_way)
    before = len(identity.seen)
    for _ in range(3):
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            s3.list_buckets()
    assert identity.seen[before:] == ["login", "list"]
    assert caplog.text.count("does nothing change requests on their way?") == 1


def test_denied_does_not_blind(
    s3: Any, storage: FaultProxy, identity: FaultProxy, strict_tenancy: Tenancy
) -> None:
    """Ordinary refusals spend their own minute: a dead key's signature is looked after."""
    storage.fault("GET", DENIED, times=5)
    before = len(identity.seen)
    for _ in range(5):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_buckets()
    assert identity.seen[before:] == ["login", "list"]
    strict_tenancy.delete_all_keys()
    s3.list_buckets()
    assert len(strict_tenancy.list_keys()) == 1


def test_processes_of_a_host_share_the_minute(
    s3: Any, storage: FaultProxy, identity: FaultProxy, options: dict[str, Any]
) -> None:
    """The minute counts for a key and a host, whatever number of processes there are."""
    storage.fault("GET", DENIED)
    others = [
        toast_boto.Session(**{**options, "endpoint_url": storage.url}).client("s3")
        for _ in range(3)
    ]
    before = len(identity.seen)
    for client in (s3, *others):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.list_buckets()
    assert identity.seen[before:] == ["login", "list"]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broker(options: dict[str, Any], clock: Clock, tmp_path: Path) -> Broker:
    """A broker as it is made of settings, but for its clock."""
    settings = resolve(options, {}, Profile("default", False, {}))
    tenant_id = options["tenant_id"]
    broker = Broker(
        lambda at_most=20.0: Keystone(settings, at_most),
        FileCache(tmp_path / "cache", "name", tenant_id),
        tenant_id=tenant_id,
        notes=Notes(tmp_path / "cache" / "name.notes", clock),
        clock=clock,
    )
    broker.key()
    return broker


def test_minute(broker: Broker, clock: Clock) -> None:
    """Asked again after a minute; after a clock that was set back, at once."""
    access = broker.key().access
    for refusal in Refusal:
        assert broker.heal(access, refusal) is Verdict.STILL_LISTED
        assert broker.heal(access, refusal) is Verdict.NOT_ASKED
    clock.now += ASK_AGAIN_SECONDS - 1
    assert broker.heal(access, Refusal.SIGNATURE) is Verdict.NOT_ASKED
    clock.now += 1
    assert broker.heal(access, Refusal.SIGNATURE) is Verdict.STILL_LISTED
    clock.now -= 7 * 24 * 3600
    assert broker.heal(access, Refusal.SIGNATURE) is Verdict.STILL_LISTED
    assert broker.heal(access, Refusal.SIGNATURE) is Verdict.NOT_ASKED


def test_new_key_has_a_minute_of_its_own(broker: Broker, strict_tenancy: Tenancy) -> None:
    """The allowance is the key's: its successor can be looked after at once."""
    for _ in range(3):
        strict_tenancy.delete_all_keys()
        refused = broker.key().access
        assert broker.heal(refused, Refusal.SIGNATURE) is Verdict.ANOTHER_KEY
        assert broker.key().access != refused
    assert len(strict_tenancy.list_keys()) == 1


def test_dead_key_in_a_cache_that_can_not_be_written(
    options: dict[str, Any], strict_tenancy: Tenancy, tmp_path: Path
) -> None:
    """A dead key that stays in the file is not taken up again when another refusal comes."""
    settings = resolve(options, {}, Profile("default", False, {}))
    make_broker(settings).key()
    (path,) = (tmp_path / "cache").glob("*.json")
    kept = path.read_bytes()
    broker = make_broker(settings)
    dead = broker.key().access
    strict_tenancy.delete_all_keys()
    assert broker.heal(dead, Refusal.SIGNATURE) is Verdict.ANOTHER_KEY
    good = broker.key().access
    path.write_bytes(kept)
    assert broker.heal(good, Refusal.DENIED) is Verdict.STILL_LISTED
    assert broker.key().access == good


def test_refused_key_is_not_lost_when_keystone_fails(
    broker: Broker, identity: FaultProxy, tmp_path: Path
) -> None:
    """A key is never thrown away because Keystone did not answer."""
    access = broker.key().access
    identity.fault("*", instead(401, "application/json", b'{"error": {"message": "no"}}'))
    with pytest.raises(toast_boto.AuthenticationError):
        broker.heal(access, Refusal.SIGNATURE)
    assert broker.key().access == access
    assert access in (tmp_path / "cache" / "name.v1.json").read_text()


def test_rotation_to_a_key_that_is_refused(
    options: dict[str, Any], storage: FaultProxy, strict_tenancy: Tenancy
) -> None:
    """A new key that the S3 server does not accept is deleted again, and the old one stays."""
    options = {**options, "endpoint_url": storage.url}
    toast_boto.Session(**options).client("s3").list_buckets()
    before = strict_tenancy.list_keys()
    storage.fault("GET", changed_on_the_way)
    with pytest.raises(toast_boto.AuthenticationError, match="SignatureDoesNotMatch"):
        toast_boto.rotate_key(**options, grace=0)
    assert strict_tenancy.list_keys() == before
    storage.heal()
    toast_boto.rotate_key(**options, grace=0)
    assert strict_tenancy.list_keys() != before


# As Swift 2.38 answers while it can't reach Keystone.
BLIND = (
    b"<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>InvalidRequest</Code><Message>&lt;?xml "
    b"version=&quot;1.0&quot;?&gt;&lt;Error&gt;&lt;Code&gt;InvalidURI&lt;/Code&gt;&lt;/Error&gt;"
    b"</Message></Error>"
)
NO_PROOFS = {
    "Swift without Keystone": instead(400, "application/xml", BLIND),
    "503": instead(503, "text/plain", b""),
    "page not found": instead(404, "text/html", b"<html>no such page</html>"),
    "blocked": instead(403, "text/html", b"blocked by a filter"),
    "too many": instead(429, "text/plain", b"slow down"),
    "login page": instead(200, "text/html", b"<html><body>Sign in</body></html>"),
    "text": instead(200, "text/plain", b"hello"),
    "moved": instead(301, "text/plain", b""),
    "wrong clock": instead(
        403, "application/xml", b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
    ),
}


@pytest.mark.parametrize("fault", NO_PROOFS.values(), ids=NO_PROOFS)
def test_answers_that_prove_nothing(
    fault: Any, options: dict[str, Any], storage: FaultProxy, strict_tenancy: Tenancy
) -> None:
    """What no S3 server says, or says before it looks at the key, undoes the rotation."""
    old = strict_tenancy.create_key()["access"]
    storage.fault("GET", fault)
    with pytest.raises((BotoCoreError, ClientError)):
        toast_boto.rotate_key(**{**options, "endpoint_url": storage.url}, grace=0)
    assert [key["access"] for key in strict_tenancy.list_keys()] == [old]


@pytest.mark.parametrize("name", ["lost reply", "504 after the work", "cut body"])
def test_rotation_whose_create_is_not_answered(
    name: str, options: dict[str, Any], identity: FaultProxy, strict_tenancy: Tenancy
) -> None:
    """The key that was made is found by comparing the lists, and is the only one left."""
    toast_boto.Session(**options).client("s3").list_buckets()
    other = strict_tenancy.create_key()["access"]
    identity.fault("create", PASSING[name], times=1)
    rotation = toast_boto.rotate_key(**options, grace=0)
    assert identity.seen.count("create") == 2
    left = {key["access"] for key in strict_tenancy.list_keys()}
    assert left == {other, rotation.access_key}


def test_key_that_dies_within_a_delete_of_many(
    s3: Any, storage: FaultProxy, strict_tenancy: Tenancy
) -> None:
    """Swift checks the key for each object of DeleteObjects: what it refused is deleted, too."""
    names = [f"object-{number}" for number in range(5)]
    for name in names:
        s3.put_object(Bucket="photos", Key=name, Body=b"x")

    def killed_on_the_way(exchange: Exchange) -> None:
        # Swift has checked the signature of the whole, and not yet that of each object.
        reply = exchange.forward()
        assert reply.status == 200
        strict_tenancy.delete_all_keys()
        exchange.answer(reply._replace(body=NOT_DELETED))

    storage.fault("POST", killed_on_the_way, times=1)
    objects = [{"Key": name} for name in names]
    answer = s3.delete_objects(Bucket="photos", Delete={"Objects": objects})
    assert "Errors" not in answer
    assert sorted(item["Key"] for item in answer["Deleted"]) == names
    assert s3.list_objects_v2(Bucket="photos")["KeyCount"] == 0
