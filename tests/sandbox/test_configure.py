"""`toast-boto configure`: asks, proves, and writes a profile that everything can use."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.support import Tenancy, Watch, profile_text, run_cli, write_profile
from tests.terminal import Terminal
from toast_boto._profiles import read_profile


def flags(tenancy: Tenancy, **changes: str) -> list[str]:
    """The flags of a login, for a script."""
    given = {
        "auth-url": tenancy.cloud.auth_url,
        "username": tenancy.username,
        "tenant-id": tenancy.tenant_id,
        "ca-bundle": tenancy.cloud.ca_bundle,
        **changes,
    }
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return ["configure", "--no-input", *words]


@pytest.fixture
def password(tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch) -> str:
    """The password in the environment, as a script has it."""
    monkeypatch.setenv("TOAST_PASSWORD", tenancy.password)
    return tenancy.password


def files(home: Path) -> dict[str, str]:
    """What the AWS files say; without the cache."""
    found = (home / ".aws").glob("*") if (home / ".aws").exists() else ()
    return {path.name: path.read_text(encoding="utf-8") for path in found if path.is_file()}


def test_by_flags(tenancy: Tenancy, password: str, clean_environment: Path) -> None:
    """A script gets the whole profile by one command, and stock boto3 works with it alone."""
    done = run_cli(*flags(tenancy))
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert f"logged in: user ID {tenancy.user_id}" in done.stderr
    assert password not in done.stderr
    written = files(clean_environment)
    command = read_profile("toast").values["credential_process"][0]
    words = shlex.split(command)
    assert written["config"] == (
        "[profile toast]\n"
        "region = KR1\n"
        f"endpoint_url = {tenancy.cloud.endpoint_url}\n"
        f"credential_process = {command}\n"
        "request_checksum_calculation = when_required\n"
        "response_checksum_validation = when_required\n"
        "s3 =\n"
        "  addressing_style = path\n"
        f"toast_auth_url = {tenancy.cloud.auth_url}\n"
        f"toast_username = {tenancy.username}\n"
        f"toast_tenant_id = {tenancy.tenant_id}\n"
        f"ca_bundle = {tenancy.cloud.ca_bundle}\n"
    )
    assert Path(words[0]).is_absolute()
    assert words[1:] == ["credential-process", "--profile", "toast"]
    assert written["credentials"] == f"[toast]\ntoast_password = {password}\n"
    for name in written:
        assert (clean_environment / ".aws" / name).stat().st_mode & 0o777 == 0o600
    s3 = boto3.Session(profile_name="toast").client("s3")
    s3.create_bucket(Bucket="by-profile")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["by-profile"]


def test_again(tenancy: Tenancy, password: str, clean_environment: Path) -> None:
    """Nothing changes the second time, without a flag; one flag changes one line."""
    run_cli(*flags(tenancy))
    before = files(clean_environment)
    done = run_cli("configure", "--no-input", environ={"TOAST_PASSWORD": ""})
    assert done.returncode == 0, done.stderr
    assert "up to date; nothing was changed" in done.stderr
    assert files(clean_environment) == before
    done = run_cli("configure", "--no-input", "--region", "kr2")
    assert done.returncode == 0, done.stderr
    after = files(clean_environment)
    changed = before["config"].replace(
        tenancy.cloud.endpoint_url, tenancy.cloud.endpoint_urls["KR2"]
    )
    assert after["config"] == changed.replace("region = KR1", "region = KR2")
    assert after["credentials"] == before["credentials"]
    assert after["config.toast-boto.bak"] == before["config"]


def test_other_settings_stand_in_the_profile(
    tenancy: Tenancy, password: str, clean_environment: Path
) -> None:
    """Whatever option a flag gives is written, and stays when it is run again without."""
    endpoint = tenancy.cloud.endpoint_urls["KR2"].replace("localhost", "127.0.0.1")
    more = {"key-policy": "reuse", "identity-timeout": "30", "endpoint-url": endpoint}
    assert run_cli(*flags(tenancy, **more)).returncode == 0
    done = run_cli("configure", "--no-input")
    assert "nothing was changed" in done.stderr
    text = files(clean_environment)["config"]
    assert "toast_key_policy = reuse\n" in text
    assert "toast_identity_timeout = 30\n" in text
    assert f"endpoint_url = {endpoint}\n" in text
    assert f"the endpoint {endpoint} stays" in done.stderr


def test_paths_are_whole(
    tenancy: Tenancy, password: str, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative CA bundle or cache directory is written as the programs elsewhere need it."""
    monkeypatch.chdir(clean_environment)
    Path("ca.pem").write_bytes(Path(tenancy.cloud.ca_bundle).read_bytes())
    done = run_cli(*flags(tenancy, **{"ca-bundle": "ca.pem", "cache": "./keys"}))
    assert done.returncode == 0, done.stderr
    text = files(clean_environment)["config"]
    assert f"ca_bundle = {clean_environment}/ca.pem\n" in text
    assert f"toast_cache = {clean_environment}/keys\n" in text


