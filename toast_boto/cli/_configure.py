"""``toast-boto configure``: asks, proves the login, and writes an AWS profile."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import filelock

from .._files import make_private_directory
from .._options import DEFAULT_RANK, OPTIONS
from .._profiles import file_names, read_profile
from .._settings import Settings, resolve
from .._talk import say
from ..errors import ConfigurationError, ToastBotoError
from ._login import Login, LoginCommand, login_options
from ._passwords import check_keyring, is_keyring_command, keep_in_keyring
from ._profile_files import ProfileFile, write_all
from ._program import credential_process_command
from ._proving import Proved, log_in
from ._questions import Questions

PROFILE = "toast"
_LOCK_SECONDS = 30
# What another kind of profile has; botocore would look there first.
_FOREIGN_KEYS = (
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "credential_source",
    "login_session",
    "role_arn",
    "source_profile",
    "sso_account_id",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
)
_PINS = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
    "s3": {"addressing_style": "path"},
}


@click.command(cls=LoginCommand)
@click.option(
    "--store",
    type=click.Choice(["credentials", "keyring"]),
    help="Where the password is kept: in the AWS credentials file (mode 0600, the default), or in "
    "the system's keyring.",
)
@click.option("--dry-run", is_flag=True, help="Log in, show what would change, and write nothing.")
@click.option("--force", is_flag=True, help="Also where the profile is not one of ours.")
@login_options
def configure(login: Login, store: str | None, dry_run: bool, force: bool) -> None:
    """Ask for a login, prove it, and write an AWS profile (--profile, default "toast").

    Then everything that reads AWS profiles works with it:

    \b
    AWS_PROFILE=toast aws s3 ls

    Nothing else in the AWS files is changed, and what was there before is kept beside them
    (*.toast-boto.bak). Run it again to change something. For scripts, give flags, --no-input and
    the password in TOAST_PASSWORD or by --password-stdin.
    """
    login.profile_name = login.profile_name or PROFILE
    work = _Configure(login, store)
    work.refuse_foreign(force)
    proved = work.prove()
    work.write(proved, dry_run, force)


class _Configure:
    """One run of the command."""

    def __init__(self, login: Login, store: str | None) -> None:
        self._login = login
        self._name = str(login.profile_name)
        self._store = store
        self._config, self._credentials = self._open()
        self._before = self._profile_values()
        self._keep_password_command()
        if store == "keyring":
            check_keyring()
        if "addressing_style" in login.options:
            raise ConfigurationError(
                "--addressing-style: a profile has path style, always. Leave it out."
            )

    def _open(self) -> tuple[ProfileFile, ProfileFile]:
        config, credentials = file_names(os.environ)
        return (
            ProfileFile(config, prefixed=True, private=False),
            ProfileFile(credentials, prefixed=False, private=True),
        )

    def _profile_values(self) -> dict[str, str]:
        return {**self._config.section(self._name), **self._credentials.section(self._name)}

    def _keep_password_command(self) -> None:
        """A command stays, unless another source of the password is asked for."""
        command = self._before.get("toast_password_process")
        given = "password" in self._login.options or self._store is not None
        if not command or given or "password_process" in self._login.options:
            return
        if is_keyring_command(command):
            self._store = "keyring" if os.environ.get("TOAST_PASSWORD") else None
        if self._store is None:
            self._login.options["password_process"] = command

    def refuse_foreign(self, force: bool) -> None:
        """See that the profile is a new one, or one of ours.

        Raises:
            ConfigurationError: it is somebody else's.
        """
        if force or not self._before:
            return
        foreign = [key for key in self._before if key in _FOREIGN_KEYS]
        ours = any(key.startswith("toast_") for key in self._before)
        if ours and not foreign:
            return
        what = f"it has {', '.join(foreign)}" if foreign else "it has no toast_* keys"
        raise ConfigurationError(
            f"the profile {self._name!r} of {self._config.name} or {self._credentials.name} is "
            f"somebody else's: {what}. Choose another name by --profile, or overwrite it by "
            "--force."
        )

    # -- asking

    def prove(self) -> Proved:
        """Ask for what is missing, and log in.

        Raises:
            ToastBotoError: the login is incomplete, or was refused.
        """
        again = False
        questions = Questions(self._login, self._resolve, self._before)
        while True:
            if self._login.may_ask:
                questions.ask(again)
            try:
                return log_in(self._resolve(), self._login.region_name, self._before)
            except ToastBotoError as error:
                if not self._login.may_ask:
                    raise
                say(str(error))
            click.confirm("Try again?", default=True, abort=True, err=True)
            if is_keyring_command(self._login.options.get("password_process", "")):
                self._store = "keyring"
            for name in ("password", "password_process"):
                self._login.options.pop(name, None)
            again = True

    def _resolve(self) -> Settings:
        config, credentials = file_names(os.environ)
        # Not as a named profile: what TOAST_* say now counts more than what was written before.
        profile = read_profile(self._name, config_file=config, credentials_file=credentials)
        options, typed = self._login.options, self._login.typed
        return resolve(options, os.environ, profile, flags=True, typed=typed)

    # -- writing

    def write(self, proved: Proved, dry_run: bool, force: bool) -> None:
        """Write the profile, or show what would change.

        Raises:
            ConfigurationError: it can't be written; nothing was changed then.
        """
        with contextlib.nullcontext() if dry_run else _lock(proved.settings.cache_directory()):
            self._config, self._credentials = self._open()  # as they are now
            self._before = self._profile_values()
            self.refuse_foreign(force)
            self._change(proved, dry_run)
            files = [file for file in (self._credentials, self._config) if file.changed]
            if dry_run:
                click.echo("".join(file.diff() for file in files), nl=False)
                say("nothing was written" if files else "nothing would change")
                return
            write_all(files)
            for file in files:
                kept = f"; what was there before is in {file.backup}" if file.backup else ""
                say(f"wrote the profile {self._name!r} to {file.name}{kept}")
        if not files:
            say(f"the profile {self._name!r} is up to date; nothing was changed")
        for key in ("services", "ignore_configured_endpoint_urls"):
            if self._before.get(key):
                say(f"note: {key} of the profile may count more than its endpoint_url")
        self._say_what_next()

    def _change(self, proved: Proved, dry_run: bool) -> None:
        settings = proved.settings
        process, password = settings["password_process"], settings["password"]
        command = str(process.value) if process else None
        if self._store and not password:
            raise ConfigurationError(
                f"--store {self._store} needs the password itself: set TOAST_PASSWORD, or give "
                "--password-stdin; nothing was changed"
            )
        if password and self._store == "keyring":
            command = keep_in_keyring(settings, write=not dry_run)
            password = None
        changes: dict[str, Any] = {
            "region": proved.region,
            "endpoint_url": proved.endpoint_url,
            "credential_process": credential_process_command(self._name),
            **_PINS,
            **_login_keys(settings),
            "toast_password": None,  # in the other file, which is nobody else's
            "toast_password_process": command,
        }
        for key in _FOREIGN_KEYS:
            changes.setdefault(key, None)
        self._config.change(self._name, changes)
        in_credentials: dict[str, Any] = dict.fromkeys(_FOREIGN_KEYS)
        # What would win over the same key of the config file goes too.
        in_credentials.update(dict.fromkeys(changes))
        if "s3" in self._credentials.section(self._name):  # it has the user's own keys, too
            in_credentials["s3"] = _PINS["s3"]
        secret = None if password is None else str(password.value)
        self._credentials.change(self._name, {**in_credentials, "toast_password": secret})
        if secret is None:
            for file in (self._config, self._credentials):
                file.keep_out_of_backup(self._name, "toast_password")

    def _say_what_next(self) -> None:
        shadows = [n for n in ("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_PROFILE") if os.environ.get(n)]
        for name in shadows:
            if name == "AWS_ACCESS_KEY_ID" or os.environ[name] != self._name:
                say(f"note: {name} is set, and counts more than AWS_PROFILE; unset it")
        needless = self._name == "default" and not os.environ.get("AWS_PROFILE")
        name = "" if needless else f"AWS_PROFILE={shlex.quote(self._name)} "
        say(f"try it: {name}aws s3 ls, or {name}toast-boto doctor --online")


def _login_keys(settings: Settings) -> dict[str, str | None]:
    """The profile's own keys: of every option that was set, but the secrets."""
    keys: dict[str, str | None] = {}
    for option in OPTIONS.values():
        found = settings[option.name]
        if option.profile is None or option.secret or option.name == "password_process":
            continue
        is_set = found is not None and found.rank < DEFAULT_RANK
        keys[option.profile] = str(found.value) if found and is_set else None
    if keys["ca_bundle"]:  # the programs that use it run in other directories
        keys["ca_bundle"] = os.path.abspath(os.path.expanduser(keys["ca_bundle"]))
    cache, directory = settings["cache"], settings["cache_dir"]
    if cache and directory and cache.rank < DEFAULT_RANK and directory.source == cache.source:
        keys["toast_cache"] = str(settings.cache_directory())
    # One of the two says where to log in.
    keys["toast_cloud"] = settings.cloud.name if settings.cloud else None
    keys["toast_auth_url"] = None if settings.cloud else settings.auth_url
    return keys


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """Held while the files are read and written, against another run of this command."""
    lock = filelock.FileLock(str(directory / "configure.lock"), timeout=_LOCK_SECONDS)
    with contextlib.suppress(OSError, NotImplementedError):  # then it goes without
        try:
            make_private_directory(directory)
            lock.acquire()
        except filelock.Timeout:
            raise ConfigurationError(
                f"another `toast-boto configure` has held {lock.lock_file} for {_LOCK_SECONDS} s. "
                "Nothing was changed."
            ) from None
    try:
        yield
    finally:
        lock.release()
