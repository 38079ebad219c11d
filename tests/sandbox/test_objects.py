"""What stock boto3 code does beyond single calls: transfers, presigned URLs, resources, names."""

from __future__ import annotations

import hashlib
import hmac
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from boto3.s3.transfer import TransferConfig

from tests.support import Tenancy
from toast_boto.sandbox import Sandbox

KEYS = [
    "plain",
    "한글/봄 소풍 사진.jpg",
    "a b  c",
    "a+b",
    "100%/50%25",
    "/leading/slash",
    "q?x=1&y=2#z",
    "ünï/\U0001f4f7",
    "dots/../and/./more",
    "trailing/",
    "~tilde'quote\"",
]


def test_file_of_30_mb_by_multipart(s3: Any, bucket: str, tmp_path: Path) -> None:
    """upload_file and download_file move 30 MB in parts, by several threads, unchanged."""
    content = random.Random(1).randbytes(30_000_000)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    seen: list[int] = []
    s3.upload_file(str(source), bucket, "big", Callback=seen.append)
    assert sum(seen) == len(content)
    head = s3.head_object(Bucket=bucket, Key="big")
    assert head["ETag"].endswith('-4"')
    s3.download_file(bucket, "big", str(target))
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(content).digest()


def test_file_objects_and_transfer_config(s3: Any, bucket: str) -> None:
    """upload_fileobj and download_fileobj obey a TransferConfig, and copy works on its result."""
    content = b"0123456789" * 1_200_000
    config = TransferConfig(multipart_threshold=6_000_000, multipart_chunksize=6_000_000)
    s3.upload_fileobj(io.BytesIO(content), bucket, "k", Config=config)
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"].endswith('-2"')
    s3.copy({"Bucket": bucket, "Key": "k"}, bucket, "copy", Config=config)
    target = io.BytesIO()
    s3.download_fileobj(bucket, "copy", target, Config=config)
    assert target.getvalue() == content


@pytest.mark.parametrize("key", KEYS)
def test_key_names(s3: Any, bucket: str, key: str) -> None:
    """Any key is stored, listed, copied, presigned and deleted under its own name."""
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert {item["Key"] for item in answer["Deleted"]} == {key, "copy"}
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_empty_object_and_range(s3: Any, bucket: str) -> None:
    """An empty object is one, and a Range answers a part."""
    s3.put_object(Bucket=bucket, Key="empty")
    assert s3.get_object(Bucket=bucket, Key="empty")["Body"].read() == b""
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    part = s3.get_object(Bucket=bucket, Key="k", Range="bytes=2-4")
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")


def test_bucket_names_with_dots(s3: Any, new_name: Callable[[], str]) -> None:
    """A bucket name with dots works over TLS, because it is in the path."""
    name = f"{new_name()}.photos.example.com"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"x"


def test_streaming_bodies(s3: Any, bucket: str) -> None:
    """A body may be a file-like object, and is read back as a stream, by chunks and lines."""
    s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(b"one\ntwo\nthree\n"))
    assert list(s3.get_object(Bucket=bucket, Key="k")["Body"].iter_lines()) == [
        b"one",
        b"two",
        b"three",
    ]
    chunks = list(s3.get_object(Bucket=bucket, Key="k")["Body"].iter_chunks(5))
    assert b"".join(chunks) == b"one\ntwo\nthree\n"
    with s3.get_object(Bucket=bucket, Key="k")["Body"] as body:
        assert body.read(3) == b"one"


def test_presigned_urls(s3: Any, bucket: str, cloud: Sandbox) -> None:
    """Presigned GET, PUT and POST URLs work for whoever has the URL, by Signature V4."""
    key = "봄 소풍+%.txt"
    params = {"Bucket": bucket, "Key": key}
    put = s3.generate_presigned_url("put_object", Params=params, ExpiresIn=60)
    get = s3.generate_presigned_url("get_object", Params=params, ExpiresIn=60)
    for url in (put, get):
        assert url.startswith(f"{cloud.endpoint_url}/{bucket}/")
        assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
        assert "%2FKR1%2Fs3%2Faws4_request" in url
    assert requests.put(put, data=b"by url", verify=cloud.ca_bundle, timeout=30).status_code == 200
    assert requests.get(get, verify=cloud.ca_bundle, timeout=30).content == b"by url"
    start = s3.generate_presigned_url("create_multipart_upload", Params=params)
    answer = requests.post(start, verify=cloud.ca_bundle, timeout=30)
    assert answer.status_code == 200
    assert "<UploadId>" in answer.text


