"""What we lean on in botocore and boto3, each with the assumption written down.

These tests speak to botocore alone, mostly without our code: when one fails, botocore has moved.
They are run on the oldest and on the newest version that is supported.
"""

from __future__ import annotations

import gc
import inspect
import io
import socket
import weakref
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import botocore.credentials
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.configprovider import ConstantProvider
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
)

import toast_boto
from toast_boto._credentials import ToastCredentialProvider, ToastCredentials
from toast_boto._pins import _botocore_endpoint
from toast_boto._profiles import read_profile

ENDPOINT = "https://storage.example.com"


def make_session() -> Any:
    session = botocore.session.get_session()
    session.set_credentials("access", "secret")
    return session


def make_client(session: Any, **arguments: Any) -> Any:
    """A client whose requests are answered here: nothing leaves the machine."""
    client = session.create_client("s3", "KR1", endpoint_url=ENDPOINT, **arguments)
    client.sent = []

    def answer(request: Any, **_: Any) -> Any:
        client.sent.append(request)
        return AWSResponse(request.url, 200, {}, _Raw())

    client.meta.events.register("before-send.s3", answer)
    return client


class _Raw:
    def stream(self, *_: Any, **__: Any) -> Any:
        return iter([b""])


# -- the door


def test_create_client_is_the_one_door() -> None:
    """boto3's clients and resources are made by the botocore session's `create_client`.

    It is looked up on the instance, so that a wrapper on one session serves that session only.
    """
    session, calls = make_session(), []
    original = session.create_client

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return original(*args, **kwargs)

    session.create_client = wrapper
    outer = boto3.Session(botocore_session=session, region_name="KR1")
    outer.client("s3", endpoint_url=ENDPOINT)
    outer.resource("s3", endpoint_url=ENDPOINT)
    assert len(calls) == 2
    assert "create_client" not in vars(make_session())


def test_create_client_has_these_parameters() -> None:
    """The parameters that the pins adjust have these names."""
    names = inspect.signature(botocore.session.Session.create_client).parameters
    assert {
        "service_name",
        "region_name",
        "verify",
        "endpoint_url",
        "aws_access_key_id",
        "aws_secret_access_key",
        "config",
    } <= set(names)


def test_sessions_can_be_weak_keys() -> None:
    """A session is hashable and weakly referable, and ours is collected when nobody uses it."""
    session = make_session()
    toast_boto.configure(session)
    reference = weakref.ref(session)
    del session
    gc.collect()
    assert reference() is None


def test_boto3_session_has_these_parameters_first() -> None:
    """Our Session repeats boto3's parameters in boto3's order."""
    theirs = list(inspect.signature(boto3.Session.__init__).parameters)
    ours = list(inspect.signature(toast_boto.Session.__init__).parameters)
    assert ours[: len(theirs)] == theirs


# -- credentials


def test_credential_chain_can_be_replaced_lazily() -> None:
    """A component registered lazily is made at the first use, and is the chain from then on."""
    session, made = botocore.session.get_session(), []

    class Mine(botocore.credentials.CredentialProvider):
        METHOD = CANONICAL_NAME = "mine"

        def load(self) -> Any:
            return botocore.credentials.Credentials("a", "s", method="mine")

    def factory() -> Any:
        made.append(1)
        chain = botocore.credentials.create_credential_resolver(session)
        chain.providers.insert(0, Mine())
        return chain

    session.get_component("credential_provider")  # even when it was made already
    session.lazy_register_component("credential_provider", factory)
    assert not made
    assert session.get_credentials().method == "mine"
    assert made == [1]


def test_methods_of_the_chain() -> None:
    """The providers of pasted keys, which alone are kept, are known by their names.

    A name that is new here wants a decision: can it hold TOAST keys, or does it ask AWS?
    """
    session = botocore.session.get_session()
    chain = botocore.credentials.create_credential_resolver(session)
    assert {provider.METHOD for provider in chain.providers} - {"login"} == {
        "env",
        "assume-role",
        "assume-role-with-web-identity",
        "sso",
        "shared-credentials-file",
        "custom-process",
        "config-file",
        "ec2-credentials-file",
        "boto-config",
        "container-role",
        "iam-role",
    }


