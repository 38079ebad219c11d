"""``import toast_boto as boto3`` is enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3 as plain
import boto3.exceptions
import boto3.s3.transfer
import pytest

import toast_boto
from tests.support import Tenancy


def test_stock_script(toast_environment: Tenancy, tmp_path: Path) -> None:
    """The README's script, as it stands, by settings of the environment."""
    (tmp_path / "cat.jpg").write_bytes(b"meow")
    script = (
        "import toast_boto as boto3\n"
        's3 = boto3.client("s3")\n'
        's3.create_bucket(Bucket="photos")\n'
        's3.upload_file("cat.jpg", "photos", "cat.jpg")\n'
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)
    stored = toast_boto.client("s3").get_object(Bucket="photos", Key="cat.jpg")
    assert stored["Body"].read() == b"meow"


def test_names_of_boto3_are_handed_through() -> None:
    """What is not ours is boto3's own, submodules included, before any client was made."""
    script = (
        "import toast_boto as boto3\n"
        "print(boto3.s3.transfer.TransferConfig, boto3.exceptions.S3UploadFailedError)\n"
        "import boto3 as plain\n"
        "assert boto3.exceptions is plain.exceptions\n"
        "assert boto3.session.Session is boto3.Session is not plain.Session\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    drop_in: Any = toast_boto
    assert drop_in.s3.transfer.TransferConfig is boto3.s3.transfer.TransferConfig
    assert drop_in.exceptions.S3UploadFailedError is boto3.exceptions.S3UploadFailedError
    assert drop_in.set_stream_logger is plain.set_stream_logger
    with pytest.raises(AttributeError, match="nosuch"):
        _ = drop_in.nosuch
    with pytest.raises(AttributeError):
        _ = drop_in.__nosuch__


def test_s3_upload_failed_error(toast_environment: Tenancy, tmp_path: Path) -> None:
    """An upload that fails raises boto3's own error, caught by the drop-in's name."""
    drop_in: Any = toast_boto
    (tmp_path / "f").write_bytes(b"x")
    config = drop_in.s3.transfer.TransferConfig(use_threads=False)
    with pytest.raises(drop_in.exceptions.S3UploadFailedError, match="NoSuchBucket"):
        drop_in.client("s3").upload_file(str(tmp_path / "f"), "nosuch-bucket", "k", Config=config)


def test_default_session(toast_environment: Tenancy) -> None:
    """The default session is made once, kept as boto3 keeps its own, and can be set up."""
    drop_in: Any = toast_boto
    assert drop_in.DEFAULT_SESSION is None
    toast_boto.client("s3")
    first = drop_in.DEFAULT_SESSION
    toast_boto.resource("s3")
    assert drop_in.DEFAULT_SESSION is first
    assert isinstance(first, toast_boto.Session)
    assert isinstance(first, plain.Session)
    toast_boto.setup_default_session(region_name="KR2")
    assert toast_boto.client("s3").meta.region_name == "KR2"
    assert plain.DEFAULT_SESSION is None
    drop_in.DEFAULT_SESSION = None  # as tests do, to begin anew
    assert toast_boto.client("s3").meta.region_name == "KR1"


def test_boto3_itself_stays_as_it_was(
    toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions of plain boto3 beside ours are AWS's as before."""
    toast_boto.client("s3")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.delenv("AWS_CA_BUNDLE")
    client = plain.Session("key", "secret", region_name="us-east-1").client("s3")
    assert client.meta.endpoint_url == "https://s3.amazonaws.com"
    assert plain.Session("key", "secret", region_name="us-east-1").client("sqs")


def test_session_takes_boto3s_parameters_in_its_order(tenancy: Tenancy) -> None:
    """Positional arguments are boto3's own."""
    key = tenancy.create_key()
    session = toast_boto.Session(
        key["access"],
        key["secret"],
        None,
        "KR1",
        None,
        None,
        endpoint_url=tenancy.cloud.endpoint_url,
        ca_bundle=tenancy.cloud.ca_bundle,
    )
    assert session.region_name == "KR1"
    session.client("s3").list_buckets()


def test_session_module() -> None:
    """`toast_boto.session` holds our Session, and what else boto3.session does."""
    import boto3.session

    import toast_boto.session

    module: Any = toast_boto.session
    assert module.Session is toast_boto.Session
    assert module.UnknownServiceError is boto3.session.UnknownServiceError
