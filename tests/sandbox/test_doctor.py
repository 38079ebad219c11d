"""`toast-boto doctor`: what is set, what is shadowed, and what does not work."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import boto3
import pytest

import toast_boto
from tests.support import (
    Tenancy,
    Watch,
    odd_identity,
    profile_text,
    run_cli,
    set_settings,
    write_profile,
)


def found(*arguments: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """The report as JSON; and as a dictionary of texts by level."""
    done = run_cli("doctor", "--json", *arguments, environ=environ)
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == report["exit_code"]
    assert "Traceback" not in done.stderr
    for level in ("ok", "warning", "failed"):
        lines = [finding for finding in report["findings"] if finding["level"] == level]
        report[level] = [
            f"{line['subject']}: {line['text']} -> {line.get('way_out', '')}" for line in lines
        ]
    return report


def said(lines: list[str], *parts: str) -> bool:
    """Whether a line has all the parts."""
    return any(all(part in line for part in parts) for line in lines)


@pytest.fixture
def profile(tenancy: Tenancy, clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Tenancy:
    """The profile ``toast``, written by `configure`."""
    secret = f"toast_password = {tenancy.password}\n"
    write_profile(clean_environment, "toast", profile_text(tenancy), secret)
    done = run_cli("configure", "--no-input")
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("AWS_PROFILE", "toast")
    return tenancy


# -- this machine


def test_a_profile_of_configure_is_all_ok(profile: Tenancy) -> None:
    """Each value is there with its source, and nobody is asked."""
    watch = Watch(profile.cloud)
    report = found()
    assert report["exit_code"] == 0
    assert report["warning"] == report["failed"] == []
    for parts in (
        ("profile: 'toast', of AWS_PROFILE",),
        ("user name", profile.username, "toast_username in the profile 'toast' of ~/.aws/config"),
        ("API password: set", "toast_password in the profile 'toast' of ~/.aws/credentials"),
        ("region: KR1 (the profile)",),
        ("S3 endpoint", profile.cloud.endpoint_url, "endpoint_url in the profile"),
        ("credential_process", "credential-process --profile toast"),
        ("key cache: empty",),
        ("versions: toast_boto", "boto3", "keystoneauth1"),
    ):
        assert said(report["ok"], *parts), parts
    assert profile.password not in json.dumps(report)
    assert watch.identity() == []


@pytest.mark.parametrize(
    ("environ", "parts"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, ("AWS_ACCESS_KEY_ID is set", "counts more", "unset it")),
        ({"AWS_SESSION_TOKEN": "x"}, ("AWS_SESSION_TOKEN", "another key")),
        (
            {"TOAST_USERNAME": "other@example.com"},
            ("user name", "other@example.com (TOAST_USERNAME) shadows toast_username"),
        ),
        (
            {"AWS_DEFAULT_PROFILE": "toast", "AWS_PROFILE": "work"},
            ("AWS_DEFAULT_PROFILE, which shadows AWS_PROFILE=work", "unset AWS_DEFAULT_PROFILE"),
        ),
        (
            {"AWS_ENDPOINT_URL": "https://other.example.com"},
            ("S3 endpoint: https://other.example.com (AWS_ENDPOINT_URL) shadows",),
        ),
        ({"AWS_REGION": "us-east-1"}, ("AWS_REGION=us-east-1", "not by boto3")),
        ({"AWS_DEFAULT_REGION": "ap-northeast-2"}, ("region: ap-northeast-2", "AWS's own")),
    ],
)
def test_what_shadows_what(profile: Tenancy, environ: dict[str, str], parts: list[str]) -> None:
    """What wins unseen is a warning that names both, and the way out; exit code 0."""
    report = found(environ=environ)
    assert said(report["warning"], *parts), report["warning"]
    assert report["exit_code"] == 0


@pytest.mark.parametrize(
    ("environ", "parts"),
    [
        ({"TOAST_CLOUD": "NHN"}, ("cloud: nhn (TOAST_CLOUD) shadows toast_auth_url", "nhncloud")),
        ({"TOAST_CLOUD": "nhn"}, ("S3 endpoint", "is none of the cloud 'nhn'")),
        ({"AWS_DEFAULT_REGION": "seoul"}, ("region: seoul (AWS_DEFAULT_REGION) shadows KR1",)),
        (
            {"TOAST_CACHE_DIR": "/dev/null/cache"},
            ("/dev/null/cache can't be written", "TOAST_CACHE_DIR"),
        ),
    ],
)
def test_what_goes_elsewhere(
    profile: Tenancy, environ: dict[str, str], parts: tuple[str, ...]
) -> None:
    """A login, a request or a key that would not go where the profile says is a warning."""
    report = found(environ=environ)
    assert said(report["warning"], *parts), report["warning"]


def test_who_forgot_the_profile_is_told(profile: Tenancy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without AWS_PROFILE the doctor, the commands and the library name the profile there is."""
    monkeypatch.delenv("AWS_PROFILE")
    report = found()
    assert said(report["failed"], "login: there is none. The profile 'toast' has a login")
    done = run_cli("keys", "list")
    assert done.returncode == 2
    assert "set AWS_PROFILE=toast, or give --profile toast" in done.stderr
    with pytest.raises(toast_boto.ConfigurationError, match="or give profile_name='toast'"):
        toast_boto.client("s3")


