"""The sandbox itself: what it offers, and that it goes without a trace."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

import toast_boto
from tests.support import Tenancy, wait_until
from toast_boto.sandbox import Sandbox, SandboxError
from toast_boto.sandbox._process import PYTHON_VARIABLE

EXAMPLES = Path(__file__).parents[2] / "examples"
TOAST_BOTO = [sys.executable, "-m", "toast_boto"]

# A process that starts a sandbox, says where, and waits.
HOLDER = """
import sys, time
from toast_boto.sandbox import Sandbox
with Sandbox() as cloud:
    print(cloud.pid, cloud.directory, cloud.endpoint_url, flush=True)
    time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return not Path("/proc/self").exists()
        return False
    return state != "Z"


def listening(url: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) == 0


@pytest.mark.sandbox
@pytest.mark.parametrize("end", ["exit", "ctrl-c", "sigterm", "sigkill"])
def test_gone_without_a_trace(end: str) -> None:
    """After a proper exit, Ctrl-C, SIGTERM or SIGKILL of its parent: no process, file or port."""
    script = HOLDER.replace("60", "0") if end == "exit" else HOLDER
    if end == "sigterm":
        script = f"import signal, sys; signal.signal(15, lambda *_: sys.exit(1))\n{script}"
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with holder:
        assert holder.stdout
        pid, directory, url = holder.stdout.readline().split()
        if end == "exit":
            assert holder.wait(30) == 0
        else:
            assert alive(int(pid))
            assert listening(url)
            kind = {"ctrl-c": signal.SIGINT, "sigterm": signal.SIGTERM, "sigkill": signal.SIGKILL}
            holder.send_signal(kind[end])
            holder.wait(30)
        assert wait_until(lambda: not alive(int(pid)))
        assert wait_until(lambda: not Path(directory).exists())
        assert not listening(url)


@pytest.mark.sandbox
def test_fixed_ports_and_a_port_that_is_taken() -> None:
    """The ports of endpoint and identity can be chosen; a taken one is an error that shows it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.listen()
        with pytest.raises(SandboxError, match=f"port {port} can't be had: Address already in use"):
            Sandbox(swift_port=port).start()
    with Sandbox(swift_port=port) as cloud:
        assert cloud.endpoint_url == f"https://localhost:{port}"


@pytest.mark.sandbox
def test_two_at_once(cloud: Sandbox) -> None:
    """A second sandbox beside the first has its own users, ports and certificate."""
    with Sandbox(scheme="http") as second:
        assert second.auth_url.startswith("http://")
        assert second.tenant_id != cloud.tenant_id
        options = {
            "username": second.username,
            "password": second.password,
            "tenant_id": second.tenant_id,
            "cache": "memory",
        }
        session = toast_boto.Session(auth_url=second.auth_url, **options)
        assert session.client("s3").list_buckets()["Buckets"] == []
        with pytest.raises(SandboxError, match="runs already"):
            second.start()
        assert second.running
    assert not second.running
    second.stop()


def test_environment_for_a_command(cloud: Sandbox) -> None:
    """The command's environment holds the sandbox's settings and no other cloud's."""
    base = {
        "PATH": "/bin",
        "AWS_PROFILE": "work",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "OS_PASSWORD": "x",
        "TOAST_CLOUD": "nhn",
        "NO_PROXY": "intranet",
    }
    environ = cloud.environ(base)
    assert environ["PATH"] == "/bin"
    assert not {"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "OS_PASSWORD", "TOAST_CLOUD"} & set(environ)
    assert environ["NO_PROXY"] == "intranet,localhost,127.0.0.1"
    assert environ["TOAST_AUTH_URL"] == cloud.auth_url
    assert environ["AWS_ENDPOINT_URL_S3"] == cloud.endpoint_url
    assert environ["AWS_CA_BUNDLE"] == cloud.ca_bundle
    assert environ["AWS_CONFIG_FILE"].startswith(str(cloud.directory))


def test_repr_of_a_user_shows_no_password(cloud: Sandbox) -> None:
    """Users can be printed."""
    user = cloud.users[cloud.username]
    assert user.password not in repr(user)
    assert user.password not in repr(cloud.users)


def test_interpreter_without_the_extra() -> None:
    """An interpreter that lacks the extra is told, with what Python says."""
    bare = Sandbox(python=f"{sys.base_prefix}/bin/python3")
    with pytest.raises(SandboxError, match=r"did not start:\n(.|\n)*No module named"):
        bare.start()
    assert not bare.running


def test_interpreter_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong interpreter is named, and no directory stays behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(PYTHON_VARIABLE, "no/such/python")
    with pytest.raises(SandboxError, match=r"no/such/python.*No such file"):
        Sandbox().start()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_not_started() -> None:
    """A sandbox that does not run says so."""
    for name in ("auth_url", "users", "directory"):
        with pytest.raises(SandboxError, match="does not run"):
            getattr(Sandbox(), name)


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="speaks of older Pythons")
def test_python_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Python 3.10 the text says which Python is needed and how to name one."""
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    with pytest.raises(SandboxError, match=f"3.11 or newer.*{PYTHON_VARIABLE}"):
        Sandbox().start()


def test_wrong_scheme() -> None:
    """A scheme that there is not is refused."""
    with pytest.raises(SandboxError, match="http or https"):
        Sandbox(scheme="ftp")


# -- the command


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TOAST_BOTO, "sandbox", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.mark.sandbox
def test_example_of_the_readme() -> None:
    """`toast-boto sandbox -- python examples/stock_boto3.py` runs plain boto3 code."""
    done = run("--", "python", str(EXAMPLES / "stock_boto3.py"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "created /photos"
    assert lines[-1] == "deleted; buckets now: []"
    source = (EXAMPLES / "stock_boto3.py").read_text(encoding="utf-8")
    assert source.count("toast_boto") == 1 + source.split('"""')[1].count("toast_boto")


