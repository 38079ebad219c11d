"""Code written for AWS runs unchanged."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

import toast_boto
from tests.support import Tenancy, count_ours, header, sent_requests, set_settings
from toast_boto import ConfigurationError, ToastBotoWarning

VIRTUAL = Config(s3={"addressing_style": "virtual"})


@pytest.fixture(autouse=True)
def as_a_script(
    shared_tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """These tests configure by environment, as an unchanged script would be."""
    set_settings(monkeypatch, shared_tenancy, tmp_path / "cache")
    yield


def works(client: Any, region: str = "KR1") -> bool:
    """Whether a client signs for its region and is answered."""
    with sent_requests(client) as sent:
        client.list_buckets()
    return f"/{region}/s3/aws4_request" in header(sent[0], "Authorization")


def test_aws_region_of_a_client(shared_tenancy: Tenancy) -> None:
    """region_name="ap-northeast-2" becomes KR1, with one warning, whatever number of clients."""
    session = toast_boto.Session()
    with pytest.warns(ToastBotoWarning, match=r"ap-northeast-2.*KR1 is used instead") as warned:
        clients = [session.client("s3", region_name="ap-northeast-2") for _ in range(3)]
    assert count_ours(warned) == 1
    assert all(works(client) for client in clients)


@pytest.mark.parametrize("where", ["argument", "variable", "config", "profile"])
def test_aws_region_of_a_session(
    where: str, monkeypatch: pytest.MonkeyPatch, clean_environment: Path
) -> None:
    """An AWS region becomes KR1 wherever it comes from, in the session's own words too."""
    arguments, config = {}, None
    if where == "argument":
        arguments["region_name"] = "us-east-1"
    elif where == "variable":
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    elif where == "config":
        config = Config(region_name="us-east-1")
    else:
        (clean_environment / ".aws").mkdir()
        (clean_environment / ".aws" / "config").write_text("[default]\nregion = us-east-1\n")
    with pytest.warns(ToastBotoWarning, match="'us-east-1'") as warned:
        session = toast_boto.Session(**arguments)
        client = session.client("s3", config=config)
    assert count_ours(warned) == 1
    assert session.region_name == client.meta.region_name == "KR1"
    assert works(client)


def test_no_region_at_all() -> None:
    """Without any region it is KR1, and nothing is said."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ToastBotoWarning)
        assert works(toast_boto.client("s3"))


def test_virtual_addressing_style(bucket: str) -> None:
    """addressing_style="virtual" is replaced by path style, with one warning."""
    session = toast_boto.Session()
    with pytest.warns(ToastBotoWarning, match="replaced by 'path'") as warned:
        clients = [session.client("s3", config=VIRTUAL) for _ in range(2)]
    assert count_ours(warned) == 1
    with sent_requests(clients[0]) as sent:
        clients[0].list_objects_v2(Bucket=bucket)
    assert sent[0].url.startswith(f"{clients[0].meta.endpoint_url}/{bucket}?")


def test_virtual_addressing_style_in_the_profile(clean_environment: Path) -> None:
    """The same in a profile's s3 section, whose other keys stay."""
    (clean_environment / ".aws").mkdir()
    (clean_environment / ".aws" / "config").write_text(
        "[default]\ns3 =\n  addressing_style = virtual\n  payload_signing_enabled = true\n"
    )
    with pytest.warns(ToastBotoWarning, match="replaced by 'path'"):
        client = toast_boto.client("s3")
    assert client.meta.config.s3["addressing_style"] == "path"
    assert client.meta.config.s3["payload_signing_enabled"] is True


def test_virtual_addressing_style_if_one_insists(bucket: str) -> None:
    """Session(addressing_style="virtual") is the one way out."""
    client = toast_boto.Session(addressing_style="virtual").client("s3")
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert url.startswith(f"https://{bucket}.localhost:")


@pytest.mark.parametrize("version", ["s3", "v4", "s3v4", "s3-query"])
def test_signature_version(version: str, bucket: str) -> None:
    """Whatever signature version was asked for, requests and presigned URLs are signed by V4."""
    client = toast_boto.client("s3", config=Config(signature_version=version))
    assert works(client)
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url


def test_unsigned_stays_unsigned(bucket: str) -> None:
    """UNSIGNED sends no signature; a bucket that is not public refuses it."""
    client = toast_boto.client("s3", config=Config(signature_version=UNSIGNED))
    with sent_requests(client) as sent, pytest.raises(ClientError):
        client.list_objects_v2(Bucket=bucket)
    assert not header(sent[0], "Authorization")


