"""Which key is taken. A fake identity service, for races that a real one can't be made to show."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from tests.support import wait_until
from toast_boto._broker import Broker
from toast_boto._cache import Entry, FileCache, MemoryCache
from toast_boto._keys import CreateRefused, EC2Key, usable
from toast_boto._lookout import Verdict
from toast_boto._notes import Notes, Refusal
from toast_boto.errors import (
    AuthenticationError,
    CacheError,
    ConfigurationError,
    IdentityUnavailableError,
    KeyQuotaError,
    ToastBotoWarning,
)


class Login:
    user_id = "user"
    tenant_id = "tenant"

    def __init__(self, endpoints: dict[str, str]) -> None:
        self.endpoints = endpoints


KR1 = {"KR1": "https://storage.example.com"}


class FakeIdentity:
    """Lists what it is told to, in turn; remembers what it was asked."""

    def __init__(self, *lists: list[EC2Key], made: Any = None) -> None:
        self.lists = list(lists)
        self.made = made
        self.asked: list[str] = []
        self.endpoints = KR1

    @contextlib.contextmanager
    def connect(self, _at_most: float = 0.0) -> Iterator[FakeIdentity]:
        yield self

    def login(self) -> Login:
        self.asked.append("login")
        return Login(self.endpoints)

    def list_keys(self) -> list[EC2Key]:
        self.asked.append("list")
        return self.lists.pop(0)

    def create_key(self, tenant_id: str) -> EC2Key:
        self.asked.append(f"create for {tenant_id}")
        if isinstance(self.made, Exception):
            raise self.made
        assert isinstance(self.made, EC2Key)
        return self.made

    def delete_key(self, access: str) -> bool:
        self.asked.append(f"delete {access}")
        return True

    def pause(self, attempt: int) -> bool:
        self.asked.append("pause")
        return attempt < 3


def key(access: str, tenant_id: str = "tenant", **more: Any) -> EC2Key:
    return EC2Key(access, f"secret-of-{access}", tenant_id, "user", **more)


def broker(identity: FakeIdentity, **options: Any) -> Broker:
    return Broker(identity.connect, MemoryCache(), **{"tenant_id": "tenant", **options})


def refusal(status: int) -> CreateRefused:
    return CreateRefused(status, AuthenticationError(f"the server said {status}"))


def test_oldest_then_smallest() -> None:
    """The oldest key is taken, and of equal ages the smallest access key."""
    keys = [
        key("c", created_at="2024-01-01T00:00:00Z"),
        key("b", created_at="2023-01-01T00:00:00Z"),
        key("a", created_at="2023-01-01T00:00:00Z"),
        key("0", tenant_id="another"),
        key("1", trust_id="of-a-trust"),
    ]
    assert [k.access for k in usable(keys, "tenant")] == ["a", "b", "c"]
    identity = FakeIdentity(keys)
    assert broker(identity).key().access == "a"
    assert identity.asked == ["login", "list"]


def test_asked_once() -> None:
    """The key is remembered."""
    identity = FakeIdentity([key("a")])
    shared = broker(identity)
    assert shared.key() is shared.key()
    assert shared.endpoints() == KR1
    assert identity.asked == ["login", "list"]


def test_created_key_is_used() -> None:
    """With none there one is made, and the list is read again."""
    identity = FakeIdentity([key("x", tenant_id="another")], [key("new")], made=key("new"))
    assert broker(identity).key().access == "new"
    assert identity.asked == ["login", "list", "create for tenant", "list"]


def test_somebody_elses_key_came_first() -> None:
    """Two creators at once: both take the same key, and the surplus is deleted by its maker."""
    both = [key("theirs", created_at="2024-01-01T00:00:00Z"),
            key("ours", created_at="2024-01-01T00:00:01Z")]  # fmt: skip
    identity = FakeIdentity([], both, made=key("ours"))
    assert broker(identity).key().access == "theirs"
    assert identity.asked[-1] == "delete ours"


def test_surplus_that_can_not_be_deleted() -> None:
    """Failing to delete the surplus is a warning that names it; the work goes on."""

    class Stubborn(FakeIdentity):
        def delete_key(self, access: str) -> bool:
            raise IdentityUnavailableError("gone")

    identity = Stubborn([], [key("a"), key("b")], made=key("b"))
    with pytest.warns(ToastBotoWarning, match="key b was made in vain"):
        assert broker(identity).key().access == "a"


def test_created_key_that_the_list_does_not_show_yet() -> None:
    """A list that lags behind does not lose the key that was just made."""
    identity = FakeIdentity([], [], made=key("new"))
    assert broker(identity).key().access == "new"
    assert "delete new" not in identity.asked


def test_refused_create_adopts_what_is_there() -> None:
    """The quota was used up by somebody who made the key that we need."""
    identity = FakeIdentity([], [key("theirs")], made=refusal(409))
    assert broker(identity).key().access == "theirs"


@pytest.mark.parametrize(
    ("status", "others", "kind"),
    [
        (409, 0, KeyQuotaError),
        (403, 3, KeyQuotaError),
        (413, 4, KeyQuotaError),
        (403, 0, AuthenticationError),
        (400, 2, AuthenticationError),
    ],
)
def test_refused_create(status: int, others: int, kind: type[Exception]) -> None:
    """Three or more unusable keys, or a 409: the quota. Otherwise the server's own refusal."""
    unusable = [key(str(n), trust_id="t") for n in range(others)]
    identity = FakeIdentity([], unusable, made=refusal(status))
    with pytest.raises(kind, match=f"the server said {status}") as caught:
        broker(identity).key()
    assert type(caught.value) is kind
    if kind is KeyQuotaError and others:
        assert f"The user has {others} there" in str(caught.value)
        assert "keys rotate --replace ACCESS" in str(caught.value)
    assert identity.asked.count("create for tenant") == 1


