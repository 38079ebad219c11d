"""Changing one profile of the AWS files, and nothing else in them."""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from toast_boto.cli._profile_files import BACKUP_SUFFIX, ProfileFile, write_all
from toast_boto.errors import ConfigurationError

NASTY = """\
# top comment – 한국어
[default]
region=us-east-1\t
; a comment of another kind
output = json

[profile  work ]
role_arn = arn:aws:iam::1:role/x
source_profile = default
s3 =
    max_concurrent_requests = 20
    # a comment in between
    addressing_style = virtual
credential_process = "/opt/with space/tool" --x=%y

[profile "with space"]
Region : eu-west-1

[services local]
s3 =
  endpoint_url = http://localhost:4566
[sso-session my]
sso_region = x
\t
[preview]
cloudsearch = true"""

CHANGES: dict[str, Any] = {
    "region": "KR1",
    "endpoint_url": "https://example.com",
    "s3": {"addressing_style": "path"},
    "toast_username": "you@example.com",
}


def opened(path: Path) -> ProfileFile:
    return ProfileFile(str(path), prefixed=True, private=False)


def changed(path: Path, text: str, name: str = "toast", changes: Any = None) -> str:
    """What a file says after a change."""
    path.write_bytes(text.encode())
    file = opened(path)
    file.change(name, changes or CHANGES)
    write_all([file])
    return path.read_bytes().decode()


def test_nothing_else_changes(tmp_path: Path) -> None:
    """All that was there stands where it stood, to the byte, and the profile comes after it."""
    after = changed(tmp_path / "config", NASTY)
    assert after.startswith(f"{NASTY}\n\n[profile toast]\nregion = KR1\n")
    assert after.endswith("s3 =\n  addressing_style = path\ntoast_username = you@example.com\n")


def test_line_ends_stay(tmp_path: Path) -> None:
    """A file with Windows' line ends keeps them, and gets no others."""
    after = changed(tmp_path / "config", NASTY.replace("\n", "\r\n"))
    assert after.count("\n") == after.count("\r\n")
    assert after.startswith(NASTY.replace("\n", "\r\n"))


def test_changing_again_changes_only_what_changed(tmp_path: Path) -> None:
    """The same change is none; another one touches its own line, wherever the section stands."""
    once = changed(tmp_path / "config", f"{NASTY}\n")
    between = (
        once.replace("[preview]", "# ours?\n[preview]") + "\n# below\n[profile z]\nregion = x\n"
    )
    file = opened(tmp_path / "config")
    file.change("toast", CHANGES)
    assert not file.changed
    after = changed(tmp_path / "config", between, changes={**CHANGES, "region": "KR2"})
    assert after == between.replace("region = KR1", "region = KR2")


def test_a_new_key_stands_with_its_section(tmp_path: Path) -> None:
    """It comes after the section's last key, before the comment that belongs to the next one."""
    text = "[profile toast]\nregion = KR1\n\n# the next one\n[profile next]\nregion = x\n"
    after = changed(tmp_path / "config", text, changes={"output": "json"})
    assert after == text.replace("KR1\n", "KR1\noutput = json\n")


def test_nested_keys_of_the_users_stay(tmp_path: Path) -> None:
    """What else stands under ``s3 =`` is kept when the style is changed."""
    text = (
        "[profile toast]\ns3 =\n    max_concurrent_requests = 20\n    addressing_style = virtual\n"
    )
    changed(tmp_path / "config", text)
    session = botocore.session.Session(profile="toast")
    session.set_config_variable("config_file", str(tmp_path / "config"))
    s3 = session.get_scoped_config()["s3"]
    assert s3 == {"max_concurrent_requests": "20", "addressing_style": "path"}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("[profile toast]", "toast"),
        ('[profile "toast"]', "toast"),
        ("[profile  toast ]", "toast"),
        ("[default]", "default"),
        ('[profile "my toast"]', "my toast"),
    ],
)
def test_sections_are_found_as_botocore_finds_them(tmp_path: Path, header: str, name: str) -> None:
    """However a profile's section is written, it is changed, and no second one is made."""
    after = changed(tmp_path / "config", f"{header}\noutput = json\n", name)
    assert after.startswith(f"{header}\noutput = json\nregion = KR1\n")
    assert after.count("[") == 1


@pytest.mark.parametrize("name", ["toast", "default", "my toast", "a.b-c@d", "한국"])
def test_new_profiles_are_found_by_botocore(tmp_path: Path, name: str) -> None:
    """A new section has the name by which botocore finds the profile."""
    changed(tmp_path / "config", NASTY.replace("[default]", "[profile other]"), name)
    session = botocore.session.Session(profile=name)
    session.set_config_variable("config_file", str(tmp_path / "config"))
    assert session.get_scoped_config()["toast_username"] == "you@example.com"


