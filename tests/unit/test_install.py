"""`install()`: other people's boto3 code, in sessions whose settings say TOAST alone."""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config

import toast_boto
from tests.support import write_profile
from toast_boto._credentials import METHOD

NHN = "https://kr1-api-object-storage.nhncloudservice.com"


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins and ends with a stock boto3."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    yield
    toast_boto.uninstall()


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login in the environment."""
    for name, value in {"CLOUD": "nhn", "USERNAME": "u", "PASSWORD": "p", "TENANT_ID": "t"}.items():
        monkeypatch.setenv(f"TOAST_{name}", value)


@pytest.fixture
def profiles(clean_environment: Path) -> None:
    """A profile of ours, and one of AWS's."""
    write_profile(
        clean_environment, "toast",
        "toast_cloud = nhn\ntoast_username = u\ntoast_tenant_id = t\n"
        "[profile aws]\nregion = eu-west-1\naws_access_key_id = AKIA\naws_secret_access_key = s\n",
        "toast_password = p\n",
    )  # fmt: skip


def is_toast(client: Any) -> bool:
    """Whether a client is pinned to the cloud."""
    return bool(client.meta.endpoint_url == NHN and client.meta.region_name == "KR1")


@pytest.mark.filterwarnings("ignore::toast_boto.ToastBotoWarning")
def test_bare_boto3_code(login: None) -> None:
    """client, resource and Session of boto3's come out pinned and with our key."""
    toast_boto.install()
    assert is_toast(boto3.client("s3", region_name="ap-northeast-2")) is True
    assert is_toast(boto3.resource("s3").meta.client)
    assert is_toast(boto3.Session().client("s3"))
    assert is_toast(botocore.session.Session().create_client("s3"))
    client = boto3.client("s3", config=Config(s3={"addressing_style": "virtual"}))
    assert client.meta.config.s3["addressing_style"] == "path"


def test_credentials_before_the_first_client(login: None) -> None:
    """A library that asks the session for credentials, and signs by itself, gets ours."""
    toast_boto.install()
    assert boto3.Session().get_credentials().method == METHOD
    assert botocore.session.Session().get_credentials().method == METHOD


def test_two_profiles_in_one_process(profiles: None, login: None) -> None:
    """One is TOAST, the other AWS, which is as it was: its keys, endpoints and other services."""
    toast_boto.install()
    ours, theirs = boto3.Session(profile_name="toast"), boto3.Session(profile_name="aws")
    assert is_toast(ours.client("s3"))
    assert theirs.client("s3").meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"
    assert theirs.get_credentials().access_key == "AKIA"
    assert theirs.client("sqs").meta.endpoint_url == "https://sqs.eu-west-1.amazonaws.com"
    with pytest.raises(toast_boto.UnsupportedServiceError):
        ours.client("sqs")


def test_an_aws_session_keeps_no_trace(profiles: None) -> None:
    """Once used, it has its own doors again; and what it is made of is botocore's."""
    toast_boto.install()
    session = botocore.session.Session(profile="aws")
    before = set(vars(botocore.session.Session(profile="aws"))) - {
        "create_client",
        "get_credentials",
    }
    session.create_client("s3")
    assert not {"create_client", "get_credentials"} & set(vars(session))
    assert before <= set(vars(session))


@pytest.mark.parametrize(
    ("environ", "profile", "ours"),
    [
        ({}, None, False),
        ({"TOAST_USERNAME": "u"}, None, True),
        ({"TOAST_CLOUD": "nhn"}, None, True),
        ({"TOAST_CACHE_DIR": "/x", "TOAST_BOTO_SANDBOX_PYTHON": "x"}, None, False),
        ({"OS_AUTH_URL": "https://x/v3", "OS_USERNAME": "u", "OS_PASSWORD": "p"}, None, False),
        ({"AWS_PROFILE": "toast"}, None, True),
        ({"AWS_PROFILE": "aws"}, None, False),
        ({"AWS_PROFILE": "aws", "TOAST_USERNAME": "u"}, None, True),
        ({"TOAST_USERNAME": "u"}, "aws", False),
        ({}, "toast", True),
        ({"AWS_PROFILE": "toast"}, "aws", False),
    ],
)
def test_whose_session_it_is(
    profiles: None, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], profile: str | None,
    ours: bool,
) -> None:  # fmt: skip
    """A profile with toast_* keys, or TOAST_* where code names none; OS_* alone never."""
    environ = {"AWS_DEFAULT_REGION": "KR1", "TOAST_TENANT_ID": "", **environ}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    toast_boto.install()
    session = botocore.session.Session(profile=profile)
    if not ours:
        assert "amazonaws.com" in session.create_client("s3").meta.endpoint_url
        return
    try:
        assert "amazonaws.com" not in session.create_client("s3").meta.endpoint_url
    except toast_boto.ConfigurationError as error:
        assert "incomplete" in str(error) or "no login" in str(error)  # it is ours, then


