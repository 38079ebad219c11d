"""What a user who made a mistake sees: the class of the error, and a text that says what to do."""

from __future__ import annotations

import socket
import traceback
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, CredentialRetrievalError

import toast_boto
from tests.support import GOOD_LOGIN, Tenancy, Watch, odd_identity
from toast_boto import (
    AuthenticationError,
    ConfigurationError,
    IdentityUnavailableError,
    KeyQuotaError,
    ToastBotoError,
)
from toast_boto.sandbox import Sandbox


def error_of(tenancy: Tenancy, **changes: Any) -> ToastBotoError:
    """The error that a user meets, from making the session to the first call.

    Whatever is raised by the way, its whole traceback is free of secrets.
    """
    changes = {"identity_timeout": 1.5, **changes}  # time for two or three tries
    options = tenancy.options(endpoint_url=tenancy.cloud.endpoint_url, **changes)
    try:
        toast_boto.Session(**options).client("s3").list_buckets()
    except (ToastBotoError, CredentialRetrievalError) as error:
        caught = error
    seen: BaseException | None = caught
    while seen is not None:
        assert_no_secret("".join(traceback.format_exception(seen)), options, tenancy)
        assert_no_secret(f"{seen} {seen!r} {vars(seen)!r}", options, tenancy)
        seen = seen.__cause__ or seen.__context__
    if isinstance(caught, CredentialRetrievalError):
        assert isinstance(caught, BotoCoreError)
        assert isinstance(caught.__cause__, ToastBotoError)
        return caught.__cause__
    return caught


def assert_no_secret(text: str, options: dict[str, Any], tenancy: Tenancy) -> None:
    secrets = [tenancy.password, options.get("password")]
    secrets += [key["secret"] for key in tenancy.list_keys()]
    for secret in filter(None, secrets):
        assert secret not in text


def test_wrong_password(tenancy: Tenancy) -> None:
    """The likely causes come with their sources, the API password first."""
    error = error_of(tenancy, password="the-console-password")
    assert type(error) is AuthenticationError
    assert "refused the login (401)" in str(error)
    for words in (
        "the argument password=",
        "API password",
        "the argument tenant_id=",
        "Object Storage's own",
        "e-mail address",
    ):
        assert words in str(error)


def test_wrong_tenant(tenancy: Tenancy) -> None:
    """A tenant that is not the user's is refused alike, and the text names where it came from."""
    error = error_of(tenancy, tenant_id="0" * 32)
    assert type(error) is AuthenticationError
    assert "the tenant ID (the argument tenant_id=) must be Object Storage's own" in str(error)


def test_api_user_id_as_user_name(tenancy: Tenancy) -> None:
    """An API user ID in the place of the user name is recognised."""
    error = error_of(tenancy, username=tenancy.user_id)
    assert type(error) is AuthenticationError
    assert "looks like an API user ID" in str(error)


def test_disabled_user_and_tenant(tenancy: Tenancy) -> None:
    """A disabled user and a disabled tenant are refused as wrong ones are."""
    cloud = tenancy.cloud
    carol = cloud.users["carol@example.com"]
    assert type(error_of(tenancy, username=carol.name, password=carol.password)) is (
        AuthenticationError
    )
    disabled = error_of(tenancy, tenant_id=cloud.tenants["disabled"])
    assert type(disabled) is AuthenticationError


@pytest.mark.parametrize(
    ("option", "title", "variable"),
    [
        ("tenant_id", "tenant ID", "TOAST_TENANT_ID"),
        ("password", "API password", "TOAST_PASSWORD"),
        ("username", "user name", "TOAST_USERNAME"),
    ],
)
def test_half_a_login(tenancy: Tenancy, option: str, title: str, variable: str) -> None:
    """What is missing is named with the places to set it, before anybody is asked."""
    watch = Watch(tenancy.cloud)
    error = error_of(tenancy, **{option: None})
    assert type(error) is ConfigurationError
    assert f"there is no {title}" in str(error)
    assert f"the argument {option}=, {variable} or toast_{option} in the profile" in str(error)
    assert "API Endpoint Setting" in str(error)
    assert watch.identity() == []


def test_nothing_configured_at_all() -> None:
    """Without a login and without keys nothing is sent anywhere, and the text says what to set."""
    for make in (toast_boto.client, toast_boto.resource):
        with pytest.raises(ConfigurationError, match="no login and no key") as caught:
            make("s3")
        for name in ("TOAST_USERNAME", "TOAST_PASSWORD", "TOAST_TENANT_ID"):
            assert name in str(caught.value)


