"""Turns what goes wrong at the identity service into our errors, with the likely causes.

Keystone answers a wrong password, an unknown user, an unknown tenant and a tenant without a role
with one and the same 401, so a text can't say which it was: it names the causes that users of the
service meet. No text quotes an answer that could hold a token or a secret.
"""

from __future__ import annotations

import re

from ._keys import CreateRefused
from ._options import OPTIONS
from ._settings import Settings, plugin_name
from .errors import AuthenticationError, ConfigurationError, IdentityUnavailableError

URL_HINT = " Is the identity URL right, and is no proxy or login page in between?"
NETWORK_HINT = " Is the identity URL right, and can this machine reach it?"

_API_USER_ID = re.compile(r"^[0-9a-f]{32}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.I)


class Failures:
    """Makes the errors of one identity service.

    Args:
        settings: by which it was asked; their sources stand in the texts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        source = settings["auth_url"]
        self._where = f"{settings.auth_url} ({source.source})" if source else settings.auth_url

    def unavailable(self, what: str, reason: str, hint: str = "") -> IdentityUnavailableError:
        """It was out of reach, or what answered was not Keystone."""
        return IdentityUnavailableError(
            f"{what} failed at the identity service {self._where}: {reason}.{hint}"
        )

    def untrusted(self, what: str, reason: str) -> IdentityUnavailableError:
        """Its certificate was not accepted."""
        bundle = self._settings["ca_bundle"]
        flag = OPTIONS["ca_bundle"].given(self._settings.flags)
        hint = f" For a private authority name its certificate by {flag} or AWS_CA_BUNDLE."
        if bundle:
            hint = f" The CA bundle is {bundle.value} ({bundle.source}): is it the right one?"
        return self.unavailable(what, f"its certificate was not accepted: {reason}", hint)

    def login_refused(self, status: int, message: str) -> Exception:
        """It refused the login, or has none at this URL."""
        if status in (404, 405):
            return ConfigurationError(
                f"there is no login at {self._where}: it answered {status}. The identity URL must "
                "end in /v2.0, or in /v3 where Keystone has no v2.0 any more."
            )
        auth = self._settings["auth"]
        if auth:
            return AuthenticationError(
                f"{self._where} refused the login of {plugin_name(auth)} ({status}): {message}"
            )
        no_keystone = "" if status == 401 else " Is the identity URL right?"
        return AuthenticationError(
            f"{self._where} refused the login ({status}): {message}{no_keystone} {self._causes()}"
        )

    def _causes(self) -> str:
        settings = self._settings
        password = self._source("password")
        if settings["password_process"]:
            password = f"printed by {self._source('password_process')}, run without a shell"
        causes = (
            f"(1) the password ({password}) must be the API "
            "password, which is set in the console's API Endpoint Setting dialog; it is not the "
            "password of the console's login",
            f"(2) the tenant ID ({self._source('tenant_id')}) must be Object Storage's own, which "
            "the same dialog shows; compute services have another",
            f"(3) the user name ({self._source('username')}) must be the account's e-mail address "
            "or IAM account ID, not the API user ID",
        )
        text = f"Likely causes: {'; '.join(causes)}."
        if _API_USER_ID.match(settings.text("username")):
            text = f"The user name looks like an API user ID, which can't log in. {text}"
        return text

    def _source(self, name: str) -> str:
        found = self._settings[name]
        return found.source if found else "unset"

    def refused(self, status: int, message: str) -> Exception:
        """It accepted the login, but not the call on the user's keys."""
        if status == 404:
            return ConfigurationError(
                f"{self._where} knows no EC2 credentials (it answered 404): {message}"
            )
        return AuthenticationError(
            f"{self._where} accepted the login, but refused access to the user's keys ({status}): "
            f"{message}"
        )

    def create_refused(self, status: int, message: str) -> Exception:
        """It would not make a key."""
        if status == 401:
            return self.refused(status, message)
        if status == 404:
            unknown = f"it knows no such tenant ({self._source('tenant_id')})"
            return CreateRefused(
                status, ConfigurationError(f"{self._where} can't make a key: {unknown}: {message}")
            )
        text = f"{self._where} refused to make a key ({status}): {message}"
        return CreateRefused(status, AuthenticationError(text))
