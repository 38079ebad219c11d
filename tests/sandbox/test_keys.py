"""Which key is used, and what it costs: counted on the servers."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError
from keystoneauth1.identity import v2, v3

import toast_boto
from tests.support import Tenancy, Watch, count_ours, set_settings


def access_of(session: Any) -> str:
    return str(session.get_credentials().get_frozen_credentials().access_key)


def use(session: Any) -> str:
    """Make one S3 call; answers the access key that signed it."""
    session.client("s3").list_buckets()
    return access_of(session)


def test_cold_start_with_a_key_there(toast_environment: Tenancy) -> None:
    """One login and one list, on one connection; nothing more, and no key is made."""
    key = toast_environment.create_key()
    watch = Watch(toast_environment.cloud)
    assert use(toast_boto.Session()) == key["access"]
    assert watch.identity() == ["login", "list"]
    ports = {request.client_port for request in watch.of("keystone", "/v2.0")}
    assert len(ports) == 1
    assert len(toast_environment.list_keys()) == 1


def test_cold_start_with_a_create(toast_environment: Tenancy) -> None:
    """Login, list, create, list, on one connection."""
    watch = Watch(toast_environment.cloud)
    access = use(toast_boto.Session())
    assert watch.identity() == ["login", "list", "create", "list"]
    assert len({request.client_port for request in watch.of("keystone", "/v2.0")}) == 1
    assert [key["access"] for key in toast_environment.list_keys()] == [access]


@pytest.mark.parametrize("version", ["v2.0", "v3"])
def test_both_versions_log_in(tenancy: Tenancy, version: str) -> None:
    """An identity URL that ends in /v3 logs in by v3, with as few requests."""
    cloud = tenancy.cloud
    url = cloud.auth_url if version == "v2.0" else cloud.auth_url_v3
    session = toast_boto.Session(**tenancy.options(auth_url=url))
    before = len(cloud.requests())
    session.get_credentials().get_frozen_credentials()
    calls = [f"{r.method} {r.path}" for r in cloud.requests()[before:] if version in r.path]
    assert len(calls) == 4
    assert calls[0] == f"POST /{version}/" + ("tokens" if version == "v2.0" else "auth/tokens")
    session.client("s3").list_buckets()


def test_nothing_is_asked_before_the_first_request(toast_environment: Tenancy) -> None:
    """Making sessions and clients asks nobody, when the endpoint is known."""
    watch = Watch(toast_environment.cloud)
    toast_boto.Session().client("s3")
    toast_boto.Session().resource("s3")
    assert watch.identity() == []


def test_warm_start_asks_nobody(toast_environment: Tenancy) -> None:
    """A second process finds the key in the cache file, and the endpoints beside it."""
    access = use(toast_boto.Session())
    watch = Watch(toast_environment.cloud)
    script = "import toast_boto; s = toast_boto.Session(); s.client('s3').list_buckets(); " + (
        "s.client('s3', region_name='KR2').list_buckets(); print(s.get_credentials().access_key)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == access
    assert watch.identity() == []


def test_cache_file_is_the_owners_alone(toast_environment: Tenancy) -> None:
    """Directory 0700, file 0600, a hash for a name, and neither user nor password in it."""
    use(toast_boto.Session())
    directory = Path(os.environ["TOAST_CACHE_DIR"])
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (path,) = directory.glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    entry = json.loads(path.read_text())
    assert entry["schema"] == 1
    assert entry["endpoints"] == toast_environment.cloud.endpoint_urls
    assert {stat.S_IMODE(p.stat().st_mode) for p in directory.iterdir()} == {0o600}
    for text in (toast_environment.password, toast_environment.username):
        assert text not in path.read_text()
        assert not any(text in p.name for p in directory.iterdir())


def test_memory_cache_leaves_no_file(tenancy: Tenancy, clean_environment: Path) -> None:
    """cache="memory" writes nothing, and asks once a session."""
    session = toast_boto.Session(**tenancy.options())
    watch = Watch(tenancy.cloud)
    use(session)
    use(session)
    assert watch.identity().count("login") == 1
    assert not (clean_environment / ".aws").exists()


def test_default_cache_is_under_home(toast_environment: Tenancy, clean_environment: Path,
                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Without any setting the cache is in ~/.aws/toast/cache."""
    monkeypatch.delenv("TOAST_CACHE_DIR")
    use(toast_boto.Session())
    assert len(list((clean_environment / ".aws" / "toast" / "cache").glob("*.json"))) == 1


