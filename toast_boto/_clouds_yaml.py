"""Takes a login from clouds.yaml, by openstacksdk's own loader (extra ``openstack``).

https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html
"""

from __future__ import annotations

import warnings
from typing import Any

from openstack import exceptions
from openstack.config import OpenStackConfig

from .errors import ConfigurationError

_BY_PASSWORD = ("password", "v2password", "v3password")
_DOMAIN_IDS = ("domain_id", "default_domain_id", "user_domain_id", "project_domain_id")


def read_cloud(name: str) -> dict[str, Any]:
    """The options of a cloud: a user's login as such, any other as a keystoneauth1 plugin.

    Args:
        name: of the cloud in clouds.yaml.

    Raises:
        ConfigurationError: there is no such cloud, or its entry makes no sense.
    """
    failure = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the loader has besides, like InfluxDB
            cloud = OpenStackConfig().get_one(cloud=name)
        auth, auth_type = dict(cloud.config.get("auth") or {}), cloud.config.get("auth_type")
        login = _login(auth) if (auth_type or "password") in _BY_PASSWORD else None
        options = {"auth": cloud.get_auth()} if login is None else login
        bundle = cloud.config.get("cacert")
    except exceptions.ConfigException as error:
        failure = str(error)
    except Exception as error:  # of a YAML parser, or of the plugin's loader
        failure = type(error).__name__
    if failure:  # raised out here: what was caught may quote the file
        raise ConfigurationError(f"the cloud {name!r} (OS_CLOUD) can't be had: {failure}")
    return {**options, "ca_bundle": bundle} if bundle else options


def _login(auth: dict[str, Any]) -> dict[str, Any] | None:
    """A login that needs no plugin, so that its key can be cached; None for any other."""
    url = str(auth.get("auth_url", "")).rstrip("/")
    tenant_id = auth.get("project_id") or auth.get("tenant_id")
    if not (auth.get("username") and auth.get("password") and tenant_id):
        return None
    if not url.endswith(("/v2.0", "/v3")):
        return None  # the plugin looks for the version
    if any(auth.get(key, "default") != "default" for key in _DOMAIN_IDS):
        return None  # ours has names of domains
    found = {
        "auth_url": url,
        "username": auth["username"],
        "password": auth["password"],
        "tenant_id": tenant_id,
        "user_domain": auth.get("user_domain_name"),
        "project_domain": auth.get("project_domain_name"),
    }
    return {name: str(value) for name, value in found.items() if value}
