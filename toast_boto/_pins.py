"""The pins: what an S3 client of a TOAST session is made with, whatever its code was written for.

Region, endpoint, path style, Signature V4 and the CA bundle; everything else of the caller's
``Config`` and arguments stays as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config

from ._broker import Broker
from ._clouds import is_loopback
from ._regions import DEFAULT_REGION, is_aws_region, known_region
from ._settings import Settings
from .errors import ConfigurationError, ToastBotoWarning


class Pins:
    """The pins of one session, by its settings.

    Args:
        settings: of the session.
        broker: is asked for the catalogue's endpoints where no table has them.
        environ: the environment variables.
    """

    def __init__(self, settings: Settings, broker: Broker, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._broker = broker
        self._environ = environ
        self._warned: set[str] = set()

    def region_of(self, session: Any) -> str:
        """The session's region: of code, environment or profile, or else the cloud's.

        Raises:
            ConfigurationError: the cloud has no such region.
        """
        cloud = self._settings.cloud
        default = cloud.default_region if cloud else DEFAULT_REGION
        asked = session.get_config_variable("region")
        return self._region(asked, self._region_source(session, asked), default)

    def apply(self, session: Any, call: dict[str, Any], config: Config, own_key: bool) -> None:
        """Adjust the arguments of one ``create_client``.

        Args:
            session: the botocore session.
            call: the arguments by name; changed in place.
            config: the client's, the session's default merged in.
            own_key: whether Keystone's key will sign.

        Raises:
            ConfigurationError: the region or the endpoint makes no sense.
            ToastBotoError: the endpoint must be looked up, and that failed.
        """
        own_region = self.region_of(session)
        asked = call.get("region_name") or config.region_name
        region = self._region(asked, "the argument region_name=", own_region)
        url, source = call.get("endpoint_url"), "the argument endpoint_url="
        if not url and region == own_region:
            url, source = self._configured_endpoint(session, config)
        if not url:
            url, source = self._endpoint_of(region, own_key)
        self._settings.check_endpoint(url, source)
        call["region_name"], call["endpoint_url"] = region, url
        if call.get("verify") is None:
            call["verify"] = self._settings.ca_bundle
        call["config"] = self._pinned_config(session, config, url)

    def _pinned_config(self, session: Any, config: Config, url: str) -> Config:
        s3 = dict(config.s3 or {})
        wanted = s3.get("addressing_style") or (session.get_config_variable("s3") or {}).get(
            "addressing_style"
        )
        style = self._settings.text("addressing_style")
        if wanted == "virtual" and style == "path":
            self._warn_once(
                "addressing_style",
                "addressing_style='virtual' is replaced by 'path': where the service does not know "
                "virtual hosts, a key is taken for a bucket, and the wrong one may be deleted. "
                "toast_boto.Session(addressing_style='virtual') insists.",
            )
        s3["addressing_style"] = style if style == "path" else wanted or style
        pins: dict[str, Any] = {"s3": s3}
        if config.signature_version is not UNSIGNED:
            pins["signature_version"] = "s3v4"
        if config.proxies is None and is_loopback(url):
            pins["proxies"] = {}  # a proxy of the environment can't reach this machine
        return config.merge(Config(**pins))

    def _region_source(self, session: Any, asked: str | None) -> str:
        if self._environ.get("AWS_DEFAULT_REGION") == asked:
            return "AWS_DEFAULT_REGION"
        if session.get_scoped_config().get("region") == asked:
            return "region in the profile"
        return "--region" if self._settings.flags else "the argument region_name="

    def _region(self, asked: str | None, source: str, instead: str) -> str:
        if not asked:
            return instead
        if not is_aws_region(asked):
            return known_region(asked, source, self._settings.cloud)
        self._warn_once(
            "region",
            f"the region {asked!r} ({source}) is AWS's own; {instead} is used instead. Set it to a "
            "region of the cloud to be rid of this warning.",
        )
        return instead

    def _configured_endpoint(self, session: Any, config: Config) -> tuple[str | None, str]:
        found = self._settings["endpoint_url"]
        if found:
            return str(found.value), found.source
        return _botocore_endpoint(session, config, self._environ)

    def _endpoint_of(self, region: str, own_key: bool) -> tuple[str, str]:
        cloud = self._settings.cloud
        if cloud:
            return cloud.endpoint_urls[region], f"the cloud {cloud.name!r}"
        return self._catalogue_endpoint(region, own_key), "the service catalogue"

    def _catalogue_endpoint(self, region: str, own_key: bool) -> str:
        if not self._settings.has_login:
            raise ConfigurationError(
                f"there is no S3 endpoint for the region {region!r}: no known cloud has the "
                f"identity URL {self._settings.auth_url}, and without a login there is no service "
                "catalogue. Set endpoint_url= or AWS_ENDPOINT_URL_S3."
            )
        self._settings.check_login()
        endpoints = self._broker.endpoints(login_only=not own_key)
        if region not in endpoints:
            endpoints = self._broker.endpoints(again=True)
        if region not in endpoints:
            known = ", ".join(sorted(endpoints)) or "none"
            raise ConfigurationError(
                f"there is no S3 endpoint for the region {region!r}: the service catalogue of "
                f"{self._settings.auth_url} has {known}. Choose one of these, or set endpoint_url=."
            )
        return endpoints[region]

    def _warn_once(self, subject: str, text: str) -> None:
        if subject not in self._warned:
            self._warned.add(subject)
            warnings.warn(text, ToastBotoWarning, stacklevel=2)


def _botocore_endpoint(
    session: Any, config: Config, environ: Mapping[str, str]
) -> tuple[str | None, str]:
    """The endpoint that environment or profile set for S3, and where, in botocore's own order.

    The order is AWS's, of all its SDKs (SDKs and Tools Reference Guide, "Service-specific
    endpoints"); a contract test compares it with botocore's.
    """
    ignore = getattr(config, "ignore_configured_endpoint_urls", None)
    if ignore is None:
        ignore = session.get_config_variable("ignore_configured_endpoint_urls")
    if ignore:
        return None, ""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if environ.get(name):
            return environ[name], name
    profile = session.get_scoped_config()
    sections = session.full_config.get("services", {})
    service = sections.get(profile.get("services"), {}).get("s3", {})
    if isinstance(service, dict) and service.get("endpoint_url"):
        return service["endpoint_url"], f"the services section {profile['services']!r}"
    if profile.get("endpoint_url"):
        return profile["endpoint_url"], "endpoint_url in the profile"
    return None, ""
