"""The settings: one table of options, and the rules by which their values are found.

For each option: argument, then a profile named in code, then ``TOAST_*``, then the ambient
profile, then the default. ``OS_*`` is all or nothing: it counts only when ``OS_CLOUD``, or both
``OS_AUTH_URL`` and ``OS_USERNAME`` are set, and nothing else names a user; then the whole identity
comes from it, so that no cloud's password ever travels to another cloud. Every value knows where it
came from.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ._checks import (
    boolean,
    check_ca_bundle,
    check_choices,
    check_http,
    check_version,
    normalised,
    seconds,
    split_cache,
)
from ._clouds import CLOUDS, Cloud, cloud_of
from ._openstack import take_openstack_group
from ._options import DEFAULT_RANK, OPTIONS, Value, find
from ._profiles import Profile, login_profiles_hint
from .errors import ConfigurationError

_WHERE_THE_CONSOLE_SHOWS_IT = (
    "The console shows tenant ID and API password under Object Storage > API Endpoint Setting."
)


LOGIN = ("auth", "username", "password", "password_process", "tenant_id")


class Settings:
    """The resolved settings; ``settings["tenant_id"]`` is a :class:`Value` or None.

    Attributes:
        auth_url: the identity URL, normalised.
        cloud: the table's cloud behind it, None for an identity service of one's own.
        allow_http: whether plain http is allowed to any host.
        identity_timeout: after how many seconds to give up asking the identity service, in all.
        hint: what a user should know whose login is missing or incomplete; may be empty.
        flags: whether the caller is a command line, so that texts name flags, not arguments.
    """

    def __init__(
        self,
        values: dict[str, Value],
        cloud: Cloud | None,
        allow_http: bool,
        hint: str,
        flags: bool = False,
    ) -> None:
        self._values = values
        self.cloud = cloud
        self.allow_http = allow_http
        self.hint = hint
        self.flags = flags
        self.auth_url = str(values["auth_url"].value)
        self.identity_timeout = seconds(values["identity_timeout"], OPTIONS["identity_timeout"])

    def __getitem__(self, name: str) -> Value | None:
        return self._values.get(name)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{n} from {v.source}' for n, v in self._values.items())})"

    def text(self, name: str) -> str:
        """A value as text; empty where there is none."""
        found = self._values.get(name)
        return "" if found is None else str(found.value)

    @property
    def ca_bundle(self) -> str | None:
        """Path of the CA bundle, None for certifi's."""
        return self.text("ca_bundle") or None

    @property
    def has_login(self) -> bool:
        """Whether any part of a login is there, so that the rest of it is missed if it is not."""
        return any(name in self._values for name in LOGIN)

    def check_login(self) -> None:
        """See that the login is whole, and that its URL is fit for a password.

        Raises:
            ConfigurationError: part of it is missing, or the URL is plain http or of no version.
        """
        url = self._values["auth_url"]
        check_http(url.value, url.source, "identity URL", allow_http=self.allow_http)
        if "auth" in self._values:
            return
        check_version(url.value, url.source)
        needed = [OPTIONS["username"], OPTIONS["tenant_id"]]
        if "password_process" not in self._values:
            needed.append(OPTIONS["password"])
        missing = [option for option in needed if option.name not in self._values]
        if not missing:
            return
        names = ("username", "tenant_id", "password", "password_process")
        found = [(OPTIONS[n].title, self._values[n].source) for n in names if n in self._values]
        given = [f"{title} ({source})" for title, source in found]
        raise ConfigurationError(
            f"the login is incomplete: there is no {' and no '.join(o.title for o in missing)}. "
            f"There is {', '.join(given)}. "
            + " ".join(
                f"Set the {option.title} by {option.places(self.flags)}." for option in missing
            )
            + f" {_WHERE_THE_CONSOLE_SHOWS_IT}{self.hint}"
        )

    def password(self, at_most: float = math.inf) -> str:
        """The API password; where a command gives it, that is run now.

        Args:
            at_most: a time limit for the command that is shorter than its own, in seconds.

        Raises:
            ConfigurationError: the command failed, took too long or printed nothing.
        """
        if "password" in self._values:
            return self.text("password")
        from . import _passwords  # noqa: PLC0415 - few use a command

        command = self._values["password_process"]
        limit = min(at_most, _passwords.TIME_LIMIT)
        return _passwords.run_password_process(str(command.value), command.source, limit)

    def login_mark(self) -> str:
        """By what two processes can tell whether they were given the same login; no secret."""
        names = ("password", "password_process", "ca_bundle", "key_policy", "identity_timeout")
        found = [(name, self._values[name]) for name in names if name in self._values]
        return repr([(n, v.source if n == "password" else str(v.value)) for n, v in found])

    def check_endpoint(self, url: str, source: str) -> None:
        """See that an S3 endpoint is not plain http by accident.

        Raises:
            ConfigurationError: it is, and nobody allowed it.
        """
        known = self.cloud.endpoint_urls.values() if self.cloud else ()
        check_http(url, source, "S3 endpoint", allow_http=self.allow_http, known=known)

    def cache_directory(self) -> Path:
        """The directory of the key cache; relative, with its ``~``, where nobody has a home."""
        path = os.path.expanduser(self.text("cache_dir"))
        return Path(path if path.startswith("~") else os.path.abspath(path))