def test_a_wrong_region_online(profile: Tenancy) -> None:
    """A server that expects another region is understood."""
    report = found("--online", environ={"AWS_DEFAULT_REGION": "KR2"})
    assert said(report["failed"], "AuthorizationHeaderMalformed", "set the region"), report


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[a]\nx = 1\nx = 2\n", ("(line 3): a key stands twice in its section", "mend the file")),
        ("x = 1\n", ("(line 1): something stands before the first [section]",)),
        ("[a]\n[a]\n", ("(line 2): a section stands twice",)),
    ],
)
def test_broken_files_in_words(clean_environment: Path, text: str, parts: tuple[str, ...]) -> None:
    """What is wrong with the file, and at which line."""
    write_profile(clean_environment, "toast", "")
    (clean_environment / ".aws/config").write_text(text, encoding="utf-8")
    assert said(found()["failed"], "~/.aws/config is no valid AWS file", *parts)


@pytest.mark.parametrize(
    ("config", "credentials", "parts"),
    [
        ("", "aws_access_key_id = AKIA\n", ("aws_access_key_id", "credentials counts more")),
        ("role_arn = arn\nsource_profile = x\n", "", ("role_arn", "counts more than its")),
        ("region = us-east-1\n", "", ("region: us-east-1 (the profile)", "AWS's own")),
        ("s3 =\n  addressing_style = virtual\n", "", ("lacks s3 addressing_style = path",)),
        ("request_checksum_calculation = when_supported\n", "", ("lacks request_checksum",)),
    ],
)
def test_what_a_profile_should_not_have(
    profile: Tenancy, clean_environment: Path, config: str, credentials: str, parts: list[str]
) -> None:
    """What somebody added to it later, and what it does to other programs."""
    for name, text in (("config", config), ("credentials", credentials)):
        path = clean_environment / ".aws" / name
        keys = [line.partition("=")[0] for line in text.splitlines() if not line.startswith(" ")]
        lines = [
            line
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.partition("=")[0] not in keys and not ("s3 =" in text and "addressing" in line)
        ]
        path.write_text("\n".join(lines) + f"\n{text}", encoding="utf-8")
    report = found()
    assert said(report["warning"], *parts), report["warning"]


def test_files_that_others_can_read(profile: Tenancy, clean_environment: Path) -> None:
    """The credentials file must be its owner's alone."""
    (clean_environment / ".aws/credentials").chmod(0o644)
    assert said(found()["warning"], "can be read by others (mode 644)", "chmod 600")


@pytest.mark.parametrize(
    ("command", "level", "parts"),
    [
        ("/gone/toast-boto credential-process --profile toast", "failed", ("is not there any",)),
        ("aws-vault export", "warning", ("another program's", "--force")),
        ("sh credential-process --profile toast", "warning", ("not this program's",)),
        ("'unbalanced", "warning", ("another program's",)),
    ],
)
def test_the_line_that_sdks_run(
    profile: Tenancy, clean_environment: Path, command: str, level: str, parts: tuple[str, ...]
) -> None:
    """One that is of no use to them is found, and `configure` mends it."""
    path = clean_environment / ".aws/config"
    lines = path.read_text(encoding="utf-8").splitlines()
    mended = [
        f"credential_process = {command}" if line.startswith("credential_process") else line
        for line in lines
    ]
    path.write_text("\n".join(mended), encoding="utf-8")
    report = found()
    assert said(report[level], "credential_process", *parts), report
    assert said(report[level], "toast-boto configure --profile toast")


