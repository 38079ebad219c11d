"""Proves the login that `configure` is to write, and finds the endpoint for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .._brokers import make_parts
from .._clouds import CLOUDS, http_host, normalised_url
from .._regions import DEFAULT_REGION, is_aws_region, known_region
from .._settings import Settings
from .._talk import say
from ..errors import ConfigurationError
from ._progress import waiting
from ._questions import region_before


class Proved(NamedTuple):
    """A login that worked."""

    settings: Settings
    region: str
    endpoint_url: str


def log_in(settings: Settings, region_name: str | None, before: Mapping[str, str]) -> Proved:
    """Log in, and find the S3 endpoint.

    Args:
        settings: of the login.
        region_name: the region that was asked for.
        before: the keys of the profile as it was.

    Raises:
        ToastBotoError: the login is incomplete or was refused, or there is no such region.
    """
    if not settings.has_login:
        raise ConfigurationError(
            "what is to be configured? Without a terminal, give --username, --tenant-id and "
            "TOAST_PASSWORD (or --password-stdin), and --cloud or --auth-url"
        )
    settings.check_login()
    if settings["auth"]:
        raise ConfigurationError(
            "a profile can't hold this login of clouds.yaml, which is not by user name, "
            "password and tenant ID"
        )
    asked = region_name or region_before(before, settings)
    if is_aws_region(asked):
        raise ConfigurationError(
            f"the region {asked!r} (--region) is one of AWS's. Here it is "
            f"{settings.cloud.default_region if settings.cloud else DEFAULT_REGION} or the like."
        )
    region = known_region(asked, "--region", settings.cloud)
    given = settings["endpoint_url"]
    if given:
        settings.check_endpoint(str(given.value), given.source)
    with waiting("Logging in"), make_parts(settings).connect() as identity:
        found = identity.login()
    say(f"logged in: user ID {found.user_id}, tenant {settings.text('tenant_id')}")
    if region not in found.endpoints and region.upper() in found.endpoints:
        region = region.upper()
    url = str(given.value) if given else _endpoint(settings, region, found.endpoints, before)
    settings.check_endpoint(url, "the service catalogue")
    return Proved(settings, region, url)


def _endpoint(
    settings: Settings, region: str, catalogue: Mapping[str, str], before: Mapping[str, str]
) -> str:
    chosen = before.get("endpoint_url", "")
    if _was_chosen(chosen, settings, region, catalogue, before):
        say(f"the endpoint {chosen} stays as it was; --endpoint-url changes it")
        return chosen
    table = settings.cloud.endpoint_urls.get(region) if settings.cloud else None
    of_login = catalogue.get(region)
    if table and of_login and normalised_url(table) != normalised_url(of_login):
        say(
            f"note: the service catalogue has the endpoint {of_login} for {region}, the table of "
            f"clouds {table}, which is written; --endpoint-url {of_login} would choose the other"
        )
    if table or of_login:
        return str(table or of_login)
    raise ConfigurationError(
        f"the service catalogue has no endpoint for the region {region!r} (--region): it has "
        f"{', '.join(sorted(catalogue)) or 'none'}. Choose one of these, or give --endpoint-url."
    )


def _was_chosen(
    url: str,
    settings: Settings,
    region: str,
    catalogue: Mapping[str, str],
    before: Mapping[str, str],
) -> bool:
    """Whether the profile's endpoint was chosen by hand, for this region of this cloud."""
    cloud = CLOUDS.get(before.get("toast_cloud", ""))
    auth_url = before.get("toast_auth_url") or (cloud.auth_url if cloud else "")
    if not (http_host(url) and http_host(auth_url)) or before.get("region") != region:
        return False
    tables = [u for cloud in CLOUDS.values() for u in cloud.endpoint_urls.values()]
    known = {normalised_url(u) for u in (*tables, *catalogue.values())}
    return normalised_url(auth_url) == settings.auth_url and normalised_url(url) not in known
