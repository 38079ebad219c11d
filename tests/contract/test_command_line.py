"""What the command line and `install()` lean on in botocore and boto3."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import boto3
import botocore
import botocore.credentials
import botocore.session
import pytest
from botocore.exceptions import ProfileNotFound

from toast_boto._profiles import profile_in_use
from toast_boto.errors import ConfigurationError


def test_initializers_are_called_before_profile_and_region() -> None:
    """botocore calls them at the end of each session's making; boto3 names the profile later."""
    seen = []

    def look(session: botocore.session.Session) -> None:
        seen.append((session, dict(session.instance_variables())))

    botocore.register_initializer(look)
    try:
        session = boto3.Session(region_name="KR2")
    finally:
        botocore.unregister_initializer(look)
    boto3.Session()
    assert len(seen) == 1
    assert "region" not in seen[0][1]
    assert seen[0][0].get_config_variable("region") == session.region_name == "KR2"


def test_the_two_doors_of_a_session() -> None:
    """boto3's client, resource and get_credentials go through these of the botocore session's."""
    knocks = []
    core = botocore.session.Session()
    for name in ("create_client", "get_credentials"):
        original = getattr(core, name)

        def door(
            *args: object, _name: str = name, _original: object = original, **kw: object
        ) -> object:
            knocks.append(_name)
            return _original(*args, **kw)

        setattr(core, name, door)
    session = boto3.Session(botocore_session=core, region_name="KR1")
    session.client("s3")
    assert knocks == ["create_client", "get_credentials"]
    session.resource("s3")
    session.get_credentials()
    assert knocks == ["create_client", "get_credentials"] * 2 + ["get_credentials"]


def test_boto3_has_a_default_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3.client uses the module's DEFAULT_SESSION, and makes it where that is None."""
    made = boto3.Session(region_name="KR3")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", made)
    assert boto3.client("s3").meta.region_name == "KR3"
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    boto3.client("s3", region_name="KR1")
    assert boto3.DEFAULT_SESSION is not None


def test_a_session_shows_its_emitter() -> None:
    """``events`` of a boto3 session is the emitter of the botocore session it is built on."""
    core = botocore.session.Session()
    assert boto3.Session(botocore_session=core).events is core.get_component("event_emitter")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, None),
        ({"AWS_PROFILE": "a"}, None),
        ({"AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"}, None),
        ({"AWS_PROFILE": "a"}, "b"),
        ({"AWS_PROFILE": "nosuch"}, None),
        ({"AWS_PROFILE": "default"}, None),
        ({}, "nosuch"),
        ({}, "only-credentials"),
    ],
)
def test_the_profile_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], named: str | None
) -> None:
    """Ours, read without botocore, is botocore's; and where it finds none neither do we."""
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[profile a]\nx = 1\n[profile b]\nx = 2\n", encoding="utf-8")
    credentials.write_text("[b]\ny = 3\n[only-credentials]\ny = 4\n", encoding="utf-8")
    environ = {
        **environ, "AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(credentials)
    }  # fmt: skip
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    try:
        theirs = botocore.session.Session(profile=named).get_scoped_config()
    except ProfileNotFound:
        with pytest.raises(ConfigurationError, match="there is no profile"):
            profile_in_use(environ, named)
        return
    ours = profile_in_use(environ, named)
    assert {key: value for key, (value, _) in ours.values.items()} == theirs
    assert ours.named == (named is not None)


def write_process(path: Path, seconds: int) -> Path:
    """A profile whose command counts its runs; answers where."""
    runs = path / "runs"
    script = path / "give.py"
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    answer = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "Expiration": expires}
    script.write_text(
        f"open({str(runs)!r}, 'a').write('x')\nprint({json.dumps(answer)!r})\n", encoding="utf-8"
    )
    (path / "config").write_text(
        f"[profile p]\ncredential_process = '{sys.executable}' '{script}'\n", encoding="utf-8"
    )
    return runs


@pytest.mark.parametrize(("seconds", "runs"), [(3600, 1), (1200, 1), (600, 4)])
def test_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, runs: int) -> None:
    """A lease of an hour or of 20 minutes is asked for once; one of less than 15 each time."""
    counted = write_process(tmp_path, seconds)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    credentials = botocore.session.Session(profile="p").get_credentials()
    for _ in range(3):
        frozen = credentials.get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("A", "S", None)
    assert len(counted.read_text(encoding="utf-8")) == runs


def test_what_counts_before_a_credential_process() -> None:
    """botocore asks these providers first; `configure` and the doctor know the keys of each."""
    session = botocore.session.Session()
    resolver = botocore.credentials.create_credential_resolver(session)
    methods = [provider.METHOD for provider in resolver.providers]
    before = set(methods[: methods.index("custom-process")])
    assert before <= {
        "env", "assume-role", "assume-role-with-web-identity", "sso", "shared-credentials-file",
        "login",
    }  # fmt: skip
