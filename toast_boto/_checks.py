"""Sees that the values of the settings make sense, and says what to do where they do not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from ._clouds import CLOUDS, http_host, is_loopback, normalised_url
from ._options import OPTIONS, Option, Value
from .errors import ConfigurationError

CHOICES = {
    "key_policy": ("reuse-or-create", "reuse"),
    "addressing_style": ("path", "virtual", "auto"),
}
_LONGEST_SECONDS = 3600.0
_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")


def normalised(url: Value) -> str:
    """An identity URL in its normal form.

    Raises:
        ConfigurationError: it is no http(s) URL.
    """
    if http_host(str(url.value)):
        return normalised_url(str(url.value))
    raise ConfigurationError(
        f"the identity URL ({url.source}) is no http(s) URL. One is {CLOUDS['nhn'].auth_url}"
    )


def check_version(auth_url: str, source: str) -> None:
    """See that an identity URL says by which version to log in.

    Raises:
        ConfigurationError: it ends in neither ``/v2.0`` nor ``/v3``.
    """
    if auth_url.endswith(("/v2.0", "/v3")):
        return
    hint = " Leave out what follows the version." if auth_url.endswith("/tokens") else ""
    raise ConfigurationError(
        f"the identity URL {auth_url} ({source}) must end in /v2.0 or /v3.{hint}"
    )


def check_http(
    url: str, source: str, what: str, *, allow_http: bool, known: Iterable[str] = ()
) -> None:
    """See that a URL is one, and that nothing secret would travel in the clear.

    Args:
        url: where it would go.
        source: where the URL came from, for the error's text.
        what: what the URL is, likewise.
        allow_http: whether the user said that it may.
        known: URLs that a cloud's own documentation gives in plain http.

    Raises:
        ConfigurationError: it is no URL, or plain http to another host than this one.
    """
    if not http_host(url):
        raise ConfigurationError(f"the {what} {url!r} ({source}) is no http(s) URL")
    if allow_http or is_loopback(url) or urlsplit(url.strip()).scheme.lower() == "https":
        return
    if normalised_url(url) in map(normalised_url, known):
        return
    raise ConfigurationError(
        f"the {what} {normalised_url(url)} ({source}) is plain http: what is sent could be read on "
        "the way. Use https, or set TOAST_ALLOW_HTTP=yes if that network is yours."
    )


def check_ca_bundle(found: Value | None) -> None:
    """See that the CA bundle is there.

    Raises:
        ConfigurationError: it is not.
    """
    if found and not Path(str(found.value)).exists():
        raise ConfigurationError(f"the CA bundle {found.value} ({found.source}) does not exist")


def check_choices(values: dict[str, Value]) -> None:
    """See that options with few possible values have one of these.

    Raises:
        ConfigurationError: one has another.
    """
    for name, choices in CHOICES.items():
        found = values[name]
        if found.value not in choices:
            raise ConfigurationError(
                f"the {OPTIONS[name].title} {found.value!r} ({found.source}) is none of "
                f"{', '.join(choices)}"
            )


def split_cache(values: dict[str, Value]) -> None:
    """Let ``cache`` be ``file`` or ``memory``; a path given there is the directory of the file.

    Raises:
        ConfigurationError: it is none of the three.
    """
    cache = values["cache"]
    if cache.value in ("file", "memory"):
        return
    if not any(mark in cache.value for mark in ("/", os.sep)) and not cache.value.startswith("~"):
        raise ConfigurationError(
            f"the key cache {cache.value!r} ({cache.source}) is neither file nor memory nor the "
            "path of a directory"
        )
    if cache.rank <= values["cache_dir"].rank:
        values["cache_dir"] = cache
    values["cache"] = cache._replace(value="file")


def seconds(found: Value, option: Option) -> float:
    """A time that can be waited for.

    Raises:
        ConfigurationError: it is none, or longer than an hour.
    """
    try:
        value = float(found.value)
    except ValueError:
        value = 0.0
    if 0 < value <= _LONGEST_SECONDS:
        return value
    raise ConfigurationError(
        f"{option.title}: {found.value!r} ({found.source}) is no number of seconds from 0 to "
        f"{_LONGEST_SECONDS:g}"
    )


def boolean(found: Value, option: Option) -> bool:
    """A yes or no.

    Raises:
        ConfigurationError: it is neither.
    """
    text = str(found.value).strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise ConfigurationError(
        f"{option.title}: {found.value!r} ({found.source}) is neither yes nor no"
    )
