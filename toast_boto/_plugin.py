"""Makes a botocore session a TOAST session: the credential chain, the pins and the quirks.

Botocore is used by its public names only: the session's components and events, and its
``create_client``, the one door through which every client and resource is made, which is wrapped
on the one session that is configured.
"""

from __future__ import annotations

import functools
import inspect
import os
import weakref
from collections.abc import Mapping
from typing import Any

import botocore.credentials
from botocore import UNSIGNED
from botocore.config import Config
from botocore.configprovider import ConstantProvider
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session

from . import _forks, _quirks
from ._broker import Broker
from ._brokers import make_broker
from ._credentials import ToastCredentialProvider, ToastCredentials
from ._doors import doors_of
from ._healing import Healing
from ._living import snapshot
from ._pins import Pins
from ._profiles import read_profile
from ._settings import Settings, nothing_configured, resolve
from .errors import ConfigurationError, ToastBotoError, UnsupportedServiceError

# Providers of keys that somebody may have pasted somewhere. All others ask AWS, or a metadata
# address, for keys of AWS's, which a TOAST session never does.
_PROVIDERS_OF_PASTED_KEYS = (
    "env",
    "shared-credentials-file",
    "custom-process",
    "config-file",
    "ec2-credentials-file",
    "boto-config",
)
_CHECKSUM_OPTIONS = ("request_checksum_calculation", "response_checksum_validation")

_configured: weakref.WeakKeyDictionary[Session, _Plugin] = weakref.WeakKeyDictionary()


def configure(botocore_session: Session, **options: Any) -> None:
    """Make one botocore session a TOAST session.

    Clients that it makes from now on sign with the key that the login yields, and are pinned to
    the cloud's region, endpoint, path style and checksum mode. Configure it before its first use.
    Configuring it again replaces the options.

    Args:
        botocore_session: the session; a ``boto3.Session`` may be built on it afterwards.
        **options: as for :class:`toast_boto.Session`, by keyword.

    Raises:
        ConfigurationError: an option makes no sense, or the session was configured and used before.
        TypeError: it is no botocore session, or an asynchronous one; or there is no such option.
        botocore.exceptions.BotoCoreError: there is no such profile, or an AWS file can't be read.
    """
    configure_by(botocore_session, options)


def configure_by(
    botocore_session: Session, options: Mapping[str, Any], *, flags: bool = False
) -> None:
    """As :func:`configure`; ``flags`` says that the options are a command line's."""
    if not isinstance(botocore_session, Session) or inspect.iscoroutinefunction(
        botocore_session.get_credentials
    ):
        raise TypeError(
            f"configure() takes a botocore.session.Session, not {type(botocore_session)!r}; "
            "instead of a boto3.Session make a toast_boto.Session"
        )
    earlier = _configured.get(botocore_session)
    if earlier:
        earlier.remove(botocore_session)
    try:
        plugin = _Plugin(botocore_session, options, os.environ, flags)
    except BaseException:
        if earlier:
            earlier.install(botocore_session)
        raise
    plugin.install(botocore_session)
    _configured[botocore_session] = plugin


def configured_sessions() -> list[Session]:
    """Every TOAST session that is in use."""
    return snapshot(_configured)


def is_configured(botocore_session: Session) -> bool:
    """Whether a session is a TOAST session."""
    return botocore_session in _configured


def settings_of(botocore_session: Session) -> Settings:
    """The settings of a session that was configured."""
    return _configured[botocore_session].settings


def broker_of(botocore_session: Session) -> Broker:
    """The broker of a session that was configured.

    Raises:
        ConfigurationError: its login is missing or incomplete.
    """
    plugin = _configured[botocore_session]
    if not plugin.settings.has_login:
        raise nothing_configured(plugin.settings)
    plugin.settings.check_login()
    return plugin.broker