def test_first_result_that_is_not_none_wins() -> None:
    """A provider that answers None is passed over; an exception leaves the chain."""
    session = botocore.session.get_session()
    chain = botocore.credentials.create_credential_resolver(session)

    class Fails:
        def key(self) -> Any:
            raise toast_boto.ConfigurationError("half a login")

    def fail() -> Any:
        Fails().key()

    found = botocore.credentials.Credentials("a", "s")
    chain.providers[:] = [
        ToastCredentialProvider(lambda: None),
        ToastCredentialProvider(lambda: found),
    ]
    assert chain.load_credentials() is found
    chain.providers.insert(0, ToastCredentialProvider(fail))
    with pytest.raises(BotoCoreError, match="half a login") as caught:
        chain.load_credentials()
    assert isinstance(caught.value, CredentialRetrievalError)
    assert isinstance(caught.value.__cause__, toast_boto.ConfigurationError)


def test_signers_ask_for_frozen_credentials_at_every_attempt() -> None:
    """A key that changes between two requests of one client is used at once."""

    class Broker:
        count = 0

        def key(self) -> Any:
            self.count += 1
            return toast_boto._keys.EC2Key(f"access{self.count}", "s", "t")  # type: ignore[attr-defined]

    import toast_boto._keys

    session, broker = botocore.session.get_session(), Broker()
    credentials = ToastCredentials(broker)  # type: ignore[arg-type]
    chain = botocore.credentials.create_credential_resolver(session)
    chain.providers[:] = [ToastCredentialProvider(lambda: credentials)]
    session.register_component("credential_provider", chain)
    client = make_client(session)
    assert broker.count == 0, "making a client asks for no key"
    client.list_buckets()
    client.list_buckets()
    used = [bytes(r.headers["Authorization"]).split(b"/")[0] for r in client.sent]
    assert used == [
        b"AWS4-HMAC-SHA256 Credential=access1",
        b"AWS4-HMAC-SHA256 Credential=access2",
    ]


def test_frozen_credentials_have_these_fields() -> None:
    """A frozen key has `access_key`, `secret_key` and `token`, whatever newer fields follow."""
    frozen = botocore.credentials.Credentials("a", "s").get_frozen_credentials()
    assert frozen._fields[:3] == ("access_key", "secret_key", "token")
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("a", "s", None)


def test_attributes_of_credentials_that_botocore_reads() -> None:
    """Our credentials have every public attribute that botocore's own have."""

    class Broker:
        def key(self) -> Any:
            import toast_boto._keys

            return toast_boto._keys.EC2Key("a", "s", "t")

    theirs = botocore.credentials.Credentials("a", "s")
    ours = ToastCredentials(Broker())  # type: ignore[arg-type]
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(dir(ours))
    assert (ours.access_key, ours.secret_key, ours.token) == ("a", "s", None)


def test_explicit_keys_and_unsigned_skip_the_chain() -> None:
    """Neither asks the credential chain."""
    session = botocore.session.get_session()

    class Asked(Exception):
        pass

    def fail() -> Any:
        raise Asked

    chain = botocore.credentials.create_credential_resolver(session)
    chain.providers[:] = [ToastCredentialProvider(fail)]
    session.register_component("credential_provider", chain)
    make_client(session, aws_access_key_id="a", aws_secret_access_key="s")
    make_client(session, config=Config(signature_version=UNSIGNED))
    with pytest.raises(Asked):
        make_client(session)


# -- configuration


