"""The clouds that speak TOAST's S3 API: where each logs in, and where each region stores.

Sources: the service's S3-compatible API guide (https://docs.nhncloud.com, Storage > Object
Storage) and its public documentation repository, as of July 2026. TOAST became NHN Cloud; the
guide of 2020 and older service catalogues still carry the host names of ``toast``.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit


class Cloud(NamedTuple):
    """One cloud: its identity URL (v2.0), and its S3 endpoint URL by region."""

    name: str
    auth_url: str
    endpoint_urls: dict[str, str]

    @property
    def default_region(self) -> str:
        """KR1 where there is one, else the first."""
        return "KR1" if "KR1" in self.endpoint_urls else next(iter(self.endpoint_urls))

    def spelling(self, region: str) -> str | None:
        """The table's own spelling of a region's name, None for a region it does not know."""
        return next((name for name in self.endpoint_urls if name == region.upper()), None)


def _numbered(pattern: str, *regions: str) -> dict[str, str]:
    return {region: pattern.format(region.lower()) for region in regions}


CLOUDS = {
    cloud.name: cloud
    for cloud in (
        Cloud(
            "toast",
            "https://api-identity.infrastructure.cloud.toast.com/v2.0",
            {
                "KR1": "https://api-storage.cloud.toast.com",
                **_numbered("https://{}-api-storage.cloud.toast.com", "KR2", "JP1", "US1"),
            },
        ),
        Cloud(
            "nhn",
            "https://api-identity-infrastructure.nhncloudservice.com/v2.0",
            _numbered(
                "https://{}-api-object-storage.nhncloudservice.com", "KR1", "KR2", "KR3", "JP1"
            ),
        ),
        Cloud(
            "gov",
            "https://api-identity-infrastructure.gov-nhncloudservice.com/v2.0",
            _numbered("https://{}-api-object-storage.gov-nhncloudservice.com", "KR1", "KR2"),
        ),
        Cloud(
            "ncgn",
            "https://api-identity-infrastructure.gncloud.go.kr/v2.0",
            {"KR1": "https://api-object-storage.gncloud.go.kr"},
        ),
        Cloud(
            "ngoic",
            "https://api-identity-infrastructure.ngoic.com/v2.0",
            {"KR4": "https://kr4-api-object-storage.ngoic.com"},
        ),
        Cloud(
            "ngovc",
            "https://api-identity-infrastructure.ngovc.com/v2.0",
            {"KR4": "https://kr4-api-object-storage.ngovc.com"},
        ),
        Cloud(
            "ngsc",
            "https://api-identity-infrastructure.ngsc.go.kr/v2.0",
            {"KR4": "https://kr4-api-object-storage.ngsc.go.kr"},
        ),
        Cloud(
            "ninc",
            "https://api-identity-infrastructure.ninc.go.kr/v2.0",
            {"KR4": "https://kr4-api-object-storage.ninc.go.kr"},
        ),
        Cloud(
            "ngcc",
            "https://ngcc-kr4-iaas.kr.cloud.toastoven.net/identity/v2.0",
            # Plain http is what the documentation of this cloud gives.
            {"KR4": "http://ngcc-kr4-swift.kr.cloud.toastoven.net"},
        ),
    )
}


def normalised_url(url: str) -> str:
    """A URL in the one form by which two spellings of it can be compared.

    Scheme and host in lower case, no default port, no slash at the end, no user, no query.
    """
    parts = urlsplit(url.strip())
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    default = {"http": 80, "https": 443}.get(scheme)
    port = f":{parts.port}" if parts.port not in (None, default) else ""
    return f"{scheme}://{host}{port}{parts.path.rstrip('/')}"


def http_host(url: str) -> str | None:
    """The host of an http(s) URL, None for what is no such URL."""
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme.lower() in ("http", "https") and parts.port != 0
        return parts.hostname if usable else None
    except ValueError:  # of a port or an address that can't be one
        return None


def is_loopback(url: str) -> bool:
    """Whether the host of an http(s) URL is this very machine."""
    host = http_host(url) or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress  # noqa: PLC0415 - few URLs have an address

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def cloud_of(auth_url: str) -> Cloud | None:
    """The cloud whose identity URL this is, None for an identity service of one's own."""
    url = normalised_url(auth_url)
    return next((cloud for cloud in CLOUDS.values() if cloud.auth_url == url), None)
