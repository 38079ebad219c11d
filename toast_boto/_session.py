"""`Session`: a ``boto3.Session`` that is a TOAST session."""

from __future__ import annotations

import os
from typing import Any

import boto3.session
import botocore.session

from ._plugin import configure


class Session(boto3.session.Session):  # type: ignore[misc]
    """A ``boto3.Session`` that logs in to Keystone, finds or makes the S3 key, and pins the rest.

    The first parameters are boto3's own, in its order. Every client and resource of it is an S3
    one of the cloud's. Nothing is asked of the network until the first request is signed, unless
    the endpoint of an identity service of your own must be looked up in its catalogue.

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
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        botocore_session = botocore_session or botocore.session.get_session()
        of_boto3 = {} if aws_account_id is None else {"aws_account_id": aws_account_id}
        super().__init__(
            aws_access_key_id,
            aws_secret_access_key,
            aws_session_token,
            region_name,
            botocore_session,
            profile_name,
            **of_boto3,
        )
        configure(
            botocore_session,
            cloud=cloud,
            auth_url=auth_url,
            username=username,
            password=password,
            password_process=password_process,
            tenant_id=tenant_id,
            user_domain=user_domain,
            project_domain=project_domain,
            auth=auth,
            ca_bundle=ca_bundle,
            allow_http=allow_http,
            endpoint_url=endpoint_url,
            addressing_style=addressing_style,
            key_policy=key_policy,
            cache=cache,
        )