def test_presigned_post_form(s3: Any, bucket: str, cloud: Sandbox, shared_session: Any) -> None:
    """generate_presigned_post makes a form for the pinned endpoint, region and key.

    Swift has no browser uploads (it answers 412), so the signature is checked as AWS's
    documentation of POST policies says, and that answer is seen.
    """
    post = s3.generate_presigned_post(bucket, "posted", ExpiresIn=60)
    assert post["url"] == f"{cloud.endpoint_url}/{bucket}"
    fields = post["fields"]
    key = shared_session.get_credentials().get_frozen_credentials()
    date = fields["x-amz-date"][:8]
    assert fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    assert fields["x-amz-credential"] == f"{key.access_key}/{date}/KR1/s3/aws4_request"
    signing_key = f"AWS4{key.secret_key}".encode()
    for part in (date, "KR1", "s3", "aws4_request"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    signature = hmac.digest(signing_key, fields["policy"].encode(), "sha256").hex()
    assert fields["x-amz-signature"] == signature
    form = requests.post(
        post["url"], data=fields, files={"file": b"x"}, verify=cloud.ca_bundle, timeout=30
    )
    assert form.status_code == 412, "the server has learnt it: test that it stores the file"


def test_resource_script(shared_session: Any, new_name: Callable[[], str], cloud: Sandbox) -> None:
    """A script written for boto3's resources."""
    s3 = shared_session.resource("s3")
    name = new_name()
    bucket = s3.create_bucket(Bucket=name)
    bucket.wait_until_exists()
    bucket.put_object(Key="a", Body=b"1")
    s3.Object(name, "b").put(Body=b"2", Metadata={"x": "y"})
    assert sorted(item.key for item in bucket.objects.all()) == ["a", "b"]
    assert bucket.Object("b").metadata == {"x": "y"}
    assert s3.ObjectSummary(name, "a").get()["Body"].read() == b"1"
    assert name in [item.name for item in s3.buckets.all()]
    bucket.objects.all().delete()
    bucket.delete()
    bucket.wait_until_not_exists()


def test_paginators_and_waiters(s3: Any, bucket: str) -> None:
    """Paginators go on where a page ends; waiters see what is there and what is gone."""
    for number in range(7):
        s3.put_object(Bucket=bucket, Key=f"k{number}", Body=b"")
    for operation in ("list_objects_v2", "list_objects"):
        pages = s3.get_paginator(operation).paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 3}
        )
        keys = [[item["Key"] for item in page["Contents"]] for page in pages]
        assert keys == [["k0", "k1", "k2"], ["k3", "k4", "k5"], ["k6"]]
    s3.get_waiter("bucket_exists").wait(Bucket=bucket)
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key="k0")
    s3.delete_object(Bucket=bucket, Key="k0")
    s3.get_waiter("object_not_exists").wait(Bucket=bucket, Key="k0")


def test_user_metadata_in_lower_case(s3: Any, bucket: str) -> None:
    """Names of user metadata come back in lower case, as on AWS."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"Two-Words": "Value", "x": "1"})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"two-words": "Value", "x": "1"}


def test_the_same_over_plain_http_on_loopback(shared_tenancy: Tenancy) -> None:
    """Loopback may be plain http, for Keystone and S3 alike."""
    import toast_boto

    cloud = shared_tenancy.cloud
    http = cloud.urls("http")
    session = toast_boto.Session(
        **shared_tenancy.options(auth_url=http.auth_url, endpoint_url=http.endpoint_urls["KR1"])
    )
    client = session.client("s3")
    assert client.meta.endpoint_url.startswith("http://localhost:")
    client.create_bucket(Bucket="over-http")
    client.put_object(Bucket="over-http", Key="k", Body=b"x")
    client.delete_objects(Bucket="over-http", Delete={"Objects": [{"Key": "k"}]})
    client.delete_bucket(Bucket="over-http")