def test_no_key_may_be_made() -> None:
    """The policy reuse makes none."""
    identity = FakeIdentity([key("x", tenant_id="another")])
    with pytest.raises(ConfigurationError, match="key policy is reuse"):
        broker(identity, may_create=False).key()
    assert identity.asked == ["login", "list"]


def test_tenant_of_the_login() -> None:
    """Without a tenant in the settings the token's counts; without that there is none."""
    identity = FakeIdentity([key("a")])
    assert broker(identity, tenant_id="").key().access == "a"

    class Unscoped(FakeIdentity):
        def login(self) -> Login:
            login = super().login()
            login.tenant_id = ""
            return login

    with pytest.raises(ConfigurationError, match="scoped to no tenant"):
        broker(Unscoped([]), tenant_id="").key()
    elsewhere = broker(FakeIdentity([]), tenant_id="another")
    with pytest.raises(ConfigurationError, match="scoped to the tenant tenant, not to another"):
        elsewhere.key()


def test_threads_that_wait_share_a_failure() -> None:
    """Of many threads that start at once one asks in vain, and the others are told so."""

    class Slow(FakeIdentity):
        def login(self) -> Login:
            super().login()
            wait_until(lambda: waiting.count(1) == 8)
            raise AuthenticationError("refused")

    identity, waiting = Slow(), []  # type: ignore[var-annotated]
    shared = broker(identity)

    def work(_: int) -> str:
        waiting.append(1)
        with pytest.raises(AuthenticationError) as caught:
            shared.key()
        return str(caught.value)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(8))) == {"refused"}
    # A thread that was not yet waiting when the first had failed may have asked once more.
    assert identity.asked.count("login") <= 2


def test_failure_is_not_remembered() -> None:
    """After a failure the next call asks again."""

    class Flaky(FakeIdentity):
        def login(self) -> Login:
            login = super().login()
            if self.asked.count("login") == 1:
                raise IdentityUnavailableError("down")
            return login

    shared = broker(Flaky([key("a")]))
    with pytest.raises(IdentityUnavailableError):
        shared.key()
    assert shared.key().access == "a"


def test_endpoints_without_a_key() -> None:
    """Whoever signs with a key of their own makes us log in, and no more."""
    identity = FakeIdentity()
    shared = broker(identity)
    assert shared.endpoints(login_only=True) == KR1
    assert shared.endpoints(login_only=True) == KR1
    assert identity.asked == ["login"]


def test_endpoints_of_the_cache() -> None:
    """What is kept beside the key serves those without our key as well, and is kept up to date."""

    class Kept(MemoryCache):
        entry: Entry | None = Entry(key("a"), 5.0, KR1)

        def read(self) -> Entry | None:
            return self.entry

        def write(self, entry: Entry) -> None:
            self.entry = entry

    identity, cache = FakeIdentity(), Kept()
    identity.endpoints = {"KR3": "https://kr3.example.com"}
    shared = Broker(identity.connect, cache, tenant_id="tenant")
    assert shared.endpoints(login_only=True) == KR1
    assert identity.asked == []
    assert shared.endpoints(login_only=True, again=True) == {**KR1, **identity.endpoints}
    assert cache.entry is not None
    assert (cache.entry.key.access, cache.entry.checked_at) == ("a", 5.0)
    assert cache.entry.endpoints == identity.endpoints


