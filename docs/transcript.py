"""Makes docs/transcript.md: the commands at work, in a sandbox of their own.

From the root: ``toast-boto sandbox -- python docs/transcript.py``. What differs from run to run
(ports, IDs, times, directories) is written as a placeholder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pexpect

TARGET = Path(__file__).with_name("transcript.md")
SECRET = os.environ["TOAST_PASSWORD"]
LOGIN = {name: os.environ[f"TOAST_{name}"] for name in ("AUTH_URL", "USERNAME", "TENANT_ID")}
BUNDLE = os.environ["AWS_CA_BUNDLE"]
FLAGS = (
    f"--auth-url {LOGIN['AUTH_URL']} --username {LOGIN['USERNAME']} "
    f"--tenant-id {LOGIN['TENANT_ID']} --ca-bundle {BUNDLE}"
)

NASTY_CONFIG = """\
# work – 회사
[default]
region=us-east-1
; do not touch
output = json

[profile  work ]
role_arn = arn:aws:iam::123456789012:role/developer
source_profile = default
s3 =
    max_concurrent_requests = 20
    # slow network
    addressing_style = virtual

[services local]
s3 =
  endpoint_url = http://localhost:4566"""
NASTY_CREDENTIALS = (
    "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = not-shown\n"
)


class Transcript:
    """The text, as it grows."""

    def __init__(self) -> None:
        self.text = (
            "# The commands at work\n\n"
            "Made by `toast-boto sandbox -- python docs/transcript.py`; ports, IDs, times and\n"
            "directories are placeholders. `$?` is the exit code.\n"
        )
        self.ports = [
            urlsplit(LOGIN["AUTH_URL"]).port,
            urlsplit(os.environ["AWS_ENDPOINT_URL_S3"]).port,
        ]
        self.home = Path(tempfile.mkdtemp(prefix="transcript-"))

    def say(self, text: str) -> None:
        self.text += f"\n{text}\n"

    def show(self, command: str, code: int | None = None, **variables: str) -> None:
        """Run a command line, and write what is seen."""
        done = subprocess.run(
            ["bash", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environ(variables),
            timeout=120,
            check=False,
        )
        if code is not None and done.returncode != code:
            raise SystemExit(f"{command}: {done.returncode}\n{done.stdout}")
        shown = " ".join([*(f"{n}={v}" for n, v in variables.items()), command])
        if "TOAST_PASSWORD" in variables:
            shown = shown.replace(variables["TOAST_PASSWORD"], "...")
        after = f"$?={done.returncode}\n" if done.returncode else ""
        self.block(f"$ {shown}\n{done.stdout}{after}")

    def block(self, text: str) -> None:
        self.text += f"\n```\n{self.placeholders(text).rstrip()}\n```\n"

    def environ(self, variables: dict[str, str]) -> dict[str, str]:
        kept = {n: os.environ[n] for n in ("PATH", "LANG", "NO_PROXY") if n in os.environ}
        return {
            **kept, "HOME": str(self.home), "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1",
            "AWS_EC2_METADATA_DISABLED": "true", **variables,
        }  # fmt: skip

    def placeholders(self, text: str) -> str:
        """What is the same in every run."""
        if SECRET in text:
            raise SystemExit("the password is in the transcript")
        for port in re.findall(r"localhost:(\d{4,5})", text):
            if port != "4566" and int(port) not in self.ports:
                self.ports.append(int(port))
        text = text.replace(str(self.home), "/home/you").replace("\r\n", "\n")
        text = text.replace(str(Path(sys.executable).parent), "/opt/venv/bin")
        text = text.replace(BUNDLE, "/home/you/ca.pem").replace(LOGIN["TENANT_ID"], "TENANT-ID")
        for number, port in enumerate(self.ports, 1):
            text = text.replace(f"localhost:{port}", f"localhost:PORT{number}")
        text = re.sub(r'("SecretAccessKey": ")[0-9a-f]{32}', r"\1SECRET", text)
        text = re.sub(r"(AWS_SECRET_ACCESS_KEY=)\S+", r"\1SECRET", text)
        names: dict[str, str] = {}

        def key(match: re.Match[str]) -> str:
            return names.setdefault(match[0], f"ID-{len(names) + 1}")

        text = re.sub(r"\b[0-9a-f]{32}\b", key, text)
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
        text = re.sub(r"until \w{3} +\d+ [\d:]+ \d{4} GMT", "until DATE", text)
        text = re.sub(r"versions: .*", "versions: ...", text)
        text = re.sub(r"server's by \d+ s", "server's by N s", text)
        return re.sub(r"tried (\d) times in [\d.]+ s", r"tried \1 times in N s", text)

    @contextmanager
    def empty_home(self) -> Iterator[None]:
        """Without the AWS files; they are back afterwards."""
        aside = self.home / "aside"
        if (self.home / ".aws").exists():
            (self.home / ".aws").rename(aside)
        try:
            yield
        finally:
            shutil.rmtree(self.home / ".aws", ignore_errors=True)
            if aside.exists():
                aside.rename(self.home / ".aws")

    def files(self) -> str:
        """What the AWS files say, less the secrets."""
        shown = []
        for name in ("config", "credentials"):
            path = self.home / ".aws" / name
            if path.exists():
                text = path.read_text(encoding="utf-8")
                text = re.sub(r"(password|secret_access_key)( ?= ?).*", r"\1\2...", text)
                mode = path.stat().st_mode & 0o777
                shown.append(f"$ cat ~/.aws/{name}    # mode {mode:o}\n{text.rstrip()}\n")
        return "\n".join(shown)

    def nasty(self) -> None:
        """The AWS files of somebody who has had them for long."""
        directory = self.home / ".aws"
        directory.mkdir(exist_ok=True)
        (directory / "config").write_text(NASTY_CONFIG, encoding="utf-8")
        (directory / "credentials").write_text(NASTY_CREDENTIALS, encoding="utf-8")
        for name in ("config", "credentials"):
            (directory / name).chmod(0o644)


def at_a_terminal(transcript: Transcript) -> None:
    """The questions of `configure`, as a person sees them."""
    child = pexpect.spawn(
        "toast-boto", ["configure", "--ca-bundle", BUNDLE],
        env=transcript.environ({"TERM": "dumb", "COLUMNS": "200"}),
        encoding="utf-8", timeout=60, dimensions=(50, 200),
    )  # fmt: skip
    answers = [
        ("toast]:", LOGIN["AUTH_URL"]), ("):", LOGIN["USERNAME"]), ("):", LOGIN["TENANT_ID"]),
        ("password:", SECRET), ("KR1]:", ""),
    ]  # fmt: skip
    seen = ""
    for question, answer in answers:
        child.expect_exact(question)
        seen += child.before + child.after
        if answer == SECRET:
            child.waitnoecho(20)
        child.sendline(answer)
    child.expect(pexpect.EOF)
    seen = re.sub(r"\r?[^\n]* \.\.\.\r\x1b\[K", "", seen + child.before)
    transcript.block(f"$ toast-boto configure\n{seen}")


SETUPS: list[tuple[str, dict[str, str], str]] = [
    ("The profile alone", {"AWS_PROFILE": "toast"}, ""),
    ("A key in the environment", {"AWS_PROFILE": "toast", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}, ""),
    ("Two names of profiles", {"AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "toast"}, ""),
    (
        "A TOAST_* variable beside the profile",
        {"AWS_PROFILE": "toast", "TOAST_USERNAME": "bob@example.com"},
        "",
    ),
    ("A flag", {"AWS_PROFILE": "toast"}, "--username bob@example.com"),
    (
        "Another endpoint in the environment",
        {"AWS_PROFILE": "toast", "AWS_ENDPOINT_URL": "https://s3.example.com"},
        "",
    ),
    ("A region of AWS's", {"AWS_PROFILE": "toast", "AWS_DEFAULT_REGION": "ap-northeast-2"}, ""),
    ("A region for other SDKs", {"AWS_PROFILE": "toast", "AWS_REGION": "us-east-1"}, ""),
    (
        "An openrc file",
        {"OS_AUTH_URL": "https://identity.example.com/v3", "OS_USERNAME": "ops",
         "OS_PASSWORD": "...", "OS_PROJECT_ID": "1234"},
        "",
    ),
    ("A pasted key and no login", {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "TOAST_CLOUD": "nhn"}, ""),
]  # fmt: skip


def main() -> None:
    """Write the file."""
    t = Transcript()
    t.say("## A profile, by five questions")
    at_a_terminal(t)
    t.block(t.files())
    t.say("Then everything that reads profiles is handed the key:")
    t.show("toast-boto credential-process --profile toast", 0)
    t.show("toast-boto doctor --online", 0, AWS_PROFILE="toast")
    t.show("toast-boto keys list", 0, AWS_PROFILE="toast")
    t.show("toast-boto keys rotate --grace 1", 0, AWS_PROFILE="toast")
    t.show("toast-boto env", 0, AWS_PROFILE="toast")

    t.say("## Files that have been there for long, before and after")
    shutil.rmtree(t.home / ".aws")
    t.nasty()
    t.block(t.files())
    t.show(f"toast-boto configure --no-input {FLAGS} --dry-run", 0, TOAST_PASSWORD=SECRET)
    t.show(f"toast-boto configure --no-input {FLAGS}", 0, TOAST_PASSWORD=SECRET)
    t.block(t.files())
    t.say("What was there before stands in the new file to the byte:")
    before = (t.home / ".aws/config.toast-boto.bak").read_text(encoding="utf-8")
    if before != NASTY_CONFIG or not (t.home / ".aws/config").read_text("utf-8").startswith(before):
        raise SystemExit("the config file was changed elsewhere")
    t.show("diff ~/.aws/config.toast-boto.bak ~/.aws/config")
    t.say("Again, with another region, one line and what follows from it change:")
    t.show("toast-boto configure --no-input --region KR2 --dry-run", 0)

    t.say("## Where things came from: the doctor after ten kinds of set-up")
    for title, variables, flags in SETUPS:
        t.say(f"### {title}")
        t.show(f"toast-boto doctor {flags}".strip(), **variables)

    t.say("## Five mistakes")
    with t.empty_home():
        t.say("### Nothing is set up")
        t.show("toast-boto env", 2)
    t.say("### A name that is not quite right")
    t.show("toast-boto credential-process --profile taost", 2)
    t.say("### The console's password instead of the API password")
    t.show("toast-boto keys list", 3, TOAST_PASSWORD="my-console-password", **login_variables())
    t.say("### The tenant ID forgotten")
    t.show("toast-boto env --no-input --cloud nhn --username you@example.com", 2)
    t.say("### A profile that is somebody else's")
    t.show(f"toast-boto configure --no-input --profile work {FLAGS}", 2, TOAST_PASSWORD=SECRET)

    TARGET.write_text(t.text, encoding="utf-8")
    shutil.rmtree(t.home)
    print(json.dumps({"written": TARGET.name, "lines": t.text.count("\n")}))


def login_variables() -> dict[str, str]:
    """The login in the environment, but for the password."""
    return {**{f"TOAST_{name}": value for name, value in LOGIN.items()}, "AWS_CA_BUNDLE": BUNDLE}


if __name__ == "__main__":
    main()