def test_a_password_of_the_config_file_moves(
    tenancy: Tenancy, clean_environment: Path, password: str
) -> None:
    """One that was written where others may read it goes into the credentials file."""
    write_profile(clean_environment, "toast", profile_text(tenancy) + "toast_password = old\n")
    done = run_cli("configure", "--no-input")
    assert done.returncode == 0, done.stderr
    assert "toast_password" not in files(clean_environment)["config"]
    assert f"toast_password = {password}" in files(clean_environment)["credentials"]


def test_what_would_win_goes(tenancy: Tenancy, password: str, clean_environment: Path) -> None:
    """A key of the credentials file, which counts more than the config file's, is taken out."""
    s3 = "s3 =\n    max_concurrent_requests = 20\n"
    more = f"endpoint_url = https://old.example.com\ntoast_username = old\n{s3}other = stays\n"
    write_profile(clean_environment, "toast", profile_text(tenancy), more)
    assert run_cli(*flags(tenancy)).returncode == 0
    assert files(clean_environment)["credentials"] == (
        f"[toast]\n{s3}    addressing_style = path\nother = stays\ntoast_password = {password}\n"
    )
    boto3.Session(profile_name="toast").client("s3").list_buckets()


def test_a_chosen_endpoint_is_of_one_cloud(
    tenancy: Tenancy, password: str, clean_environment: Path
) -> None:
    """One that was chosen for another identity service does not stay."""
    endpoint = "https://elsewhere.example.com"
    assert run_cli(*flags(tenancy, **{"endpoint-url": endpoint})).returncode == 0
    other = tenancy.cloud.auth_url.replace("localhost", "127.0.0.1")
    assert run_cli(*flags(tenancy, **{"auth-url": other})).returncode == 0
    text = files(clean_environment)["config"]
    assert endpoint not in text and "endpoint_url = " in text


