"""Identity v2.0 in front of a Keystone that has only v3.

Today's Keystone has no v2.0 API; the cloud's users log in by it. This layer translates the calls
that they need, `POST /v2.0/tokens` and those of `/v2.0/users/{id}/credentials/OS-EC2`, to
Keystone's own v3 calls, and the answers back. Who may log in, which keys there are and who may
see them is for Keystone alone to say. Answers have the form that Keystone 12, the last with v2.0,
gave (`tests/wire` holds its recorded answers). One rule is the cloud's: no more than a number of
keys for one user and tenant.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Request, Response

_MAX_BODY = 114688  # Keystone's own limit, [oslo_middleware] max_request_body_size
_KEYS_PATH = re.compile(r"^/(v2\.0|v3)/users/([^/]+)/credentials/OS-EC2(?:/([^/]+))?$")
_MALFORMED = (
    " The server could not comply with the request since it is either malformed or otherwise"
    " incorrect. The client is assumed to be in error."
)
_UNAUTHORIZED = "The request you have made requires authentication."
_V2_KEY_FIELDS = ("user_id", "tenant_id", "access", "secret", "trust_id")


class Refused(Exception):
    """An answer of an error's form."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class IdentityV2:
    """WSGI application: v2.0 translated, everything else handed to Keystone.

    Args:
        keystone: Keystone's own WSGI application.
        quota: how many keys one user may have for one tenant.
    """

    def __init__(self, keystone: Any, quota: int) -> None:
        self._keystone = keystone
        self._client = Client(keystone)
        self._quota = quota
        self._create_lock = threading.Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        request = Request(environ)
        path = re.sub(r"/{2,}", "/", request.path).rstrip("/")
        keys = _KEYS_PATH.match(path)
        try:
            if keys and keys[1] == "v3" and request.method == "POST":
                body = request.get_data()
                environ["wsgi.input"] = io.BytesIO(body)  # read once, and to be read again
                with self._create_lock:
                    self._check_quota(request, keys[2], _json_object(body).get("tenant_id"))
                    return self._keystone(environ, start_response)  # type: ignore[no-any-return]
            if path.split("/")[1:2] != ["v2.0"]:
                return self._keystone(environ, start_response)  # type: ignore[no-any-return]
            response = self._answer_v2(request, path, keys)
        except Refused as refused:
            response = _error(request, refused)
        return response(environ, start_response)

    def _answer_v2(self, request: Request, path: str, keys: re.Match[str] | None) -> Response:
        if path == "/v2.0/tokens" and request.method == "POST":
            return self._create_token(request)
        if keys:
            user_id, access = keys[2], keys[3]
            if request.method == "POST" and not access:
                return self._create_key(request, user_id)
            if request.method == "GET" or (request.method == "DELETE" and access):
                return self._forward_key(request, path.replace("/v2.0/", "/v3/", 1))
        raise Refused(404, f"({request.base_url}): The resource could not be found.")

    # -- tokens

    def _create_token(self, request: Request) -> Response:
        auth = _body(request).get("auth")
        if not isinstance(auth, dict) or not ("passwordCredentials" in auth or "token" in auth):
            raise Refused(400, "Expecting to find auth in request body." + _MALFORMED)
        for name in ("tenantId", "tenantName"):
            _check_size(name, auth.get(name), 64)
        identity = _token_identity(auth) if "token" in auth else _password_identity(auth)
        scope: Any = "unscoped"
        if auth.get("tenantId"):
            scope = {"project": {"id": auth["tenantId"]}}
        elif auth.get("tenantName"):
            scope = {"project": {"name": auth["tenantName"], "domain": {"id": "default"}}}
        answer = self._client.post(
            "/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}
        )
        if answer.status_code == 404:  # v2.0 told nobody which token there is
            raise Refused(401, _UNAUTHORIZED)
        body = _checked(answer)["token"]
        return _json_response(200, _v2_access(answer.headers["X-Subject-Token"], body))

    # -- keys

    def _create_key(self, request: Request, user_id: str) -> Response:
        if not request.headers.get("X-Auth-Token"):
            raise Refused(401, _UNAUTHORIZED)
        body = _body(request)
        for name in body:
            if name != "tenant_id":
                message = f"create_credential() got an unexpected keyword argument '{name}'"
                raise Refused(400, message)
        if "tenant_id" not in body:
            missing = "create_credential() missing 1 required positional argument: 'tenant_id'"
            raise Refused(400, missing)
        if not isinstance(body["tenant_id"], str):
            kind = type(body["tenant_id"]).__name__
            raise Refused(400, f"object of type '{kind}' has no len()")
        with self._create_lock:
            self._check_quota(request, user_id, body["tenant_id"])
            answer = self._v3(request, f"/v3/users/{user_id}/credentials/OS-EC2", body)
        return _json_response(200, {"credential": _v2_key(_checked(answer)["credential"])})

    def _forward_key(self, request: Request, path: str) -> Response:
        answer = _checked(self._v3(request, path))
        if request.method == "DELETE":
            return Response(status=204, headers={"Vary": "X-Auth-Token"})
        if "credentials" in answer:
            return _json_response(200, {"credentials": [_v2_key(k) for k in answer["credentials"]]})
        return _json_response(200, {"credential": _v2_key(answer["credential"])})

    def _check_quota(self, request: Request, user_id: str, tenant_id: Any) -> None:
        path = f"/v3/users/{user_id}/credentials/OS-EC2"
        headers = {"X-Auth-Token": request.headers.get("X-Auth-Token", "")}
        answer = self._client.get(path, headers=headers)
        if answer.status_code != 200:
            return  # Keystone itself will refuse the create, in its own words
        keys = [k for k in (answer.get_json() or {})["credentials"] if k["tenant_id"] == tenant_id]
        if len(keys) >= self._quota:
            limit = f"({self._quota}) is reached for this project."
            raise Refused(409, f"Maximum number of EC2 credentials {limit}")

    def _v3(self, request: Request, path: str, body: Any = None) -> TestResponse:
        headers = {"X-Auth-Token": request.headers.get("X-Auth-Token", "")}
        return self._client.open(path, method=request.method, json=body, headers=headers)


