"""Where the value of a setting is found, and what is refused."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import toast_boto
from toast_boto._options import OPTIONS
from toast_boto._passwords import run_password_process
from toast_boto._profiles import Profile
from toast_boto._settings import Settings, resolve
from toast_boto.errors import ConfigurationError, ToastBotoWarning

LOGIN = {"TOAST_USERNAME": "u", "TOAST_PASSWORD": "p", "TOAST_TENANT_ID": "t"}
OPENSTACK = {
    "OS_AUTH_URL": "https://openstack.example.com/v3",
    "OS_USERNAME": "os-user",
    "OS_PASSWORD": "os-password",
    "OS_PROJECT_ID": "os-tenant",
    "OS_USER_DOMAIN_NAME": "os-domain",
}
NHN = "https://api-identity-infrastructure.nhncloudservice.com/v2.0"
TOAST = "https://api-identity.infrastructure.cloud.toast.com/v2.0"
GOV = "https://api-identity-infrastructure.gov-nhncloudservice.com/v2.0"


def profile(named: bool = False, **values: str) -> Profile:
    name = "mine" if named else "default"
    return Profile(name, named, {key: (value, "~/.aws/config") for key, value in values.items()})


def settle(
    arguments: dict[str, Any] | None = None,
    environ: dict[str, str] | None = None,
    of: Profile | None = None,
) -> Settings:
    return resolve(arguments or {}, environ or {}, of or profile())


def found(settings: Settings, name: str) -> tuple[Any, str]:
    value = settings[name]
    assert value is not None
    return value.value, value.source


def test_order_of_sources() -> None:
    """Argument, named profile, TOAST_*, ambient profile, default; each knows its source."""
    environ = {"TOAST_TENANT_ID": "of-variable"}
    ambient, named = profile(toast_tenant_id="of-file"), profile(True, toast_tenant_id="of-file")
    assert found(settle({"tenant_id": "of-code"}, environ, named), "tenant_id") == (
        "of-code",
        "the argument tenant_id=",
    )
    assert found(settle({}, environ, named), "tenant_id") == (
        "of-file",
        "toast_tenant_id in the profile 'mine' of ~/.aws/config",
    )
    assert found(settle({}, environ, ambient), "tenant_id") == ("of-variable", "TOAST_TENANT_ID")
    assert found(settle({}, {}, ambient), "tenant_id")[0] == "of-file"
    assert settle()["tenant_id"] is None
    assert found(settle(), "key_policy") == ("reuse-or-create", "the default")


@pytest.mark.parametrize("option", [o for o in OPTIONS.values() if o.environment and o.profile])
def test_every_option_has_its_places(option: Any) -> None:
    """Each row of the table is read by its argument, its variable and its profile key."""
    value = {
        "cloud": "nhn",
        "auth_url": NHN,
        "ca_bundle": __file__,
        "allow_http": "yes",
        "key_policy": "reuse",
        "identity_timeout": "7.5",
        "cache": "memory",
    }.get(option.name, "value")
    for settings in (
        settle({option.name: value}),
        settle({}, {option.environment[0]: value}),
        settle({}, {}, profile(**{option.profile: value})),
    ):
        assert found(settings, option.name)[0] == value


def test_arguments_of_session_are_the_tables() -> None:
    """Session takes what the table lets code give, and configure() refuses the rest by name."""
    parameters = inspect.signature(toast_boto.Session).parameters.values()
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    assert set(keywords) == {option.name for option in OPTIONS.values() if option.argument}
    with pytest.raises(
        TypeError, match="unknown option cache_dir, tennant; known: cloud, auth_url"
    ):
        settle({"tennant": "t", "cache_dir": "d"})


def test_empty_values_are_no_values() -> None:
    """An empty variable or profile key does not hide a lower source."""
    settings = settle({"tenant_id": ""}, {"TOAST_TENANT_ID": ""}, profile(toast_tenant_id="t"))
    assert found(settings, "tenant_id")[0] == "t"


@pytest.mark.parametrize(
    ("arguments", "environ", "of", "url", "cloud"),
    [
        ({}, {}, {}, TOAST, "toast"),
        ({"cloud": "nhn"}, {}, {}, NHN, "nhn"),
        ({}, {"TOAST_AUTH_URL": f"{NHN}/"}, {}, NHN, "nhn"),
        ({}, {"TOAST_AUTH_URL": NHN.upper().replace("V2.0", "v2.0")}, {}, NHN, "nhn"),
        ({"auth_url": "https://own:443/v3/"}, {}, {}, "https://own/v3", None),
        ({"cloud": "gov"}, {"TOAST_AUTH_URL": NHN}, {}, GOV, "gov"),
        ({}, {"TOAST_CLOUD": "gov"}, {"toast_auth_url": NHN}, GOV, "gov"),
        ({}, {"TOAST_AUTH_URL": NHN}, {"toast_cloud": "gov"}, NHN, "nhn"),
        ({"auth_url": NHN, "cloud": "gov"}, {}, {}, NHN, "nhn"),
    ],
)  # fmt: skip
def test_cloud_and_identity_url(
    arguments: dict[str, str], environ: dict[str, str], of: dict[str, str], url: str, cloud: str
) -> None:
    """The identity URL is the cloud's, or one's own; a cloud of a higher source beats a URL."""
    settings = settle(arguments, environ, profile(**of))
    assert settings.auth_url == url
    assert (settings.cloud.name if settings.cloud else None) == cloud


def test_openstack_group_as_a_whole() -> None:
    """OS_* gives the whole identity where nothing else names a user."""
    settings = settle({}, OPENSTACK)
    assert settings.auth_url == OPENSTACK["OS_AUTH_URL"]
    assert found(settings, "username") == ("os-user", "OS_USERNAME")
    assert found(settings, "tenant_id") == ("os-tenant", "OS_PROJECT_ID")
    assert found(settings, "user_domain")[0] == "os-domain"
    settings.check_login()


def test_openstack_group_not_at_all() -> None:
    """Beside a user name of any other source, and without OS_AUTH_URL, OS_* is not looked at."""
    for settings in (
        settle({}, {**OPENSTACK, **LOGIN}),
        settle({}, {**OPENSTACK, "TOAST_USERNAME": "u"}),
        settle({"username": "u"}, OPENSTACK),
        settle({}, OPENSTACK, profile(toast_username="u")),
    ):
        assert found(settings, "username")[0] == "u"
        assert settings.auth_url == TOAST
        assert settings.text("password") != "os-password"
        assert settings.text("tenant_id") != "os-tenant"
    without_url = {name: v for name, v in OPENSTACK.items() if name != "OS_AUTH_URL"}
    assert settle({}, without_url)["username"] is None


def test_openstack_group_needs_url_and_user() -> None:
    """OS_AUTH_URL alone, or OS_USERNAME alone, changes nothing, and an error says why."""
    for missing in ("OS_AUTH_URL", "OS_USERNAME"):
        rest = {name: value for name, value in OPENSTACK.items() if name != missing}
        settings = settle({}, {**rest, "TOAST_PASSWORD": "p", "TOAST_TENANT_ID": "t"})
        assert settings.auth_url == TOAST
        with pytest.raises(ConfigurationError, match=r"no user name.*both OS_AUTH_URL and OS_USER"):
            settings.check_login()


def test_openstack_group_beside_half_a_login() -> None:
    """What it passes over is told; what code gave is not passed over: then it does not count."""
    half = {"TOAST_PASSWORD": "secret-password", "TOAST_CLOUD": "nhn"}
    with pytest.warns(ToastBotoWarning, match="TOAST_CLOUD, TOAST_PASSWORD not used") as warned:
        settings = settle({}, {**OPENSTACK, **half})
    assert "secret-password" not in str(warned[0].message)
    assert settings.password() == "os-password"
    assert settings.auth_url == OPENSTACK["OS_AUTH_URL"]
    for arguments, of in (
        ({"tenant_id": "t"}, profile()),
        ({}, profile(True, toast_tenant_id="t")),
    ):
        settings = settle(arguments, OPENSTACK, of)
        with pytest.raises(ConfigurationError, match=r"no user name.*not beside .*tenant_id"):
            settings.check_login()
    settings = settle({"cloud": "nhn"}, OPENSTACK)
    assert (settings.auth_url, settings.has_login) == (NHN, False)
    assert "not beside the argument cloud=" in settings.hint


def test_plugin_is_a_whole_login() -> None:
    """Nothing of an ambient login is mixed with a plugin given in code."""
    settings = settle({"auth": object(), "auth_url": NHN}, {**LOGIN, **OPENSTACK})
    for name in ("username", "password", "tenant_id"):
        assert settings[name] is None
    assert settings.auth_url == NHN
    given = settle({"auth": object(), "auth_url": NHN, "tenant_id": "t"}, LOGIN)
    assert given.text("tenant_id") == "t"


def test_password_and_command() -> None:
    """Of one source the password counts; of two, the higher."""
    both = {"TOAST_PASSWORD": "p", "TOAST_PASSWORD_PROCESS": "print-it"}
    assert settle({}, both)["password_process"] is None
    higher = settle({"password_process": "print-it"}, {"TOAST_PASSWORD": "p"})
    assert higher["password"] is None
    lower = settle({"password": "p"}, {"TOAST_PASSWORD_PROCESS": "print-it"})
    assert lower["password_process"] is None


def test_password_command_is_run_without_a_shell() -> None:
    """Its words are split as a shell would, and nothing is expanded; the line's end is cut."""
    script = "import sys; print(sys.argv[1]); print(repr(sys.stdin.read()), file=sys.stderr)"
    command = f"{sys.executable} -c '{script}' '$HOME *'"
    assert settle({"password_process": command}).password() == "$HOME *"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-command-at-all", "can't be run"),
        ("", "can't be run"),
        ("'unbalanced", "can't be run"),
        (f"{sys.executable} -c 'raise SystemExit(3)'", "exit code 3"),
        (f"{sys.executable} -c pass", "printed nothing"),
    ],
)
def test_password_command_that_fails(command: str, words: str) -> None:
    """A command that gives no password is named by its source, not by its text."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        run_password_process(command, "TOAST_PASSWORD_PROCESS")
    assert "TOAST_PASSWORD_PROCESS" in str(caught.value)


def test_password_command_that_hangs() -> None:
    """A command that takes too long is ended and said so."""

    def hang(*_: Any, timeout: float, **__: Any) -> None:
        raise subprocess.TimeoutExpired("print-it", timeout)

    with pytest.raises(ConfigurationError, match="more than 60 s") as caught:
        run_password_process("print-it", "TOAST_PASSWORD_PROCESS", run=hang)
    assert caught.value.__context__ is None, "which would hold what it printed"


def test_no_repr_shows_a_value() -> None:
    """Settings, their values and profiles can be printed."""
    of = profile(toast_username="the-user", toast_password="the-secret")
    settings = settle({"tenant_id": "the-tenant"}, {}, of)
    for text in (repr(settings), repr(settings["password"]), repr(of)):
        assert "the-secret" not in text
    assert "password from toast_password in the profile" in repr(settings)


@pytest.mark.parametrize("value", [True, "yes", "1", "True", "on"])
def test_allow_http(value: Any) -> None:
    """Plain http to another host, for those who say yes."""
    url = "http://identity.example.com:5000/v3"
    settle({"auth_url": url, "allow_http": value}, LOGIN).check_login()
    with pytest.raises(ConfigurationError, match="plain http"):
        settle({"auth_url": url, "allow_http": False}, LOGIN).check_login()


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("[::1]", True),
        ("bucket.localhost", True),
        ("127.evil.example.com", False),
        ("localhost.example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback(host: str, allowed: bool) -> None:
    """Plain http to this very machine needs no leave; to a host that only looks so, it does."""
    settings = settle({"auth_url": f"http://{host}:5000/v3"}, LOGIN)
    if allowed:
        settings.check_login()
    else:
        with pytest.raises(ConfigurationError, match="plain http"):
            settings.check_login()


def test_plain_http_of_the_table() -> None:
    """The one cloud whose documentation gives a plain http endpoint may have it."""
    settings = settle({"cloud": "ngcc"})
    assert settings.cloud
    settings.check_endpoint(settings.cloud.endpoint_urls["KR4"], "the table")
    with pytest.raises(ConfigurationError, match="plain http"):
        settings.check_endpoint("http://other.example.com", "the argument endpoint_url=")


def test_cache_may_be_a_path() -> None:
    """cache= takes a directory as well as file or memory."""
    settings = settle({"cache": "/var/cache/toast"})
    assert (settings.text("cache"), str(settings.cache_directory())) == ("file", "/var/cache/toast")
    assert settle({}, {"TOAST_CACHE": "memory", "TOAST_CACHE_DIR": "/x"}).text("cache") == "memory"
    assert str(settle({"cache": Path("here")}).cache_directory()) == str(Path.cwd() / "here")
    ambient = profile(toast_cache="/of/profile")
    assert str(settle({}, {"TOAST_CACHE_DIR": "/x"}, ambient).cache_directory()) == "/x"


def test_plugin_without_a_url() -> None:
    """auth= with a plugin that has no URL needs one from elsewhere."""
    with pytest.raises(ConfigurationError, match="give auth_url= too"):
        settle({"auth": object()})
    assert settle({"auth": object(), "cloud": "nhn"}).auth_url == NHN
    assert settle({"auth": object(), "auth_url": NHN}).auth_url == NHN