def test_a_profile_by_hand(tenancy: Tenancy, clean_environment: Path) -> None:
    """Without a credential_process only toast_boto can use it."""
    secret = f"toast_password = {tenancy.password}\n"
    write_profile(clean_environment, "toast", profile_text(tenancy), secret)
    assert said(found("--profile", "toast")["warning"], "only toast_boto can use it")


@pytest.mark.parametrize(
    ("arguments", "environ", "parts"),
    [
        (["--profile", "nosuch"], {}, ("no profile 'nosuch' (--profile)", "configure --profile")),
        ([], {"AWS_PROFILE": "nosuch"}, ("no profile 'nosuch' (AWS_PROFILE)",)),
        ([], {}, ("login: there is none", "toast-boto configure")),
        ([], {"OS_USERNAME": "x"}, ("only with both OS_AUTH_URL and OS_USERNAME",)),
        ([], {"TOAST_USERNAME": "you"}, ("no tenant ID and no API password", "--tenant-id")),
        ([], {"TOAST_CLOUD": "nosuch"}, ("no cloud 'nosuch' (TOAST_CLOUD)",)),
        (["--cloud", "nhn", "--region", "KR9"], {}, ("no region 'KR9' (--region)",)),
        (["--endpoint-url", "http://x.example.com"], {}, ("(--endpoint-url) is plain http",)),
        ([], {"AWS_ENDPOINT_URL": "https://s3.amazonaws.com"}, ("AWS's own", "take it out")),
    ],
)
def test_what_fails_offline(
    arguments: list[str], environ: dict[str, str], parts: tuple[str, ...]
) -> None:
    """A mistake in the settings is a line, and exit code 2."""
    report = found(*arguments, environ=environ)
    assert report["exit_code"] == 2
    assert said(report["failed"], *parts), report["failed"]


def test_pasted_keys_are_a_way(clean_environment: Path) -> None:
    """Who has no login but a key may go on; the line says what there is instead."""
    report = found(environ={"AWS_ACCESS_KEY_ID": "AKIA"})
    assert report["exit_code"] == 0
    assert said(report["warning"], "toast_boto signs with the AWS key that is set")


def test_a_broken_file(clean_environment: Path) -> None:
    """A file that is none is the first thing to mend."""
    write_profile(clean_environment, "toast", "no key\n")
    report = found()
    assert report["exit_code"] == 2
    assert said(report["failed"], "~/.aws/config is no valid AWS file (line 2)")


