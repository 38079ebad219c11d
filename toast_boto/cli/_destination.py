"""The doctor's look at where requests would go: region and endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from .._checks import check_http
from .._clouds import normalised_url
from .._options import Value
from .._profiles import Profile, file_names, services_endpoint
from .._regions import DEFAULT_REGION, is_aws_region, known_region
from .._settings import Settings
from ..errors import ConfigurationError
from ._findings import Report
from ._login import Login


class Destination:
    """Region and endpoint, with their sources.

    Args:
        report: where the findings go.
        login: what the command line said.
        profile: that is in use.
        environ: the environment variables.
    """

    def __init__(
        self, report: Report, login: Login, profile: Profile, environ: Mapping[str, str]
    ) -> None:
        self._report = report
        self._login = login
        self._profile = profile
        self._environ = environ

    def run(self, settings: Settings) -> None:
        """Look at both."""
        self._region(settings)
        self._endpoint(settings)

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
        of_profile = self._profile.text("region")
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
        of_profile = self._profile.text("region")
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
        services = self._profile.text("services")
        url = services_endpoint(file_names(self._environ)[0], services) if services else ""
        found.append(Value(url, f"the services section {services!r}", 3))
        url = self._profile.text("endpoint_url")
        found.append(Value(url, f"endpoint_url in the profile {self._profile.name!r}", 3))
        return [value for value in found if value and value.value]

    def _ignored(self) -> bool:
        name = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
        of_profile = self._profile.text("ignore_configured_endpoint_urls")
        if (self._environ.get(name) or of_profile).lower() != "true":
            return False
        source = name if self._environ.get(name) else "ignore_configured_endpoint_urls"
        self._report.warning(
            "S3 endpoint", f"{source} is true, so that no endpoint counts but a flag's", "unset it"
        )
        return True