def test_uninstall(login: None) -> None:
    """New sessions are stock ones again, and so are those that were not used yet."""
    toast_boto.install()
    unused = boto3.Session(region_name="eu-west-1")
    boto3.client("s3")
    toast_boto.uninstall()
    assert boto3.DEFAULT_SESSION is None
    for session in (unused, boto3.Session(region_name="eu-west-1")):
        assert "amazonaws.com" in session.client("s3").meta.endpoint_url
    assert not vars(botocore.session.Session()).keys() & {"create_client", "get_credentials"}
    toast_boto.uninstall()  # twice does nothing


def test_the_default_session_of_before(login: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was made before takes part, with its region, and is back after uninstall."""
    boto3.setup_default_session(region_name="KR2")
    before = boto3.DEFAULT_SESSION
    with toast_boto.installed():
        client = boto3.client("s3")
        assert client.meta.endpoint_url == NHN.replace("kr1", "kr2")
    assert boto3.DEFAULT_SESSION is before


def test_the_default_session_of_a_profile(profiles: None) -> None:
    """Its profile goes with it; one that is no TOAST session is left alone."""
    boto3.setup_default_session(profile_name="toast")
    with toast_boto.installed():
        assert is_toast(boto3.client("s3"))
    boto3.setup_default_session(profile_name="aws")
    before = boto3.DEFAULT_SESSION
    with toast_boto.installed():
        assert boto3.DEFAULT_SESSION is before


def test_a_default_session_of_the_users_stays(login: None, profiles: None) -> None:
    """One that was set up meanwhile, for AWS, is not taken away by uninstall."""
    toast_boto.install()
    boto3.setup_default_session(profile_name="aws")
    mine = boto3.DEFAULT_SESSION
    boto3.client("s3")
    toast_boto.uninstall()
    assert boto3.DEFAULT_SESSION is mine


def test_installed_inside_of_installed(login: None) -> None:
    """The inner one changes nothing, and leaves the outer one in place."""
    toast_boto.install()
    with toast_boto.installed():
        pass
    assert is_toast(boto3.client("s3"))


def test_our_own_sessions_beside_it(login: None) -> None:
    """A toast_boto.Session, or one that is configured, is what its arguments say."""
    toast_boto.install()
    session = toast_boto.Session(region_name="KR3")
    assert session.client("s3").meta.region_name == "KR3"
    core = botocore.session.Session()
    toast_boto.configure(core, cloud="gov")
    assert "gov-" in core.create_client("s3").meta.endpoint_url
    assert core.get_credentials().method == METHOD


def test_keys_given_in_code(login: None) -> None:
    """They are used as they are, and pinned."""
    toast_boto.install()
    session = boto3.Session("AKIA", "secret")
    assert is_toast(session.client("s3"))
    assert session.get_credentials().access_key == "AKIA"


def test_a_mistake_is_said_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a login is an error at every client, and none once it is mended."""
    monkeypatch.setenv("TOAST_USERNAME", "u")
    monkeypatch.setenv("TOAST_CLOUD", "nosuch")
    toast_boto.install()
    session = boto3.Session()
    for _ in range(2):
        with pytest.raises(toast_boto.ConfigurationError, match="no cloud 'nosuch'"):
            session.client("s3")
    for name, value in {"CLOUD": "nhn", "PASSWORD": "p", "TENANT_ID": "t"}.items():
        monkeypatch.setenv(f"TOAST_{name}", value)
    assert is_toast(session.client("s3"))


def test_asynchronous_sessions_are_left_alone(login: None) -> None:
    """A session whose get_credentials is a coroutine, as aiobotocore's, is not touched."""

    class AsyncSession(botocore.session.Session):  # stands for aiobotocore's, which is tried too
        async def get_credentials(self) -> None: ...

    toast_boto.install()
    assert not vars(AsyncSession()).keys() & {"create_client", "get_credentials"}


def test_threads_at_the_first_use(login: None) -> None:
    """Eight threads that knock at once at one session all get the same TOAST session."""
    toast_boto.install()
    session, barrier = boto3.Session(), threading.Barrier(8)
    seen: list[Any] = []

    def ask() -> None:
        barrier.wait()
        seen.append((is_toast(session.client("s3")), session.get_credentials()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [toast for toast, _ in seen] == [True] * 8
    assert len({id(credentials) for _, credentials in seen}) == 1


def test_sessions_are_not_held(login: None, profiles: None) -> None:
    """One that nobody uses any more goes away, whether it was ours, AWS's, or never used."""
    toast_boto.install()
    used = botocore.session.Session()
    used.create_client("s3")
    aws = botocore.session.Session(profile="aws")
    aws.create_client("s3")
    gone = [weakref.ref(used), weakref.ref(aws), weakref.ref(botocore.session.Session())]
    del used, aws
    gc.collect()
    assert [reference() for reference in gone] == [None] * 3


@pytest.mark.parametrize("profile", ["toast", "aws"])
@pytest.mark.parametrize("wraps", [True, False])
def test_somebody_elses_wrapper(profiles: None, profile: str, wraps: bool) -> None:
    """A tracing library that wraps a session's create_client sees every call, and breaks none."""
    toast_boto.install()
    session, seen = botocore.session.Session(profile=profile), []
    original = session.create_client

    def traced(*args: Any, **kwargs: Any) -> Any:
        seen.append(args)
        return original(*args, **kwargs)

    session.create_client = functools.wraps(original)(traced) if wraps else traced
    for _ in range(2):
        client = session.create_client("s3")
        assert is_toast(client) == (profile == "toast")
    toast_boto.uninstall()
    assert is_toast(session.create_client("s3")) == (profile == "toast")
    assert seen == [("s3",)] * 3


def test_it_is_decided_once(profiles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that was used as AWS's stays that, whatever the environment says later."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    toast_boto.install()
    session = botocore.session.Session()
    original = session.create_client
    session.create_client = functools.partial(original)  # somebody else's wrapper
    for _ in range(2):
        assert "amazonaws.com" in session.create_client("s3").meta.endpoint_url
        monkeypatch.setenv("TOAST_CLOUD", "nhn")


def test_configure_after_uninstall(login: None) -> None:
    """A session that was made meanwhile, and not used, can be configured as any other."""
    toast_boto.install()
    session = botocore.session.Session()
    toast_boto.uninstall()
    toast_boto.configure(session, cloud="gov")
    assert "gov-" in session.create_client("s3").meta.endpoint_url


def test_a_default_session_that_was_configured(login: None) -> None:
    """One that is a TOAST session already keeps its own options."""
    core = botocore.session.Session()
    toast_boto.configure(core, cloud="gov")
    boto3.setup_default_session(botocore_session=core)
    before = boto3.DEFAULT_SESSION
    with toast_boto.installed():
        assert boto3.DEFAULT_SESSION is before
        assert "gov-" in boto3.client("s3").meta.endpoint_url


def test_overlapping_with_statements(login: None) -> None:
    """Of two that overlap the last to end undoes it; uninstall() undoes them all."""
    first, second = toast_boto.installed(), toast_boto.installed()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert is_toast(boto3.Session().client("s3"))
    second.__exit__(None, None, None)
    assert "create_client" not in vars(botocore.session.Session())
    with toast_boto.installed():
        toast_boto.uninstall()
        assert "create_client" not in vars(botocore.session.Session())


def test_install_and_uninstall_under_running_threads(
    login: None, profiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that make and use sessions meanwhile never see an error of ours."""
    failures: list[BaseException] = []
    ends = time.monotonic() + 3

    def use() -> None:
        while time.monotonic() < ends:
            try:
                session = botocore.session.Session(profile="aws")
                session.get_credentials()
            except BaseException as error:
                failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=use) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        while time.monotonic() < ends:
            toast_boto.install()
            toast_boto.uninstall()
    finally:
        for thread in threads:
            thread.join()
        sys.setswitchinterval(before)
    assert failures == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_in_the_middle_of_a_decision(login: None) -> None:
    """A child does not wait for a thread that it has not got."""
    toast_boto.install()
    session = botocore.session.Session()
    entered, leave = threading.Event(), threading.Event()

    def slow_config() -> dict[str, str]:
        entered.set()
        leave.wait(20)
        return {}

    original, session.get_scoped_config = session.get_scoped_config, slow_config
    thread = threading.Thread(target=session.get_credentials)
    thread.start()
    assert entered.wait(20)
    session.get_scoped_config = original
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        os._exit(0 if session.get_credentials().method == METHOD else 1)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