def test_openstack_variables_beside_a_login(
    toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not used, and the report says because of what."""
    monkeypatch.setenv("OS_AUTH_URL", "https://other.example.com/v3")
    monkeypatch.setenv("OS_USERNAME", "other")
    assert said(found()["ok"], "OS_* variables: not used, because of TOAST_USERNAME")


def test_text_for_people(profile: Tenancy) -> None:
    """A line each, the way out below it, a summary on stderr; no colours but on a terminal."""
    done = run_cli("doctor", environ={"AWS_ACCESS_KEY_ID": "AKIA"})
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok       versions: toast_boto")
    number = next(i for i, line in enumerate(lines) if line.startswith("warning  keys:"))
    assert lines[number + 1] == "         -> unset it"
    assert "\033" not in done.stdout
    assert done.stderr.strip().endswith("1 warning")


# -- the services


def test_online(profile: Tenancy) -> None:
    """Every step is told; the key is one that the list has."""
    report = found("--online")
    assert report["exit_code"] == 0
    assert report["warning"] == report["failed"] == []
    [key] = profile.list_keys()
    for parts in (
        ("identity service: localhost", "TLSv1", "certificate until"),
        ("login: user ID", profile.user_id),
        ("tenant", profile.tenant_id),
        ("service catalogue: KR1, KR2",),
        ("keys: there was none; made", key["access"]),
        ("clock", "differs from the server's by "),
        ("S3: ListBuckets by", key["access"], "0 buckets"),
    ):
        assert said(report["ok"], *parts), parts
    assert said(found("--online")["ok"], "keys: 1 of 3 for this tenant", key["access"])
    assert key["secret"] not in json.dumps(report)


def test_a_bucket_shows_what_the_server_can_do(profile: Tenancy) -> None:
    """An upload with checksum and a DeleteObjects of stock boto3's; nothing is left behind."""
    s3 = boto3.Session(profile_name="toast").client("s3")
    s3.create_bucket(Bucket="trial")
    report = found("--online", "--bucket", "trial")
    assert report["exit_code"] == 0
    assert said(report["ok"], "checksums: an upload with stock boto3's checksum is taken")
    assert said(report["ok"], "DeleteObjects: taken as stock clients send it")
    assert "Contents" not in s3.list_objects_v2(Bucket="trial")
    report = found("--online", "--bucket", "nosuch")
    assert report["exit_code"] == 3
    assert said(report["failed"], "bucket", "NoSuchBucket")
    assert run_cli("doctor", "--bucket", "trial").returncode == 2


def test_a_cached_key_that_was_deleted_is_mended(profile: Tenancy) -> None:
    """It is replaced, and the report says so."""
    gone = json.loads(run_cli("credential-process").stdout)["AccessKeyId"]
    profile.delete_key(gone)
    report = found("--online")
    assert report["exit_code"] == 0
    [key] = profile.list_keys()
    assert said(report["warning"], f"the cached key {gone} was deleted", key["access"])
    assert json.loads(run_cli("credential-process").stdout)["AccessKeyId"] == key["access"]


def test_a_damaged_cache_is_mended(profile: Tenancy, clean_environment: Path) -> None:
    """What is no cache file is put aside with a warning, and the key is had again."""
    run_cli("credential-process")
    [path] = (clean_environment / ".aws/toast/cache").glob("*.json")
    path.write_text("{", encoding="utf-8")
    report = found("--online")
    assert report["exit_code"] == 0
    assert said(report["warning"], "key cache", "it is damaged")
    [key] = profile.list_keys()
    assert json.loads(run_cli("credential-process").stdout)["AccessKeyId"] == key["access"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 200), (b"<?xml?><html>login</html>", 200), (b"", 302), (b"x", 500)]
)
def test_what_is_no_s3_server(toast_environment: Tenancy, body: bytes, status: int) -> None:
    """A page that answers 200 is not taken for one, and a redirect is no crash."""
    with odd_identity((200, "text/html", b""), (status, "text/html", body)) as (url, _):
        environ = {"AWS_ENDPOINT_URL_S3": url.removesuffix("/v2.0")}
        report = found("--online", "--bucket", "b", environ=environ)
    assert report["exit_code"] in (3, 4)
    assert report["findings"][-1]["level"] == "failed"
    assert said(report["failed"], "S3"), report["failed"]


@pytest.mark.parametrize(("minutes", "level", "code"), [(20, "failed", 2), (3, "warning", 4)])
def test_the_clock(
    toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch, minutes: int, level: str, code: int
) -> None:
    """A clock that differs from the server's is named before what the server made of it."""
    date = formatdate(time.time() - minutes * 60, usegmt=True)
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: date)
    # A fake: the real server's clock is this machine's.
    with odd_identity((200, "text/html", b""), (503, "text/html", b"")) as (url, _):
        report = found("--online", environ={"AWS_ENDPOINT_URL_S3": url.removesuffix("/v2.0")})
    assert said(report[level], f"clock: this machine's differs from the server's by {minutes * 6}")
    assert report["exit_code"] == code


def test_a_services_section(profile: Tenancy, clean_environment: Path) -> None:
    """It counts more than endpoint_url, in botocore too, and the report names it."""
    path = clean_environment / ".aws/config"
    head = "[profile toast]\n"
    text = path.read_text(encoding="utf-8").replace(head, f"{head}services = s\n")
    more = "\n[services s]\ns3 =\n  endpoint_url = https://elsewhere.example.com\n"
    path.write_text(text + more, encoding="utf-8")
    report = found()
    assert said(report["warning"], "https://elsewhere.example.com (the services section 's')")
    url = boto3.Session(profile_name="toast").client("s3").meta.endpoint_url
    assert url == "https://elsewhere.example.com"
    assert "services of the profile may count more" in run_cli("configure", "--no-input").stderr
    report = found(environ={"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"})
    assert said(report["warning"], "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true")


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".example.com"])
def test_names_that_are_none(toast_environment: Tenancy, host: str) -> None:
    """A host that can't be one is a line, and no crash."""
    report = found("--online", environ={"TOAST_AUTH_URL": f"https://{host}/v2.0"})
    assert report["exit_code"] == 4
    assert said(report["failed"], "can't be resolved")


