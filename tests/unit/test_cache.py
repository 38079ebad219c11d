"""The cache file: what is trusted, what is put aside, and that it is never in the way."""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import count_ours
from toast_boto._cache import Entry, FileCache, entry_name
from toast_boto._keys import EC2Key
from toast_boto._notes import Notes, Refusal
from toast_boto.errors import CacheError, ToastBotoError, ToastBotoWarning

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


# -- trouble under way


def test_good_file_that_came_meanwhile(cache: FileCache, path: Path) -> None:
    """A damaged file that another process has just replaced by a good one is not put aside."""
    cache.write(ENTRY)
    good = path.read_bytes()

    class Replaced(FileCache):
        def _parse(self, data: bytes) -> Entry:
            path.unlink()
            path.touch(mode=0o600)
            path.write_bytes(good)
            raise ValueError("what was read was damaged")

    path.write_text("{")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Replaced(path.parent, "name", "tenant").read() is None
    assert path.read_bytes() == good
    assert cache.read() is not None


@pytest.mark.parametrize("when", ["before", "locked", "written"])
def test_directory_that_is_removed_under_way(cache: FileCache, path: Path, when: str) -> None:
    """A directory that somebody removes is made again, and nothing is raised."""
    cache.write(ENTRY)
    if when == "before":
        shutil.rmtree(path.parent)
    with cache.lock():
        if when == "locked":
            shutil.rmtree(path.parent)
        cache.write(ENTRY)
        if when == "written":
            shutil.rmtree(path.parent)
    assert (cache.read() is None) is (when == "written")
    with cache.lock():
        cache.write(ENTRY)
    assert cache.read() is not None


FULL = """
import os, resource, signal, sys, warnings
from pathlib import Path
from tests.unit.test_cache import ENTRY
from toast_boto._cache import FileCache
from toast_boto._notes import Notes, Refusal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
cache = FileCache(Path(sys.argv[1]), "name", "tenant")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    with cache.lock():
        cache.write(ENTRY)
        cache.write(ENTRY)
        notes = Notes(Path(sys.argv[1]) / "name.notes")
        notes.asked("access", Refusal.DENIED)
        assert not notes.may_ask("access", Refusal.DENIED)
print(len(warned), "can't be written" in str(warned[0].message), cache.read() is not None)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX resource limits")
@pytest.mark.parametrize("there", [False, True])
def test_no_room_for_the_file(tmp_path: Path, there: bool) -> None:
    """When it can't be written, the file that was there stays, and no half of one is left."""
    directory = tmp_path / "cache"
    if there:
        FileCache(directory, "name", "tenant").write(ENTRY)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(directory)],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.split() == ["1", "True", str(there)], done.stderr
    left = {p.name for p in directory.iterdir()} - {"name.lock"}
    assert left == ({"name.v1.json"} if there else set())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to mount")
def test_disk_that_is_full(tmp_path: Path) -> None:
    """The same on a file system without room, where one can be mounted."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=8,mode=700", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (tmp_path / "filling").write_bytes(bytes(4096))
        cache = FileCache(tmp_path, "name", "tenant")
        with pytest.warns(ToastBotoWarning, match="No space left"), cache.lock():
            cache.write(ENTRY)
        assert not list(tmp_path.glob("*.json"))
        assert not list(tmp_path.glob(".name*"))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to mount")
def test_home_that_is_read_only(tmp_path: Path) -> None:
    """On a read-only file system one warning is given, and the file there is still read."""
    (tmp_path / "mounted").mkdir()
    FileCache(tmp_path / "mounted", "name", "tenant").write(ENTRY)
    bind = ["mount", "--bind", str(tmp_path / "mounted"), str(tmp_path / "mounted")]
    if subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        again = ["mount", "-o", "remount,bind,ro", str(tmp_path / "mounted")]
        if subprocess.run(again, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        cache = FileCache(tmp_path / "mounted", "name", "tenant")
        with pytest.warns(ToastBotoWarning, match="Read-only file system") as warned, cache.lock():
            cache.write(ENTRY)
            assert cache.read() is not None
        assert count_ours(warned) == 1
    finally:
        subprocess.run(["umount", str(tmp_path / "mounted")], check=True)


def test_notes_that_can_not_be_written(tmp_path: Path) -> None:
    """A process then goes by its own notes, and by everybody's again when it can."""
    path = tmp_path / "gone" / "name.notes"
    notes = Notes(path)
    notes.asked("a", Refusal.DENIED)
    assert not notes.may_ask("a", Refusal.DENIED)
    assert Notes(path).may_ask("a", Refusal.DENIED)
    path.parent.mkdir()
    notes.asked("b", Refusal.DENIED)
    assert not Notes(path).may_ask("b", Refusal.DENIED)
    Notes(path).asked("c", Refusal.DENIED)
    assert not notes.may_ask("c", Refusal.DENIED)


def test_clock_that_was_set_back(cache: FileCache) -> None:
    """An entry of the future is an entry: a key does not get old."""
    cache.write(Entry(KEY, 9_999_999_999.0, {}))
    entry = cache.read()
    assert entry is not None
    assert entry.checked_at == 9_999_999_999.0


# -- anything at all

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
GOOD = {
    "schema": 1,
    "checked_at": 5.0,
    "endpoints": {"KR1": "https://a"},
    "key": KEY.to_json(),
}


def damaged(data: st.DataObject) -> bytes:
    """An entry in which one thing is something else."""
    fields = json.loads(json.dumps(GOOD))
    where = fields if data.draw(st.booleans()) else fields["key"]
    name = data.draw(st.sampled_from(sorted(where)))
    if data.draw(st.booleans()):
        del where[name]
    else:
        where[name] = data.draw(json_values)
    return json.dumps(fields).encode()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_content(cache: FileCache, path: Path, data: st.DataObject) -> None:
    """Whatever stands in the file: no error, and what is trusted is a whole key of this tenant."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(data.draw(st.binary(max_size=200)) if data.draw(st.booleans())
                     else damaged(data))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToastBotoWarning)
        entry = cache.read()
    if entry is None:
        assert not path.exists()
        return
    assert entry.key.tenant_id == "tenant"
    assert entry.key.access
    assert entry.key.secret
    assert math.isfinite(entry.checked_at)


any_notes = json_values.map(lambda value: {"asked": value, "failure": value}) | json_values.map(
    lambda value: {
        "asked": {"access": "a", "denied": value},
        "failure": {"at": value, "kind": value},
    }
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=100) | any_notes.map(lambda note: json.dumps(note).encode()))
def test_any_notes(tmp_path: Path, content: bytes) -> None:
    """Notes are a courtesy: whatever stands there, Keystone may be asked, or not, and no more."""
    path = tmp_path / "notes"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
    notes = Notes(path)
    notes.may_ask("a", Refusal.DENIED)
    assert isinstance(notes.failure_since(0.0), ToastBotoError | None)
    notes.asked("a", Refusal.DENIED)
    assert not notes.may_ask("a", Refusal.DENIED)
    assert notes.may_ask("b", Refusal.DENIED)
