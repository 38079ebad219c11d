"""Every error of toast_boto.

::

    ToastBotoError
    ├── ConfigurationError           a setting is missing or wrong, and where to set it
    │   └── UnsupportedServiceError  a client for another service than S3
    ├── AuthenticationError          Keystone refused: the likely causes
    ├── IdentityUnavailableError     Keystone was out of reach, or what answered was not Keystone
    ├── KeyQuotaError                no slot is left for a key that must be made
    └── CacheError                   the key cache can't be used

Inside botocore's credential chain they are wrapped: ``except botocore.exceptions.BotoCoreError``
catches a ``CredentialRetrievalError`` whose ``__cause__`` is one of these. No text holds a
password, a token or a secret key.
"""

from __future__ import annotations


class ToastBotoError(Exception):
    """Base of every error that toast_boto raises."""


class ConfigurationError(ToastBotoError):
    """A setting is missing or wrong; the text names it, its source and where to set it."""


class UnsupportedServiceError(ConfigurationError):
    """A client for another service than S3 was asked of a TOAST session."""


class AuthenticationError(ToastBotoError):
    """Keystone refused the login, or what the login may do; the text names the likely causes."""


class IdentityUnavailableError(ToastBotoError):
    """Keystone could not be reached, or what answered was not Keystone."""


class KeyQuotaError(ToastBotoError):
    """A key must be made and the quota of keys for this user and tenant leaves no slot."""


class CacheError(ToastBotoError):
    """The key cache can't be used, for example because its lock could not be had."""


class ToastBotoWarning(UserWarning):
    """Something was put right that the caller may want to know of."""