def test_a_dry_run(tenancy: Tenancy, password: str, clean_environment: Path) -> None:
    """It logs in, shows what would change without the password, and writes nothing."""
    watch = Watch(tenancy.cloud)
    done = run_cli(*flags(tenancy), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert watch.identity() == ["login"]
    assert "+[profile toast]\n+region = KR1\n" in done.stdout
    assert "+toast_password = ***\n" in done.stdout
    assert password not in done.stdout + done.stderr
    assert files(clean_environment) == {}


@pytest.mark.parametrize(
    ("config", "credentials", "text"),
    [
        ("role_arn = arn:aws:iam::1:role/x\nsource_profile = default\n", "", "role_arn"),
        ("region = us-east-1\n", "", "no toast_* keys"),
        ("toast_username = you\n", "aws_access_key_id = AKIA\n", "aws_access_key_id"),
    ],
)
def test_somebody_elses_profile(
    tenancy: Tenancy, password: str, clean_environment: Path, config: str, credentials: str,
    text: str,
) -> None:  # fmt: skip
    """It is refused before anybody is asked, and nothing is lost; --force takes it over."""
    write_profile(clean_environment, "toast", config, credentials)
    before, watch = files(clean_environment), Watch(tenancy.cloud)
    done = run_cli(*flags(tenancy))
    assert done.returncode == 2
    assert text in done.stderr and "--force" in done.stderr and "--profile" in done.stderr
    assert files(clean_environment) == before
    assert watch.identity() == []
    done = run_cli(*flags(tenancy), "--force")
    assert done.returncode == 0, done.stderr
    boto3.Session(profile_name="toast").client("s3").list_buckets()
    after = files(clean_environment)
    assert after["config.toast-boto.bak"] == before["config"]
    assert "role_arn" not in after["config"] and "AKIA" not in after["credentials"]


def test_a_profile_by_hand_gets_what_it_lacks(
    tenancy: Tenancy, password: str, clean_environment: Path
) -> None:
    """One that has toast_* keys is ours; it gets the lines that other programs need."""
    write_profile(clean_environment, "photos", profile_text(tenancy))
    done = run_cli("configure", "--no-input", "--profile", "photos")
    assert done.returncode == 0, done.stderr
    boto3.Session(profile_name="photos").client("s3").list_buckets()
    assert files(clean_environment)["config"].startswith(
        f"[profile photos]\n{profile_text(tenancy)}"
    )


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"tenant-id": "wrong"}, 3, "refused the login (401)"),
        ({"auth-url": "https://localhost:1/v2.0"}, 4, "Is the identity URL right"),
        ({"auth-url": "http://example.com/v2.0"}, 2, "is plain http"),
        ({"auth-url": "example.com"}, 2, "(--auth-url) is no http(s) URL"),
        ({"region": "KR9"}, 2, "it has KR1, KR2"),
        ({"region": "us-east-1"}, 2, "'us-east-1' (--region) is one of AWS's"),
        ({"username": "a\nb"}, 3, "refused the login"),
        ({"endpoint-url": "nowhere"}, 2, "(--endpoint-url) is no http(s) URL"),
        ({"addressing-style": "virtual"}, 2, "--addressing-style"),
        ({"ca-bundle": "/nowhere.pem"}, 2, "(--ca-bundle) does not exist"),
        ({"cloud": "nosuch"}, 2, "no cloud 'nosuch' (--cloud)"),
        ({"profile": "a\nb"}, 2, "a\\nb"),
        ({"profile": "my prof]"}, 2, "can't be the name of a profile"),
    ],
)
def test_mistakes(
    tenancy: Tenancy, password: str, clean_environment: Path, changes: dict[str, str], code: int,
    text: str,
) -> None:  # fmt: skip
    """Each mistake is a line that names the flag, and nothing is written."""
    done = run_cli(*flags(tenancy, **changes))
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert text in done.stderr
    assert password not in done.stderr
    assert "Traceback" not in done.stderr
    assert files(clean_environment) == {}


def test_what_is_missing_without_a_terminal(clean_environment: Path) -> None:
    """Nobody is asked then; the line says which flags there are."""
    done = run_cli("configure")
    assert done.returncode == 2
    assert "give --username, --tenant-id and TOAST_PASSWORD" in done.stderr
    done = run_cli("configure", "--username", "you@example.com")
    assert done.returncode == 2
    for way in ("--tenant-id, TOAST_TENANT_ID", "--password-stdin, TOAST_PASSWORD"):
        assert way in done.stderr


def test_a_password_command(tenancy: Tenancy, password: str, clean_environment: Path) -> None:
    """It is kept as a line of the profile, and the password of before is taken out."""
    run_cli(*flags(tenancy))
    script = clean_environment / "my password"
    script.write_text(f"#!/bin/sh\necho '{password}'\n", encoding="utf-8")
    script.chmod(0o700)
    command = shlex.join([str(script), "show"])
    done = run_cli(*flags(tenancy, **{"password-process": command}))
    assert done.returncode == 0, done.stderr
    after = files(clean_environment)
    assert f"toast_password_process = {command}\n" in after["config"]
    assert password not in after["config"] + after["credentials"]
    boto3.Session(profile_name="toast").client("s3").list_buckets()
    # The old password is not left in the file of before either.
    assert password not in after["credentials.toast-boto.bak"]
    # And a password that happens to be in the environment does not drive it out.
    run_cli(*flags(tenancy))
    assert files(clean_environment)["config"] == after["config"]