def test_plain_http_identity_on_another_host(tenancy: Tenancy) -> None:
    """A password is not sent in the clear to another host, unless the user says so."""
    error = error_of(tenancy, auth_url="http://identity.example.com:5000/v2.0")
    assert type(error) is ConfigurationError
    assert "plain http" in str(error)
    assert "TOAST_ALLOW_HTTP=yes" in str(error)


def test_plain_http_endpoint_on_another_host(tenancy: Tenancy) -> None:
    """Nor are objects and signatures."""
    session = toast_boto.Session(**tenancy.options())
    with pytest.raises(ConfigurationError, match=r"S3 endpoint .* is plain http"):
        session.client("s3", endpoint_url="http://storage.example.com")


def test_unreachable_identity(tenancy: Tenancy) -> None:
    """A refused connection, and a name that nobody has."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"https://127.0.0.1:{taken.getsockname()[1]}/v2.0"
        error = error_of(tenancy, auth_url=url)
    assert type(error) is IdentityUnavailableError
    assert url in str(error)
    assert "the argument auth_url=" in str(error)
    nowhere = error_of(tenancy, auth_url="https://identity.invalid/v2.0")
    assert type(nowhere) is IdentityUnavailableError
    assert "can this machine reach it?" in str(nowhere)


def test_certificate_of_nobody_known(tenancy: Tenancy) -> None:
    """Without the CA bundle the certificate is refused, and the text says how to name one."""
    error = error_of(tenancy, ca_bundle=None)
    assert type(error) is IdentityUnavailableError
    assert "certificate" in str(error)
    assert "by the argument ca_bundle= or AWS_CA_BUNDLE" in str(error)


def test_ca_bundle_that_is_not_there(tenancy: Tenancy) -> None:
    """A CA bundle that does not exist is named with its source."""
    error = error_of(tenancy, ca_bundle="/nowhere/ca.pem")
    assert type(error) is ConfigurationError
    assert "/nowhere/ca.pem (the argument ca_bundle=) does not exist" in str(error)


def test_identity_without_v2(tenancy: Tenancy) -> None:
    """An identity URL of no version that is there is a mistake in the settings."""
    url = tenancy.cloud.auth_url.replace("/v2.0", "/elsewhere/v2.0")
    error = error_of(tenancy, auth_url=url)
    assert type(error) is ConfigurationError
    assert "must end in /v2.0, or in /v3" in str(error)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://identity.example.com", "must end in /v2.0 or /v3"),
        ("https://identity.example.com/v2.0/tokens", "Leave out what follows the version"),
        ("identity.example.com/v2.0", "is no http(s) URL"),
        ("ftp://identity.example.com/v2.0", "is no http(s) URL"),
        ("https://[::1/v2.0", "is no http(s) URL"),
    ],
)
def test_identity_url_of_odd_shape(tenancy: Tenancy, url: str, words: str) -> None:
    """A URL that can't be one is refused with its source."""
    error = error_of(tenancy, auth_url=url)
    assert type(error) is ConfigurationError
    assert words in str(error)
    assert "the argument auth_url=" in str(error)


def test_unknown_cloud(tenancy: Tenancy) -> None:
    """An unknown cloud is refused with a list of those that there are."""
    error = error_of(tenancy, auth_url=None, cloud="tost")
    assert type(error) is ConfigurationError
    assert "there is no cloud 'tost' (the argument cloud=); there are toast, nhn, gov" in str(error)


def test_unknown_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown region is refused with a list of the cloud's; letters may be small."""
    with pytest.raises(ConfigurationError) as caught:
        toast_boto.Session(region_name="KR9")
    assert "has no region 'KR9' (the argument region_name=); it has KR1, KR2, JP1, US1" in str(
        caught.value
    )
    with pytest.raises(ConfigurationError, match=r"'KR8' \(the argument region_name=\)"):
        toast_boto.Session(username="u", password="p", tenant_id="t").client("s3", "KR8")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "KR7")
    with pytest.raises(ConfigurationError, match=r"'KR7' \(AWS_DEFAULT_REGION\)"):
        toast_boto.Session()
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert toast_boto.Session(region_name="kr2").region_name == "KR2"
    with pytest.raises(ConfigurationError, match="it has KR4"):
        toast_boto.Session(cloud="ngsc", region_name="KR1")
    assert toast_boto.Session(cloud="ngsc").region_name == "KR4"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("key_policy", "create"),
        ("cache", "memmory"),
        ("addressing_style", "vhost"),
        ("allow_http", "perhaps"),
        ("tenant_id", 42),
    ],
)
def test_values_that_make_no_sense(tenancy: Tenancy, option: str, value: Any) -> None:
    """A value that an option does not have is refused with the option's name."""
    error = error_of(tenancy, **{option: value})
    assert type(error) is ConfigurationError
    assert f"{option}=" in str(error)


