"""`Session`: a ``boto3.Session`` that is a TOAST session."""

from __future__ import annotations

import os
import pickle
from typing import Any

import boto3.session
import botocore.session

from ._plugin import configure
from .errors import ConfigurationError

# What a pickle must not or can't hold, and where another process finds it instead.
_NOT_PICKLED = {
    "password": "set TOAST_PASSWORD, name a profile that has toast_password, or give "
    "password_process= instead",
    "aws_secret_access_key": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile "
    "that has them",
    "aws_session_token": "set AWS_SESSION_TOKEN, or name a profile that has it",
    "auth": "give username=, tenant_id= and password_process=, or set TOAST_*",
    "botocore_session": "make the Session without one",
}


class NotPicklable(ConfigurationError, pickle.PicklingError):
    """A Session that was given something that a pickle must not hold."""


class Session(boto3.session.Session):  # type: ignore[misc]
    """A ``boto3.Session`` that logs in to Keystone, finds or makes the S3 key, and pins the rest.

    The first parameters are boto3's own, in its order. Every client and resource of it is an S3
    one of the cloud's. Nothing is asked of the network until the first request is signed, unless
    the endpoint of an identity service of your own must be looked up in its catalogue.

    It may be used by any number of threads, and after a fork. Its pickle holds the arguments that
    it was made with: the process that loads it finds password and key for itself, and a Session
    that was given a password or a key as an argument can't be pickled.

    Args:
        aws_access_key_id, aws_secret_access_key, aws_session_token: a key of your own; it is used
            as given, and no login is made.
        region_name: a region of the cloud; an AWS region becomes the cloud's first, with a warning.
        botocore_session: a botocore session to configure instead of a new one.
        profile_name: an AWS profile; its ``toast_*`` keys are read.
        aws_account_id: as boto3's.
        cloud: a cloud of the table, ``toast`` or ``nhn`` for example; default ``toast``.
        auth_url: an identity URL of your own, ending in ``/v2.0`` or ``/v3``.
        username: the account's e-mail address or IAM account ID.
        password: the API password, set in the console.
        password_process: a command that prints the API password, run without a shell.
        tenant_id: Object Storage's own tenant ID.
        user_domain, project_domain: for a login by v3; default ``Default``.
        auth: any keystoneauth1 plugin, instead of user name and password.
        ca_bundle: path of a CA bundle, for Keystone and S3 alike.
        allow_http: allow plain http to other hosts than this one.
        endpoint_url: the S3 endpoint of the session's own region.
        addressing_style: ``path``; ``virtual`` or ``auto`` if you insist.
        key_policy: ``reuse-or-create``, or ``reuse`` to make no key.
        identity_timeout: after how many seconds to give up asking Keystone, in all; default 60.
        cache: ``file``, ``memory``, or the path of a directory.

    Raises:
        ConfigurationError: an option makes no sense. A login that is incomplete is reported when a
            client needs it.
        botocore.exceptions.ProfileNotFound: there is no such profile.
    """

    def __init__(
        self,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        region_name: str | None = None,
        botocore_session: Any = None,
        profile_name: str | None = None,
        aws_account_id: str | None = None,
        *,
        cloud: str | None = None,
        auth_url: str | None = None,
        username: str | None = None,
        password: str | None = None,
        password_process: str | None = None,
        tenant_id: str | None = None,
        user_domain: str | None = None,
        project_domain: str | None = None,
        auth: Any = None,
        ca_bundle: str | os.PathLike[str] | None = None,
        allow_http: bool | str | None = None,
        endpoint_url: str | None = None,
        addressing_style: str | None = None,
        key_policy: str | None = None,
        identity_timeout: float | str | None = None,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        of_boto3 = {
            "aws_access_key_id": aws_access_key_id,
            "aws_secret_access_key": aws_secret_access_key,
            "aws_session_token": aws_session_token,
            "region_name": region_name,
            "botocore_session": botocore_session,
            "profile_name": profile_name,
            "aws_account_id": aws_account_id,
        }
        options = {
            "cloud": cloud,
            "auth_url": auth_url,
            "username": username,
            "password": password,
            "password_process": password_process,
            "tenant_id": tenant_id,
            "user_domain": user_domain,
            "project_domain": project_domain,
            "auth": auth,
            "ca_bundle": ca_bundle,
            "allow_http": allow_http,
            "endpoint_url": endpoint_url,
            "addressing_style": addressing_style,
            "key_policy": key_policy,
            "identity_timeout": identity_timeout,
            "cache": cache,
        }
        given = {name: v for name, v in {**of_boto3, **options}.items() if v is not None}
        self._recipe = {name: v for name, v in given.items() if name not in _NOT_PICKLED}
        self._not_pickled = [name for name in given if name in _NOT_PICKLED]
        botocore_session = botocore_session or botocore.session.get_session()
        of_boto3["botocore_session"] = botocore_session
        # An older boto3 does not know all of them.
        super().__init__(**{name: v for name, v in of_boto3.items() if v is not None})
        configure(botocore_session, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        """How to make it again.

        Raises:
            NotPicklable: it was given a secret, or something that lives in this process.
        """
        if self._not_pickled:
            ways_out = "; ".join(f"instead of {n}= {_NOT_PICKLED[n]}" for n in self._not_pickled)
            raise NotPicklable(
                "this Session can't be pickled, because a pickle must hold no secret and nothing "
                f"that lives in one process: {ways_out}."
            )
        return _make_again, (type(self), self._recipe)

    def __copy__(self) -> Session:
        """A shallow copy, as boto3's; nothing is made again for it."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied


def _make_again(kind: type[Session], recipe: dict[str, Any]) -> Session:
    return kind(**recipe)
