"""What everything that reads AWS profiles does with one that `toast-boto configure` wrote.

The programs run in processes of their own, over HTTPS, with AWS_PROFILE and nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support import Tenancy, Watch, profile_text, run_cli, write_profile

MEGABYTES_30 = os.urandom(1024 * 1024) * 30
Run = Callable[..., str]


@pytest.fixture
def tenancy_of_profile(
    tenancy: Tenancy, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> Tenancy:
    """A profile that `configure` has written, and AWS_PROFILE that names it."""
    write_profile(
        clean_environment, "toast", profile_text(tenancy), f"toast_password = {tenancy.password}\n"
    )
    done = run_cli("configure", "--no-input")
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("AWS_PROFILE", "toast")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    return tenancy


@pytest.fixture
def run(tenancy_of_profile: Tenancy, tmp_path: Path) -> Run:
    """Runs a command, which must succeed; answers its output."""

    def run_it(*command: str, code: int = 0) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=150, cwd=tmp_path
        )
        assert done.returncode == code, done.stderr
        assert "warning" not in done.stderr.lower()
        return done.stdout

    return run_it


@pytest.fixture
def aws(run: Run) -> Run:
    """The AWS CLI."""
    path = shutil.which("aws", path=str(Path(sys.executable).parent))
    assert path is not None
    return lambda *words: run(path, *words)


@pytest.fixture
def python(run: Run) -> Run:
    """A Python script."""
    return lambda script: run(sys.executable, "-c", textwrap.dedent(script))


def test_aws_cli(aws: Run, tmp_path: Path, tenancy_of_profile: Tenancy) -> None:
    """Buckets, 30 MB both ways, sync, ls, presign, delete-objects, rm and rb."""
    (tmp_path / "big").write_bytes(MEGABYTES_30)
    for name in ("a.txt", "b.txt", "사진 1.txt"):
        (tmp_path / "tree" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "tree" / name).write_text(name, encoding="utf-8")
    watch = Watch(tenancy_of_profile.cloud)
    assert aws("s3", "mb", "s3://cli") == "make_bucket: cli\n"
    aws("s3", "cp", "--no-progress", "big", "s3://cli/big")
    aws("s3", "cp", "--no-progress", "s3://cli/big", "back")
    assert (tmp_path / "back").read_bytes() == MEGABYTES_30
    aws("s3", "sync", "--no-progress", "tree", "s3://cli/tree")
    aws("s3", "sync", "--no-progress", "s3://cli/tree", "tree2")
    assert (tmp_path / "tree2" / "사진 1.txt").read_text(encoding="utf-8") == "사진 1.txt"
    listed = aws("s3", "ls", "--recursive", "s3://cli")
    assert [line.split(maxsplit=3)[3] for line in listed.splitlines()] == [
        "big", "tree/a.txt", "tree/b.txt", "tree/사진 1.txt",
    ]  # fmt: skip
    url = aws("s3", "presign", "s3://cli/tree/a.txt").strip()
    bundle = tenancy_of_profile.cloud.ca_bundle
    assert requests.get(url, verify=bundle, timeout=30).text == "a.txt"
    deleted = aws(
        "s3api", "delete-objects", "--bucket", "cli", "--delete", "Objects=[{Key=tree/a.txt}]"
    )
    assert '"Key": "tree/a.txt"' in deleted
    aws("s3", "rm", "--recursive", "s3://cli")
    aws("s3", "rb", "s3://cli")
    assert aws("s3", "ls") == ""
    # Eleven commands, one login, one key.
    assert watch.identity() == ["login", "list", "create", "list"]


def test_boto3(python: Run) -> None:
    """Stock boto3: a client and a resource, multipart, presigned, paginated, bulk delete."""
    python(
        """
        import boto3, io
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="boto3")
        s3.upload_fileobj(io.BytesIO(b"x" * 30_000_000), "boto3", "한글 key")
        assert s3.head_object(Bucket="boto3", Key="한글 key")["ContentLength"] == 30_000_000
        bucket = boto3.resource("s3").Bucket("boto3")
        assert [o.key for o in bucket.objects.all()] == ["한글 key"]
        bucket.objects.delete()
        bucket.delete()
        """
    )


def test_s3fs(python: Run) -> None:
    """s3fs, which is aiobotocore: write, read, list, recursive removal."""
    python(
        """
        import s3fs
        fs = s3fs.S3FileSystem()
        fs.mkdir("fsspec")
        with fs.open("fsspec/dir/a b.bin", "wb") as file:
            file.write(b"x" * 12_000_000)
        assert fs.cat("fsspec/dir/a b.bin") == b"x" * 12_000_000
        assert fs.ls("fsspec/dir") == ["fsspec/dir/a b.bin"]
        fs.rm("fsspec", recursive=True)
        assert not fs.exists("fsspec")
        """
    )


def test_pandas(python: Run) -> None:
    """A data frame to an s3:// URL and back."""
    python(
        """
        import boto3, pandas
        boto3.client("s3").create_bucket(Bucket="pandas")
        frame = pandas.DataFrame({"name": ["서울", "Tokyo"], "n": [1, 2]})
        frame.to_csv("s3://pandas/frame.csv", index=False)
        assert pandas.read_csv("s3://pandas/frame.csv").equals(frame)
        """
    )


def test_smart_open(python: Run) -> None:
    """A stream that is larger than a part, and a text."""
    python(
        """
        import boto3, smart_open
        boto3.client("s3").create_bucket(Bucket="smart")
        with smart_open.open("s3://smart/stream", "wb") as file:
            for _ in range(12):
                file.write(b"y" * 1_000_000)
        with smart_open.open("s3://smart/stream", "rb") as file:
            assert file.read() == b"y" * 12_000_000
        """
    )


def test_aiobotocore_beside_install(python: Run) -> None:
    """An installed toast_boto leaves asynchronous sessions alone; they work by the profile."""
    python(
        """
        import asyncio, boto3, toast_boto
        from aiobotocore.session import get_session
        toast_boto.install()

        async def main():
            session = get_session()
            assert not {"create_client", "get_credentials"} & set(vars(session))
            async with session.create_client("s3") as s3:
                return await s3.list_buckets()

        assert asyncio.run(main())["Buckets"] == boto3.client("s3").list_buckets()["Buckets"]
        """
    )


def test_exec_of_the_aws_cli(aws: Run, run: Run) -> None:
    """A program that gets the key by its environment, and reads no profile."""
    aws("s3", "mb", "s3://by-exec")
    path = str(Path(sys.executable).parent / "aws")
    listed = run(sys.executable, "-m", "toast_boto", "exec", "--", path, "s3", "ls")
    assert listed.split()[-1] == "by-exec"