class _Plugin:
    """What is done to one session, which it does not hold."""

    def __init__(
        self,
        session: Session,
        options: Mapping[str, Any],
        environ: Mapping[str, str],
        flags: bool,
    ) -> None:
        self.settings = _resolve(session, options, environ, flags)
        # One broker and one credentials object, whatever number of threads ask for them.
        broker = make_broker(self.settings)
        self.broker = broker
        self._credentials = ToastCredentials(broker)
        self._healing = Healing(broker, self.settings.text("tenant_id"))
        self._pins = Pins(self.settings, broker, environ)
        self._region = self._pins.region_of(session)
        self._region_before = session.instance_variables().get("region")
        self._used = False

    # -- installing

    def install(self, session: Session) -> None:
        session.set_config_variable("region", self._region)
        store = session.get_component("config_store")
        for name in _CHECKSUM_OPTIONS:
            provider = store.get_config_provider(name)
            if provider is not None:
                provider.set_default_provider(ConstantProvider("when_required"))
        session.lazy_register_component(
            "credential_provider", functools.partial(self._credential_chain, session)
        )
        _quirks.register(session)
        self._wrap_create_client(session)

    def remove(self, session: Session) -> None:
        """Undo what the next plugin would take for the user's own; it overrides all the rest.

        Raises:
            ConfigurationError: botocore keeps the credentials, so that the next would sign by ours.
        """
        if self._used:
            raise ConfigurationError(
                "this session was configured and used already; configure a new one instead"
            )
        doors = doors_of(session)
        if doors:
            doors.behind.clear()
        else:
            del session.create_client  # the instance's attribute: the class's own shows again
        if session.get_config_variable("region") == self._region:  # else set since, by the user
            session.set_config_variable("region", self._region_before)

    def _wrap_create_client(self, session: Session) -> None:
        doors = doors_of(session)
        original = doors.originals["create_client"] if doors else session.create_client
        signature = inspect.signature(Session.create_client)

        @functools.wraps(original)
        def create_client(*args: Any, **kwargs: Any) -> Any:
            call = signature.bind(session, *args, **kwargs)
            own_key = self._pin(session, call.arguments)
            client = original(*call.args[1:], **call.kwargs)
            _forks.register(client)
            if own_key:
                self._healing.register(client)
            return client

        if doors:
            doors.behind["create_client"] = create_client
        else:
            session.create_client = create_client

    # -- credentials

    def _credential_chain(self, session: Session) -> Any:
        chain = botocore.credentials.create_credential_resolver(session)
        chain.providers = [p for p in chain.providers if p.METHOD in _PROVIDERS_OF_PASTED_KEYS]
        chain.providers.insert(0, ToastCredentialProvider(self._find_credentials))
        return chain

    def _find_credentials(self) -> ToastCredentials | None:
        if not self.settings.has_login:
            return None
        self.settings.check_login()
        self._used = True
        return self._credentials

    def _has_own_key(self, session: Session) -> bool:
        """Whether the key that will sign is Keystone's; False for one that somebody gave.

        Raises:
            ConfigurationError: there is neither a key nor a whole login.
        """
        mine: ToastBotoError | None = None
        try:
            credentials = session.get_credentials()
        except CredentialRetrievalError as error:
            if not isinstance(error.__cause__, ToastBotoError):
                raise
            mine = error.__cause__
        if mine is not None:  # raised out here, or error and cause would point at each other
            raise mine
        if credentials is None:
            raise nothing_configured(self.settings)
        return credentials is self._credentials

    def _pin(self, session: Session, call: dict[str, Any]) -> bool:
        """Adjust the arguments of one ``create_client``; answers whether our key will sign."""
        service = call["service_name"]
        if service != "s3":
            way_out = "Its name is 's3', in small letters."
            if str(service).lower() != "s3":
                way_out = (
                    "For AWS's own ask boto3 itself, under another name: import boto3 as aws; "
                    f"aws.client({service!r}); after install(), a session that names a profile of "
                    "AWS's."
                )
            raise UnsupportedServiceError(
                "TOAST Object Storage offers S3 and nothing else, so there is no client for "
                f"{service!r}. {way_out}"
            )
        default = session.get_default_client_config()
        config = call.get("config") or Config()
        config = default.merge(config) if default is not None else config
        key_given = call.get("aws_access_key_id") or call.get("aws_secret_access_key")
        unsigned = config.signature_version is UNSIGNED
        own_key = not key_given and not unsigned and self._has_own_key(session)
        self._pins.apply(session, call, config, own_key)
        return own_key


def _resolve(
    session: Session, options: Mapping[str, Any], environ: Mapping[str, str], flags: bool
) -> Settings:
    """The settings of a session, its profile's included."""
    session.get_scoped_config()  # botocore's own errors first: no such profile, unreadable file
    profile = read_profile(
        session.get_config_variable("profile") or "default",
        named="profile" in session.instance_variables(),
        config_file=session.get_config_variable("config_file"),
        credentials_file=session.get_config_variable("credentials_file"),
    )
    return resolve(options, environ, profile, flags=flags)