@pytest.mark.sandbox
def test_command_gets_its_exit_code_and_arguments() -> None:
    """The exit code is the command's, and its options are not taken for ours."""
    script = "import sys, os; print(sys.argv[1:], 'AWS_PROFILE' in os.environ); sys.exit(7)"
    done = run("--", sys.executable, "-c", script, "--quota", "x", "-h",
               env={**os.environ, "AWS_PROFILE": "work"})  # fmt: skip
    assert done.returncode == 7
    assert done.stdout.strip() == "['--quota', 'x', '-h'] False"


@pytest.mark.sandbox
def test_command_that_a_signal_killed() -> None:
    """A command that a signal ended gives 128 and the signal's number, as in a shell."""
    done = run("--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert done.returncode == 128 + 9


@pytest.mark.sandbox
def test_command_that_is_not_there() -> None:
    """A command that can't be found gives 127 and a line that names it."""
    done = run("--", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.sandbox
def test_without_a_command() -> None:
    """Without a command the exports are printed, and Ctrl-C ends it."""
    process = subprocess.Popen(
        [*TOAST_BOTO, "sandbox", "--http"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "AWS_PROFILE": "work"},
    )
    with process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == "unset AWS_PROFILE\n"
        exports = dict(
            process.stdout.readline().removeprefix("export ").strip().split("=", 1)
            for _ in range(12)
        )
        assert process.stderr.readline() == "The sandbox runs until Ctrl-C.\n"
        assert exports["TOAST_AUTH_URL"].startswith("http://localhost:")
        assert listening(exports["AWS_ENDPOINT_URL_S3"])
        directory = Path(exports["AWS_CA_BUNDLE"]).parent
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not directory.exists()


@pytest.mark.sandbox
def test_terminated_command_line() -> None:
    """SIGTERM stops the command and the servers, and gives 143."""
    script = "import os, time; print(os.getpid(), os.environ['AWS_CA_BUNDLE'], flush=True); " + (
        "time.sleep(60)"
    )
    process = subprocess.Popen(
        [*TOAST_BOTO, "sandbox", "--", sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        pid, ca_bundle = process.stdout.readline().split()
        process.terminate()
        assert process.wait(30) == 128 + 15
    assert not alive(int(pid))
    assert not Path(ca_bundle).parent.exists()


def test_keystone_can_be_stopped(strict_tenancy: Tenancy) -> None:
    """Keystone alone is stopped, on both ports, and started again with all that it knew."""
    cloud = strict_tenancy.cloud
    key = strict_tenancy.create_key()
    cloud.stop_keystone()
    cloud.stop_keystone()
    try:
        for scheme in ("http", "https"):
            assert not listening(cloud.urls(scheme).auth_url)
            assert listening(cloud.urls(scheme).endpoint_urls["KR1"])
    finally:
        cloud.start_keystone()
    assert listening(cloud.urls("http").auth_url)
    assert [k["access"] for k in strict_tenancy.list_keys()] == [key["access"]]
    with pytest.raises(SandboxError, match="does not run"):
        Sandbox().stop_keystone()


def test_secrets_are_remembered_for_a_while(tenancy: Tenancy, strict_tenancy: Tenancy) -> None:
    """A key that was deleted goes on working as long as Swift remembers it: 60 s, or not at all."""
    for own, works in ((tenancy, True), (strict_tenancy, False)):
        key = own.create_key()
        given = {"aws_access_key_id": key["access"], "aws_secret_access_key": key["secret"]}
        s3 = toast_boto.Session(**own.options()).client("s3", **given)
        s3.list_buckets()
        own.delete_all_keys()
        if works:
            s3.list_buckets()
            continue
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            s3.list_buckets()
