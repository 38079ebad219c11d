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
from .._checks import check_http
from .._clouds import normalised_url
from .._options import DEFAULT_RANK, OPTIONS, Value, sources
from .._profiles import (
    Profile,
    ambient_name,
    file_names,
    path_of,
    profile_in_use,
    services_endpoint,
)
from .._regions import DEFAULT_REGION, is_aws_region, known_region
from .._settings import Settings, resolve
from ..errors import ConfigurationError
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
        self.settings: Settings | None = None

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
        self._region(settings)
        self._endpoint(settings)
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
            elif self._environ.get("AWS_ACCESS_KEY_ID") or self._of_profile("aws_access_key_id"):
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

    def _region(self, settings: Settings) -> None:
        default = settings.cloud.default_region if settings.cloud else DEFAULT_REGION
        name, source = self._region_source()
        if name and is_aws_region(name):
            self._report.warning(
                "region",
                f"{name} ({source}) is AWS's own; toast_boto takes {default} instead, other "
                "programs sign with it",
                f"set the region to {default}",
            )
            return
        try:
            region = known_region(name or default, source, settings.cloud)
        except ConfigurationError as error:
            self._report.failed("region", str(error))
            return
        of_profile = self._of_profile("region")
        if source == "AWS_DEFAULT_REGION" and of_profile and of_profile != region:
            self._report.warning(
                "region",
                f"{region} (AWS_DEFAULT_REGION) shadows {of_profile} of the profile",
                "keep one of them",
            )
        else:
            self._report.ok("region", f"{region} ({source})")
        other = self._environ.get("AWS_REGION")
        if other and other != region:
            self._report.warning(
                "region",
                f"AWS_REGION={other} is read by SDKs of other languages, not by boto3",
                f"unset it, or set it to {region}",
            )

    def _region_source(self) -> tuple[str, str]:
        if self._login.region_name:
            return self._login.region_name, "--region"
        if self._environ.get("AWS_DEFAULT_REGION"):
            return self._environ["AWS_DEFAULT_REGION"], "AWS_DEFAULT_REGION"
        of_profile = self._of_profile("region")
        return (of_profile, "the profile") if of_profile else ("", "the default")

    def _endpoint(self, settings: Settings) -> None:
        found = self._endpoints(settings)
        if not found:
            source = f"the cloud {settings.cloud.name!r}" if settings.cloud else "service catalogue"
            self._report.ok("S3 endpoint", f"that of the region ({source})")
            return
        first = found[0]
        try:
            known = settings.cloud.endpoint_urls.values() if settings.cloud else ()
            check_http(
                str(first.value), first.source, "S3 endpoint",
                allow_http=settings.allow_http, known=known,
            )  # fmt: skip
        except ConfigurationError as error:
            self._report.failed("S3 endpoint", str(error))
            return
        shadowed = [f"{v.value} ({v.source})" for v in found[1:] if v.value != first.value]
        text = f"{first.value} ({first.source})"
        if shadowed:
            self._report.warning(
                "S3 endpoint", f"{text} shadows {' and '.join(shadowed)}", "keep one of them"
            )
        elif ".amazonaws.com" in str(first.value):
            self._report.failed("S3 endpoint", f"{text} is AWS's own", "take it out")
        elif settings.cloud and normalised_url(str(first.value)) not in [
            normalised_url(url) for url in settings.cloud.endpoint_urls.values()
        ]:
            self._report.warning(
                "S3 endpoint",
                f"{text} is none of the cloud {settings.cloud.name!r}, where the login is",
                "take it out, if it is not meant",
            )
        else:
            self._report.ok("S3 endpoint", text)

    def _endpoints(self, settings: Settings) -> list[Value]:
        """Those that are configured, in botocore's order."""
        found = [settings["endpoint_url"]]
        if self._ignored():
            return [value for value in found if value]
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
            found.append(Value(self._environ.get(name), name, 2))
        services = self._of_profile("services")
        url = services_endpoint(file_names(self._environ)[0], services) if services else ""
        found.append(Value(url, f"the services section {services!r}", 3))
        url = self._of_profile("endpoint_url")
        found.append(Value(url, f"endpoint_url in the profile {self._profile.name!r}", 3))
        return [value for value in found if value and value.value]

    def _ignored(self) -> bool:
        name = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
        of_profile = self._of_profile("ignore_configured_endpoint_urls")
        if (self._environ.get(name) or of_profile).lower() != "true":
            return False
        source = name if self._environ.get(name) else "ignore_configured_endpoint_urls"
        self._report.warning(
            "S3 endpoint", f"{source} is true, so that no endpoint counts but a flag's", "unset it"
        )
        return True

    def _of_profile(self, key: str) -> str:
        return self._profile.values.get(key, ("", ""))[0]

    # -- the cache

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