def test_unknown_option() -> None:
    """A misspelt argument is Python's own error."""
    with pytest.raises(TypeError, match="tennant_id"):
        toast_boto.Session(tennant_id="x")  # type: ignore[call-arg]


def test_unknown_profile() -> None:
    """A profile that is not there is botocore's own error."""
    from botocore.exceptions import ProfileNotFound

    with pytest.raises(ProfileNotFound):
        toast_boto.Session(profile_name="nosuch")


def test_endpoint_that_is_none(toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is no URL is named with its source."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "localhost:1")
    with pytest.raises(ConfigurationError, match=r"'localhost:1' \(AWS_ENDPOINT_URL_S3\) is no"):
        toast_boto.client("s3")


def test_wrong_ca_bundle(tenancy: Tenancy, tmp_path: Path) -> None:
    """A CA bundle that is there, and is the wrong one, is named with its source."""
    with Sandbox() as other:
        bundle = tmp_path / "other.pem"
        bundle.write_text(Path(other.ca_bundle).read_text())
    error = error_of(tenancy, ca_bundle=str(bundle))
    assert type(error) is IdentityUnavailableError
    assert f"The CA bundle is {bundle} (the argument ca_bundle=)" in str(error)
    assert "certificate verify failed" in str(error)


def test_openstack_variables_without_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """OS_* without OS_AUTH_URL do not count, and the text says so."""
    monkeypatch.setenv("OS_USERNAME", "u")
    with pytest.raises(ConfigurationError, match="only with both OS_AUTH_URL and"):
        toast_boto.client("s3")


@pytest.mark.sandbox
def test_quota_used_up() -> None:
    """A create that the quota refuses says so, and what to do."""
    with Sandbox(quota=0) as cloud:
        tenancy = Tenancy.create(cloud)
        error = error_of(tenancy)
    assert type(error) is KeyQuotaError
    assert tenancy.tenant_id in str(error)
    assert "Maximum number of EC2 credentials (0)" in str(error)
    assert "ask who manages the tenant" in str(error)


def test_openstack_variables_of_another_cloud(
    toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OS_* beside TOAST_* are not looked at: no password of one cloud goes to another."""
    for name in ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_TENANT_ID", "OS_CACERT"):
        monkeypatch.setenv(name, "https://elsewhere.invalid/v3")
    toast_boto.client("s3").list_buckets()
    monkeypatch.delenv("TOAST_PASSWORD")
    with pytest.raises(ConfigurationError, match="there is no API password"):
        toast_boto.Session().client("s3")


ANSWERS = {
    "html": (200, "text/html", b"<html>Sign in to the network</html>"),
    "empty": (200, "application/json", b""),
    "null": (200, "application/json", b"null"),
    "list": (200, "application/json", b"[]"),
    "no access": (200, "application/json", b"{}"),
    "no user": (200, "application/json", b'{"access": {"token": {"id": "t"}}}'),
    "cut": (200, "application/json", b'{"access": {"to'),
    "500": (500, "text/html", b"<html>oops</html>"),
    "502": (502, "text/html", b"bad gateway"),
    "503": (503, "application/json", b"{}"),
    "504": (504, "text/plain", b"timeout"),
    "429": (429, "text/plain", b"slow down"),
    "redirect": (302, "text/html", b""),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_login_answered_by_something_else(answer: Any, tenancy: Tenancy) -> None:
    """HTML, nonsense, 5xx, redirect: the identity service is unavailable, and the URL is named."""
    with odd_identity(answer, answer) as (url, seen):
        error = error_of(tenancy, auth_url=url)
    assert type(error) is IdentityUnavailableError
    assert url in str(error)
    assert set(seen) == {"POST /v2.0/tokens"}, "a redirect must not be followed"


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_list_answered_by_something_else(answer: Any, tenancy: Tenancy) -> None:
    """The same when only the list of keys is odd; and no key is made in that case."""
    with odd_identity(GOOD_LOGIN, answer) as (url, seen):
        error = error_of(tenancy, auth_url=url, tenant_id="x")
    assert type(error) is IdentityUnavailableError
    assert "the list of keys failed" in str(error)
    assert {line.split()[0] for line in seen[1:]} == {"GET"}, "no key is made on a doubtful list"
    assert all("/stolen" not in line for line in seen)