@pytest.mark.parametrize("constraint", ["ap-northeast-2", "EU", "KR1"])
def test_location_constraint(constraint: str, s3: Any, new_name: Callable[[], str]) -> None:
    """CreateBucket with an AWS LocationConstraint makes the bucket here."""
    name = new_name()
    configuration = {"LocationConstraint": constraint}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=configuration)
    assert configuration == {"LocationConstraint": constraint}, "the caller's own dictionary"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "KR1"


def test_wrong_location_constraint_is_the_servers_to_refuse(
    s3: Any, new_name: Callable[[], str]
) -> None:
    """A constraint that is nobody's region is sent as it is."""
    with pytest.raises(ClientError, match="InvalidLocationConstraint"):
        s3.create_bucket(Bucket=new_name(), CreateBucketConfiguration={"LocationConstraint": "KR9"})


def test_another_region_of_the_cloud(new_name: Callable[[], str], shared_tenancy: Tenancy) -> None:
    """client("s3", region_name="KR2") goes to KR2, though the environment's endpoint is KR1's."""
    session = toast_boto.Session()
    here, there = session.client("s3"), session.client("s3", region_name="KR2")
    assert there.meta.endpoint_url == shared_tenancy.cloud.endpoint_urls["KR2"]
    assert works(there, "KR2")
    name = new_name()
    there.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    assert there.get_bucket_location(Bucket=name)["LocationConstraint"] == "KR2"
    assert name not in [item["Name"] for item in here.list_buckets()["Buckets"]]


def test_session_of_another_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of KR2 finds KR2's endpoint in the catalogue when none is set."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    assert works(toast_boto.Session(region_name="KR2").client("s3"), "KR2")


def test_explicit_endpoint(shared_tenancy: Tenancy) -> None:
    """endpoint_url= of a client wins over everything."""
    url = shared_tenancy.cloud.endpoint_urls["KR2"]
    client = toast_boto.client("s3", region_name="KR2", endpoint_url=url)
    assert client.meta.endpoint_url == url


def test_ignore_configured_endpoint_urls(
    monkeypatch: pytest.MonkeyPatch, shared_tenancy: Tenancy
) -> None:
    """AWS_IGNORE_CONFIGURED_ENDPOINT_URLS makes the catalogue's endpoint count."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://elsewhere.example.com")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    client = toast_boto.client("s3")
    assert client.meta.endpoint_url == shared_tenancy.cloud.endpoint_url


def test_checksum_mode_is_the_users_if_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """when_required by default; what the user set in code or environment stays."""
    default = toast_boto.Session().client("s3").meta.config
    assert default.request_checksum_calculation == "when_required"
    assert default.response_checksum_validation == "when_required"
    mine = Config(request_checksum_calculation="when_supported")
    given = toast_boto.Session().client("s3", config=mine).meta.config
    assert given.request_checksum_calculation == "when_supported"
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
    found = toast_boto.Session().client("s3").meta.config
    assert found.request_checksum_calculation == "when_supported"


def test_the_rest_of_a_config_is_untouched() -> None:
    """Timeouts, retries, pool and the rest are the user's."""
    config = Config(
        connect_timeout=7,
        max_pool_connections=33,
        retries={"max_attempts": 9},
        user_agent_extra="mine",
        s3={"payload_signing_enabled": True},
    )
    made = toast_boto.client("s3", config=config).meta.config
    assert (made.connect_timeout, made.max_pool_connections) == (7, 33)
    assert made.retries["total_max_attempts"] == 10
    assert "mine" in made.user_agent
    assert made.s3 == {"payload_signing_enabled": True, "addressing_style": "path"}
    assert config.s3 == {"payload_signing_enabled": True}, "the caller's own object"


def test_other_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """client("sqs") is refused when it is made, and the text says where to get one."""
    for make in (toast_boto.client, toast_boto.resource, toast_boto.Session().client):
        with pytest.raises(toast_boto.UnsupportedServiceError, match=r"'sqs'.*import boto3 as aws"):
            make("sqs")
    with pytest.raises(toast_boto.UnsupportedServiceError, match="in small letters"):
        toast_boto.client("S3")


def test_unknown_region_of_the_catalogue() -> None:
    """A region that the catalogue does not have is refused with those that it has."""
    with pytest.raises(ConfigurationError, match=r"'KR9'.* has KR1, KR2"):
        toast_boto.client("s3", region_name="KR9")


def test_instance_and_aws_providers_are_not_asked() -> None:
    """Metadata services and AWS's own logins are not in the chain; pasted keys are."""
    import botocore.session

    session = botocore.session.get_session()
    toast_boto.configure(session)
    methods = [p.METHOD for p in session.get_component("credential_provider").providers]
    assert methods[0] == "toast-keystone"
    assert {"env", "shared-credentials-file", "custom-process", "config-file"} <= set(methods)
    assert not {"iam-role", "container-role", "assume-role", "sso"} & set(methods)
