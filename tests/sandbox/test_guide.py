"""The 20 S3 methods of the service's guide, and ListBuckets, in stock boto3 calls over HTTPS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from tests.support import Tenancy

PART = b"p" * (5 * 1024 * 1024)


def etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def test_create_bucket(s3: Any, new_name: Callable[[], str]) -> None:
    """CreateBucket answers 200 with the bucket's Location, as the guide's sample."""
    name = new_name()
    answer = s3.create_bucket(Bucket=name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["Location"] == f"/{name}"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert {"x-amz-id-2", "x-amz-request-id", "x-trans-id", "x-openstack-request-id"} <= set(
        headers
    )
    assert answer["ResponseMetadata"]["RequestId"] == headers["x-amz-request-id"]


def test_list_buckets(s3: Any, bucket: str) -> None:
    """ListBuckets shows name and creation date."""
    answer = s3.list_buckets()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    found = {item["Name"]: item["CreationDate"] for item in answer["Buckets"]}
    assert isinstance(found[bucket], datetime)


def test_head_bucket(s3: Any, bucket: str, new_name: Callable[[], str]) -> None:
    """HeadBucket tells a bucket that is there from one that is not."""
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError) as caught:
        s3.head_bucket(Bucket=new_name())
    assert caught.value.response["Error"]["Code"] == "404"


def test_delete_bucket(s3: Any, bucket: str) -> None:
    """DeleteBucket answers 204, and 409 while something is in it."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.delete_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.list_objects_v2(Bucket=bucket)


def test_bucket_acl(s3: Any, bucket: str, shared_tenancy: Tenancy) -> None:
    """PutBucketAcl opens a bucket to readers without a key and closes it; GetBucketAcl answers.

    Swift 2.38 lists the owner's grant alone, whatever else is granted, so the effect is looked at.
    """
    cloud = shared_tenancy.cloud
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = f"{cloud.endpoint_url}/v1/AUTH_{shared_tenancy.tenant_id}/{bucket}/k"
    for acl, status in (("public-read", 200), ("private", 401)):
        answer = s3.put_bucket_acl(Bucket=bucket, ACL=acl)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert requests.get(url, verify=cloud.ca_bundle, timeout=30).status_code == status
    answer = s3.get_bucket_acl(Bucket=bucket)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert [grant["Permission"] for grant in answer["Grants"]] == ["FULL_CONTROL"]
    s3.put_bucket_acl(
        Bucket=bucket, AccessControlPolicy={"Owner": answer["Owner"], "Grants": answer["Grants"]}
    )


def test_get_bucket_location(s3: Any, bucket: str) -> None:
    """GetBucketLocation names the region."""
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "KR1"


@pytest.mark.parametrize("method", ["list_objects", "list_objects_v2"])
def test_list_objects(s3: Any, bucket: str, method: str) -> None:
    """ListObjects in both versions, with the fields that the guide lists."""
    bodies = {"a/1": b"one", "a/2": b"two", "b": b"three"}
    for key, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    answer = getattr(s3, method)(Bucket=bucket)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert (answer["Name"], answer["Prefix"], answer["MaxKeys"]) == (bucket, "", 1000)
    assert answer["IsTruncated"] is False
    if method == "list_objects_v2":
        assert answer["KeyCount"] == 3
    for item in answer["Contents"]:
        body = bodies.pop(item["Key"])
        assert item["ETag"] == etag(body)
        assert item["Size"] == len(body)
        assert item["StorageClass"] == "STANDARD"
        assert isinstance(item["LastModified"], datetime)
    assert not bodies
    folders = getattr(s3, method)(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in folders["CommonPrefixes"]] == ["a/"]
    assert [c["Key"] for c in getattr(s3, method)(Bucket=bucket, Prefix="a/")["Contents"]] == [
        "a/1",
        "a/2",
    ]


def test_put_get_head_object(s3: Any, bucket: str) -> None:
    """PutObject, GetObject and HeadObject, with the fields that the guide lists."""
    body = b"\x00\xff" * 1000
    put = s3.put_object(
        Bucket=bucket, Key="k", Body=body, ContentType="image/jpeg", Metadata={"two-words": "v"}
    )
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert put["ETag"] == etag(body)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body
    for answer in (got, s3.head_object(Bucket=bucket, Key="k")):
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert isinstance(answer["LastModified"], datetime)
        assert answer["ContentLength"] == len(body)
        assert answer["ETag"] == etag(body)
        assert answer["ContentType"] == "image/jpeg"
        assert answer["Metadata"] == {"two-words": "v"}


def test_copy_object(s3: Any, bucket: str) -> None:
    """CopyObject keeps content and metadata, or replaces the metadata."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", Metadata={"a": "1"})
    source = {"Bucket": bucket, "Key": "k"}
    answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert answer["CopyObjectResult"]["ETag"] == etag(b"body")
    copy = s3.get_object(Bucket=bucket, Key="copy")
    assert (copy["Body"].read(), copy["Metadata"]) == (b"body", {"a": "1"})
    s3.copy_object(
        Bucket=bucket, Key="k", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}
    )
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"b": "2"}


def test_delete_object(s3: Any, bucket: str) -> None:
    """DeleteObject answers 204, then there is no such key."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="k")


def test_delete_objects(s3: Any, bucket: str) -> None:
    """DeleteObjects deletes many at once, and tells which."""
    keys = ["a", "b c", "봄/소풍"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert sorted(item["Key"] for item in answer["Deleted"]) == sorted(keys)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_multipart_upload(s3: Any, bucket: str) -> None:
    """Create, UploadPart, UploadPartCopy, ListParts, ListMultipartUploads and Complete."""
    s3.put_object(Bucket=bucket, Key="source", Body=b"s" * 1000)
    upload = {"Bucket": bucket, "Key": "big"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, Metadata={"m": "1"})["UploadId"]
    uploads = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [(item["Key"], item["UploadId"]) for item in uploads] == [("big", upload["UploadId"])]
    first = s3.upload_part(**upload, PartNumber=1, Body=PART)
    assert first["ETag"] == etag(PART)
    second = s3.upload_part_copy(
        **upload, PartNumber=2, CopySource={"Bucket": bucket, "Key": "source"}
    )
    parts = [
        {"PartNumber": 1, "ETag": first["ETag"]},
        {"PartNumber": 2, "ETag": second["CopyPartResult"]["ETag"]},
    ]
    listed = s3.list_parts(**upload)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, len(PART)), (2, 1000)]
    answer = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert answer["ETag"].endswith('-2"')
    got = s3.get_object(Bucket=bucket, Key="big")
    assert got["Body"].read() == PART + b"s" * 1000
    assert got["Metadata"] == {"m": "1"}
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_abort_multipart_upload(s3: Any, bucket: str) -> None:
    """AbortMultipartUpload answers 204 and leaves nothing."""
    upload = {"Bucket": bucket, "Key": "big"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    s3.upload_part(**upload, PartNumber=1, Body=b"x")
    answer = s3.abort_multipart_upload(**upload)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(s3.exceptions.NoSuchUpload):
        s3.list_parts(**upload)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
