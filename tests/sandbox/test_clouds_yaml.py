"""Logins of clouds.yaml (OS_CLOUD), read by openstacksdk's own loader."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

import toast_boto
from tests.support import Tenancy, Watch, login_v3, run_cli


@pytest.fixture
def clouds_yaml(tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Writes a file of one cloud, of this user's with changes; answers its path."""

    def write(auth_type: str = "password", **changes: Any) -> Path:
        auth = {
            "auth_url": tenancy.cloud.auth_url_v3,
            "username": tenancy.username,
            "password": tenancy.password,
            "project_id": tenancy.tenant_id,
            "user_domain_name": "Default",
            **changes,
        }
        entry = {
            "auth_type": auth_type,
            "auth": {name: value for name, value in auth.items() if value is not None},
            "cacert": tenancy.cloud.ca_bundle,
        }
        path = tmp_path / "clouds.yaml"
        path.write_text(json.dumps({"clouds": {"mine": entry}}), encoding="utf-8")  # YAML, too
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
        monkeypatch.setenv("OS_CLOUD", "mine")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", tenancy.cloud.endpoint_url)
        return path

    return write


@pytest.mark.parametrize("version", ["v2.0", "v3"])
def test_a_login_by_password(tenancy: Tenancy, clouds_yaml: Any, version: str) -> None:
    """Its user name, password and project are a login as any other, with a cached key."""
    url = tenancy.cloud.auth_url if version == "v2.0" else tenancy.cloud.auth_url_v3
    clouds_yaml(auth_url=url)
    watch = Watch(tenancy.cloud)
    for _ in range(2):
        toast_boto.Session().client("s3").list_buckets()
        assert run_cli("credential-process").returncode == 0
    if version == "v2.0":
        assert watch.identity().count("login") == 1
    assert len(tenancy.list_keys()) == 1
    assert run_cli("configure", "--no-input").returncode == 0


def test_a_project_by_name(tenancy: Tenancy, clouds_yaml: Any) -> None:
    """A login that needs the plugin goes through it; the tenant is that of its token."""
    projects = tenancy.admin.call("GET", "/projects")["projects"]
    name = next(p["name"] for p in projects if p["id"] == tenancy.tenant_id)
    clouds_yaml(project_id=None, project_name=name, project_domain_name="Default")
    s3 = toast_boto.Session().client("s3")
    s3.list_buckets()
    assert [key["tenant_id"] for key in tenancy.list_keys()] == [tenancy.tenant_id]
    done = run_cli("configure", "--no-input")
    assert done.returncode == 2
    assert "a profile can't hold this login" in done.stderr


def test_a_domain_by_id(tenancy: Tenancy, clouds_yaml: Any) -> None:
    """The default domain's ID is its name's equal; any other is the plugin's matter, not lost."""
    clouds_yaml(user_domain_name=None, user_domain_id="default")
    toast_boto.Session().client("s3").list_buckets()
    clouds_yaml(user_domain_name=None, user_domain_id="nosuch")
    with pytest.raises(toast_boto.AuthenticationError):
        toast_boto.rotate_key()


def test_an_application_credential(tenancy: Tenancy, clouds_yaml: Any) -> None:
    """It logs in by its plugin; that Keystone lets it not see keys is said, and no secret."""
    project = next(
        p["name"]
        for p in tenancy.admin.call("GET", "/projects")["projects"]
        if p["id"] == tenancy.tenant_id
    )
    token = login_v3(tenancy.cloud, tenancy.username, tenancy.password, project)
    made = requests.post(
        f"{tenancy.cloud.auth_url_v3}/users/{tenancy.user_id}/application_credentials",
        json={"application_credential": {"name": "mine", "unrestricted": True}},
        headers={"X-Auth-Token": token},
        verify=tenancy.cloud.ca_bundle,
        timeout=30,
    ).json()["application_credential"]

    def write(secret: str) -> None:
        clouds_yaml(
            "v3applicationcredential", username=None, password=None, project_id=None,
            user_domain_name=None, application_credential_id=made["id"],
            application_credential_secret=secret,
        )  # fmt: skip

    refusals = {
        made["secret"]: "accepted the login, but refused access to the user's keys (403)",
        "wrong": "refused the login of clouds.yaml's 'mine' (OS_CLOUD) (401)",
    }
    for secret, text in refusals.items():
        write(secret)
        with pytest.raises(toast_boto.AuthenticationError) as caught:
            toast_boto.rotate_key()
        assert text in str(caught.value)
        assert made["secret"] not in str(caught.value)


def test_toast_settings_come_first(
    tenancy: Tenancy, clouds_yaml: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user name of TOAST_*, or an identity in code, keeps it out: no password travels."""
    clouds_yaml()
    monkeypatch.setenv("TOAST_USERNAME", "you@example.com")
    with pytest.raises(toast_boto.ConfigurationError, match="no tenant ID and no API password"):
        toast_boto.Session().client("s3")
    monkeypatch.delenv("TOAST_USERNAME")
    with pytest.raises(toast_boto.ConfigurationError, match="taken as a whole or not at all"):
        toast_boto.Session(cloud="nhn").client("s3")
    monkeypatch.setenv("TOAST_CLOUD", "nhn")
    with pytest.warns(toast_boto.ToastBotoWarning, match="TOAST_CLOUD not used"):
        toast_boto.Session().client("s3").list_buckets()


def test_mistakes(tenancy: Tenancy, clouds_yaml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such cloud, and a file that is none, are errors that name OS_CLOUD and no secret."""
    path = clouds_yaml()
    monkeypatch.setenv("OS_CLOUD", "nosuch")
    with pytest.raises(toast_boto.ConfigurationError, match="'nosuch' \\(OS_CLOUD\\)"):
        toast_boto.Session()
    monkeypatch.setenv("OS_CLOUD", "mine")
    path.write_text(f"clouds: [\n{tenancy.password}: :", encoding="utf-8")
    with pytest.raises(toast_boto.ConfigurationError) as caught:
        toast_boto.Session()
    assert tenancy.password not in str(caught.value)


def test_without_the_extra(clouds_yaml: Any) -> None:
    """Whoever has no other login is told what to install."""
    clouds_yaml()
    script = (
        "import sys; sys.modules['openstack'] = None\n"
        "from toast_boto.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "keys", "list"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'toast-boto[openstack]'" in done.stderr


def test_install_does_not_take_it(clouds_yaml: Any) -> None:
    """A cloud of clouds.yaml alone makes no session of somebody else's a TOAST session."""
    clouds_yaml()
    with toast_boto.installed():
        session = boto3.Session(region_name="eu-west-1")
        assert "amazonaws" in session.client("sqs").meta.endpoint_url
