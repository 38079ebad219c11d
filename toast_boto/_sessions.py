"""Opens the botocore session of a command, and says what its programs would sign with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
)

from ._plugin import broker_of, configure_by, settings_of
from ._settings import nothing_configured
from .errors import ConfigurationError, ToastBotoError

UNREACHABLE = (ClientError, ConnectionError, HTTPClientError)
"""What is raised when no S3 server answers, or not as one does."""
MISTAKES = BotoCoreError
"""What botocore raises of an unknown profile, or of a file that it can't read."""


class Signing(NamedTuple):
    """What a program needs to talk to the object storage; its repr shows no secret."""

    access_key: str
    secret_key: str
    region: str
    endpoint_url: str
    ca_bundle: str | None
    has_login: bool
    """Whether the key is a login's, rather than one that somebody pasted."""

    def __repr__(self) -> str:
        return f"Signing({self.access_key!r}, {self.region!r}, {self.endpoint_url!r})"


def open_session(
    profile_name: str | None,
    region_name: str | None,
    options: Mapping[str, Any],
    *,
    flags: bool = False,
) -> botocore.session.Session:
    """A botocore session that is a TOAST session.

    Args:
        profile_name: an AWS profile, None for the ambient one.
        region_name: a region, None for the profile's or the cloud's.
        options: as for :class:`toast_boto.Session`.
        flags: whether a command line gave them.

    Raises:
        ConfigurationError: an option makes no sense.
        botocore.exceptions.BotoCoreError: there is no such profile, or a file can't be read.
    """
    session = botocore.session.Session(profile=profile_name)
    if region_name is not None:
        session.set_config_variable("region", region_name)
    configure_by(session, options, flags=flags)
    return session


def endpoint_of(session: botocore.session.Session) -> tuple[str, str]:
    """The S3 endpoint and the region of a session's clients; signs nothing.

    Raises:
        ToastBotoError: the endpoint must be looked up, and that failed.
    """
    client = session.create_client("s3", config=Config(signature_version=UNSIGNED))
    try:
        return str(client.meta.endpoint_url), str(client.meta.region_name)
    finally:
        client.close()


def look_up(session: botocore.session.Session, max_age: float) -> ToastBotoError | None:
    """See that the session's key is still there, if that was last seen longer ago.

    Args:
        session: that was configured.
        max_age: in seconds.

    Returns:
        Why it could not be looked up, None where it was, or is no key of ours.

    Raises:
        ToastBotoError: there is no key to be had.
    """
    if not settings_of(session).has_login:
        return None
    return broker_of(session).checked(max_age)[1]


def signing_of(session: botocore.session.Session) -> Signing:
    """The key, the endpoint and the rest of a session; logs in where the key is not at hand.

    Raises:
        ToastBotoError: there is no key to be had.
    """
    mine: ToastBotoError | None = None
    try:
        credentials = session.get_credentials()
        key = None if credentials is None else credentials.get_frozen_credentials()
    except BotoCoreError as error:
        cause = error.__cause__
        mine = cause if isinstance(cause, ToastBotoError) else ConfigurationError(str(error))
    if mine is not None:  # raised out here, or error and cause would point at each other
        raise mine
    settings = settings_of(session)
    if key is None:
        raise nothing_configured(settings)
    url, region = endpoint_of(session)
    return Signing(
        key.access_key, key.secret_key, region, url, settings.ca_bundle, settings.has_login
    )