def test_the_same_key_for_everybody(tenancy: Tenancy) -> None:
    """Of several keys everybody takes the same: no dates here, so the smallest access key."""
    keys = sorted(tenancy.create_key()["access"] for _ in range(3))
    taken = {use(toast_boto.Session(**tenancy.options())) for _ in range(3)}
    assert taken == {keys[0]}


def test_two_tenants_never_share_a_key(cloud: Any, tmp_path: Path) -> None:
    """One user's two tenants have a key each, in a cache that they share."""
    own = Tenancy.create(cloud, tenants=2)
    cache = str(tmp_path / "cache")
    sessions = [
        toast_boto.Session(**own.options(tenant_id=tenant_id, cache=cache))
        for tenant_id in own.tenant_ids
    ]
    used = [use(session) for session in sessions]
    listed = {key["tenant_id"]: key["access"] for key in own.list_keys()}
    assert used == [listed[tenant_id] for tenant_id in own.tenant_ids]
    sessions[0].client("s3").create_bucket(Bucket="only-in-the-first")
    assert sessions[1].client("s3").list_buckets()["Buckets"] == []
    assert len(list((tmp_path / "cache").glob("*.json"))) == 2


def test_key_of_another_tenant_is_not_taken(cloud: Any) -> None:
    """A key for another tenant of the same user does not count as one of this tenant's."""
    own = Tenancy.create(cloud, tenants=2)
    foreign = own.create_key(own.tenant_ids[1])
    assert use(toast_boto.Session(**own.options())) != foreign["access"]


def test_many_threads_make_one_login(toast_environment: Tenancy) -> None:
    """32 threads, cold, with a session each or one for all: one login, one list, one create."""
    watch = Watch(toast_environment.cloud)
    shared = toast_boto.Session()
    clients = [shared.client("s3") for _ in range(16)]
    sessions = [toast_boto.Session() for _ in range(16)]
    clients += [session.client("s3") for session in sessions]
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda client: client.list_buckets(), clients))
    assert watch.identity() == ["login", "list", "create", "list"]