def test_newer_catalogue() -> None:
    """A region that the cached catalogue lacks costs one login, and is known from then on."""
    identity = FakeIdentity([key("a")])
    shared = broker(identity)
    assert shared.endpoints() == KR1
    identity.endpoints = {"KR3": "https://kr3.example.com"}
    both = {**KR1, "KR3": "https://kr3.example.com"}
    assert shared.endpoints(again=True) == both
    assert shared.endpoints() == both
    assert identity.asked == ["login", "list", "login"]


# -- healing


def shared_brokers(identities: list[FakeIdentity], directory: Path) -> list[Broker]:
    """Brokers of different processes, as far as they know: they share a directory and no memory."""
    return [
        Broker(
            identity.connect,
            FileCache(directory, "name", "tenant"),
            tenant_id="tenant",
            notes=Notes(directory / "name.notes"),
        )
        for identity in identities
    ]


def test_processes_wait_for_the_one_that_asks(tmp_path: Path) -> None:
    """While one process asks about a dead key the others wait, and take the key that it gets."""

    class Slow(FakeIdentity):
        def list_keys(self) -> list[EC2Key]:
            if self.asked.count("login") == 2:
                asking.set()
                assert go_on.wait(10)
            return super().list_keys()

    asking, go_on = threading.Event(), threading.Event()
    first, second = Slow([key("dead")], [key("new")]), FakeIdentity()
    one, other = shared_brokers([first, second], tmp_path)
    assert one.key().access == other.key().access == "dead"
    with ThreadPoolExecutor(2) as pool:
        healing = pool.submit(one.heal, "dead", Refusal.SIGNATURE)
        assert asking.wait(10)
        waiting = pool.submit(other.heal, "dead", Refusal.SIGNATURE)
        assert not wait([waiting], timeout=0.2).done
        go_on.set()
        assert healing.result(10) is waiting.result(10) is Verdict.ANOTHER_KEY
    assert other.key().access == "new"
    assert second.asked == []


def test_key_that_came_between_two_looks(tmp_path: Path) -> None:
    """Who sees that Keystone was asked a moment ago sees the key that came of it, too."""

    class Between(Notes):
        def may_ask(self, access: str, refusal: Refusal) -> bool:
            answer = super().may_ask(access, refusal)
            if answer and not done:
                done.append(1)
                one.heal(access, refusal)  # another process does it all at this very moment
                return super().may_ask(access, refusal)
            return answer

    done: list[int] = []
    first, second = FakeIdentity([key("dead")], [key("new")]), FakeIdentity()
    one, _ = shared_brokers([first, second], tmp_path)
    other = Broker(
        second.connect,
        FileCache(tmp_path, "name", "tenant"),
        tenant_id="tenant",
        notes=Between(tmp_path / "name.notes"),
    )
    assert one.key().access == other.key().access == "dead"
    assert other.heal("dead", Refusal.SIGNATURE) is Verdict.ANOTHER_KEY
    assert other.key().access == "new"
    assert second.asked == []


def test_failed_look_counts_as_one(tmp_path: Path) -> None:
    """A look in vain spends the minute, and the key goes on being used."""

    class Away(FakeIdentity):
        def login(self) -> Login:
            if self.asked.count("login"):
                self.asked.append("login")
                raise IdentityUnavailableError("away")
            return super().login()

    identity = Away([key("a")])
    shared = broker(identity)
    assert shared.key().access == "a"
    with pytest.raises(IdentityUnavailableError):
        shared.heal("a", Refusal.SIGNATURE)
    assert shared.heal("a", Refusal.SIGNATURE) is Verdict.NOT_ASKED
    assert shared.key().access == "a"
    assert identity.asked == ["login", "list", "login"]


def test_dead_key_without_a_slot(tmp_path: Path) -> None:
    """When no key can be made for a dead one, the error is the quota's, and nothing is lost."""
    unusable = [key(str(n), trust_id="t") for n in range(3)]
    identity = FakeIdentity([key("a")], unusable, unusable, made=refusal(409))
    shared = broker(identity)
    shared.key()
    with pytest.raises(KeyQuotaError):
        shared.heal("a", Refusal.SIGNATURE)
    assert shared.key().access == "a"


