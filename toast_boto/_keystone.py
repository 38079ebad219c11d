"""Talks to Keystone: login, and the list, create and delete of EC2 credentials.

Imported only when Keystone must be asked. Every exception of keystoneauth1, requests and urllib3
becomes one of :mod:`toast_boto.errors`; none of theirs is chained, for an HTTP error of
keystoneauth1 holds the request, and with it the password.
"""

from __future__ import annotations

import itertools
import math
import random
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v2, v3

from ._failures import Failures
from ._keys import EC2Key
from ._replies import check_no_redirect, endpoints_of, json_of, retry_after, translated
from ._settings import Settings
from ._transport import BoundedSession, TimeUp, call_within

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
TRIES = 5
_FIRST_PAUSE_SECONDS = 0.5
_T = TypeVar("_T")
_VERSION = re.compile(r"/v\d+(\.\d+)?$")


class Login:
    """What a login told.

    Args:
        user_id: the API user ID, which the credential URLs need.
        tenant_id: the tenant that the token is scoped to, empty for none.
        endpoints: the S3 endpoint URLs of the catalogue, by region.
    """

    def __init__(self, user_id: str, tenant_id: str, endpoints: dict[str, str]) -> None:
        self.user_id = user_id
        self.tenant_id = tenant_id
        self.endpoints = endpoints


