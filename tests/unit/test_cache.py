"""The cache file: what is trusted, what is put aside, and that it is never in the way."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import count_ours
from toast_boto._cache import Entry, FileCache, entry_name
from toast_boto._keys import EC2Key
from toast_boto.errors import CacheError, ToastBotoWarning

KEY = EC2Key("access", "the-secret", "tenant", "user", created_at="2024-10-19T08:24:46.000000Z")
ENTRY = Entry(KEY, 1700000000.5, {"KR1": "https://storage.example.com"})


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "cache", "name", "tenant")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "name.v1.json"


def test_written_and_read(cache: FileCache, path: Path) -> None:
    """What is written is read, by another process as well, with the modes that it must have."""
    assert cache.read() is None
    cache.write(ENTRY)
    entry = cache.read()
    assert entry is not None
    assert entry.key == KEY
    assert entry.key.created_at == KEY.created_at
    assert (entry.checked_at, entry.endpoints) == (ENTRY.checked_at, ENTRY.endpoints)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["name.v1.json"], "no temporary file is left"


def test_names_of_identities() -> None:
    """Each identity has a file of its own, whose name tells nothing."""
    base = ("https://a/v2.0", "tenant", "user", "Default", "Default")
    names = {entry_name(*base)}
    for index in range(5):
        other = list(base)
        other[index] += "x"
        names.add(entry_name(*other))
    names.add(entry_name("https://a/v2.0", "tenantu", "ser", "Default", "Default"))
    assert len(names) == 7
    assert all(set(name) <= set("0123456789abcdef") for name in names)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\x00\xff" * 100,
        b'{"schema": 1}',
        b'{"schema": 1, "key": {}, "checked_at": 1, "endpoints": {}}',
        b'{"schema": 1, "key": null, "checked_at": 1, "endpoints": {}}',
        b"[" * 100_000,
        b" " * 70_000,
        json.dumps(
            {"schema": 1, "checked_at": 0, "endpoints": {"KR1": 5}, "key": KEY.to_json()}
        ).encode(),
        json.dumps(
            {"schema": 1, "checked_at": "x", "endpoints": {}, "key": KEY.to_json()}
        ).encode(),
        json.dumps({"schema": 1, "checked_at": 0, "endpoints": [], "key": KEY.to_json()}).encode(),
        json.dumps(
            {"schema": 1, "checked_at": 10**400, "endpoints": {}, "key": KEY.to_json()}
        ).encode(),
        json.dumps({"schema": 2}).encode(),
        json.dumps(
            {
                "schema": 1,
                "checked_at": 0,
                "endpoints": {},
                "key": {**KEY.to_json(), "tenant_id": "another"},
            }
        ).encode(),
    ],
)
def test_damaged_files_are_put_aside(cache: FileCache, path: Path, content: bytes) -> None:
    """A file that can't be right is moved away with a warning, and never used."""
    cache.write(ENTRY)
    path.write_bytes(content)
    with pytest.warns(ToastBotoWarning, match=r"is not used, because .*moved to name\.v1\.bad"):
        assert cache.read() is None
    assert not path.exists()
    assert path.with_suffix(".bad").read_bytes() == content
    cache.write(ENTRY)
    assert cache.read() is not None


def test_newer_schema_has_another_name(cache: FileCache, path: Path) -> None:
    """Two versions of this package, with schemas of their own, leave each other's files alone."""
    cache.write(ENTRY)
    newer = path.with_name("name.v2.json")
    newer.write_text("{}")
    assert cache.read() is not None
    cache.write(ENTRY)
    assert newer.read_text() == "{}"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX file modes")
@pytest.mark.parametrize("kind", ["readable", "symlink", "directory", "fifo"])
def test_files_that_others_could_have_touched(cache: FileCache, path: Path, kind: str) -> None:
    """A file that others may read, or that is none, is not trusted."""
    cache.write(ENTRY)
    if kind == "readable":
        path.chmod(0o640)
    else:
        path.rename(path.with_name("real"))
        if kind == "symlink":
            path.symlink_to(path.with_name("real"))
        elif kind == "directory":
            path.mkdir()
        else:
            os.mkfifo(path, 0o600)
    with pytest.warns(ToastBotoWarning, match="not used, because"):
        assert cache.read() is None
    assert not path.exists()
    if kind == "readable":
        assert stat.S_IMODE(path.with_suffix(".bad").stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to chown")
def test_file_of_another_user(cache: FileCache, path: Path) -> None:
    """A file that belongs to somebody else is not trusted."""
    cache.write(ENTRY)
    os.chown(path, 12345, -1)
    with pytest.warns(ToastBotoWarning, match="belongs to another user"):
        assert cache.read() is None


@pytest.mark.parametrize("where", ["file/cache", "file", "~nobody-has-this-home/cache"])
def test_directory_that_can_not_be_made(tmp_path: Path, where: str) -> None:
    """Where no file can be written, one warning is given, and work goes on."""
    (tmp_path / "file").write_text("")
    directory = Path(where) if where.startswith("~") else tmp_path / where
    cache = FileCache(directory, "name", "tenant")
    with pytest.warns(ToastBotoWarning, match=r"TOAST_CACHE_DIR") as warned:
        with cache.lock():
            pass
        cache.write(ENTRY)
        assert cache.read() is None
    assert count_ours(warned) == 1
    with cache.lock(), pytest.raises(KeyError) as caught:
        raise KeyError("of the work that is done without the lock")
    assert caught.value.__context__ is None


def test_missing_parents_are_private_too(tmp_path: Path) -> None:
    """Directories that must be made on the way are the owner's alone as well."""
    previous = os.umask(0)
    try:
        FileCache(tmp_path / "a" / "b", "name", "tenant").write(ENTRY)
    finally:
        os.umask(previous)
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "a", tmp_path / "a" / "b")} == {
        0o700
    }


def test_lock_between_threads(cache: FileCache, tmp_path: Path) -> None:
    """Two caches of one identity exclude each other."""
    other = FileCache(tmp_path / "cache", "name", "tenant")
    inside: list[int] = []
    most: list[int] = []

    def work(which: FileCache) -> None:
        for _ in range(20):
            with which.lock():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(c,)) for c in (cache, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}


def test_lock_that_somebody_keeps(cache: FileCache, tmp_path: Path) -> None:
    """A lock that can't be had in time is a CacheError that names the file and the ways out."""
    impatient = FileCache(tmp_path / "cache", "name", "tenant", lock_seconds=0.1)
    expected = pytest.raises(CacheError, match=r"name\.lock .*TOAST_CACHE=memory")
    with cache.lock(), expected, impatient.lock():
        pass


def test_lock_of_a_killed_process(tmp_path: Path) -> None:
    """A process that dies with the lock blocks nobody."""
    script = (
        "import os, sys; from pathlib import Path; from toast_boto._cache import FileCache\n"
        "with FileCache(Path(sys.argv[1]), 'name', 'tenant').lock():\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=30, check=False)
    assert done.returncode == -9
    with FileCache(tmp_path, "name", "tenant", lock_seconds=5).lock():
        pass


def test_no_repr_shows_the_secret() -> None:
    """Keys and entries can be printed."""
    assert "the-secret" not in f"{KEY!r} {KEY} {ENTRY!r} {ENTRY}"