def test_a_store_needs_the_password(tenancy: Tenancy, clean_environment: Path) -> None:
    """Where only a command has it, --store says what to give instead of doing nothing."""
    command = f"echo {tenancy.password}"
    assert run_cli(*flags(tenancy, **{"password-process": command})).returncode == 0
    before = files(clean_environment)
    done = run_cli("configure", "--no-input", "--store", "credentials")
    assert done.returncode == 2
    assert "TOAST_PASSWORD" in done.stderr and "nothing was changed" in done.stderr
    assert files(clean_environment) == before


def test_a_wrong_password_command_can_be_left(tenancy: Tenancy, clean_environment: Path) -> None:
    """At a terminal the password is asked for after the command's was refused."""
    text = profile_text(tenancy) + "toast_password_process = echo old-password\n"
    write_profile(clean_environment, "toast", text)
    person = Terminal("configure")
    person.answer("identity URL", "")
    person.answer("User name", "")
    person.answer("Tenant ID", "")
    person.answer("Region [KR1]:", "")
    person.answer("Try again?", "y")
    person.answer("identity URL", "")
    person.answer("User name", "")
    person.answer("Tenant ID", "")
    person.answer_unseen("API password:", tenancy.password)
    person.answer("Region [KR1]:", "")
    assert person.wait() == 0, person.seen
    after = files(clean_environment)
    assert "toast_password_process" not in after["config"]
    assert f"toast_password = {tenancy.password}\n" in after["credentials"]


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A keyring that is a file, of the package keyrings.alt; answers where it is."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "python_keyring" / "keyring_pass.cfg"