def nothing_configured(settings: Settings) -> ConfigurationError:
    """The error of a session that has neither a login nor keys."""
    way_out = (
        "Make a profile by `toast-boto configure`, name one by --profile, or set TOAST_USERNAME, "
        "TOAST_PASSWORD and TOAST_TENANT_ID."
    )
    if not settings.flags:
        way_out = (
            "Set TOAST_USERNAME, TOAST_PASSWORD and TOAST_TENANT_ID, pass username=, password= and "
            "tenant_id= to toast_boto.Session, or make a profile by `toast-boto configure`."
        )
    return ConfigurationError(
        f"there is no login and no key for TOAST Object Storage. {way_out} "
        f"{_WHERE_THE_CONSOLE_SHOWS_IT}{settings.hint}"
    )


def resolve(
    arguments: Mapping[str, Any],
    environ: Mapping[str, str],
    profile: Profile,
    *,
    flags: bool = False,
    typed: Collection[str] = (),
) -> Settings:
    """Find every option's value.

    Args:
        arguments: given in code, by option name; None means not given.
        environ: the environment variables.
        profile: the profile that botocore uses, named or ambient.
        flags: whether the arguments came from a command line, so that texts name the flag.
        typed: the arguments that a person typed when asked.

    Raises:
        ConfigurationError: a value makes no sense; the text names it, its source and the way out.
    """
    known = [option.name for option in OPTIONS.values() if option.argument]
    unknown = set(arguments) - set(known)
    if unknown:
        raise TypeError(f"unknown option {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    values = {}
    for option in OPTIONS.values():
        found = find(option, arguments, environ, profile, flags)
        if found:
            was_typed = found.rank == 0 and option.name in typed
            values[option.name] = found._replace(source="as typed") if was_typed else found
    hint = ""
    if not any(name in values for name in LOGIN):
        hint = login_profiles_hint(environ, flags)
    if "auth" in values:
        _keep_what_code_gave(values)
    elif "username" not in values:
        hint += take_openstack_group(values, environ)
    _choose_password(values)
    cloud = _choose_cloud(values, flags)
    for option in OPTIONS.values():
        if option.default is not None:
            values.setdefault(option.name, Value(option.default, "the default", DEFAULT_RANK))
    check_choices(values)
    split_cache(values)
    check_ca_bundle(values.get("ca_bundle"))
    allow_http = boolean(values["allow_http"], OPTIONS["allow_http"])
    return Settings(values, cloud, allow_http, hint, flags)


def _keep_what_code_gave(values: dict[str, Value]) -> None:
    """A plugin given in code is a whole login: nothing of an ambient one is mixed in."""
    for option in OPTIONS.values():
        if option.identity and option.name in values and values[option.name].rank > 0:
            del values[option.name]


def _choose_password(values: dict[str, Value]) -> None:
    """Of password and command keep that of the higher source; of one source, the password."""
    if "password" in values and "password_process" in values:
        command_wins = values["password_process"].rank < values["password"].rank
        values.pop("password" if command_wins else "password_process")


def plugin_name(auth: Value) -> str:
    """What a text calls a keystoneauth1 plugin."""
    return "the plugin given as auth=" if auth.rank == 0 else auth.source


def _choose_cloud(values: dict[str, Value], flags: bool) -> Cloud | None:
    """Settle the identity URL; answers the table's cloud behind it, if there is one."""
    chosen, url = values.get("cloud"), values.get("auth_url")
    if chosen:
        values["cloud"] = chosen = chosen._replace(value=chosen.value.lower())
        if chosen.value not in CLOUDS:
            raise ConfigurationError(
                f"there is no cloud {chosen.value!r} ({chosen.source}); there are "
                f"{', '.join(CLOUDS)}. For an identity service of your own give its URL instead, "
                f"by {OPTIONS['auth_url'].places(flags)}."
            )
    if "auth" in values and not (url and url.rank == 0):
        of_plugin = getattr(values["auth"].value, "auth_url", None)
        if of_plugin:
            url = Value(of_plugin, plugin_name(values["auth"]), 0)
        elif not url and not chosen:
            raise ConfigurationError(
                "the plugin given as auth= has no auth_url of its own: give auth_url= too"
            )
    if url and not (chosen and chosen.rank < url.rank):
        values["auth_url"] = url._replace(value=normalised(url))
        return cloud_of(values["auth_url"].value)
    cloud = CLOUDS[str(chosen.value) if chosen else "toast"]
    values["auth_url"] = Value(cloud.auth_url, f"the cloud {cloud.name!r}", DEFAULT_RANK)
    return cloud
