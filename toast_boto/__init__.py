"""boto3 for TOAST (NHN Cloud) Object Storage: a Keystone login instead of pasted keys.

``import toast_boto as boto3`` is enough for code that was written for boto3: what is listed in
``__all__`` is ours, everything else is boto3's own.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._install import install, installed, uninstall
    from ._plugin import configure
    from ._proof import rotate_key
    from ._rotation import Rotation
    from ._session import Session
    from .errors import (
        AuthenticationError,
        CacheError,
        ConfigurationError,
        IdentityUnavailableError,
        KeyQuotaError,
        ToastBotoError,
        ToastBotoWarning,
        UnsupportedServiceError,
    )

__version__ = "0.1.0"

__all__ = [
    "AuthenticationError",
    "CacheError",
    "ConfigurationError",
    "IdentityUnavailableError",
    "KeyQuotaError",
    "Rotation",
    "Session",
    "ToastBotoError",
    "ToastBotoWarning",
    "UnsupportedServiceError",
    "client",
    "configure",
    "install",
    "installed",
    "resource",
    "rotate_key",
    "setup_default_session",
    "uninstall",
]

DEFAULT_SESSION: Session | None = None
"""The default session, as boto3 has one; None before its first use, and to be set to None."""

_HOMES = {
    "Rotation": "_rotation",
    "configure": "_plugin",
    "install": "_install",
    "installed": "_install",
    "uninstall": "_install",
    "rotate_key": "_proof",
    "Session": "_session",
}
_MODULES = ("errors", "sandbox", "session")


def setup_default_session(**kwargs: Any) -> None:
    """Make the default session, with the parameters of :class:`Session`; raises as that does."""
    global DEFAULT_SESSION  # noqa: PLW0603 - boto3 has one default session, and so have we
    DEFAULT_SESSION = __getattr__("Session")(**kwargs)


def client(*args: Any, **kwargs: Any) -> Any:
    """Make a client of the default session; as ``boto3.client``.

    Raises:
        ConfigurationError: there is no login and no key, or half of one.
        UnsupportedServiceError: another service than ``s3``.
    """
    return _default_session().client(*args, **kwargs)


def resource(*args: Any, **kwargs: Any) -> Any:
    """Make a resource of the default session; as ``boto3.resource``. Raises as :func:`client`."""
    return _default_session().resource(*args, **kwargs)


def _default_session() -> Session:
    if DEFAULT_SESSION is None:
        setup_default_session()
    return DEFAULT_SESSION  # type: ignore[return-value]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; hand every other through to boto3."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.errors"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    # A module of ours that `from . import` asks for must not cost an import of boto3.
    if name.startswith("__") or (name[0] == "_" and _is_own_module(name)):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _of_boto3(name)


def _is_own_module(name: str) -> bool:
    return importlib.util.find_spec(f"{__name__}.{name}") is not None


def _of_boto3(name: str) -> Any:
    if name == "s3":  # boto3 imports it with the first client; here it is there at once
        importlib.import_module("boto3.s3.transfer")
    boto3 = importlib.import_module("boto3")
    try:
        return getattr(boto3, name)
    except AttributeError:
        pass
    try:
        return importlib.import_module(f"boto3.{name}")
    except ModuleNotFoundError:
        message = f"module {__name__!r} has no attribute {name!r}, and neither has boto3"
        raise AttributeError(message) from None


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, "__version__"})