def test_the_keyring(
    tenancy: Tenancy, password: str, clean_environment: Path, keyring: Path
) -> None:
    """The password is in the keyring alone, and the profile works; again, it stays there."""
    done = run_cli(*flags(tenancy), "--store", "keyring", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not keyring.exists()
    for more in (["--store", "keyring"], []):
        done = run_cli(*flags(tenancy), *more)
        assert done.returncode == 0, done.stderr
        assert password not in "".join(files(clean_environment).values())
    assert keyring.exists()
    done = run_cli("credential-process", "--profile", "toast", environ={"TOAST_PASSWORD": ""})
    assert json.loads(done.stdout)["AccessKeyId"], done.stderr
    done = run_cli(*flags(tenancy), "--store", "credentials")
    assert password in files(clean_environment)["credentials"]
    assert "toast_password_process" not in files(clean_environment)["config"]


def test_no_keyring(tenancy: Tenancy, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, the line says what else there is."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    done = run_cli(*flags(tenancy), "--store", "keyring")
    assert done.returncode == 2
    assert "--store credentials" in done.stderr
    script = (
        "import sys; sys.modules['keyring'] = None\n"
        "from toast_boto.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *flags(tenancy), "--store", "keyring"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'toast-boto[keyring]'" in done.stderr


def test_what_stands_in_the_way_is_said(
    tenancy: Tenancy, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in the environment, which wins over every profile, is named at once."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "work")
    done = run_cli(*flags(tenancy))
    assert done.returncode == 0
    assert "AWS_ACCESS_KEY_ID is set, and counts more" in done.stderr
    assert "AWS_DEFAULT_PROFILE is set, and counts more" in done.stderr


def test_at_a_terminal(tenancy: Tenancy, clean_environment: Path) -> None:
    """Five questions; a mistake is asked again, a refused login too, the password is not shown."""
    ca = ["--ca-bundle", tenancy.cloud.ca_bundle]
    person = Terminal("configure", *ca)
    person.answer("identity URL [toast]:", "nosuch")
    person.answer("identity URL [toast]:", tenancy.cloud.auth_url.removesuffix("/v2.0"))
    person.answer("identity URL [toast]:", tenancy.cloud.auth_url)
    person.answer("User name", tenancy.username)
    person.answer("Tenant ID", tenancy.tenant_id)
    person.answer_unseen("API password", "wrong-password")
    person.answer("Region [KR1]:", "ap-northeast-2")
    person.answer("Region [KR1]:", "seoul")
    person.answer("Try again?", "y")
    person.answer(f"identity URL [{tenancy.cloud.auth_url}]:", "")
    person.answer(f"[{tenancy.username}]:", "")
    person.answer(f"[{tenancy.tenant_id}]:", "")
    person.answer_unseen("API password", "wrong-password")
    person.answer("Region [KR1]:", "")
    person.answer("Try again?", "y")
    person.answer(f"identity URL [{tenancy.cloud.auth_url}]:", "")
    person.answer(f"[{tenancy.username}]:", "")
    person.answer(f"[{tenancy.tenant_id}]:", "")
    person.answer_unseen("API password", tenancy.password)
    person.answer("Region [KR1]:", "")
    assert person.wait() == 0, person.seen
    assert "there is no cloud 'nosuch'" in person.seen
    assert "must end in /v2.0 or /v3" in person.seen
    assert "(as typed)" in person.seen and "(--" not in person.seen
    assert "refused the login (401)" in person.seen
    assert "wrong-password" not in person.seen and tenancy.password not in person.seen
    assert "AWS_PROFILE=toast aws s3 ls" in person.seen
    before = files(clean_environment)
    again = Terminal("configure")
    again.answer(f"identity URL [{tenancy.cloud.auth_url}]:", "")
    again.answer(f"[{tenancy.username}]:", "")
    again.answer(f"[{tenancy.tenant_id}]:", "")
    again.answer_unseen("Enter keeps the one that is stored", "")
    again.answer("Region [KR1]:", "")
    assert again.wait() == 0, again.seen
    assert tenancy.password not in again.seen
    assert files(clean_environment) == before


def test_what_was_given_is_not_asked(
    tenancy: Tenancy, password: str, clean_environment: Path
) -> None:
    """A password of the environment is taken; after a mistake all is asked, what was given too."""
    person = Terminal("configure", *flags(tenancy, region="seoul")[2:])
    person.answer("Try again?", "y")
    person.answer(f"[{tenancy.cloud.auth_url}]:", "")
    person.answer(f"[{tenancy.username}]:", "")
    person.answer(f"[{tenancy.tenant_id}]:", "")
    person.answer_unseen("API password", password)
    person.answer("Region [KR1]:", "")
    assert person.wait() == 0, person.seen
    assert person.seen.index("seoul") < person.seen.index("API password")


def test_what_was_written_meanwhile_is_seen(tenancy: Tenancy, clean_environment: Path) -> None:
    """A profile that somebody else makes while the questions are asked is not overwritten."""
    person = Terminal("configure", *flags(tenancy)[2:])
    person.answer_unseen("API password", tenancy.password)
    person.child.expect_exact("Region [KR1]:")
    write_profile(clean_environment, "toast", "role_arn = arn\n", "aws_access_key_id = AKIA\n")
    before = files(clean_environment)
    person.child.sendline("")
    assert person.wait() == 2, person.seen
    assert "is somebody else's: it has role_arn, aws_access_key_id" in person.seen
    assert files(clean_environment) == before


def test_ctrl_c_writes_nothing(clean_environment: Path) -> None:
    """Whoever gives up finds everything as it was."""
    person = Terminal("configure")
    person.interrupt("identity URL [toast]:")
    assert person.wait() == 130
    assert "Traceback" not in person.seen
    assert files(clean_environment) == {}


def test_two_at_once(tenancy: Tenancy, password: str, clean_environment: Path) -> None:
    """Two that write different profiles at the same time both find theirs in the file."""
    words = [[*flags(tenancy), "--profile", f"p{number}"] for number in range(4)]
    running = [
        subprocess.Popen([sys.executable, "-m", "toast_boto", *w], stderr=subprocess.PIPE)
        for w in words
    ]
    assert [process.wait(60) for process in running] == [0] * 4
    for process in running:
        process.communicate()
    assert set(boto3.Session().available_profiles) == {"p0", "p1", "p2", "p3"}