def test_default_provider_is_the_last_link() -> None:
    """`set_default_provider` changes what counts when neither code, environment nor profile say."""
    for name in ("request_checksum_calculation", "response_checksum_validation"):
        session = make_session()
        store = session.get_component("config_store")
        store.get_config_provider(name).set_default_provider(ConstantProvider("when_required"))
        assert getattr(make_client(session).meta.config, name) == "when_required"
        config = Config(**{name: "when_supported"})
        assert getattr(make_client(session, config=config).meta.config, name) == "when_supported"
        assert getattr(make_client(make_session()).meta.config, name) == "when_supported"


def test_region_variable_is_the_sessions_region() -> None:
    """What is set by `set_config_variable("region")` is boto3's `region_name`, and wins."""
    session = make_session()
    session.set_config_variable("region", "KR1")
    assert boto3.Session(botocore_session=session).region_name == "KR1"
    boto3.Session(botocore_session=session, region_name="KR2")
    assert session.get_config_variable("region") == "KR2"


def test_profile_named_in_code(monkeypatch: pytest.MonkeyPatch, clean_environment: Path) -> None:
    """`instance_variables` tells a profile that code named from one of the environment."""
    (clean_environment / ".aws").mkdir()
    (clean_environment / ".aws" / "config").write_text("[profile a]\ntoast_username = u\n")
    named = boto3.Session(profile_name="a", botocore_session=make_session())
    assert named.profile_name == "a"
    session = make_session()
    boto3.Session(profile_name="a", botocore_session=session)
    assert "profile" in session.instance_variables()
    monkeypatch.setenv("AWS_PROFILE", "a")
    session = make_session()
    assert session.get_config_variable("profile") == "a"
    assert "profile" not in session.instance_variables()
    assert session.get_scoped_config()["toast_username"] == "u"


NASTY = {
    "config": "# comment\n[default]\nregion = KR1\n[profile a]\nx = 1 ; not a comment\n"
    's3 =\n  addressing_style = path\n[profile "two words"]\nx=%(y)s\n[a]\nx = wrong\n'
    "[profile]\nx = 0\n[DEFAULT]\nx = 7\n[services s]\ns3 =\n  endpoint_url = https://e\n",
    "credentials": "[a]\nX = upper\ny: colon\n[two words]\nz = $HOME\n[default]\ny = 2\n",
}


@pytest.mark.parametrize("name", ["default", "a", "two words"])
def test_our_reader_of_profiles_agrees_with_botocores(name: str, clean_environment: Path) -> None:
    """What we read of a profile is what botocore reads, nested sections aside."""
    (clean_environment / ".aws").mkdir()
    for file, text in NASTY.items():
        (clean_environment / ".aws" / file).write_text(text)
    session = botocore.session.Session(profile=name)
    theirs = {k: v for k, v in session.get_scoped_config().items() if isinstance(v, str)}
    ours = {k: v for k, (v, _) in read_profile(name).values.items() if not v.startswith("\n")}
    assert ours == theirs


ENVIRONMENT = {"AWS_ENDPOINT_URL_S3": "https://env-s3", "AWS_ENDPOINT_URL": "https://env"}
PROFILE = (
    "[default]\nregion = KR1\n{services}{endpoint_url}"
    "[services s]\ns3 =\n  endpoint_url = https://services-s3\n"
)


@pytest.mark.parametrize("environment", [["AWS_ENDPOINT_URL_S3"], ["AWS_ENDPOINT_URL"], []])
@pytest.mark.parametrize("services", ["services = s\n", ""])
@pytest.mark.parametrize("endpoint_url", ["endpoint_url = https://profile\n", ""])
@pytest.mark.parametrize("ignore", [False, True])
def test_our_order_of_endpoints_is_botocores(
    environment: list[str],
    services: str,
    endpoint_url: str,
    ignore: bool,
    monkeypatch: pytest.MonkeyPatch,
    clean_environment: Path,
) -> None:
    """Of all places where an endpoint can be configured we take the one that botocore takes."""
    (clean_environment / ".aws").mkdir()
    (clean_environment / ".aws" / "config").write_text(
        PROFILE.format(services=services, endpoint_url=endpoint_url)
    )
    for name in environment:
        monkeypatch.setenv(name, ENVIRONMENT[name])
    if ignore:
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    session = make_session()
    theirs: str | None = session.create_client("s3").meta.endpoint_url
    if theirs and "amazonaws" in theirs:
        theirs = None
    import os

    assert _botocore_endpoint(session, Config(), os.environ)[0] == theirs


