"""No secret anywhere: everything is run at DEBUG, with every logger on, and looked through."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

import toast_boto
from tests.faults.proxy import FAULTS, FaultProxy
from tests.support import Tenancy, wait_until
from toast_boto import cli

# A fernet token of Keystone's, and the header of a request that holds one.
TOKEN = re.compile(r"gAAAA[A-Za-z0-9_-]{20}")
CALLS = ("login", "list", "create", "delete", "list")  # 5 and 32 share no factor
WRONG_PASSWORD = "a-wrong-password-zx81"


class Collected:
    """Every text that was seen, and every secret that must not be in it."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self.texts: list[str] = []
        self.secrets = {tenancy.password, WRONG_PASSWORD}

    def learn(self) -> None:
        """The secrets of the keys that there are now."""
        self.secrets |= {key["secret"] for key in self._tenancy.list_keys()}

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Whatever is raised is written down as it would be printed, causes and contexts too."""
        try:
            yield
        except (toast_boto.ToastBotoError, BotoCoreError, ClientError) as error:
            seen: BaseException | None = error
            while seen is not None:
                self.texts += ["".join(traceback.format_exception(seen)), repr(seen), str(seen)]
                self.texts += [repr(seen.args), repr(vars(seen))]
                seen = seen.__cause__ or seen.__context__

    def check(self) -> None:
        assert len(self.secrets) > 5
        for text in self.texts:
            for secret in self.secrets:
                assert secret not in text
            assert not TOKEN.search(text)


def test_no_secret_in_any_text(
    options: dict[str, Any],
    identity: FaultProxy,
    strict_tenancy: Tenancy,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Login by both versions, list, create, heal, rotate, every fault and the command line."""
    caplog.set_level(logging.DEBUG)
    collected = Collected(strict_tenancy)
    session = toast_boto.Session(**options)
    s3 = session.client("s3")
    s3.create_bucket(Bucket="photos")
    collected.learn()
    strict_tenancy.delete_all_keys()
    s3.put_object(Bucket="photos", Key="cat", Body=b"cat")
    collected.learn()
    collected.texts += [repr(session), repr(vars(session)), repr(session.get_credentials())]
    toast_boto.rotate_key(**options, grace=0, tell=collected.texts.append)
    collected.learn()
    v3 = {**options, "auth_url": f"{identity.url}/v3", "cache": "memory"}
    toast_boto.Session(**v3).client("s3").list_buckets()

    for (name, fault), call in zip(FAULTS.items(), itertools.cycle(CALLS), strict=False):
        identity.heal()
        identity.fault(call, fault)
        changes = {"identity_timeout": 0.3, "cache": str(tmp_path / f"{name}-{call}")}
        with collected.errors():
            toast_boto.rotate_key(**{**options, **changes}, grace=0)
        collected.learn()
    identity.heal()
    strict_tenancy.delete_all_keys()
    with collected.errors():
        s3.list_buckets()
    wrong = {"cache": "memory", "password": WRONG_PASSWORD}
    for changes in (wrong, {**wrong, "auth_url": v3["auth_url"]}, {"tenant_id": "none"}):
        with collected.errors():
            toast_boto.Session(**{**options, **changes}).client("s3").list_buckets()
    strict_tenancy.admin.revoke(strict_tenancy.user_id, strict_tenancy.tenant_id)
    with collected.errors():
        s3.list_buckets()
    strict_tenancy.admin.grant(strict_tenancy.user_id, strict_tenancy.tenant_id)

    for name, value in {
        "TOAST_AUTH_URL": options["auth_url"],
        "TOAST_USERNAME": options["username"],
        "TOAST_PASSWORD": options["password"],
        "TOAST_TENANT_ID": options["tenant_id"],
        "TOAST_CACHE_DIR": options["cache"],
        "AWS_CA_BUNDLE": options["ca_bundle"],
    }.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["keys", "rotate", "--grace", "0"]) == 0
    collected.learn()
    assert cli.main(["keys", "rotate", "--grace", "0", "--json"]) == 0
    assert cli.main(["keys", "rotate", "--replace", "nobody", "--yes"]) == 2
    monkeypatch.setenv("TOAST_PASSWORD", WRONG_PASSWORD)
    assert cli.main(["keys", "rotate"]) == 3
    collected.learn()

    printed = capsys.readouterr()
    collected.texts += [caplog.text, printed.out, printed.err]
    collected.texts += [str(warning.message) for warning in recwarn]
    for logger in ("urllib3", "keystoneauth", "botocore", "toast_boto"):
        assert any(record.name.startswith(logger) for record in caplog.records), logger
    collected.check()


def test_secret_is_in_the_cache_file_alone(
    options: dict[str, Any], strict_tenancy: Tenancy, tmp_path: Path
) -> None:
    """Of all files that are written one holds the secret; none holds the password or a token."""
    s3 = toast_boto.Session(**options).client("s3")
    s3.list_buckets()
    strict_tenancy.delete_all_keys()
    s3.list_buckets()
    with pytest.raises(ClientError):
        s3.head_bucket(Bucket="nobodys")
    (key,) = strict_tenancy.list_keys()
    holders = []
    for path in tmp_path.rglob("*"):
        assert key["secret"] not in path.name
        assert strict_tenancy.password not in path.name
        if path.is_file():
            text = path.read_text(errors="replace")
            assert strict_tenancy.password not in text
            assert not TOKEN.search(text)
            if key["secret"] in text:
                holders.append(path.suffix)
    assert holders == [".json"]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc")
def test_no_secret_in_the_arguments_of_a_process(
    options: dict[str, Any], strict_tenancy: Tenancy
) -> None:
    """While a command runs, no process shows the password or a key's secret in its arguments."""
    flags = [
        text
        for name in ("auth_url", "username", "tenant_id", "ca_bundle", "cache", "endpoint_url")
        for text in (f"--{name.replace('_', '-')}", options[name])
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "toast_boto", "keys", "rotate", *flags, "--password-stdin"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    seen: set[str] = set()

    def look() -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return process.poll() is not None

    assert process.stdin
    process.stdin.write(strict_tenancy.password + "\n")
    process.stdin.flush()
    assert wait_until(look, 60)
    process.communicate()
    assert any("keys rotate" in line for line in seen)
    secrets = [strict_tenancy.password, *(key["secret"] for key in strict_tenancy.list_keys())]
    for line in seen:
        assert not any(secret in line for secret in secrets)
