"""Puts Keystone's key into botocore's credential chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.credentials import CredentialProvider, Credentials
from botocore.exceptions import CredentialRetrievalError

from ._broker import Broker
from ._keys import EC2Key
from .errors import ToastBotoError

METHOD = "toast-keystone"


class ToastCredentials(Credentials):  # type: ignore[misc]
    """Credentials whose key is fetched when the first request is signed, and not before.

    Botocore's signers ask for :meth:`get_frozen_credentials` at every attempt of every request, so
    whatever key the broker has by then is the one that signs.
    """

    def __init__(self, broker: Broker) -> None:
        # Not the parent's: that one stores the key in attributes, which here follow the broker.
        self._broker = broker
        self.method = METHOD
        self.token = None
        self.account_id = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} method={METHOD!r}>"

    def _key(self) -> EC2Key:
        try:
            return self._broker.key()
        except ToastBotoError as error:
            raise CredentialRetrievalError(provider=METHOD, error_msg=str(error)) from error

    @property
    def access_key(self) -> str:
        """The access key."""
        return self._key().access

    @property
    def secret_key(self) -> str:
        """The secret key."""
        return self._key().secret

    def get_frozen_credentials(self) -> Any:
        """The key as of now, both halves of one and the same.

        Raises:
            botocore.exceptions.CredentialRetrievalError: no key can be had; ``__cause__`` says why.
        """
        key = self._key()
        return Credentials(key.access, key.secret, method=METHOD).get_frozen_credentials()


class ToastCredentialProvider(CredentialProvider):  # type: ignore[misc]
    """A provider of botocore's chain that asks Keystone.

    Args:
        find: gives the one credentials object of the session, or None when the settings hold no
            login. It does no I/O.
    """

    METHOD = METHOD
    CANONICAL_NAME = METHOD

    def __init__(self, find: Callable[[], ToastCredentials | None]) -> None:
        super().__init__()
        self._find = find

    def load(self) -> ToastCredentials | None:
        """The credentials, or None when the settings hold no login at all.

        Raises:
            botocore.exceptions.CredentialRetrievalError: the settings hold half a login.
        """
        try:
            return self._find()
        except ToastBotoError as error:
            raise CredentialRetrievalError(provider=METHOD, error_msg=str(error)) from error
