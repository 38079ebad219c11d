"""OpenStack's own login: OS_CLOUD, or the OS_* variables; taken as a whole or not at all.

So that no cloud's password ever travels to another cloud.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from ._options import OPTIONS, Value
from .errors import ToastBotoWarning

_RANK = 4


def take_openstack_group(values: dict[str, Value], environ: Mapping[str, str]) -> str:
    """Take the identity of OS_CLOUD or the OS_* variables, if they hold one.

    Args:
        values: what other sources gave, by option; changed in place.
        environ: the environment variables.

    Returns:
        What a user should know whose login is missing or incomplete; may be empty.
    """
    by_name = environ.get("OS_CLOUD")
    group = f"clouds.yaml's {by_name!r} (OS_CLOUD)" if by_name else "the OS_* variables"
    if not by_name and not (environ.get("OS_AUTH_URL") and environ.get("OS_USERNAME")):
        half = environ.get("OS_AUTH_URL") or environ.get("OS_USERNAME")
        needed = " The OS_* variables count only with both OS_AUTH_URL and OS_USERNAME set."
        return needed if half else ""
    given = [o.name for o in OPTIONS.values() if o.identity and o.name in values]
    meant = [values[name].source for name in given if values[name].rank <= 1]
    if meant:
        return (
            f" {group[0].upper()}{group[1:]} hold a login, which is taken as a whole or not at "
            f"all, and not beside {' and '.join(meant)}."
        )
    found = _of_clouds_yaml(by_name) if by_name else _of_variables(environ)
    if found is None:
        return (
            f" OS_CLOUD={by_name} is not used: to read clouds.yaml needs an extra, pip install "
            "'toast-boto[openstack]'."
        )
    if given:
        warnings.warn(
            f"{', '.join(values[name].source for name in given)} not used: no TOAST user name is "
            f"set, so the login is that of {group}. Set TOAST_USERNAME, or unset "
            f"{'OS_CLOUD' if by_name else 'OS_AUTH_URL'}.",
            ToastBotoWarning,
            stacklevel=2,
        )
    for name in given:
        del values[name]
    for name, value in found.items():
        values.setdefault(name, value)
    return ""


def _of_variables(environ: Mapping[str, str]) -> dict[str, Value]:
    return {
        option.name: Value(environ[name], name, _RANK)
        for option in OPTIONS.values()
        for name in reversed(option.openstack)
        if environ.get(name) and option.name != "auth"
    }


def _of_clouds_yaml(name: str) -> dict[str, Value] | None:
    """What a cloud of clouds.yaml says; None where openstacksdk is not installed."""
    try:
        from . import _clouds_yaml  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    source = f"clouds.yaml's {name!r} (OS_CLOUD)"
    return {
        key: Value(value, source, _RANK) for key, value in _clouds_yaml.read_cloud(name).items()
    }