@pytest.mark.parametrize("name", ["a\nb", 'a"b', "a]\n[default", "DEFAULT", " ", "[a"])
def test_names_that_can_be_none(tmp_path: Path, name: str) -> None:
    """A name that no section can have is an error, and nothing is written."""
    (tmp_path / "config").write_text(NASTY, encoding="utf-8")
    file = opened(tmp_path / "config")
    with pytest.raises(ConfigurationError):
        file.change(name, CHANGES)
    assert not file.changed


@pytest.mark.parametrize("value", ["two\nlines", " blanks around ", "x\n[default]\nregion=y"])
def test_values_that_cannot_stand_there(tmp_path: Path, value: str) -> None:
    """A value that would be read as another one is an error, and nothing is changed."""
    file = opened(tmp_path / "config")
    with pytest.raises(ConfigurationError) as caught:
        file.change("toast", {"toast_password": value})
    assert value not in str(caught.value)
    assert not file.changed


@pytest.mark.parametrize(
    "text", ["no section\n", "[a]\nx = 1\n[a]\ny = 2\n", "[a]\nx = 1\nx = 2\n"]
)
def test_broken_files_are_left_alone(tmp_path: Path, text: str) -> None:
    """A file that is none is an error that does not quote it."""
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    message = r"config is no valid AWS file \(line \d\)"
    with pytest.raises(ConfigurationError, match=message) as caught:
        opened(path).change("toast", CHANGES)
    assert "no section" not in str(caught.value)
    assert path.read_text(encoding="utf-8") == text


def test_other_encodings_are_left_alone(tmp_path: Path) -> None:
    """A file that can't be read in this locale is an error, as it is for botocore."""
    (tmp_path / "config").write_bytes(b"[default]\n# \xff\xfe\n")
    with pytest.raises(ConfigurationError, match="not in utf-8"):
        opened(tmp_path / "config")


def test_modes_links_and_backups(tmp_path: Path) -> None:
    """The mode stays, a link stays a link, and the file of before is kept, for its owner alone."""
    target = tmp_path / "dotfiles" / "aws-config"
    target.parent.mkdir()
    target.write_text(NASTY, encoding="utf-8")
    target.chmod(0o644)
    link = tmp_path / "config"
    link.symlink_to(target)
    file = opened(link)
    file.change("toast", CHANGES)
    write_all([file])
    backup = file.backup
    assert backup is not None
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o644
    assert backup == target.with_name(f"aws-config{BACKUP_SUFFIX}")
    assert backup.read_text(encoding="utf-8") == NASTY
    assert backup.stat().st_mode & 0o777 == 0o600


def test_private_files_become_private(tmp_path: Path) -> None:
    """The credentials file is 0600 when it has been written, whatever it was before."""
    path = tmp_path / "new" / "credentials"
    for _ in range(2):
        file = ProfileFile(str(path), prefixed=False, private=True)
        file.change("toast", {"toast_password": os.urandom(8).hex()})
        write_all([file])
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        path.chmod(0o644)


def test_the_diff_of_a_private_file_shows_no_value(tmp_path: Path) -> None:
    """Neither the new password nor the keys around it."""
    path = tmp_path / "credentials"
    path.write_text("[a]\naws_secret_access_key = old-secret\n", encoding="utf-8")
    file = ProfileFile(str(path), prefixed=False, private=True)
    file.change("a", {"toast_password": "new=secret:-x"})
    assert "+toast_password = ***" in file.diff()
    assert "secret:" not in file.diff() and "old-secret" not in file.diff()


def test_the_diff_of_the_other_file_shows_no_secret(tmp_path: Path) -> None:
    """What somebody keeps in the config file is left out by its key, the lines that go on too."""
    path = tmp_path / "config"
    path.write_text(
        "[profile toast]\ntoast_password = hand-written\naws_secret_access_key = of-aws\n"
        "aws_session_token = first\n   second-half\noutput = json\n[profile z]\npassword : elses\n",
        encoding="utf-8",
    )
    file = opened(path)
    file.change("toast", {"toast_password": None, "aws_session_token": None, "region": "KR1"})
    shown = file.diff()
    assert "-toast_password = ***\n" in shown and "-aws_session_token = ***\n" in shown
    assert "+region = KR1\n" in shown and " output = json\n" in shown
    for secret in ("hand-written", "of-aws", "first", "second-half", "elses"):
        assert secret not in shown