def _body(request: Request) -> dict[str, Any]:
    if (request.content_length or 0) > _MAX_BODY:
        raise Refused(413, "Request is too large.")
    if request.mimetype not in ("", "application/json"):
        message = "Expecting to find application/json in Content-Type header."
        raise Refused(400, message + _MALFORMED)
    data = request.get_data()
    if not data:
        return {}
    try:
        json.loads(data)
    except ValueError:
        raise Refused(400, "Expecting to find valid JSON in request body." + _MALFORMED) from None
    return _json_object(data)


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _check_size(name: str, value: Any, limit: int) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise Refused(400, f"object of type '{type(value).__name__}' has no len()")
    if len(value) > limit:
        raise Refused(
            400,
            f"Request attribute {name} must be less than or equal to {limit}. The server could not"
            " comply with the request because the attribute size is invalid (too large). The"
            " client is assumed to be in error.",
        )


def _password_identity(auth: dict[str, Any]) -> dict[str, Any]:
    given = auth["passwordCredentials"]
    given = given if isinstance(given, dict) else {}
    if "password" not in given:
        raise Refused(400, "Expecting to find password in passwordCredentials." + _MALFORMED)
    _check_size("password", given["password"], 4096)
    if not (given.get("username") or given.get("userId")):
        message = "Expecting to find username or userId in passwordCredentials."
        raise Refused(400, message + _MALFORMED)
    user: dict[str, Any] = {"password": given["password"]}
    if given.get("userId"):
        _check_size("userId", given["userId"], 64)
        user["id"] = given["userId"]
    else:
        _check_size("username", given["username"], 64)
        user.update(name=given["username"], domain={"id": "default"})
    return {"methods": ["password"], "password": {"user": user}}


def _token_identity(auth: dict[str, Any]) -> dict[str, Any]:
    token = auth["token"] if isinstance(auth["token"], dict) else {}
    if not isinstance(token.get("id"), str):
        raise Refused(400, "Expecting to find id in token." + _MALFORMED)
    return {"methods": ["token"], "token": {"id": token["id"]}}


def _v2_access(token_id: str, token: dict[str, Any]) -> dict[str, Any]:
    """A v3 token's body in the form of v2.0."""
    v2_token: dict[str, Any] = {
        "expires": token["expires_at"],
        "issued_at": token["issued_at"],
        "audit_ids": token["audit_ids"],
        "id": token_id,
    }
    if "project" in token:
        project = token["project"]
        v2_token["tenant"] = {
            "id": project["id"], "name": project["name"], "description": "", "enabled": True,
        }  # fmt: skip
    user, roles = token["user"], token.get("roles", [])
    return {
        "access": {
            "token": v2_token,
            "user": {
                "id": user["id"],
                "name": user["name"],
                "username": user["name"],
                "roles": [{"name": role["name"]} for role in roles],
                "roles_links": [],
            },
            "serviceCatalog": [_v2_service(service) for service in token.get("catalog", [])],
            "metadata": {"roles": [role["id"] for role in roles], "is_admin": 0},
        }
    }


def _v2_service(service: dict[str, Any]) -> dict[str, Any]:
    regions: dict[str, dict[str, Any]] = {}
    for endpoint in service["endpoints"]:
        entry = regions.setdefault(endpoint["region"], {"id": endpoint["id"]})
        entry[f"{endpoint['interface']}URL"] = endpoint["url"]
        entry["region"] = endpoint["region"]
    for entry in regions.values():
        for interface in ("internal", "admin"):
            entry.setdefault(f"{interface}URL", entry.get("publicURL"))
    return {
        "name": service["name"],
        "type": service["type"],
        "endpoints_links": [],
        "endpoints": list(regions.values()),
    }


def _v2_key(key: dict[str, Any]) -> dict[str, Any]:
    return {name: key.get(name) for name in _V2_KEY_FIELDS}


def _checked(answer: TestResponse) -> dict[str, Any]:
    body = answer.get_json(silent=True) or {}
    if answer.status_code < 300:
        return body
    message = str(body.get("error", {}).get("message", ""))
    if answer.status_code == 403:  # v3 names its policy rule, v2.0 did not
        message = message.split(": identity:", maxsplit=1)[0].rstrip(".") + "."
    raise Refused(answer.status_code, message)


def _json_response(status: int, body: Any) -> Response:
    return Response(
        json.dumps(body), status, {"Vary": "X-Auth-Token"}, content_type="application/json"
    )


def _error(request: Request, refused: Refused) -> Response:
    title = HTTPStatus(refused.status).phrase
    body: dict[str, Any] = {
        "error": {"code": refused.status, "title": title, "message": refused.message}
    }
    if refused.status == 413:  # of another form: it came from a filter in front of Keystone
        title = "Request Entity Too Large"
        code, message = f"413 {title}", "Request is too large.<br /><br />\n\n\n"
        body = {"message": message, "code": code, "title": title}
    response = _json_response(refused.status, body)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = f'Keystone uri="{request.host_url.rstrip("/")}"'
    return response