def test_many_processes_make_one_login(toast_environment: Tenancy) -> None:
    """Six processes, cold and at once: one login, one list, one create, and one key for all."""
    watch = Watch(toast_environment.cloud)
    script = (
        "import sys, toast_boto; session = toast_boto.Session(); sys.stdin.readline()\n"
        "session.client('s3').list_buckets(); print(session.get_credentials().access_key)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    used = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert used == {toast_environment.list_keys()[0]["access"]}
    assert watch.identity() == ["login", "list", "create", "list"]


def test_explicit_keys_are_used_as_given(toast_environment: Tenancy) -> None:
    """aws_access_key_id= wins over the login, of a client and of a session; nobody is asked."""
    key = toast_environment.create_key()
    given = {"aws_access_key_id": key["access"], "aws_secret_access_key": key["secret"]}
    watch = Watch(toast_environment.cloud)
    toast_boto.client("s3", **given).list_buckets()
    session = toast_boto.Session(**given)
    assert use(session) == key["access"]
    wrong = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        toast_boto.client("s3", **wrong).list_buckets()
    assert watch.identity() == []


def test_explicit_keys_with_half_a_login(
    toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gives keys needs no login, and no whole one."""
    key = toast_environment.create_key()
    monkeypatch.delenv("TOAST_PASSWORD")
    session = toast_boto.Session(key["access"], key["secret"])
    assert use(session) == key["access"]


def test_pasted_keys_go_on_working(
    tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch, clean_environment: Path
) -> None:
    """Without a login, keys of the environment or of a profile are used, pinned."""
    key = tenancy.create_key()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", tenancy.cloud.endpoint_url)
    monkeypatch.setenv("AWS_CA_BUNDLE", tenancy.cloud.ca_bundle)
    (clean_environment / ".aws").mkdir()
    (clean_environment / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id = {key['access']}\naws_secret_access_key = {key['secret']}\n"
    )
    session = toast_boto.Session()
    assert use(session) == key["access"]
    assert session.client("s3").meta.region_name == "KR1"


def test_login_wins_over_pasted_keys(
    toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the settings hold a login, AWS's keys of the environment are not sent."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-another-cloud")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-cloud")
    assert use(toast_boto.Session()) == toast_environment.list_keys()[0]["access"]


def test_reuse_policy(tenancy: Tenancy) -> None:
    """key_policy="reuse" takes a key that is there, and says how to make one that is not."""
    session = toast_boto.Session(**tenancy.options(key_policy="reuse"))
    with pytest.raises(
        toast_boto.ConfigurationError, match=r"key policy is reuse.*toast-boto keys create"
    ):
        session.client("s3")  # the endpoint must be looked up, so the login is made here
    assert tenancy.list_keys() == []
    key = tenancy.create_key()
    assert use(session) == key["access"]


@pytest.mark.parametrize("plugin", ["v2", "v3"])
def test_any_keystoneauth_plugin(tenancy: Tenancy, plugin: str, clean_environment: Path) -> None:
    """auth= takes a plugin of keystoneauth1; URL and tenant are its own, the cache is in memory."""
    cloud = tenancy.cloud
    who = {"username": tenancy.username, "password": tenancy.password}
    auth = (
        v2.Password(cloud.auth_url, tenant_id=tenancy.tenant_id, **who)
        if plugin == "v2"
        else v3.Password(
            cloud.auth_url_v3, user_domain_name="Default", project_id=tenancy.tenant_id, **who
        )
    )
    session = toast_boto.Session(auth=auth, ca_bundle=cloud.ca_bundle)
    assert use(session) == tenancy.list_keys()[0]["access"]
    assert not (clean_environment / ".aws").exists()


def test_profile_holds_the_login(tenancy: Tenancy, clean_environment: Path) -> None:
    """A profile's toast_* keys are a login, and its endpoint and CA bundle are obeyed."""
    cloud = tenancy.cloud
    (clean_environment / ".aws").mkdir()
    (clean_environment / ".aws" / "config").write_text(
        "[profile photos of mine]\n[profile toast]\n"
        f"toast_auth_url = {cloud.auth_url}\ntoast_username = {tenancy.username}\n"
        f"toast_tenant_id = {tenancy.tenant_id}\nregion = KR1\n"
        f"endpoint_url = {cloud.endpoint_url}\nca_bundle = {cloud.ca_bundle}\n"
    )
    (clean_environment / ".aws" / "credentials").write_text(
        f"[toast]\ntoast_password = {tenancy.password}\n"
    )
    assert use(toast_boto.Session(profile_name="toast")) == tenancy.list_keys()[0]["access"]


def test_password_command(tenancy: Tenancy) -> None:
    """password_process= is run without a shell, and only when the password is needed."""
    command = f"{sys.executable} -c 'print(\"{tenancy.password}\")'"
    session = toast_boto.Session(**tenancy.options(password=None, password_process=command))
    use(session)


def test_openstack_variables(tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sourced openrc file is a login."""
    cloud = tenancy.cloud
    for name, value in {
        "OS_AUTH_URL": cloud.auth_url_v3,
        "OS_USERNAME": tenancy.username,
        "OS_PASSWORD": tenancy.password,
        "OS_PROJECT_ID": tenancy.tenant_id,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_CACERT": cloud.ca_bundle,
    }.items():
        monkeypatch.setenv(name, value)
    assert use(toast_boto.Session(cache="memory")) == tenancy.list_keys()[0]["access"]


def test_configured_botocore_session(tenancy: Tenancy) -> None:
    """configure() makes any botocore session ours, and plain boto3 on top of it."""
    session = botocore.session.get_session()
    toast_boto.configure(session, **tenancy.options())
    session.create_client("s3").list_buckets()
    client = boto3.Session(botocore_session=session).client("s3", "KR2")
    client.list_buckets()
    assert client.meta.endpoint_url == tenancy.cloud.endpoint_urls["KR2"]
    with pytest.raises(toast_boto.UnsupportedServiceError):
        session.create_client("sqs")


def test_configured_twice(tenancy: Tenancy) -> None:
    """Before its first use a session can be configured anew; a refused try changes nothing."""
    session = botocore.session.get_session()
    toast_boto.configure(session, cloud="toast")
    assert session.get_config_variable("region") == "KR1"
    toast_boto.configure(session, cloud="ngsc")
    assert session.get_config_variable("region") == "KR4"
    toast_boto.configure(session, **tenancy.options())
    with pytest.raises(toast_boto.ConfigurationError, match="no cloud"):
        toast_boto.configure(session, cloud="nosuch")
    client = session.create_client("s3")
    client.list_buckets()
    assert client.meta.endpoint_url == tenancy.cloud.endpoint_url
    with pytest.raises(toast_boto.UnsupportedServiceError):
        session.create_client("sqs")


def test_configured_after_use(tenancy: Tenancy) -> None:
    """Botocore keeps credentials that it was given, so a session that was used stays what it is."""
    session = botocore.session.get_session()
    toast_boto.configure(session, **tenancy.options())
    session.create_client("s3")
    with pytest.raises(toast_boto.ConfigurationError, match="configured and used already"):
        toast_boto.configure(session, cloud="nhn")
    assert session.create_client("s3").meta.endpoint_url == tenancy.cloud.endpoint_url


def test_region_set_between_two_configurations(tenancy: Tenancy) -> None:
    """A region that the user sets on a configured session is the user's, and stays."""
    session = botocore.session.get_session()
    toast_boto.configure(session, cloud="nhn")
    session.set_config_variable("region", "KR2")
    toast_boto.configure(session, **tenancy.options())
    client = session.create_client("s3")
    assert client.meta.endpoint_url == tenancy.cloud.endpoint_urls["KR2"]


def test_configure_takes_botocore_sessions_only() -> None:
    """A boto3 session is refused with the way out."""
    wrong: Any = boto3.Session()
    with pytest.raises(TypeError, match=r"make a toast_boto\.Session"):
        toast_boto.configure(wrong)


def test_plugin_of_another_tenant(
    cloud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A plugin's own project counts, whatever the environment says; a differing one is refused."""
    own = Tenancy.create(cloud, tenants=2)
    set_settings(monkeypatch, own, tmp_path / "cache")
    auth = v2.Password(
        cloud.auth_url, username=own.username, password=own.password, tenant_id=own.tenant_ids[1]
    )
    access = use(toast_boto.Session(auth=auth))
    assert [(k["access"], k["tenant_id"]) for k in own.list_keys()] == [(access, own.tenant_ids[1])]
    client = toast_boto.Session(auth=auth, tenant_id=own.tenant_ids[0]).client("s3")
    with pytest.raises(CredentialRetrievalError, match="is scoped to the tenant"):
        client.list_buckets()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_proxy_sees_what_stays_on_this_machine(
    tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """A proxy of the environment is not sent the password for a server on loopback."""
    urls = tenancy.cloud.urls(scheme)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.2)
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        options = tenancy.options(auth_url=urls.auth_url, endpoint_url=urls.endpoint_urls["KR1"])
        use(toast_boto.Session(**options))
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_no_home_directory(toast_environment: Tenancy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a home directory can't be found, work goes on without a cache file, with a warning."""
    monkeypatch.setenv("TOAST_CACHE_DIR", "~nobody-has-this-home/cache")
    monkeypatch.setenv("AWS_CONFIG_FILE", "~nobody-has-this-home/config")
    with pytest.warns(toast_boto.ToastBotoWarning, match="no home directory") as warned:
        use(toast_boto.Session())
    assert count_ours(warned) == 1


def test_credentials_show_no_secret(tenancy: Tenancy) -> None:
    """Neither the credentials' repr nor the error of a login shows a secret."""
    session = toast_boto.Session(**tenancy.options())
    credentials = session.get_credentials()
    secret = credentials.secret_key
    assert credentials.method == "toast-keystone"
    assert credentials.token is None
    assert secret not in repr(credentials)
    assert secret not in repr(vars(credentials))


def test_refused_login_reaches_the_caller(tenancy: Tenancy) -> None:
    """In botocore's chain our error is the cause of a CredentialRetrievalError."""
    options = tenancy.options(password="wrong-password", endpoint_url=tenancy.cloud.endpoint_url)
    client = toast_boto.Session(**options).client("s3")
    with pytest.raises(CredentialRetrievalError) as caught:
        client.list_buckets()
    assert isinstance(caught.value.__cause__, toast_boto.AuthenticationError)