def test_threads_do_not_wait_for_a_lock_one_after_the_other(tmp_path: Path) -> None:
    """When the lock can't be had one thread waits for it in vain, and the others need not."""
    identity = FakeIdentity([key("a")])
    shared = Broker(
        identity.connect,
        FileCache(tmp_path, "name", "tenant", lock_seconds=0.3),
        tenant_id="tenant",
    )
    shared.key()

    def work(_: int) -> object:
        try:
            return shared.heal("a", Refusal.SIGNATURE)
        except CacheError:
            return CacheError

    with FileCache(tmp_path, "name", "tenant").lock(), ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(work, range(8)))
    assert outcomes.count(CacheError) == 1
    assert outcomes.count(Verdict.NOT_ASKED) == 7
    assert identity.asked == ["login", "list"]


def test_shared_failures_are_of_equal_settings(tmp_path: Path) -> None:
    """A process whose password comes from elsewhere is not told of another's wrong one."""
    path = tmp_path / "name.notes"
    Notes(path, settings="password from A").failed(AuthenticationError("refused"))
    assert Notes(path, settings="password from B").failure_since(0.0) is None
    shared = Notes(path, settings="password from A").failure_since(0.0)
    assert isinstance(shared, AuthenticationError)
    assert str(shared).startswith("refused")
    assert Notes(path, settings="password from A").failure_since(time.time() + 1) is None


# -- doubtful creates


def test_adopted_key_is_not_dropped() -> None:
    """A key that was adopted may be somebody else's: it is never deleted as our surplus."""
    theirs = [key("theirs")]
    identity = FakeIdentity(
        [], theirs, [key("ours"), *theirs], made=IdentityUnavailableError("time-out")
    )
    assert broker(identity).key().access == "ours"
    assert not [call for call in identity.asked if call.startswith("delete")]


def test_doubtful_create_is_adopted() -> None:
    """A create whose reply is lost is looked up, and the key that it made is used."""
    new = [key("new")]
    identity = FakeIdentity([], new, new, made=IdentityUnavailableError("time-out"))
    assert broker(identity).key().access == "new"
    assert identity.asked == ["login", "list", "create for tenant", "list", "list"]


def test_doubtful_create_that_made_nothing() -> None:
    """It is tried again after a pause and a look, a bounded number of times."""
    identity = FakeIdentity([], [], [], [], made=IdentityUnavailableError("time-out"))
    with pytest.raises(IdentityUnavailableError, match="time-out"):
        broker(identity).key()
    tries = ["create for tenant", "list", "pause"]
    assert identity.asked == ["login", "list", *tries, *tries, *tries]


def test_doubtful_create_of_a_rotation_that_is_ambiguous() -> None:
    """Two new keys at once: a rotation does not guess which is its own, and touches neither."""
    old, doubt = key("old"), IdentityUnavailableError("time-out")
    identity = FakeIdentity([old], [old, key("x"), key("y")], made=doubt)
    with pytest.raises(IdentityUnavailableError, match="x and y appeared"):
        broker(identity).rotate(lambda _: None, lambda _: None)
    assert not [call for call in identity.asked if call.startswith("delete")]


def test_rotation_that_made_room_in_vain() -> None:
    """When the create fails after a key was deleted for it, the text says which."""

    class Refusing(FakeIdentity):
        def create_key(self, tenant_id: str) -> EC2Key:
            self.asked.append("create")
            raise refusal(409 if self.asked.count("create") == 1 else 403)

    identity = Refusing([key("a"), key("b"), key("c")])
    with pytest.raises(AuthenticationError, match="The key c was deleted before that"):
        broker(identity).rotate(lambda _: None, lambda _: None, replace="c")
    assert identity.asked == ["login", "list", "create", "delete c", "create"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork_while_another_thread_asks() -> None:
    """The child of a process whose other thread holds the broker's lock can ask for itself."""

    class Slow(FakeIdentity):
        def login(self) -> Login:
            asking.set()
            assert os.getpid() != parent or go_on.wait(20)
            return super().login()

    parent, asking, go_on = os.getpid(), threading.Event(), threading.Event()
    shared = broker(Slow([key("a")]))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shared.key)
        assert asking.wait(10)
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # instead of waiting for ever
            os._exit(0 if shared.key().access == "a" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        go_on.set()
        assert waiting.result(10).access == "a"
