"""``toast-boto configure``: asks, proves the login, and writes an AWS profile."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import Any, NamedTuple

import click
import filelock

from .._brokers import make_parts
from .._clouds import CLOUDS, http_host, normalised_url
from .._files import make_private_directory
from .._options import DEFAULT_RANK, OPTIONS
from .._profiles import file_names, read_profile
from .._regions import DEFAULT_REGION, is_aws_region, known_region
from .._settings import Settings, nothing_configured, resolve
from .._talk import say
from ..errors import AuthenticationError, ConfigurationError
from ._login import Login, login_options
from ._passwords import is_keyring_command, keep_in_keyring
from ._profile_files import ProfileFile
from ._program import credential_process_command
from ._progress import waiting

PROFILE = "toast"
_LOCK_SECONDS = 30
# What another kind of profile has; botocore would look there first.
_FOREIGN_KEYS = (
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "credential_source",
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


class Proved(NamedTuple):
    """A login that worked."""

    settings: Settings
    user_id: str
    region: str
    endpoint_url: str


@click.command()
@login_options
@click.option(
    "--store",
    type=click.Choice(["credentials", "keyring"]),
    help="Where the password is kept: in the AWS credentials file (mode 0600, the default), or in "
    "the system's keyring.",
)
@click.option("--dry-run", is_flag=True, help="Log in, show what would change, and write nothing.")
@click.option("--force", is_flag=True, help="Also where the profile is not one of ours.")
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
        self._asked_again = False
        self._config, self._credentials = self._open()
        self._before = self._profile_values()
        self._keep_password_command()

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
        while True:
            if self._login.may_ask:
                self._ask()
            try:
                return self._log_in(self._resolve())
            except AuthenticationError as error:
                if not self._login.may_ask:
                    raise
                say(str(error))
            click.confirm("Try again?", default=True, abort=True, err=True)
            self._login.options.pop("password", None)
            self._asked_again = True

    def _ask(self) -> None:
        options, settings = self._login.options, self._resolve()
        if self._asked_again or not {"cloud", "auth_url"} & options.keys():
            self._ask_cloud(settings)
        for name in ("username", "tenant_id"):
            if name not in options or self._asked_again:
                default = options.get(name) or settings.text(name) or None
                options[name] = _prompt(_QUESTIONS[name], default, _not_empty)
        if "password" not in options and "password_process" not in options:
            self._ask_password()
        if self._login.region_name is None:
            settings = self._resolve()
            default = self._default_region(settings)
            self._login.region_name = _prompt(
                "Region", default, lambda text: known_region(text, "--region", settings.cloud)
            )

    def _ask_cloud(self, settings: Settings) -> None:
        default = settings.cloud.name if settings.cloud else settings.auth_url

        def check(text: str) -> str:
            if text in CLOUDS or http_host(text):
                return text
            raise ConfigurationError(
                f"there is no cloud {text!r}; there are {', '.join(CLOUDS)}. For an identity "
                "service of your own type its URL."
            )

        question = f"Cloud ({', '.join(list(CLOUDS)[:3])} ...) or identity URL"
        answer = _prompt(question, default, check)
        for name in ("cloud", "auth_url"):
            self._login.options.pop(name, None)
        self._login.options["cloud" if answer in CLOUDS else "auth_url"] = answer

    def _ask_password(self) -> None:
        stored = self._before.get("toast_password")
        question = "API password"
        if stored:
            question += " (Enter keeps the one that is stored)"
        answer = click.prompt(
            question, hide_input=True, err=True, default=stored or None, show_default=False
        )
        self._login.options["password"] = answer

    def _resolve(self) -> Settings:
        config, credentials = file_names(os.environ)
        # Not as a named profile: what TOAST_* say now counts more than what was written before.
        profile = read_profile(self._name, config_file=config, credentials_file=credentials)
        return resolve(self._login.options, os.environ, profile, flags=True)

    def _default_region(self, settings: Settings) -> str:
        before = self._before.get("region", "")
        if settings.cloud is None:
            return before if before and not is_aws_region(before) else DEFAULT_REGION
        return settings.cloud.spelling(before) or settings.cloud.default_region

    # -- proving

    def _log_in(self, settings: Settings) -> Proved:
        if not settings.has_login:
            raise nothing_configured(settings)
        settings.check_login()
        if settings["auth"]:
            raise ConfigurationError(
                "a profile can't hold this login of clouds.yaml, which is not by user name, "
                "password and tenant ID"
            )
        asked = self._login.region_name or self._default_region(settings)
        region = known_region(asked, "--region", settings.cloud)
        given = settings["endpoint_url"]
        if given:
            settings.check_endpoint(str(given.value), given.source)
        with waiting("Logging in"), make_parts(settings).connect() as identity:
            found = identity.login()
        say(f"logged in: user ID {found.user_id}, tenant {settings.text('tenant_id')}")
        if region not in found.endpoints and region.upper() in found.endpoints:
            region = region.upper()
        url = self._endpoint(settings, region, found.endpoints)
        settings.check_endpoint(url, "the service catalogue")
        return Proved(settings, found.user_id, region, url)

    def _endpoint(self, settings: Settings, region: str, catalogue: dict[str, str]) -> str:
        given = settings["endpoint_url"]
        table = settings.cloud.endpoint_urls.get(region) if settings.cloud else None
        of_login = catalogue.get(region)
        expected = table or of_login
        if given:
            return str(given.value)
        before = self._before.get("endpoint_url")
        if before and self._is_custom(before, settings, catalogue):
            say(f"the endpoint {before} stays as it was; --endpoint-url changes it")
            return before
        if table and of_login and normalised_url(table) != normalised_url(of_login):
            say(
                f"note: the service catalogue has the endpoint {of_login} for {region}, the table "
                f"of clouds {table}, which is written; --endpoint-url {of_login} would choose the "
                "other"
            )
        if expected:
            return expected
        raise ConfigurationError(
            f"the service catalogue has no endpoint for the region {region!r} (--region): it has "
            f"{', '.join(sorted(catalogue)) or 'none'}. Choose one of these, or give "
            "--endpoint-url."
        )

    def _is_custom(self, url: str, settings: Settings, catalogue: dict[str, str]) -> bool:
        """Whether an endpoint was chosen by hand, and for this region."""
        tables = [u for cloud in CLOUDS.values() for u in cloud.endpoint_urls.values()]
        known = {normalised_url(u) for u in (*tables, *catalogue.values())}
        same = self._before.get("region") == (
            self._login.region_name or self._default_region(settings)
        )
        return same and bool(http_host(url)) and normalised_url(url) not in known

    # -- writing

    def write(self, proved: Proved, dry_run: bool, force: bool) -> None:
        """Write the profile, or show what would change.

        Raises:
            ConfigurationError: it can't be written; nothing was changed then.
        """
        directory = proved.settings.cache_directory()
        with _lock(directory):
            self._config, self._credentials = self._open()  # as they are now
            self._before = self._profile_values()
            self.refuse_foreign(force)
            self._change(proved, dry_run)
            files = [file for file in (self._credentials, self._config) if file.changed]
            if dry_run:
                click.echo("".join(file.diff() for file in files), nl=False)
                say("nothing was written" if files else "nothing would change")
                return
            for file in files:  # the password first: a profile without one would be an error
                backup = file.write()
                kept = f"; what was there before is in {backup}" if backup else ""
                say(f"wrote the profile {self._name!r} to {file.name}{kept}")
        if not files:
            say(f"the profile {self._name!r} is up to date; nothing was changed")
        self._say_what_next()

    def _change(self, proved: Proved, dry_run: bool) -> None:
        settings = proved.settings
        process, password = settings["password_process"], settings["password"]
        command = str(process.value) if process else None
        if password and self._store == "keyring":
            command = keep_in_keyring(settings, write=not dry_run)
            password = None
        changes: dict[str, Any] = {
            "region": proved.region,
            "endpoint_url": proved.endpoint_url,
            "credential_process": credential_process_command(self._name),
            **_PINS,
            **_login_keys(settings),
            "toast_password_process": command,
        }
        for key in _FOREIGN_KEYS:
            changes.setdefault(key, None)
        self._config.change(self._name, changes)
        in_credentials = dict.fromkeys(_FOREIGN_KEYS)
        # What would win over the same key of the config file goes too.
        in_credentials.update(dict.fromkeys(key for key in changes if key != "toast_password"))
        secret = None if password is None else str(password.value)
        self._credentials.change(self._name, {**in_credentials, "toast_password": secret})

    def _say_what_next(self) -> None:
        shadows = [n for n in ("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_PROFILE") if os.environ.get(n)]
        for name in shadows:
            if name == "AWS_ACCESS_KEY_ID" or os.environ[name] != self._name:
                say(f"note: {name} is set, and counts more than AWS_PROFILE; unset it")
        name = "" if self._name == "default" else f"AWS_PROFILE={shlex.quote(self._name)} "
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
    # One of the two says where to log in.
    keys["toast_cloud"] = settings.cloud.name if settings.cloud else None
    keys["toast_auth_url"] = None if settings.cloud else settings.auth_url
    return keys


_QUESTIONS = {
    "username": "User name (the account's e-mail address, or the IAM account ID)",
    "tenant_id": "Tenant ID (Object Storage's own: console, API Endpoint Setting)",
}


def _prompt(question: str, default: str | None, check: Callable[[str], str]) -> str:
    """Ask until the answer makes sense."""
    while True:
        answer = click.prompt(question, default=default, err=True)
        try:
            return check(answer.strip())
        except ConfigurationError as error:
            say(str(error))


def _not_empty(text: str) -> str:
    if text:
        return text
    raise ConfigurationError("there must be an answer; Ctrl-C ends it")


def _lock(directory: Any) -> Any:
    """Held while the files are read and written, against another run of this command."""
    try:
        make_private_directory(directory)
        return filelock.FileLock(str(directory / "configure.lock"), timeout=_LOCK_SECONDS)
    except OSError as error:
        failure = error.strerror
    raise ConfigurationError(f"{directory} can't be made: {failure}. TOAST_CACHE_DIR names another")
