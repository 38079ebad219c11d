"""One login for everybody: threads, processes, forks, pools, and pickled sessions."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keystoneauth1.identity import v2

import toast_boto
from tests.support import Tenancy, Watch, set_settings
from toast_boto import ConfigurationError, _forks

STARTS = [
    m for m in ("fork", "forkserver", "spawn") if m in multiprocessing.get_all_start_methods()
]

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


def access_of(session: Any) -> str:
    """What a worker does: an S3 call, and the access key that signed it."""
    session.client("s3").list_buckets()
    return str(session.get_credentials().access_key)


@pytest.fixture
def own(strict_tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tenancy:
    """A user whose settings are in the environment, where workers find them."""
    set_settings(monkeypatch, strict_tenancy, tmp_path / "cache")
    return strict_tenancy


# -- pickle


@pytest.mark.parametrize("start", STARTS)
def test_session_for_a_pool_of_processes(start: str, own: Tenancy) -> None:
    """A Session goes to workers by pickle, however they are started; all use one key."""
    session = toast_boto.Session(endpoint_url=own.cloud.endpoint_urls["KR2"], region_name="KR2")
    watch = Watch(own.cloud)
    context = multiprocessing.get_context(start)
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        used = set(pool.map(access_of, [session] * 8))
    assert used == {key["access"] for key in own.list_keys()}
    assert watch.identity() == ["login", "list", "create", "list"]
    assert {r.service for r in watch.of("KR2")} == {"KR2"}, "the recipe says KR2"


def test_pickle_holds_no_secret(own: Tenancy) -> None:
    """The pickle is the recipe: neither password nor key is in it, nor what is ambient."""
    session = toast_boto.Session(
        username=own.username, password_process="pass show toast", ca_bundle=own.cloud.ca_bundle
    )
    access_of(ambient := toast_boto.Session())
    for made in (session, ambient):
        data = pickle.dumps(made)
        (key,) = own.list_keys()
        for secret in (own.password, key["secret"], key["access"]):
            assert secret.encode() not in data
    again = pickle.loads(pickle.dumps(session))
    assert type(again) is toast_boto.Session
    assert pickle.dumps(again) == pickle.dumps(session)
    assert access_of(copy.deepcopy(ambient)) == access_of(ambient)


def test_copied_session(own: Tenancy) -> None:
    """copy.copy is boto3's own, whatever the Session was given."""
    session = toast_boto.Session(password=own.password)
    assert access_of(copy.copy(session)) == access_of(session)


class Mine(toast_boto.Session):
    """A subclass, as applications make them."""


def test_subclass_is_pickled_as_itself(own: Tenancy) -> None:
    """What comes back is of the same class."""
    assert type(pickle.loads(pickle.dumps(Mine(region_name="KR2")))) is Mine


@pytest.mark.parametrize(
    ("given", "way_out"),
    [
        ({"password": "the-password"}, "set TOAST_PASSWORD"),
        ({"aws_access_key_id": "a", "aws_secret_access_key": "the-secret"}, "name a profile"),
        ({"aws_access_key_id": "a", "aws_secret_access_key": "b", "aws_session_token": "the-t"},
         "AWS_SESSION_TOKEN"),
        ({"auth": v2.Password("https://identity.example.com/v2.0", "u", "the-password")},
         "password_process"),
    ],
)  # fmt: skip
def test_session_with_a_secret_is_not_pickled(given: dict[str, Any], way_out: str) -> None:
    """It says what to use instead, as one of our errors and as pickle's own."""
    session = toast_boto.Session(**given)
    for kind in (ConfigurationError, pickle.PicklingError):
        with pytest.raises(kind) as caught:
            pickle.dumps(session)
        assert way_out in str(caught.value)
        assert "the-" not in str(caught.value).replace("the process", "")
    assert "the-password" not in repr(vars(session))


# -- fork


