"""The commands on a real cloud: env, exec, keys, cache; their texts, tables and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support import Tenancy, Watch, profile_text, run_cli, wait_until, write_profile
from tests.terminal import Terminal


def variables(tenancy: Tenancy) -> dict[str, str]:
    """What env and exec give."""
    [key] = tenancy.list_keys()
    url = tenancy.cloud.endpoint_url
    return {
        "AWS_ACCESS_KEY_ID": key["access"],
        "AWS_SECRET_ACCESS_KEY": key["secret"],
        "AWS_REGION": "KR1",
        "AWS_DEFAULT_REGION": "KR1",
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ENDPOINT_URL": url,
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "AWS_CA_BUNDLE": tenancy.cloud.ca_bundle,
    }


# -- env


def test_env_for_a_shell(toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that evaluates it has the key, and no password or profile of another one's."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of another key")
    monkeypatch.setenv("OS_PASSWORD", "other")
    before = {**os.environ}
    script = f'eval "$({sys.executable} -m toast_boto env)" && env -0'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True, timeout=60)
    after = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)
    given = variables(toast_environment)
    assert {name: after.get(name) for name in given} == given
    again = run_cli("env", environ={"AWS_ACCESS_KEY_ID": given["AWS_ACCESS_KEY_ID"]})
    assert again.stderr == ""  # a key that is there already is no sign of a missing login
    gone = set(before) - set(after)
    assert gone >= {"TOAST_PASSWORD", "OS_PASSWORD", "TOAST_USERNAME", "AWS_SESSION_TOKEN"}


def test_env_formats(toast_environment: Tenancy, tmp_path: Path) -> None:
    """Every format says the same; what needs quotes has them."""
    odd = tmp_path / "it's a \\ path.pem"
    odd.write_bytes(Path(toast_environment.cloud.ca_bundle).read_bytes())
    printed = {
        name: run_cli("env", "--format", name, environ={"AWS_CA_BUNDLE": str(odd)}).stdout
        for name in ("json", "fish", "powershell", "dotenv")
    }
    given = {**variables(toast_environment), "AWS_CA_BUNDLE": str(odd)}
    assert json.loads(printed["json"]) == given
    fish = str(odd).replace("\\", "\\\\").replace("'", "\\'")
    assert f"set -gx AWS_CA_BUNDLE '{fish}'\n" in printed["fish"]
    assert "set -e TOAST_PASSWORD\n" in printed["fish"]
    doubled = str(odd).replace("'", "''")
    assert f"$Env:AWS_CA_BUNDLE = '{doubled}'\n" in printed["powershell"]
    assert "Remove-Item Env:TOAST_PASSWORD" in printed["powershell"]
    assert f'AWS_CA_BUNDLE="{odd}"\n' in printed["dotenv"]
    assert f"AWS_ACCESS_KEY_ID={given['AWS_ACCESS_KEY_ID']}\n" in printed["dotenv"]


def test_env_for_github(
    toast_environment: Tenancy, tmp_path: Path, clean_environment: Path
) -> None:
    """The key is masked on stdout first, and stands in the file that GITHUB_ENV names."""
    write_profile(clean_environment, "default", "")
    file = tmp_path / "github-env"
    file.write_text("BEFORE=1\nNO_END=1", encoding="utf-8")
    done = run_cli(
        "env", "--format", "github",
        environ={"GITHUB_ENV": str(file), "AWS_SESSION_TOKEN": "x", "AWS_PROFILE": "default"},
    )  # fmt: skip
    given = variables(toast_environment)
    assert done.stdout.splitlines() == [
        f"::add-mask::{given['AWS_ACCESS_KEY_ID']}",
        f"::add-mask::{given['AWS_SECRET_ACCESS_KEY']}",
    ]
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["BEFORE=1", "NO_END=1"]
    assert {f"{name}={value}" for name, value in given.items()} <= set(lines)
    assert "AWS_SESSION_TOKEN=" in lines
    assert "AWS_PROFILE=" not in lines  # an empty name is no profile
    done = run_cli("env", "--format", "github")
    assert (done.returncode, done.stdout) == (2, "")
    assert "GITHUB_ENV is not set" in done.stderr


def test_env_refuses_a_value_of_two_lines(toast_environment: Tenancy, tmp_path: Path) -> None:
    """What would be taken for a command of its own is not printed."""
    odd = tmp_path / "a\nb.pem"
    odd.write_bytes(Path(toast_environment.cloud.ca_bundle).read_bytes())
    done = run_cli("env", environ={"AWS_CA_BUNDLE": str(odd)})
    assert (done.returncode, done.stdout) == (2, "")
    assert "AWS_CA_BUNDLE" in done.stderr


# -- exec

PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


def test_exec_gives_the_key(toast_environment: Tenancy) -> None:
    """The command has the key, the endpoint and the region, and stock boto3 works in it."""
    done = run_cli("exec", "--", sys.executable, "-c", PRINT_ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    found, given = json.loads(done.stdout), variables(toast_environment)
    assert {name: found.get(name) for name in given} == given
    assert not [name for name in found if "PASSWORD" in name or name == "AWS_PROFILE"]
    script = "import boto3; print(len(boto3.client('s3').list_buckets()['Buckets']))"
    done = run_cli("exec", "--", sys.executable, "-c", script)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_exec_of_a_program_that_uses_toast_boto(toast_environment: Tenancy) -> None:
    """It takes the key that it was given, and does not miss the password."""
    script = (
        "import toast_boto; s3 = toast_boto.client('s3'); s3.list_buckets(); "
        "print(s3.meta.endpoint_url)"
    )
    done = run_cli("exec", "--", sys.executable, "-c", script)
    assert (done.returncode, done.stdout) == (0, f"{toast_environment.cloud.endpoint_url}\n")


def test_exec_of_a_profile(tenancy: Tenancy, clean_environment: Path) -> None:
    """A profile is taken out of the environment, where it would be in the key's way."""
    credentials = f"toast_password = {tenancy.password}\n"
    write_profile(clean_environment, "photos", profile_text(tenancy), credentials)
    done = run_cli(
        "exec", "--", sys.executable, "-c", PRINT_ENVIRONMENT,
        environ={"AWS_PROFILE": "photos", "AWS_DEFAULT_PROFILE": "photos"},
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert "AWS_PROFILE" not in found and "AWS_DEFAULT_PROFILE" not in found
    assert found["AWS_CA_BUNDLE"] == tenancy.cloud.ca_bundle


def test_a_deleted_key_is_not_handed_out(
    toast_environment: Tenancy, clean_environment: Path, tmp_path: Path
) -> None:
    """exec and env look a key up whose last look is more than a minute old."""
    gone = json.loads(run_cli("env", "--format", "json").stdout)["AWS_ACCESS_KEY_ID"]
    toast_environment.delete_key(gone)
    [path] = (tmp_path / "cache").glob("*.json")
    fields = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**fields, "checked_at": fields["checked_at"] - 61}), "utf-8")
    now = json.loads(run_cli("env", "--format", "json").stdout)["AWS_ACCESS_KEY_ID"]
    assert [now] == [key["access"] for key in toast_environment.list_keys()]
    watch = Watch(toast_environment.cloud)
    run_cli("env")
    assert watch.identity() == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["/nowhere/nosuch"], 127),
        (["/etc/passwd"], 126),
        (["sh", "-c", "kill -9 $$"], -9),
    ],
)
def test_exec_has_the_commands_exit_code(
    toast_environment: Tenancy, command: list[str], code: int
) -> None:
    """Also where the command can't be run, as shells count, or was killed."""
    assert run_cli("exec", "--", *command).returncode == code