def test_the_diff_shows_no_secret_that_is_commented_out(tmp_path: Path) -> None:
    """A line that somebody has put out of use is as secret as it was."""
    text = "[toast]\n# toast_password = hunter2\n;aws_secret_access_key = wJalr\n# a note\n"
    for private in (True, False):
        path = tmp_path / "file"
        path.write_text(text, encoding="utf-8")
        file = ProfileFile(str(path), prefixed=not private, private=private)
        file.change("toast", {"region": "KR1"})
        assert "hunter2" not in file.diff() and "wJalr" not in file.diff()
        assert ("a note" in file.diff()) != private


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    """AWS_CONFIG_FILE=/dev/null is an idiom; the device stays one, and a pipe is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/null"), tmp_path / "pipe", tmp_path):
        with pytest.raises(ConfigurationError, match="is no regular file"):
            opened(path)


def test_odd_line_ends_hide_no_secret(tmp_path: Path) -> None:
    """What only Python takes for a line's end does not bring a password to light."""
    file = ProfileFile(str(tmp_path / "credentials"), prefixed=False, private=True)
    file.change("toast", {"toast_password": "abc\u2028tail\u0085end"})
    assert file.diff().count("\n") == 5
    assert file.diff().splitlines()[3:] == ["+[toast]", "+toast_password = ***"]


def test_comments_inside_of_nested_keys_stay(tmp_path: Path) -> None:
    """The user's notes under ``s3 =`` are kept where they stand."""
    text = "[profile toast]\ns3 =\n    a = 1\n    # why\n    b = 2\nregion = x\n"
    after = changed(tmp_path / "config", text, changes={"s3": {"addressing_style": "path"}})
    assert after == text.replace("b = 2\n", "b = 2\n    addressing_style = path\n")


def test_all_files_are_written_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the second can't be put in its place, the first is as it was, and no scrap is left."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("[toast]\naws_access_key_id = AKIA\n", encoding="utf-8")
    files = [
        ProfileFile(str(first), prefixed=False, private=True),
        ProfileFile(str(second), prefixed=False, private=True),
    ]
    for file in files:
        file.change("toast", {"aws_access_key_id": None, "toast_password": "x"})
    second.mkdir()  # nothing can take the place of a directory
    with pytest.raises(ConfigurationError, match=r"second can't be written .* Nothing was changed"):
        write_all(files)
    assert "AKIA" in first.read_text(encoding="utf-8")
    left = {path.name for path in tmp_path.iterdir()} - {"home"}
    assert left == {"first", f"first{BACKUP_SUFFIX}", "second"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes other people's files")
def test_the_owner_stays(tmp_path: Path) -> None:
    """Root, with somebody's home, leaves them their files."""
    path = tmp_path / "credentials"
    path.write_text("[a]\nx = 1\n", encoding="utf-8")
    os.chown(path, 1234, 1234)
    file = ProfileFile(str(path), prefixed=False, private=True)
    file.change("toast", {"toast_password": "x"})
    write_all([file])
    for written in (path, file.backup):
        assert written is not None
        assert (written.stat().st_uid, written.stat().st_gid) == (1234, 1234)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """Where the file can't be replaced the error says so, and it is as it was."""
    path = tmp_path / "directory" / "config"
    file = opened(path)
    (tmp_path / "directory").write_text("a file")
    file.change("toast", CHANGES)
    with pytest.raises(ConfigurationError, match="can't be written"):
        write_all([file])


_line = st.sampled_from(
    ["", "  ", "# c", "; c", "a = 1", "b=2", "c : x", "d =", "  nested = 1", "\tnested = 2",
     "e = %x", "f = [x]", "g = # no comment"]
)  # fmt: skip
_section = st.tuples(
    st.sampled_from(["[profile p1]", "[p2]", '[profile "p 3"]', "[services s]", "[profile toast]"]),
    st.lists(_line, max_size=6),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("[profile p1]", ["", "# c", "a = 1", "# c", "  nested = 1"])], False)
@example([("[profile p1]", ["# c", "a = 1", "# c", "  nested = 1"])], False)
@given(st.lists(_section, max_size=4, unique_by=lambda s: s[0]), st.booleans())
def test_any_file(tmp_path: Path, sections: list[tuple[str, list[str]]], ends: bool) -> None:
    """Whatever botocore can read, the change is there and all else as it was; or nothing is."""
    text = "\n".join(line for header, lines in sections for line in (header, *lines))
    text += "\n" if ends and text else ""
    before = configparser.RawConfigParser()
    try:
        before.read_string(text)
    except configparser.Error:
        return
    path = tmp_path / "config"
    try:
        after_text = changed(path, text)
    except ConfigurationError:
        # Values that go on behind a comment or a blank line, which older ConfigUpdaters lose.
        assert {"  nested = 1", "\tnested = 2"} & {line for _, lines in sections for line in lines}
        assert path.read_bytes().decode() == text
        return
    after = configparser.RawConfigParser()
    after.read_string(after_text)
    assert after["profile toast"]["toast_username"] == "you@example.com"
    for name in before.sections():
        if name != "profile toast":
            assert dict(after[name]) == dict(before[name])
    kept = iter(after_text.splitlines())
    assert all(line in kept for line in text.splitlines() if not line.startswith("  "))