def in_a_fork(work: Callable[[], object]) -> int:
    """Run something in a forked process; answers its process ID."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("warm", [False, True])
def test_session_made_before_a_fork(own: Tenancy, warm: bool) -> None:
    """It works in both processes, cold or warm; and all of them make one login."""
    session = toast_boto.Session()
    if warm:
        access_of(session)
    watch = Watch(own.cloud)
    children = [in_a_fork(lambda: access_of(session)) for _ in range(4)]
    access_of(session)
    assert [exit_code(child) for child in children] == [0] * 4
    assert watch.identity() == ([] if warm else ["login", "list", "create", "list"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_client_used_before_a_fork(own: Tenancy, scheme: str) -> None:
    """Parent and children never read each other's answers: each object comes with its content."""
    urls = own.cloud.urls(scheme)
    s3 = toast_boto.Session(endpoint_url=urls.endpoint_urls["KR1"]).client("s3")
    s3.create_bucket(Bucket="photos")
    for number in range(10):
        s3.put_object(Bucket="photos", Key=str(number), Body=str(number) * 5000)

    def read() -> None:
        for number in [*range(10)] * 4:
            body = s3.get_object(Bucket="photos", Key=str(number))["Body"].read()
            if body != (str(number) * 5000).encode():
                raise AssertionError(f"{number} came as {body[:5]!r}")

    children = [in_a_fork(read) for _ in range(4)]
    read()
    assert [exit_code(child) for child in children] == [0] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_holder_blocks_nobody(own: Tenancy, tmp_path: Path) -> None:
    """A process that is killed while it asks, with the lock held, is as if it had not been."""
    own.cloud.stop_keystone()
    try:
        child = in_a_fork(lambda: access_of(toast_boto.Session()))
        deadline = time.monotonic() + 20
        while not list((tmp_path / "cache").glob("*.lock")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(child, signal.SIGKILL)
        assert exit_code(child) == -signal.SIGKILL
    finally:
        own.cloud.start_keystone()
    started = time.monotonic()
    access_of(toast_boto.Session())
    assert time.monotonic() - started < 60, "the lock's time limit is 120 s"


def fail(start_at: float) -> str:
    time.sleep(max(0.0, start_at - time.time()))
    session = toast_boto.Session()
    try:
        session.get_credentials().get_frozen_credentials()
    except Exception as error:
        return f"{type(error.__cause__).__name__}: {error}"
    return "no error"


@pytest.mark.parametrize("trouble", ["wrong password", "away"])
def test_processes_that_wait_share_a_failure(
    own: Tenancy, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Of eight that start at once few ask: not eight wrong logins, nor eight waits in a row."""
    kind = "AuthenticationError"
    if trouble == "wrong password":
        monkeypatch.setenv("TOAST_PASSWORD", "wrong")
    else:
        kind = "IdentityUnavailableError"
        monkeypatch.setenv("TOAST_AUTH_URL", "http://127.0.0.1:1/v2.0")
        monkeypatch.setenv("TOAST_IDENTITY_TIMEOUT", "2")
    watch = Watch(own.cloud)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(8, mp_context=context) as pool:
        list(pool.map(time.sleep, [0.5] * 8))  # all eight are there
        errors = list(pool.map(fail, [time.time() + 1] * 8))
    assert {error.split(":")[0] for error in errors} == {kind}
    shared = sum("Another process of this host has just asked" in error for error in errors)
    if trouble == "away":
        assert shared >= 4
    else:  # a refusal is quick, so some may come after it
        assert len(watch.identity()) + shared == 8


LAST_MOMENT = """
import atexit, toast_boto
import toast_boto._keystone  # botocore and requests themselves can't be imported so late
s3 = toast_boto.client("s3")
atexit.register(lambda: print(len(s3.list_buckets()["Buckets"]), "buckets"))
"""


def test_first_call_when_the_interpreter_ends(own: Tenancy) -> None:
    """No thread can be started any more then; the login is made all the same."""
    done = subprocess.run(
        [sys.executable, "-c", LAST_MOMENT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "0 buckets\n", done.stderr


def test_other_threads_wait_while_connections_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the other process no request is sent before the inherited connections are gone."""
    events: list[str] = []

    class Client:
        """What is needed of a client."""

        def close(self) -> None:
            time.sleep(0.2)
            events.append("closed")

        def register_first(self, _event: str, handler: Callable[..., None]) -> None:
            self.handler = handler

    client: Any = Client()
    client.meta = SimpleNamespace(events=client)
    _forks.register(client)
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)

    def send(_: int) -> None:
        client.handler()
        events.append("sent")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))
    assert events == ["closed", *["sent"] * 4]


# -- threads


def test_threads_of_many_processes(own: Tenancy) -> None:
    """Four processes of eight threads, cold and at once: one login, one list, one create."""
    watch = Watch(own.cloud)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        used = set().union(*pool.map(in_threads, [8] * 4))
    assert len(used) == 1
    assert watch.identity() == ["login", "list", "create", "list"]


def in_threads(count: int) -> set[str]:
    shared = toast_boto.Session()
    barrier = threading.Barrier(count)

    def work(number: int) -> str:
        barrier.wait()
        return access_of(shared if number % 2 else toast_boto.Session())

    with ThreadPoolExecutor(count) as pool:
        return set(pool.map(work, range(count)))