def test_a_bundle_that_is_none(toast_environment: Tenancy, tmp_path: Path) -> None:
    """A file that holds no certificate is named, rather than the server."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("nothing", encoding="utf-8")
    report = found("--online", environ={"AWS_CA_BUNDLE": str(bundle)})
    assert report["exit_code"] == 4
    assert said(report["failed"], f"the CA bundle {bundle} (AWS_CA_BUNDLE) can't be used")


def test_online_without_a_login(clean_environment: Path) -> None:
    """That nothing was asked is said."""
    report = found("--online", environ={"AWS_ACCESS_KEY_ID": "AKIA"})
    assert said(report["warning"], "online: nothing was asked")


@pytest.mark.parametrize(
    ("changes", "code", "parts"),
    [
        ({"TOAST_PASSWORD": "wrong"}, 3, ("login", "refused the login (401)")),
        ({"TOAST_AUTH_URL": "https://nosuch.invalid/v2.0"}, 4, ("can't be resolved",)),
        ({"TOAST_AUTH_URL": "https://localhost:1/v2.0"}, 4, ("no connection to localhost:1",)),
        ({"AWS_CA_BUNDLE": ""}, 4, ("certificate", "not accepted", "--ca-bundle")),
        ({"AWS_ENDPOINT_URL_S3": "https://localhost:1"}, 4, ("S3 endpoint", "no connection")),
    ],
)
def test_what_fails_online(
    tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, str],
    code: int, parts: tuple[str, ...],
) -> None:  # fmt: skip
    """The first step that fails is the last line, and its code is the exit code."""
    set_settings(monkeypatch, tenancy, tmp_path / "cache")
    report = found("--online", environ=changes)
    assert report["exit_code"] == code
    assert len(report["failed"]) == 1
    assert said(report["failed"], *parts), report["failed"]
    assert report["findings"][-1]["level"] == "failed"


def test_plain_http_where_tls_is_expected(toast_environment: Tenancy) -> None:
    """A server that speaks no TLS is named as such."""
    url = toast_environment.cloud.urls("http").auth_url.replace("http:", "https:")
    report = found("--online", environ={"TOAST_AUTH_URL": url})
    assert report["exit_code"] == 4
    assert said(report["failed"], "does not speak TLS"), report["failed"]


def test_the_quota(toast_environment: Tenancy) -> None:
    """Three keys of another cloud's making are no trouble while one is usable."""
    for _ in range(3):
        toast_environment.create_key()
    assert said(found("--online")["ok"], "keys: 3 of 3 for this tenant")


def test_a_key_of_another_cloud(toast_environment: Tenancy, strict_cloud: Any) -> None:
    """An endpoint of another cloud than the login's is named as the likely cause."""
    bundle = Path(toast_environment.cloud.ca_bundle).read_bytes()
    both = Path(toast_environment.cloud.directory) / "both.pem"
    both.write_bytes(bundle + Path(strict_cloud.ca_bundle).read_bytes())
    environ = {"AWS_ENDPOINT_URL_S3": strict_cloud.endpoint_url, "AWS_CA_BUNDLE": str(both)}
    report = found("--online", environ=environ)
    assert report["exit_code"] == 3
    assert said(report["failed"], "S3", "does not know the key", "same cloud"), report["failed"]


def test_no_proxy_to_this_machine(toast_environment: Tenancy) -> None:
    """A proxy of the environment is no matter for a loopback address, as in a session."""
    environ = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    report = found("--online", environ=environ)
    assert report["exit_code"] == 0, report["failed"]
    assert said(report["ok"], "S3 endpoint: localhost", "certificate until")


def test_through_a_proxy(toast_environment: Tenancy) -> None:
    """Where a proxy is set name and certificate are its matter; its password is not shown."""
    environ = {
        "HTTPS_PROXY": "http://me:proxy-password@127.0.0.1:9",
        "TOAST_AUTH_URL": "https://identity.example.com/v2.0",
        "TOAST_IDENTITY_TIMEOUT": "3",
    }
    report = found("--online", environ=environ)
    assert said(report["ok"], "identity.example.com is asked through a proxy (127.0.0.1)")
    assert report["exit_code"] == 4
    assert "proxy-password" not in json.dumps(report)
