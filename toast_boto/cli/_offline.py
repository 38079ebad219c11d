"""The doctor's look at this machine: what is set, where it came from, and what is shadowed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import stat
import time
import warnings
from collections.abc import Mapping

from .. import __version__
from .._brokers import make_parts
from .._options import DEFAULT_RANK, OPTIONS, sources
from .._profiles import (
    Profile,
    ambient_name,
    file_names,
    path_of,
    profile_in_use,
)
from .._settings import Settings, resolve
from ..errors import ConfigurationError
from ._destination import Destination
from ._findings import Report
from ._login import Login
from ._shadows import Shadows

_SHOWN = ("cloud", "auth_url", "cache_dir")  # also where nobody set them
_PACKAGES = ("boto3", "botocore", "keystoneauth1", "requests")


class Offline:
    """The checks, one after the other.

    Args:
        report: where they go.
        login: what the command line said.
        environ: the environment variables.
    """

    def __init__(self, report: Report, login: Login, environ: Mapping[str, str]) -> None:
        self._report = report
        self._login = login
        self._environ = environ
        self._profile = Profile("default", False, {})

    def run(self) -> Settings | None:
        """Look at everything; answers the settings, None where they make no sense."""
        self._versions()
        self._which_profile()
        try:
            self._profile = profile_in_use(self._environ, self._login.profile_name)
        except ConfigurationError as error:
            way_out = ""
            if "there is no profile" not in str(error):
                way_out = "mend the file; `configure` has kept the one of before, *.toast-boto.bak"
            self._report.failed("profile", str(error), way_out)
            return None
        self._files()
        settings = self._resolve()
        if settings is None:
            return None
        self._values(settings)
        whole = self._whole(settings)
        Destination(self._report, self._login, self._profile, self._environ).run(settings)
        Shadows(self._report, self._profile, self._environ).run(settings)
        self._cache(settings)
        return settings if whole else None

    # -- the machine

    def _versions(self) -> None:
        found = [f"toast_boto {__version__}", f"Python {platform.python_version()}"]
        found += [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
        self._report.ok("versions", ", ".join(found))

    def _which_profile(self) -> None:
        if self._login.profile_name:
            self._report.ok("profile", f"{self._login.profile_name!r}, of --profile")
            return
        source, name = ambient_name(self._environ)
        other = self._environ.get("AWS_PROFILE")
        if source == "AWS_DEFAULT_PROFILE" and other and other != name:
            self._report.warning(
                "profile",
                f"{name!r}, of AWS_DEFAULT_PROFILE, which shadows AWS_PROFILE={other} in boto3; "
                "other SDKs take AWS_PROFILE",
                "unset AWS_DEFAULT_PROFILE",
            )
        else:
            self._report.ok("profile", f"{name!r}, of {source}")

    def _files(self) -> None:
        config, credentials = file_names(self._environ)
        for name, private in ((config, False), (credentials, True)):
            path = path_of(name)
            holds = any("password" in k for k, (_, p) in self._profile.values.items() if p == name)
            if not path.exists():
                self._report.ok("file", f"{name} is not there")
                continue
            mode = stat.S_IMODE(path.stat().st_mode)
            if (private or holds) and mode & 0o077 and os.name == "posix":
                self._report.warning(
                    "file",
                    f"{name} can be read by others (mode {mode:o})",
                    f"chmod 600 {shlex.quote(str(path))}",
                )
            else:
                self._report.ok("file", f"{name}, mode {mode:o}")

    # -- the settings

    def _resolve(self) -> Settings | None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                settings = resolve(self._login.options, self._environ, self._profile, flags=True)
            except ConfigurationError as error:
                self._report.failed("settings", str(error))
                return None
        for warning in caught:
            self._report.warning("settings", str(warning.message), "")
        return settings

    def _values(self, settings: Settings) -> None:
        for option in OPTIONS.values():
            value = settings[option.name]
            if option.name == "cloud" and settings.cloud is None:
                continue
            if value is None or (value.rank == DEFAULT_RANK and option.name not in _SHOWN):
                continue
            shown = "set" if option.secret else str(value.value)
            if option.name == "auth":
                shown = type(value.value).__name__
            text = f"{shown} ({value.source})"
            if option.name == "auth_url" and value.rank == DEFAULT_RANK:
                self._cloud_over_url(settings)
            others = sources(option, self._login.options, self._environ, self._profile, flags=True)
            shadowed = [o.source for o in others if o.rank > value.rank and o.value != value.value]
            if shadowed and value.rank > 0:
                self._report.warning(
                    option.title, f"{text} shadows {' and '.join(shadowed)}", "keep one of them"
                )
            else:
                self._report.ok(option.title, text)
        used = settings["username"]
        if self._environ.get("OS_USERNAME") and used and not used.source.startswith("OS_"):
            self._report.ok("OS_* variables", f"not used, because of {used.source}")

    def _cloud_over_url(self, settings: Settings) -> None:
        """A cloud of a higher source than an identity URL: user and password go to that cloud."""
        cloud = settings["cloud"]
        urls = sources(
            OPTIONS["auth_url"], self._login.options, self._environ, self._profile, flags=True
        )
        if cloud and urls:
            self._report.warning(
                "cloud",
                f"{cloud.value} ({cloud.source}) shadows {urls[0].source}, so that the login goes "
                f"to {settings.auth_url}",
                "keep one of them",
            )

    def _whole(self, settings: Settings) -> bool:
        try:
            settings.check_login()
        except ConfigurationError as error:
            if settings.has_login:
                self._report.failed("login", str(error))
            elif self._environ.get("AWS_ACCESS_KEY_ID") or self._profile.text("aws_access_key_id"):
                self._report.warning(
                    "login",
                    "there is none; toast_boto signs with the AWS key that is set",
                    "toast-boto configure, to need no pasted key",
                )
            else:
                self._report.failed(
                    "login",
                    f"there is none.{settings.hint}",
                    "name a profile" if "AWS_PROFILE=" in settings.hint else "toast-boto configure",
                )
            return False
        self._report.ok("login", "complete")
        return True

    def _cache(self, settings: Settings) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            entry = make_parts(settings).cache.read()
        for warning in caught:
            self._report.warning("key cache", str(warning.message), "toast-boto doctor --online")
        directory = settings.cache_directory()
        if entry is not None:
            minutes = max(time.time() - entry.checked_at, 0) / 60
            self._report.ok(
                "key cache",
                f"{entry.key.access}, which Keystone listed {minutes:.0f} minutes ago",
            )
        elif not caught:
            self._report.ok("key cache", f"empty ({settings.text('cache')}, {directory})")
        there = next((path for path in (directory, *directory.parents) if path.exists()), directory)
        if settings.text("cache") == "file" and not (there.is_dir() and os.access(there, os.W_OK)):
            self._report.warning(
                "key cache",
                f"{directory} can't be written, so that every process asks Keystone for the key",
                "let TOAST_CACHE_DIR name a directory that can be",
            )