class Keystone:
    """One identity service, logged in to by one login; a context manager that holds a connection.

    What fails in a way that may pass is tried again, up to :data:`TRIES` times, with pauses that
    double and vary; a key is never made twice that way. Whatever happens, all that is asked of one
    such object is over within its total time.

    Args:
        settings: with a whole login.
        at_most: a total time shorter than the settings', in seconds, counted from now.
        timeouts: how long to wait for a connection and for more of an answer, in seconds.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        at_most: float = math.inf,
        timeouts: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._timeouts = timeouts
        self._total_seconds = min(at_most, settings.identity_timeout)
        self._sleep = sleep
        self._url = settings.auth_url
        self._failures = Failures(settings)
        self._given_plugin = settings["auth"] is not None
        plugin = settings["auth"].value if settings["auth"] else self._password_plugin(at_most)
        self._plugin: Any = plugin
        # From here on: a command that printed the password had a time limit of its own.
        self._deadline = time.monotonic() + self._total_seconds
        self._http = BoundedSession(timeouts, self._deadline)
        self._session = session.Session(
            auth=plugin,
            session=self._http,
            verify=settings.ca_bundle or True,
            redirect=False,  # a redirect would carry password and token to another host
            user_agent="toast_boto",
        )
        self._login: Login | None = None

    def _password_plugin(self, at_most: float) -> Any:
        settings = self._settings
        username, password = settings.text("username"), settings.password(at_most)
        tenant_id = settings.text("tenant_id")
        if self._url.endswith("/v3"):
            return v3.Password(
                self._url,
                username=username,
                password=password,
                user_domain_name=settings.text("user_domain"),
                project_id=tenant_id,
            )
        return v2.Password(self._url, username=username, password=password, tenant_id=tenant_id)

    def __enter__(self) -> Keystone:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def login(self) -> Login:
        """Log in, once; one request by v2.0 or v3 password.

        Raises:
            AuthenticationError: Keystone refused.
            IdentityUnavailableError: it did not answer, or not as Keystone does.
            ConfigurationError: the URL leads to no Identity service of that version.
        """
        if self._login is None:
            self._login = self._ask("the login", self._failures.login_refused, self._log_in)
        return self._login

    def _log_in(self) -> Login:
        access = getattr(self._plugin, "get_access", lambda _: None)(self._session)
        user_id = self._session.get_user_id()
        if not user_id or not isinstance(user_id, str):
            raise ValueError("it names no user (access.user.id), whose keys are to be asked for")
        tenant_id = self._session.get_project_id() or ""
        if not isinstance(tenant_id, str):
            raise ValueError("the tenant's ID (access.token.tenant.id) is no text")
        if self._given_plugin and not _VERSION.search(self._url):
            # A plugin may know only the unversioned URL; the version is that of its token.
            self._url += "/v2.0" if getattr(access, "version", "v3") == "v2.0" else "/v3"
        endpoints = {} if access is None else endpoints_of(access)
        return Login(user_id, tenant_id, endpoints)

    def list_keys(self) -> list[EC2Key]:
        """Every key of the user, of all tenants; one request.

        Raises: as :meth:`login`.
        """
        url = self._keys_url()

        def call() -> list[EC2Key]:
            fields = json_of(self._session.get(url, log=False))
            if not isinstance(fields, dict) or not isinstance(fields.get("credentials"), list):
                raise ValueError("there is no list named credentials in it")
            return [EC2Key.from_json(key) for key in fields["credentials"]]

        return self._ask("the list of keys", self._failures.refused, call)

    def create_key(self, tenant_id: str) -> EC2Key:
        """Make a key for a tenant; one request, never repeated by itself.

        The guide's sample answers with a list named ``credentials``, Keystone with one
        ``credential``: both are taken.

        Raises:
            CreateRefused: Keystone answered that it will not.
            IdentityUnavailableError: it is not known whether it did: the list will tell.
            others: as :meth:`login`.
        """
        url = self._keys_url()

        def call() -> EC2Key:
            body = {"tenant_id": tenant_id}
            fields = json_of(self._session.post(url, json=body, log=False, connect_retries=0))
            if not isinstance(fields, dict):
                raise ValueError("it is no JSON object")
            key = fields.get("credential", fields.get("credentials"))
            return EC2Key.from_json(key[0] if isinstance(key, list) and key else key)

        return self._ask("the making of a key", self._failures.create_refused, call, tries=1)

    def delete_key(self, access: str) -> bool:
        """Delete a key; False when Keystone knows none of that name (any more).

        Raises: as :meth:`login`.
        """
        url = f"{self._keys_url()}/{quote(access, safe='')}"

        def call() -> bool:
            response = self._session.delete(url, log=False, raise_exc=False)
            if response.status_code >= 400 and response.status_code != 404:
                raise exceptions.from_response(response, "DELETE", url)
            check_no_redirect(response)
            return bool(response.status_code != 404)

        return self._ask("the deletion of a key", self._failures.refused, call)

    def _keys_url(self) -> str:
        user_id = quote(self.login().user_id, safe="")
        return f"{self._url}/users/{user_id}/credentials/OS-EC2"

    def pause(self, attempt: int, at_least: float = 0.0) -> bool:
        """Wait before trying again; False, at once, when it makes no sense any more.

        Args:
            attempt: how many tries there have been.
            at_least: so many seconds, because the server asked for it.
        """
        longest = _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
        seconds = max(at_least, longest * random.uniform(0.5, 1.0))  # noqa: S311 - no secret of it
        if attempt >= TRIES or time.monotonic() + seconds >= self._deadline:
            return False
        self._sleep(seconds)
        return True

    def _ask(
        self,
        what: str,
        refused: Callable[[int, str], Exception],
        call: Callable[[], _T],
        tries: int = TRIES,
    ) -> _T:
        """Call, and raise one of our errors for whatever goes wrong for good."""
        started = time.monotonic()
        for attempt in itertools.count(1):
            try:
                return call_within(self._deadline - time.monotonic(), call)
            except Exception as error:
                failure = self._translated(what, refused, error)
                at_least = retry_after(error)
            # Outside of the handler: so theirs, which may hold the password, is not the context.
            if at_least is None or attempt >= tries or not self.pause(attempt, at_least):
                break
        if attempt > 1:
            seconds = time.monotonic() - started
            failure = type(failure)(f"{failure} It was tried {attempt} times in {seconds:.1f} s.")
        raise failure

    def _translated(
        self, what: str, refused: Callable[[int, str], Exception], error: Exception
    ) -> Exception:
        if isinstance(error, TimeUp):
            reason = f"it was not over within {self._total_seconds:g} s"
            return self._failures.unavailable(what, reason)
        return translated(self._failures, what, refused, error)
