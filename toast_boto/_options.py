"""The table of options: every name by which a setting can be given, and where its value is found.

Adding an option is adding a row. Arguments, environment, profile and error texts are made of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from ._profiles import Profile
from .errors import ConfigurationError

CACHE_DIRECTORY = "~/.aws/toast/cache"
AMBIENT_PROFILE_RANK = 3
DEFAULT_RANK = 9


class Option(NamedTuple):
    """A row of the table.

    ``identity`` marks what belongs to a login and so to the OS_* group, ``argument`` what code may
    give.
    """

    name: str
    title: str
    environment: tuple[str, ...] = ()
    openstack: tuple[str, ...] = ()
    profile: str | None = None
    default: str | None = None
    identity: bool = False
    secret: bool = False
    argument: bool = True

    @property
    def flag(self) -> str:
        """What gives it on the command line; a secret is never an argument of a process."""
        return "--password-stdin" if self.secret else f"--{self.name.replace('_', '-')}"

    def given(self, flags: bool) -> str:
        """What gave it, where the caller did: a flag of the command line, or an argument."""
        return self.flag if flags else f"the argument {self.name}="

    def places(self, flags: bool = False) -> str:
        """Where a user can set it, for error texts."""
        where = [self.given(flags), *self.environment[:1]]
        if self.profile:
            file = " of the credentials file" if self.secret else ""
            where.append(f"{self.profile} in the profile{file}")
        return ", ".join(where[:-1]) + " or " + where[-1] if len(where) > 1 else where[0]


OPTIONS = {
    option.name: option
    for option in (
        Option("cloud", "cloud", ("TOAST_CLOUD",), (), "toast_cloud", "toast", identity=True),
        Option(
            "auth_url", "identity URL", ("TOAST_AUTH_URL",), ("OS_AUTH_URL",),
            "toast_auth_url", identity=True,
        ),
        Option(
            "username", "user name", ("TOAST_USERNAME",), ("OS_USERNAME",),
            "toast_username", identity=True,
        ),
        Option(
            "password", "API password", ("TOAST_PASSWORD",), ("OS_PASSWORD",),
            "toast_password", identity=True, secret=True,
        ),
        Option(
            "password_process", "password command", ("TOAST_PASSWORD_PROCESS",), (),
            "toast_password_process", identity=True,
        ),
        Option(
            "tenant_id", "tenant ID", ("TOAST_TENANT_ID",), ("OS_TENANT_ID", "OS_PROJECT_ID"),
            "toast_tenant_id", identity=True,
        ),
        Option(
            "user_domain", "v3 user domain", (), ("OS_USER_DOMAIN_NAME",),
            "toast_user_domain", "Default", identity=True,
        ),
        Option(
            "project_domain", "v3 project domain", (), ("OS_PROJECT_DOMAIN_NAME",),
            "toast_project_domain", "Default", identity=True,
        ),
        Option("auth", "keystoneauth1 plugin", (), ("OS_CLOUD",), identity=True),
        Option("ca_bundle", "CA bundle", ("AWS_CA_BUNDLE",), ("OS_CACERT",), "ca_bundle"),
        Option("allow_http", "plain http", ("TOAST_ALLOW_HTTP",), (), "toast_allow_http", "no"),
        Option("endpoint_url", "S3 endpoint"),  # its other sources are botocore's own
        Option("addressing_style", "addressing style", default="path"),
        Option(
            "key_policy", "key policy", ("TOAST_KEY_POLICY",), (), "toast_key_policy",
            "reuse-or-create",
        ),
        Option(
            "identity_timeout", "total time for the identity service",
            ("TOAST_IDENTITY_TIMEOUT",), (), "toast_identity_timeout", "60",
        ),
        Option("cache", "key cache", ("TOAST_CACHE",), (), "toast_cache", "file"),
        Option(
            "cache_dir", "key cache directory", ("TOAST_CACHE_DIR",), (), None, CACHE_DIRECTORY,
            argument=False,
        ),
    )
}  # fmt: skip


class Value(NamedTuple):
    """A value, where it came from, and the rank of that source (0 is the highest)."""

    value: Any
    source: str
    rank: int

    def __repr__(self) -> str:
        return f"Value(from {self.source})"


def find(
    option: Option,
    arguments: Mapping[str, Any],
    environ: Mapping[str, str],
    profile: Profile,
    flags: bool = False,
) -> Value | None:
    """An option's value of its highest source: argument, named profile, TOAST_*, ambient profile.

    Args:
        option: a row of the table.
        arguments: by option name.
        environ: the environment variables.
        profile: named or ambient.
        flags: whether the arguments came from a command line, so that texts name the flag.

    Raises:
        ConfigurationError: an argument of a wrong type.
    """
    found = sources(option, arguments, environ, profile, flags)
    return found[0] if found else None


def sources(
    option: Option,
    arguments: Mapping[str, Any],
    environ: Mapping[str, str],
    profile: Profile,
    flags: bool = False,
) -> list[Value]:
    """An option's values of all its sources, highest first; arguments and errors as :func:`find`.

    The OS_* group is none of them: it is taken as a whole or not at all.
    """
    found = []
    given = arguments.get(option.name) if option.argument else None
    if given is not None and given != "":
        found.append(Value(_checked_argument(option, given), option.given(flags), 0))
    for name in option.environment:
        if environ.get(name):
            found.append(Value(environ[name], name, 2))
    if option.profile and profile.values.get(option.profile, ("", ""))[0]:
        text, path = profile.values[option.profile]
        source = f"{option.profile} in the profile {profile.name!r} of {path}"
        found.append(Value(text, source, 1 if profile.named else AMBIENT_PROFILE_RANK))
    return sorted(found, key=lambda value: value.rank)


def _checked_argument(option: Option, value: Any) -> Any:
    if option.name == "auth":
        return value
    if option.name == "allow_http" and isinstance(value, bool):
        return "yes" if value else "no"
    if option.name == "identity_timeout" and isinstance(value, int | float):
        return str(value)
    if isinstance(value, os.PathLike):
        value = os.path.abspath(value)
    if not isinstance(value, str):
        raise ConfigurationError(f"{option.name}= must be text, not {type(value).__name__}")
    return value
