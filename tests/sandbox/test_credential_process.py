"""`toast-boto credential-process`: what everything runs that reads AWS profiles."""

from __future__ import annotations

import calendar
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import (
    Tenancy,
    Watch,
    broker_for,
    profile_text,
    run_cli,
    write_profile,
)
from toast_boto._brokers import make_parts
from toast_boto._cache import Entry
from toast_boto._profiles import Profile
from toast_boto._settings import resolve

UNWANTED = {
    "boto3", "botocore", "keystoneauth1", "requests", "urllib3", "ssl", "logging", "click",
    "filelock", "configupdater", "subprocess", "asyncio", "dataclasses",
}  # fmt: skip


@pytest.fixture
def profile(tenancy: Tenancy, clean_environment: Path) -> Tenancy:
    """The profile ``toast`` in the home directory."""
    write_profile(
        clean_environment, "toast", profile_text(tenancy), f"toast_password = {tenancy.password}\n"
    )
    return tenancy


def handed_out(*arguments: str) -> dict[str, Any]:
    """What the command prints; with the lease in seconds."""
    started = time.time()
    done = run_cli("credential-process", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    answer = json.loads(done.stdout)
    expires = calendar.timegm(time.strptime(answer["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
    return {**answer, "lease": expires - started, "stderr": done.stderr}


def cache_of(tenancy: Tenancy, home: Path) -> Any:
    """The cache that the profile's programs use."""
    options = tenancy.options(cache=str(home / ".aws/toast/cache"))
    return make_parts(resolve(options, {}, Profile("default", False, {}))).cache


def make_older(tenancy: Tenancy, home: Path, minutes: float) -> str:
    """Let the cached key have been checked some time ago; answers its access key."""
    cache = cache_of(tenancy, home)
    entry = cache.read()
    cache.write(Entry(entry.key, time.time() - minutes * 60, entry.endpoints))
    return str(entry.key.access)


def test_one_object_with_a_lease_of_an_hour(profile: Tenancy) -> None:
    """The key that Keystone has, in AWS's format, version 1; the second time nobody is asked."""
    watch = Watch(profile.cloud)
    first = handed_out("--profile", "toast")
    assert first["Version"] == 1
    assert [first["AccessKeyId"]] == [key["access"] for key in profile.list_keys()]
    assert [first["SecretAccessKey"]] == [key["secret"] for key in profile.list_keys()]
    assert 3590 < first["lease"] < 3660
    assert watch.identity() == ["login", "list", "create", "list"]
    second = handed_out("--profile", "toast")
    assert second["AccessKeyId"] == first["AccessKeyId"]
    assert len(watch.identity()) == 4


def test_a_warm_cache_imports_nothing_heavy(profile: Tenancy) -> None:
    """No client library, no TLS, no logging, no parser of command lines."""
    handed_out("--profile", "toast")
    script = (
        "import sys; sys.argv[1:] = ['credential-process', '--profile', 'toast']\n"
        "from toast_boto.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    answer, loaded = done.stdout.splitlines()
    assert json.loads(answer)["AccessKeyId"]
    code, *modules = loaded.split()
    assert code == "0"
    # What coverage itself loads in every process is not ours.
    loaded_names = {name.partition(".")[0] for name in modules} - _of_a_bare_python()
    assert UNWANTED & loaded_names == set()


def _of_a_bare_python() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_many_at_once_make_one_login(profile: Tenancy) -> None:
    """A script that starts eight commands costs one login and makes one key."""
    watch = Watch(profile.cloud)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: handed_out("--profile", "toast"), range(8)))
    assert len({answer["AccessKeyId"] for answer in answers}) == 1
    assert watch.identity() == ["login", "list", "create", "list"]


def test_a_key_is_looked_up_every_40_minutes(profile: Tenancy, clean_environment: Path) -> None:
    """Younger than that nobody is asked; then the list is, by one of many, for the next 40."""
    access = handed_out("--profile", "toast")["AccessKeyId"]
    watch = Watch(profile.cloud)
    make_older(profile, clean_environment, 39)
    assert handed_out("--profile", "toast")["AccessKeyId"] == access
    assert watch.identity() == []
    make_older(profile, clean_environment, 41)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: handed_out("--profile", "toast"), range(4)))
    assert {answer["AccessKeyId"] for answer in answers} == {access}
    assert all(answer["lease"] > 3590 for answer in answers)
    assert watch.identity() == ["login", "list"]


def test_a_clock_that_was_wrong(profile: Tenancy, clean_environment: Path) -> None:
    """A check in time to come is none."""
    handed_out("--profile", "toast")
    make_older(profile, clean_environment, -600)
    watch = Watch(profile.cloud)
    handed_out("--profile", "toast")
    assert watch.identity() == ["login", "list"]


def test_a_key_that_is_gone_is_replaced(profile: Tenancy, clean_environment: Path) -> None:
    """When the look finds it deleted, another one is handed out, with a whole lease."""
    gone = handed_out("--profile", "toast")["AccessKeyId"]
    profile.delete_key(gone)
    make_older(profile, clean_environment, 41)
    answer = handed_out("--profile", "toast")
    assert answer["AccessKeyId"] != gone
    assert [answer["AccessKeyId"]] == [key["access"] for key in profile.list_keys()]
    assert answer["lease"] > 3590


def test_keystone_away(profile: Tenancy, clean_environment: Path) -> None:
    """The cached key goes on, with a lease of 20 minutes and a line that says why; once a minute
    somebody asks."""
    access = handed_out("--profile", "toast")["AccessKeyId"]
    make_older(profile, clean_environment, 41)
    profile.cloud.stop_keystone()
    try:
        answer = handed_out("--profile", "toast")
        started = time.monotonic()
        again = handed_out("--profile", "toast")
        seconds = time.monotonic() - started
    finally:
        profile.cloud.start_keystone()
    for found in (answer, again):
        assert found["AccessKeyId"] == access
        assert 1190 < found["lease"] < 1260
        assert found["stderr"].startswith("toast-boto: the key could not be looked up")
        assert found["stderr"].count("\n") == 1
    assert "Another process of this host has just asked" in again["stderr"]
    assert seconds < 5  # it did not try again; the tries and pauses would take longer


def test_keystone_away_and_no_key(profile: Tenancy) -> None:
    """Where no key is at hand it is exit code 4, and nothing on stdout."""
    profile.cloud.stop_keystone()
    try:
        done = run_cli("credential-process", "--profile", "toast")
    finally:
        profile.cloud.start_keystone()
    assert (done.returncode, done.stdout) == (4, "")
    assert "the login failed at the identity service" in done.stderr


def test_a_changed_password_shows_at_the_next_look(
    profile: Tenancy, clean_environment: Path
) -> None:
    """A login that Keystone refuses is exit code 3, though a key is at hand."""
    handed_out("--profile", "toast")
    write_profile(
        clean_environment, "toast", profile_text(profile), "toast_password = old-and-wrong\n"
    )
    assert handed_out("--profile", "toast")["AccessKeyId"]
    make_older(profile, clean_environment, 41)
    done = run_cli("credential-process", "--profile", "toast")
    assert (done.returncode, done.stdout) == (3, "")
    assert "refused the login (401)" in done.stderr
    assert "toast_password in the profile 'toast'" in done.stderr
    assert "old-and-wrong" not in done.stderr


def test_a_refused_login_is_not_repeated_for_each(
    profile: Tenancy, clean_environment: Path
) -> None:
    """Of many that wait with a wrong password one logs in: more could lock the account."""
    handed_out("--profile", "toast")
    make_older(profile, clean_environment, 41)
    write_profile(clean_environment, "toast", profile_text(profile), "toast_password = wrong\n")
    watch, words = Watch(profile.cloud), ["credential-process", "--profile", "toast"]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: run_cli(*words), range(6)))
    assert [one.returncode for one in done] == [3] * 6
    assert len(watch.identity()) < 6


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--profile", "toast"], "there is no API password"),
        (["--profile", "nosuch"], "there is no profile 'nosuch' (--profile)"),
        ([], "there is no login and no key"),
        (["--profile"], "requires an argument"),
        (["--cloud", "nosuch", "--profile", "toast"], "no cloud 'nosuch' (--cloud)"),
    ],
)
def test_mistakes_are_a_line_and_exit_code_2(
    profile: Tenancy, clean_environment: Path, arguments: list[str], text: str
) -> None:
    """Nothing on stdout, a line that says what to do on stderr, and never a prompt that hangs."""
    write_profile(clean_environment, "toast", profile_text(profile))
    done = run_cli("credential-process", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_by_flags(profile: Tenancy) -> None:
    """Flags work as everywhere, and the password may come by standard input."""
    done = run_cli(
        "credential-process", "--auth-url", profile.cloud.auth_url, "--username", profile.username,
        "--tenant-id", profile.tenant_id, "--ca-bundle", profile.cloud.ca_bundle,
        "--password-stdin", stdin=f"{profile.password}\n",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["AccessKeyId"]


def test_a_key_of_another_secret_is_replaced(profile: Tenancy) -> None:
    """A broker that is told to look does so at once, and takes what is listed."""
    profile.create_key()
    broker = broker_for(profile.options())
    entry, failure = broker.checked(3600)
    again, _ = broker.checked(0)
    assert failure is None
    assert again.key == entry.key
    assert again.checked_at > entry.checked_at
