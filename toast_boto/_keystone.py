"""Talks to Keystone: login, and the list, create and delete of EC2 credentials.

The only module that imports keystoneauth1, and it is imported only when Keystone must be asked.
Every exception of keystoneauth1, requests and urllib3 becomes one of :mod:`toast_boto.errors`;
none of theirs is chained, for an HTTP error of keystoneauth1 holds the request, and with it the
password.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v2, v3

from ._clouds import is_loopback
from ._failures import NETWORK_HINT, URL_HINT, Failures
from ._keys import EC2Key
from ._settings import Settings

CONNECT_SECONDS = 10
READ_SECONDS = 30
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

    Args:
        settings: with a whole login.
        timeouts: how long to wait for a connection and for an answer, in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        timeouts: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
    ) -> None:
        self._settings = settings
        self._timeouts = timeouts
        self._url = settings.auth_url
        self._failures = Failures(settings)
        self._http = requests.Session()
        self._http.mount("https://", _BoundedAdapter(timeouts))
        self._http.mount("http://", _BoundedAdapter(timeouts))
        self._given_plugin = settings["auth"] is not None
        plugin = settings["auth"].value if settings["auth"] else self._password_plugin()
        self._plugin: Any = plugin
        self._session = session.Session(
            auth=plugin,
            session=self._http,
            verify=settings.ca_bundle or True,
            redirect=False,  # a redirect would carry password and token to another host
            user_agent="toast_boto",
        )
        self._login: Login | None = None

    def _password_plugin(self) -> Any:
        settings = self._settings
        username, password = settings.text("username"), settings.password()
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
        if not user_id:
            raise ValueError("it names no user (access.user.id), whose keys are to be asked for")
        if self._given_plugin and not _VERSION.search(self._url):
            # A plugin may know only the unversioned URL; the version is that of its token.
            self._url += "/v2.0" if getattr(access, "version", "v3") == "v2.0" else "/v3"
        endpoints = {} if access is None else _endpoints(access)
        return Login(user_id, self._session.get_project_id() or "", endpoints)

    def list_keys(self) -> list[EC2Key]:
        """Every key of the user, of all tenants; one request.

        Raises: as :meth:`login`.
        """
        url = self._keys_url()

        def call() -> list[EC2Key]:
            fields = _json(self._session.get(url, log=False))
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
            others: as :meth:`login`.
        """
        url = self._keys_url()

        def call() -> EC2Key:
            body = {"tenant_id": tenant_id}
            fields = _json(self._session.post(url, json=body, log=False, connect_retries=0))
            if not isinstance(fields, dict):
                raise ValueError("it is no JSON object")
            key = fields.get("credential", fields.get("credentials"))
            return EC2Key.from_json(key[0] if isinstance(key, list) and key else key)

        return self._ask("the making of a key", self._failures.create_refused, call)

    def delete_key(self, access: str) -> bool:
        """Delete a key; False when Keystone knows none of that name (any more).

        Raises: as :meth:`login`.
        """
        url = f"{self._keys_url()}/{quote(access, safe='')}"

        def call() -> bool:
            response = self._session.delete(url, log=False, raise_exc=False)
            if response.status_code >= 400 and response.status_code != 404:
                raise exceptions.from_response(response, "DELETE", url)
            _no_redirect(response)
            return bool(response.status_code != 404)

        return self._ask("the deletion of a key", self._failures.refused, call)

    def _keys_url(self) -> str:
        user_id = quote(self.login().user_id, safe="")
        return f"{self._url}/users/{user_id}/credentials/OS-EC2"

    def _ask(
        self, what: str, refused: Callable[[int, str], Exception], call: Callable[[], _T]
    ) -> _T:
        """Call, and raise one of our errors for whatever goes wrong."""
        try:
            return call()
        except Exception as error:
            failure = self._translated(what, refused, error)
        # Outside of the handler: so theirs, which may hold the password, is not even the context.
        raise failure

    def _translated(
        self, what: str, refused: Callable[[int, str], Exception], error: Exception
    ) -> Exception:
        unavailable = self._failures.unavailable
        if isinstance(error, exceptions.HttpError):
            status = error.http_status
            if status in (407, 408, 429) or status >= 500 or status < 400:
                return unavailable(what, f"it answered {status}")
            if status not in (401, 404, 405) and not _is_json(error):
                return unavailable(what, f"it answered {status}, not as Keystone does", URL_HINT)
            return refused(status, _server_words(error))
        if isinstance(error, exceptions.SSLError):
            return self._failures.untrusted(what, _text(error))
        if isinstance(error, exceptions.ConnectTimeout):
            limits = "{:g} s to connect, {:g} s to answer".format(*self._timeouts)
            return unavailable(what, f"it did not answer in time ({limits})")
        if isinstance(error, exceptions.InvalidResponse):
            return unavailable(what, "it answered, but not as Keystone does", URL_HINT)
        no_json = isinstance(error, requests.exceptions.JSONDecodeError)  # an OSError as well
        if isinstance(error, exceptions.ConnectFailure):
            return unavailable(what, _text(error), NETWORK_HINT)
        if isinstance(error, exceptions.ClientException | OSError) and not no_json:
            # Their texts may quote a header or the URL of a proxy, and with it a secret.
            return unavailable(what, f"{type(error).__name__} was raised", NETWORK_HINT)
        if isinstance(error, ValueError | KeyError | TypeError | AttributeError):
            reason = f"it answered, but not as Keystone does: {_shape(error)}"
            return unavailable(what, reason, URL_HINT)
        return error