def test_exec_passes_signals_on(toast_environment: Tenancy, tmp_path: Path) -> None:
    """The command is the process that was started, so whatever is sent to that reaches it."""
    ready, got = tmp_path / "ready", tmp_path / "got"
    script = f"trap 'touch {got}; exit 5' TERM; touch {ready}; while :; do sleep 0.1; done"
    process = subprocess.Popen(
        [sys.executable, "-m", "toast_boto", "exec", "--", "sh", "-c", script]
    )
    assert wait_until(ready.exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 5
    assert got.exists()


def test_exec_leaves_signals_as_they_were(toast_environment: Tenancy) -> None:
    """What Python ignores for itself is not ignored in the command, whose pipes end as usual."""
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc here")
    done = run_cli("exec", "--", "grep", "SigIgn", "/proc/self/status")
    bare = subprocess.run(["grep", "SigIgn", "/proc/self/status"], capture_output=True, check=True)
    assert done.stdout == bare.stdout.decode()


def test_exec_leaves_the_input_to_the_command(toast_environment: Tenancy) -> None:
    """--password-stdin takes its line, and not a byte of what follows."""
    lines = f"{toast_environment.password}\none\ntwo\n"
    done = run_cli("exec", "--password-stdin", "--", "cat", stdin=lines)
    assert (done.returncode, done.stdout) == (0, "one\ntwo\n"), done.stderr


def test_exec_needs_a_command(toast_environment: Tenancy) -> None:
    """Without one it says how it is used."""
    done = run_cli("exec")
    assert done.returncode == 2
    assert "Missing argument" in done.stderr


def test_pasted_keys_are_given_on(tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no login the key that is set goes on working, with our endpoint."""
    key = tenancy.create_key()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["access"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["secret"])
    done = run_cli("env", "--format", "json", "--cloud", "nhn", "--region", "kr2")
    found = json.loads(done.stdout)
    assert found["AWS_ACCESS_KEY_ID"] == key["access"]
    assert found["AWS_REGION"] == "KR2"
    assert found["AWS_ENDPOINT_URL"] == "https://kr2-api-object-storage.nhncloudservice.com"
    assert "there is no login here" in done.stderr
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    done = run_cli("env")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Partial credentials" in done.stderr


# -- keys


def listed(*arguments: str) -> list[dict[str, Any]]:
    done = run_cli("keys", "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_keys_list(toast_environment: Tenancy) -> None:
    """A table of all keys, the one in the cache marked; no secret but by --show-secret."""
    tenancy = toast_environment
    assert run_cli("keys", "list").stdout == ""
    boto_key = json.loads(run_cli("credential-process").stdout)["AccessKeyId"]
    other = tenancy.create_key()
    done = run_cli("keys", "list")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    heads = ["access", "key", "tenant", "created", "last", "used", "in", "use"]
    assert lines[0].split() == heads
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert rows[boto_key][0] == tenancy.tenant_id
    assert rows[boto_key][-1] == "here" and rows[other["access"]][-1] != "here"
    assert other["secret"] not in done.stdout
    assert other["secret"] in run_cli("keys", "list", "--show-secret").stdout
    found = {key["access_key"]: key for key in listed()}
    assert found[boto_key]["in_use"] is True and found[other["access"]]["in_use"] is False
    assert "secret_key" not in found[boto_key]
    assert {k["secret_key"] for k in listed("--show-secret")} == {
        key["secret"] for key in tenancy.list_keys()
    }


def test_keys_create_up_to_the_quota(toast_environment: Tenancy) -> None:
    """Each is one more, until the quota: exit code 5, and what makes room."""
    made = [run_cli("keys", "create") for _ in range(3)]
    assert [done.returncode for done in made] == [0, 0, 0]
    assert {done.stdout.strip() for done in made} == {k["access_key"] for k in listed()}
    done = run_cli("keys", "create")
    assert (done.returncode, done.stdout) == (5, "")
    assert "toast-boto keys delete ACCESS" in done.stderr
    assert all(key["access_key"] in done.stderr for key in listed())


def test_keys_create_shows_the_secret_when_asked(toast_environment: Tenancy) -> None:
    """Not else; as text or JSON."""
    plain = run_cli("keys", "create", "--show-secret").stdout.split()
    fields = json.loads(run_cli("keys", "create", "--show-secret", "--json").stdout)
    quiet = json.loads(run_cli("keys", "create", "--json").stdout)
    secrets = {key["access"]: key["secret"] for key in toast_environment.list_keys()}
    assert secrets[plain[0]] == plain[1]
    assert secrets[fields["access_key"]] == fields["secret_key"]
    assert quiet == {"access_key": quiet["access_key"], "tenant_id": toast_environment.tenant_id}


def test_keys_delete(toast_environment: Tenancy) -> None:
    """It needs a yes; one that is in use is refused without --force, which forgets it too."""
    tenancy = toast_environment
    in_use = json.loads(run_cli("credential-process").stdout)["AccessKeyId"]
    other = tenancy.create_key()["access"]
    done = run_cli("keys", "delete", other)
    assert done.returncode == 2 and "--yes" in done.stderr
    assert len(tenancy.list_keys()) == 2
    done = run_cli("keys", "delete", other, "--yes")
    assert (done.returncode, done.stdout) == (0, f"{other}\n")
    done = run_cli("keys", "delete", in_use, "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert "in use here" in done.stderr and "keys rotate" in done.stderr
    done = run_cli("keys", "delete", in_use, "--yes", "--force", "--json")
    assert json.loads(done.stdout) == {"deleted": [in_use]}
    assert tenancy.list_keys() == []
    again = json.loads(run_cli("credential-process").stdout)["AccessKeyId"]
    assert again != in_use


def test_keys_delete_of_another_tenants_key_in_use(cloud: Any, clean_environment: Path) -> None:
    """What another login of this machine has in its cache is in use, too."""
    tenancy = Tenancy.create(cloud, tenants=2)
    password = ["--password-stdin"]
    words = [
        "--auth-url", cloud.auth_url, "--username", tenancy.username, "--ca-bundle",
        cloud.ca_bundle, *password,
    ]  # fmt: skip
    for tenant_id in tenancy.tenant_ids:
        run_cli("env", *words, "--tenant-id", tenant_id, stdin=tenancy.password)
    other = next(k for k in tenancy.list_keys() if k["tenant_id"] == tenancy.tenant_ids[1])
    done = run_cli(
        "keys", "delete", other["access"], "--yes", *words, "--tenant-id", tenancy.tenant_id,
        stdin=tenancy.password,
    )  # fmt: skip
    assert done.returncode == 2
    assert "in use here" in done.stderr


def test_keys_delete_of_no_key(toast_environment: Tenancy) -> None:
    """A wrong name is an error that lists those there are."""
    there = toast_environment.create_key()["access"]
    done = run_cli("keys", "delete", "nosuch", "--yes")
    assert done.returncode == 2
    assert "no key 'nosuch'" in done.stderr and there in done.stderr


def test_keys_delete_at_a_terminal(toast_environment: Tenancy) -> None:
    """It asks; no is no."""
    access = toast_environment.create_key()["access"]
    person = Terminal("keys", "delete", access)
    person.answer(f"Delete the key {access}", "n")
    assert person.wait() == 130
    assert len(toast_environment.list_keys()) == 1
    person = Terminal("keys", "delete", access)
    person.answer(f"of the tenant {toast_environment.tenant_id}? [y/N]:", "y")
    assert person.wait() == 0
    assert toast_environment.list_keys() == []


def test_the_password_is_asked_for_at_a_terminal(
    toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it alone is missing; it is not shown. With --no-input it is an error."""
    monkeypatch.delenv("TOAST_PASSWORD")
    person = Terminal("keys", "create")
    person.answer_unseen(
        f"API password of {toast_environment.username}", toast_environment.password
    )
    assert person.wait() == 0, person.seen
    assert toast_environment.password not in person.seen
    person = Terminal("keys", "create", "--no-input")
    assert person.wait() == 2
    assert "there is no API password" in person.seen
    done = run_cli("keys", "create")
    assert done.returncode == 2
    assert "--password-stdin, TOAST_PASSWORD" in done.stderr


def test_rotate_at_a_terminal_counts_down(toast_environment: Tenancy) -> None:
    """Who waits sees a bar; an interrupted one says how the old key is deleted."""
    old = json.loads(run_cli("credential-process").stdout)["AccessKeyId"]
    person = Terminal("keys", "rotate", "--grace", "1")
    assert person.wait() == 0, person.seen
    assert "Waiting" in person.seen and "100%" in person.seen
    assert old not in {key["access"] for key in toast_environment.list_keys()}
    person = Terminal("keys", "rotate", "--grace", "60")
    person.interrupt("Waiting")
    assert person.wait() == 130, person.seen
    assert "toast-boto keys delete" in person.seen


def test_rotate_that_is_terminated(toast_environment: Tenancy) -> None:
    """A SIGTERM in the grace says how the old key is deleted, too."""
    run_cli("credential-process")
    process = subprocess.Popen(
        [sys.executable, "-m", "toast_boto", "keys", "rotate"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    seen = ""
    while "is deleted in" not in seen:
        seen += process.stderr.readline()
    time.sleep(0.3)
    process.terminate()
    seen += process.communicate(timeout=20)[1]
    assert process.returncode == 143
    assert "toast-boto keys delete" in seen


# -- cache


def test_cache_clear(toast_environment: Tenancy) -> None:
    """The next program asks Keystone; no key is deleted there, no password is needed."""
    run_cli("credential-process")
    watch = Watch(toast_environment.cloud)
    done = run_cli("cache", "clear", environ={"TOAST_PASSWORD": ""})
    assert done.returncode == 0, done.stderr
    assert f"forgot the cached key of {toast_environment.username}" in done.stderr
    assert "there is no cached key" in run_cli("cache", "clear").stderr
    assert watch.identity() == []
    run_cli("credential-process")
    assert watch.identity() == ["login", "list"]
    assert "forgot 1 cached key of" in run_cli("cache", "clear", "--all").stderr
    assert "forgot 0 cached keys" in run_cli("cache", "clear", "--all").stderr


def test_cache_clear_leaves_other_files(toast_environment: Tenancy, tmp_path: Path) -> None:
    """What somebody else keeps in the same directory is not ours."""
    run_cli("credential-process")
    others = [tmp_path / "cache" / name for name in ("openapi.v1.json", "notes.bad")]
    for path in others:
        path.write_text("{}", encoding="utf-8")
    assert "forgot 1 cached key of" in run_cli("cache", "clear", "--all").stderr
    assert all(path.exists() for path in others)


def test_a_full_disk_is_a_line(toast_environment: Tenancy) -> None:
    """Where stdout can't be written, that is said, without a traceback, and it is no success."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    for command in (["credential-process"], ["clouds"], ["env"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "toast_boto", *command],
                stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
            )  # fmt: skip
        assert done.returncode == 1, command
        assert done.stderr == "toast-boto: No space left on device\n"


def test_cache_clear_of_nobody(clean_environment: Path) -> None:
    """Where no login says whose key is meant, it asks for one, or for --all."""
    done = run_cli("cache", "clear")
    assert done.returncode == 2
    assert "--profile" in done.stderr and "--all" in done.stderr


# -- stock boto3 by profile


def test_a_deleted_key_of_a_profile_is_cured(
    strict_tenancy: Tenancy, clean_environment: Path
) -> None:
    """Stock boto3 can't heal; `cache clear` or `doctor --online` gives it the next key."""
    tenancy = strict_tenancy
    secret = f"toast_password = {tenancy.password}\n"
    write_profile(clean_environment, "toast", profile_text(tenancy), secret)
    done = run_cli("configure", "--no-input")
    assert done.returncode == 0, done.stderr
    for cure in (["cache", "clear"], ["doctor", "--online"]):
        boto3.Session(profile_name="toast").client("s3").list_buckets()
        tenancy.delete_all_keys()
        with pytest.raises(Exception, match=r"SignatureDoesNotMatch|InvalidAccessKeyId"):
            boto3.Session(profile_name="toast").client("s3").list_buckets()
        assert run_cli(*cure, "--profile", "toast").returncode == 0
        boto3.Session(profile_name="toast").client("s3").list_buckets()


@pytest.mark.parametrize(
    "command",
    [
        ["keys", "list"], ["keys", "create"], ["keys", "delete", "x", "--yes"], ["keys", "rotate"],
        ["env"], ["exec", "true"], ["doctor", "--online"], ["credential-process"],
        ["configure", "--no-input"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_refused_login_shows_no_secret(
    toast_environment: Tenancy, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command that logs in ends with 3, with the causes, and never with the password."""
    monkeypatch.setenv("TOAST_PASSWORD", "wrong-api-password")
    at = 1 if command[0] == "exec" else len(command)
    done = run_cli(*command[:at], "--debug", *command[at:])
    assert done.returncode == 3, done.stderr
    said = done.stdout + done.stderr
    assert "Likely causes" in said
    assert "wrong-api-password" not in said