def test_merging_configs() -> None:
    """`Config.merge` makes a new one; the other's options win, its `s3` replaces the whole."""
    one = Config(region_name="a", s3={"x": 1}, connect_timeout=5)  # type: ignore[arg-type]
    both = one.merge(Config(s3={"addressing_style": "path"}))
    assert both is not one
    assert (both.region_name, both.connect_timeout) == ("a", 5)
    assert both.s3 == {"addressing_style": "path"}


def test_default_client_config_is_merged_beneath() -> None:
    """A client's Config wins over the session's default one, which we merge ourselves."""
    session = make_session()
    session.set_default_client_config(Config(connect_timeout=5, read_timeout=6))
    assert session.get_default_client_config().connect_timeout == 5
    merged = make_client(session, config=Config(connect_timeout=7)).meta.config
    assert (merged.connect_timeout, merged.read_timeout) == (7, 6)


def test_empty_proxies_mean_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Config(proxies={})` keeps a client from a proxy of the environment; None does not."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.2)
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert Config().proxies is None
        config = Config(proxies={}, retries={"max_attempts": 0}, connect_timeout=1)
        client = make_session().create_client(
            "s3", "KR1", endpoint_url="http://127.0.0.1:1", config=config
        )
        with pytest.raises(EndpointConnectionError):
            client.list_buckets()
        with pytest.raises(TimeoutError):
            proxy.accept()


# -- events


def test_before_parameter_build_may_replace_parameters() -> None:
    """Its `params` are the call's own dictionary, and `context` names the client's region."""
    session, seen = make_session(), []

    def handler(params: dict[str, Any], context: Any, **_: Any) -> None:
        seen.append(context["client_region"])
        params["CreateBucketConfiguration"] = {"LocationConstraint": "mine"}

    session.register("before-parameter-build.s3.CreateBucket", handler)
    client = make_client(session)
    client.create_bucket(Bucket="b", CreateBucketConfiguration={"LocationConstraint": "theirs"})
    assert seen == ["KR1"]
    assert b"mine" in client.sent[0].body


def test_before_call_and_before_sign() -> None:
    """before-call sees model, headers, body and context; before-sign sees the same context.

    A header set in the one and a header taken off in the other are what is signed and sent.
    """
    session, seen = make_session(), []

    def before_call(model: Any, params: dict[str, Any], context: Any, **_: Any) -> None:
        seen.append((model.name, params["body"]))
        params["headers"]["Content-MD5"] = "mine"
        context["mark"] = True

    def before_sign(request: Any, **_: Any) -> None:
        assert request.context["mark"]
        for name in list(request.headers):
            if name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-checksum-")):
                del request.headers[name]

    session.register("before-call.s3", before_call)
    session.register("before-sign.s3", before_sign)
    client = make_client(session)
    client.delete_objects(Bucket="b", Delete={"Objects": [{"Key": "k"}]})
    assert seen[0][0] == "DeleteObjects"
    assert b"<Key>k</Key>" in seen[0][1]
    headers = {name.lower(): value for name, value in client.sent[0].headers.items()}
    assert not [name for name in headers if "checksum" in name]
    signed = bytes(headers["authorization"])
    assert b"content-md5" in signed
    assert b"checksum" not in signed


def test_a_checksum_is_added_by_default_where_one_is_demanded() -> None:
    """Without our handlers DeleteObjects carries a CRC32 and no MD5: what the older servers refuse.

    When this fails, botocore sends an MD5 again, and a quirk of ours can go.
    """
    client = make_client(make_session())
    client.delete_objects(Bucket="b", Delete={"Objects": [{"Key": "k"}]})
    names = {name.lower() for name in client.sent[0].headers}
    assert "content-md5" not in names
    assert "x-amz-checksum-crc32" in names
    assert "x-amz-sdk-checksum-algorithm" in names


def test_model_says_where_a_checksum_is_demanded() -> None:
    """By one of two traits of an operation's model."""
    model = make_client(make_session()).meta.service_model
    demanded = {
        name: model.operation_model(name).http_checksum_required
        or model.operation_model(name).http_checksum.get("requestChecksumRequired")
        for name in ("DeleteObjects", "PutBucketAcl", "PutObject", "GetObject")
    }
    assert demanded["DeleteObjects"]
    assert demanded["PutBucketAcl"]
    assert not demanded["PutObject"]
    assert not demanded["GetObject"]


def test_handlers_with_an_id_are_registered_once() -> None:
    """`unique_id` makes registering again harmless."""
    session, seen = make_session(), []

    def handler(**_: Any) -> None:
        seen.append(1)

    for _ in range(2):
        session.register("before-call.s3", handler, unique_id="one")
    make_client(session).list_buckets()
    assert seen == [1]


# -- repeating a call


NO_WRAPPER = Config(request_checksum_calculation="when_required")


class Refusing:
    """Answers the first requests of a client with 403, and the others with 200."""

    def __init__(self, client: Any, refusals: int = 1) -> None:
        self.sent: list[Any] = []
        self.bodies: list[bytes] = []
        self._refusals = refusals
        client.meta.events.register_first("before-send.s3", self.answer)

    def answer(self, request: Any, **_: Any) -> Any:
        self.sent.append(request)
        body = request.body
        self.bodies.append(body.read() if hasattr(body, "read") else body)
        refused = len(self.sent) <= self._refusals
        return AWSResponse(request.url, 403 if refused else 200, {}, _Raw())


class Turning(botocore.credentials.Credentials):
    """Another key at each signature."""

    def __init__(self) -> None:
        super().__init__("a", "s", method="turning")
        self.turns = 0

    def get_frozen_credentials(self) -> Any:
        self.turns += 1
        return botocore.credentials.Credentials(f"key{self.turns}", "s").get_frozen_credentials()


def signer_of(request: Any) -> str:
    header = request.headers["Authorization"]
    text = header.decode() if isinstance(header, bytes) else header
    return str(text.partition("Credential=")[2].partition("/")[0])


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
@pytest.mark.parametrize("method", ["register_first", "register"])
def test_needs_retry_repeats_signed_anew(mode: str, method: str) -> None:
    """A handler of `needs-retry.s3` that answers 0 has the call repeated at once, signed anew.

    In every retry mode, whatever number of attempts is allowed. The first answer that is not None
    decides; botocore's own handler answers None to a 403 today, and ours, which is registered to be
    the first, does not depend on that.
    """
    session = botocore.session.get_session()
    session.register_component("credential_provider", Chain(Turning()))
    client = make_client(session, config=Config(retries={"mode": mode, "total_max_attempts": 1}))
    server, seen = Refusing(client), []

    def handler(response: Any, request_dict: Any, operation: Any, **_: Any) -> int | None:
        seen.append((response[0].status_code, request_dict["context"], operation.name))
        return 0 if response[0].status_code == 403 else None

    getattr(client.meta.events, method)("needs-retry.s3", handler)
    client.list_buckets()
    assert [signer_of(request) for request in server.sent] == ["key1", "key2"]
    assert [row[0] for row in seen] == [403, 200]
    assert seen[0][1] is seen[1][1], "one context for all attempts of a call"
    assert seen[0][2] == "ListBuckets"


class Chain:
    """A credential chain with one answer."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        return self._credentials


def test_needs_retry_sees_codes() -> None:
    """The parsed answer has the server's code, and "403" where there is no body, as on HEAD."""
    client, seen = make_client(make_session()), []
    Refusing(client, refusals=9)

    def handler(response: Any, **_: Any) -> None:
        seen.append(response[1].get("Error", {}).get("Code"))

    client.meta.events.register_first("needs-retry.s3", handler)
    for call in (client.list_buckets, lambda: client.head_bucket(Bucket="b")):
        with pytest.raises(ClientError):
            call()
    assert seen == ["403", "403"]


def test_request_created_comes_signed_to_the_last() -> None:
    """Of `request-created.s3` the first handler comes before the signature, the last after it.

    Both see the context that `needs-retry` sees, and the body that is sent.
    """
    client, seen = make_client(make_session(), config=NO_WRAPPER), {}

    def first(request: Any, **_: Any) -> None:
        seen["first"] = ("Authorization" in request.headers, request.context, request.data)

    def last(request: Any, **_: Any) -> None:
        seen["last"] = ("Authorization" in request.headers, request.context, request.data)

    def retry(request_dict: Any, **_: Any) -> None:
        seen["retry"] = request_dict["context"]

    client.meta.events.register_first("request-created.s3", first)
    client.meta.events.register_last("request-created.s3", last)
    client.meta.events.register("needs-retry.s3", retry)
    body = io.BytesIO(b"content")
    client.put_object(Bucket="b", Key="k", Body=body)
    assert (seen["first"][0], seen["last"][0]) == (False, True)
    assert seen["first"][1] is seen["last"][1] is seen["retry"]
    assert seen["first"][2] is body


def test_before_call_sees_the_callers_body() -> None:
    """`before-call.s3` comes before botocore wraps a body for its checksum."""
    client, seen = make_client(make_session()), []

    def note(params: Any, context: Any, **_: Any) -> None:
        seen.append((params["body"], context))

    def created(request: Any, **_: Any) -> None:
        seen.append((request.data, request.context))

    client.meta.events.register("before-call.s3", note)
    client.meta.events.register_first("request-created.s3", created)
    body = io.BytesIO(b"content")
    client.put_object(Bucket="b", Key="k", Body=body, ChecksumAlgorithm="CRC32")
    assert seen[0][0] is body
    assert seen[1][0] is not body
    assert seen[0][1] is seen[1][1]


@pytest.mark.parametrize("rewound", [False, True])
def test_a_repeated_body_starts_at_the_very_beginning(rewound: bool) -> None:
    """botocore rewinds a body to its first byte, wherever it started; a handler can mend that.

    When the first half fails, botocore remembers the position, and our handler can go.
    """
    client = make_client(make_session(), config=NO_WRAPPER)
    server = Refusing(client)
    body = io.BytesIO(b"0123456789")
    body.seek(4)

    def rewind(request: Any, **_: Any) -> None:
        request.data.seek(4)

    if rewound:
        client.meta.events.register_first("request-created.s3", rewind)
    client.meta.events.register_first(
        "needs-retry.s3", lambda response, **_: 0 if response[0].status_code == 403 else None
    )
    client.put_object(Bucket="b", Key="k", Body=body)
    assert server.bodies == [b"456789", b"456789" if rewound else b"0123456789"]
    assert server.sent[1].headers["Content-Length"] == ("6" if rewound else "10")


def test_closed_client_opens_new_connections() -> None:
    """`close()` drops a client's connections, and the client goes on working."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ports: list[int] = []

        def serve() -> None:
            for _ in range(2):
                connection, address = server.accept()
                ports.append(address[1])
                with connection:
                    while connection.recv(65536):
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        client = make_session().create_client("s3", "KR1", endpoint_url=url)
        client.head_bucket(Bucket="b")
        client.head_bucket(Bucket="b")
        assert len(ports) == 1
        client.close()
        client.head_bucket(Bucket="b")
        client.close()
        thread.join(10)
    assert len(ports) == 2