class _BoundedAdapter(session.TCPKeepAliveAdapter):
    """Gives every request its time limits; keystoneauth1 passes none on to its logins."""

    def __init__(self, timeouts: tuple[float, float]) -> None:
        self._timeouts = timeouts
        super().__init__()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["timeout"] = self._timeouts
        if is_loopback(request.url):
            kwargs["proxies"] = {}  # a proxy of the environment would get the password to read
        return super().send(request, *args, **kwargs)


def _endpoints(access: Any) -> dict[str, str]:
    """Scheme and host of the catalogue's object-store URLs: the S3 endpoints, by region."""
    if not access.has_service_catalog():
        return {}
    found = access.service_catalog.get_endpoint_data_list(
        service_type="object-store", interface="public"
    )
    endpoints: dict[str, str] = {}
    for data in found:
        parts = urlsplit(data.url or "")
        if parts.scheme in ("http", "https") and parts.netloc and data.region_name:
            endpoints.setdefault(data.region_name, f"{parts.scheme}://{parts.netloc}")
    return endpoints


def _json(response: Any) -> Any:
    _no_redirect(response)
    return response.json()


def _no_redirect(response: Any) -> None:
    if 300 <= response.status_code < 400:
        raise ValueError(f"it answered {response.status_code}, a redirect, which is not followed")


def _server_words(error: exceptions.HttpError) -> str:
    """The server's message, on one line and not too long."""
    words = " ".join(str(error.message or "").split())
    words = words.removesuffix(f" (HTTP {error.http_status})")[:200]  # keystoneauth1 adds that
    return words if words.endswith((".", "!", "?")) or not words else f"{words}."


def _is_json(error: exceptions.HttpError) -> bool:
    headers = getattr(error.response, "headers", None) or {}
    return "json" in headers.get("Content-Type", "")


def _shape(error: Exception) -> str:
    """What was wrong with an answer; never the answer itself, which may hold a token or secret."""
    if isinstance(error, KeyError):
        return f"the field {error.args[0]!r} is missing"
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return "it is no JSON"
    text = str(error)
    return text if type(error) is ValueError and len(text) < 100 else type(error).__name__


def _text(error: Exception) -> str:
    text = re.sub(
        r"//[^/@\s]*@", "//", str(error)
    )  # who is whose proxy's user, and by what password
    return " ".join(text.split())[:500].rstrip(".")
