"""What goes over the wire, seen on the requests themselves."""

from __future__ import annotations

import hashlib
import io
from base64 import b64encode
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support import header, sent_requests

ACL = {
    "Owner": {"ID": "me"},
    "Grants": [
        {"Grantee": {"Type": "CanonicalUser", "ID": "me"}, "Permission": "FULL_CONTROL"},
    ],
}


def call_everything(s3: Any, bucket: str) -> None:
    """One call of each kind that the guide lists."""
    s3.list_buckets()
    s3.head_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="봄 소풍", Body=io.BytesIO(b"x"), Metadata={"a": "b"})
    s3.get_object(Bucket=bucket, Key="봄 소풍")["Body"].read()
    s3.head_object(Bucket=bucket, Key="봄 소풍")
    s3.list_objects_v2(Bucket=bucket)
    s3.list_objects(Bucket=bucket)
    s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/봄 소풍")
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.get_bucket_acl(Bucket=bucket)
    s3.get_bucket_location(Bucket=bucket)
    upload = {"Bucket": bucket, "Key": "m"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    s3.list_multipart_uploads(Bucket=bucket)
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    s3.list_parts(**upload)
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    s3.upload_fileobj(io.BytesIO(b"y" * 9_000_000), bucket, "f")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c"}, {"Key": "m"}]})
    s3.delete_object(Bucket=bucket, Key="f")
    s3.delete_object(Bucket=bucket, Key="봄 소풍")
    s3.delete_bucket(Bucket=bucket)


def test_every_request_is_pinned(s3: Any, bucket: str) -> None:
    """Signature V4 in scope KR1/s3, path style, no chunks and no checksum of AWS's newer kinds."""
    with sent_requests(s3) as sent:
        call_everything(s3, bucket)
    assert len(sent) > 20
    key = s3.meta.endpoint_url
    for request in sent:
        authorization = header(request, "Authorization")
        assert authorization.startswith("AWS4-HMAC-SHA256 Credential=")
        assert "/KR1/s3/aws4_request, " in authorization
        assert request.url == f"{key}/" or request.url.startswith(f"{key}/{bucket}")
        names = {name.lower() for name in request.headers}
        assert "aws-chunked" not in header(request, "Content-Encoding")
        assert "x-amz-trailer" not in names
        assert "transfer-encoding" not in names
        assert not any(name.startswith(("x-amz-checksum", "x-amz-sdk-checksum")) for name in names)


def test_content_md5_where_a_checksum_is_demanded(s3: Any, bucket: str) -> None:
    """DeleteObjects and PutBucketAcl carry the MD5 of their body, and nothing else does."""
    with sent_requests(s3) as sent:
        s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=ACL)
        s3.put_bucket_acl(Bucket=bucket, ACL="private")
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for request in sent[:3]:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else bytes(body)
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        assert header(request, "Content-MD5") == b64encode(digest).decode()
    assert not header(sent[3], "Content-MD5")


def test_every_operation_that_demands_a_checksum_has_md5(s3: Any, bucket: str) -> None:
    """The same for each operation of botocore's model with that demand, whatever Swift answers."""
    model = s3.meta.service_model
    demanding = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.http_checksum_required or operation.http_checksum.get(
            "requestChecksumRequired"
        ):
            demanding.append(name)
    assert {"DeleteObjects", "PutBucketAcl", "PutBucketCors", "PutObjectAcl"} <= set(demanding)
    checked = 0
    for name, arguments in {
        "PutBucketCors": {
            "CORSConfiguration": {
                "CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]
            }
        },
        "PutBucketTagging": {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}},
        "PutBucketVersioning": {"VersioningConfiguration": {"Status": "Suspended"}},
        "PutBucketPolicy": {"Policy": "{}"},
        "PutObjectAcl": {"Key": "k", "ACL": "private"},
        "PutObjectTagging": {"Key": "k", "Tagging": {"TagSet": []}},
    }.items():
        assert name in demanding
        with sent_requests(s3) as sent:
            method = next(m for m, n in s3.meta.method_to_api_mapping.items() if n == name)
            try:
                getattr(s3, method)(Bucket=bucket, **arguments)
            except ClientError as error:
                assert error.response["Error"]["Code"] in ("NotImplemented", "NoSuchKey", "404")
        assert header(sent[0], "Content-MD5")
        checked += 1
    assert checked == 6


def test_a_checksum_that_the_caller_asks_for_is_sent(s3: Any, bucket: str) -> None:
    """ChecksumAlgorithm= is the caller's own word; Content-MD5 goes beside it."""
    with sent_requests(s3) as sent:
        s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": "k"}]}, ChecksumAlgorithm="SHA256"
        )
    assert header(sent[0], "x-amz-checksum-sha256")
    assert header(sent[0], "x-amz-sdk-checksum-algorithm") == "SHA256"
    assert header(sent[0], "Content-MD5")


@pytest.mark.parametrize("body", [b"bytes", io.BytesIO(b"file"), bytearray(b"array"), ""])
def test_bodies_go_as_they_are(s3: Any, bucket: str, body: Any) -> None:
    """A PutObject's body is sent whole, with its length, whatever it is given as."""
    with sent_requests(s3) as sent:
        s3.put_object(Bucket=bucket, Key="k", Body=body)
    expected = body.getvalue() if isinstance(body, io.BytesIO) else bytes(body or b"")
    assert header(sent[0], "Content-Length") == str(len(expected))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == expected
