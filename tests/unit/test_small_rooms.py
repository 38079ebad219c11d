"""Clouds, regions, keys and profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from toast_boto import errors
from toast_boto._clouds import CLOUDS, cloud_of, normalised_url
from toast_boto._keys import EC2Key
from toast_boto._profiles import read_profile
from toast_boto._regions import is_aws_region
from toast_boto.errors import ConfigurationError


def test_table_of_clouds() -> None:
    """Nine clouds, each with an identity URL of v2.0 and endpoints by upper-case region."""
    names = ["toast", "nhn", "gov", "ncgn", "ngoic", "ngovc", "ngsc", "ninc", "ngcc"]
    assert list(CLOUDS) == names
    for name, cloud in CLOUDS.items():
        assert cloud.name == name
        assert cloud.auth_url.startswith("https://")
        assert cloud.auth_url.endswith("/v2.0")
        assert cloud_of(cloud.auth_url) is cloud
        assert all(region == region.upper() for region in cloud.endpoint_urls)
        assert all(normalised_url(url) == url for url in cloud.endpoint_urls.values())
    plain = [url for c in CLOUDS.values() for url in c.endpoint_urls.values() if "https" not in url]
    assert plain == ["http://ngcc-kr4-swift.kr.cloud.toastoven.net"]
    assert CLOUDS["toast"].endpoint_urls == {
        "KR1": "https://api-storage.cloud.toast.com",
        "KR2": "https://kr2-api-storage.cloud.toast.com",
        "JP1": "https://jp1-api-storage.cloud.toast.com",
        "US1": "https://us1-api-storage.cloud.toast.com",
    }
    assert CLOUDS["nhn"].endpoint_urls["KR3"] == (
        "https://kr3-api-object-storage.nhncloudservice.com"
    )
    assert CLOUDS["ngsc"].default_region == "KR4"


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTPS://Host.Example.COM:443/v2.0/", "https://host.example.com/v2.0"),
        ("http://host:80/v3", "http://host/v3"),
        ("https://host:5000//v3//", "https://host:5000//v3"),
        ("https://user:password@host/v3?x=1#y", "https://host/v3"),
        ("https://[::1]:5000/v3", "https://[::1]:5000/v3"),
    ],
)
def test_normal_form_of_a_url(url: str, normal: str) -> None:
    """Two spellings of one URL are one identity; a password in it is dropped."""
    assert normalised_url(url) == normal


@pytest.mark.parametrize(
    ("name", "aws"),
    [
        ("us-east-1", True),
        ("ap-northeast-2", True),
        ("us-gov-west-1", True),
        ("us-isob-east-1", True),
        ("fips-us-east-1", True),
        ("AP-NORTHEAST-2", True),
        ("aws-global", True),
        ("s3-external-1", True),
        ("KR1", False),
        ("kr2", False),
        ("KR9", False),
        ("kr-central-1", False),
        ("RegionOne", False),
    ],
)
def test_aws_regions(name: str, aws: bool) -> None:
    """AWS's own names are told from everybody else's."""
    assert is_aws_region(name) is aws


def test_every_aws_region_that_botocore_knows() -> None:
    """The pattern knows every region that botocore does."""
    import botocore.session

    session = botocore.session.get_session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("s3", partition, allow_non_regional=True):
            assert is_aws_region(region), region


def test_key_of_the_guide() -> None:
    """The guide's sample is read; fields that it does not have may come."""
    sample = {
        "access": "253a3c7ca27f4731a9c757addfac29ca",
        "tenant_id": "84c9e9a51aea402e95389c08ac562ac5",
        "secret": "be057f235abf45ee8e2ba14edc5fb253",
        "user_id": "84db0c80-3c39-11e7-b29c-005056ac1497",
        "trust_id": None,
    }
    key = EC2Key.from_json(sample)
    assert key == EC2Key.from_json({**sample, "accessed_at": "2024-10-19T08:24:46Z", "x": 1})
    assert key.trust_id is None
    assert EC2Key.from_json(key.to_json()) == key
    assert key != "key"
    assert len({key, EC2Key.from_json(sample)}) == 1


@pytest.mark.parametrize("fields", [None, [], {}, {"access": "a"}, {"access": 1, "secret": "s"}])
def test_what_is_no_key(fields: object) -> None:
    """A key without its fields is none, and the text shows none of them."""
    with pytest.raises(ValueError, match="a key"):
        EC2Key.from_json(fields)


def write(home: Path, name: str, text: str) -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / name).write_text(text, encoding="utf-8")


def test_profile_of_two_files(clean_environment: Path) -> None:
    """The credentials file's keys win, and each knows its file."""
    write(
        clean_environment, "config", "[profile a]\nx = 1\ny = 1\n[default]\nz = 9\n[other]\nx = 0\n"
    )
    write(clean_environment, "credentials", "[a]\ny = 2\n")
    found = read_profile("a")
    assert found.values == {"x": ("1", "~/.aws/config"), "y": ("2", "~/.aws/credentials")}
    assert read_profile("default").values == {"z": ("9", "~/.aws/config")}
    assert read_profile("other").values == {}


@pytest.mark.parametrize(
    "text", ["[a\nsecret-value = 1", "no section\nsecret-value", "[a]\nsecret-value"]
)
def test_profile_file_that_is_none(clean_environment: Path, text: str) -> None:
    """A file that can't be parsed is named with its line, and not quoted."""
    write(clean_environment, "credentials", text)
    with pytest.raises(ConfigurationError, match="no valid AWS file") as caught:
        read_profile("a")
    assert "secret-value" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_profile_file_that_is_no_text(clean_environment: Path) -> None:
    """A file of another encoding than the locale's is named."""
    (clean_environment / ".aws").mkdir()
    (clean_environment / ".aws" / "config").write_bytes(b"\xff\xfe[\x00")
    with pytest.raises(ConfigurationError, match="can't be read: it is not in utf-8") as caught:
        read_profile("a")
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_tree_of_errors() -> None:
    """Whoever catches ToastBotoError catches them all."""
    for name in ("Authentication", "Cache", "Configuration", "IdentityUnavailable", "KeyQuota"):
        assert issubclass(getattr(errors, f"{name}Error"), errors.ToastBotoError)
    assert issubclass(errors.UnsupportedServiceError, errors.ConfigurationError)
