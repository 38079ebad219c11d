"""`install()`: makes TOAST sessions of those that somebody else's code opens.

By botocore's initializer hook, which is called at the end of every session's making, before boto3
sets its profile and region. So nothing is decided then: the session's two doors are replaced on the
instance, and at the first knock its own settings say whether it is a TOAST session.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import botocore
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from ._doors import Doors, doors_of, watched
from ._options import OPTIONS
from ._plugin import configure, configured_sessions, is_configured

_PROFILE_KEYS = tuple(option.profile for option in OPTIONS.values() if option.profile)
_VARIABLES = tuple(n for o in OPTIONS.values() if o.identity for n in o.environment)


def install() -> None:
    """Make TOAST sessions of those boto3 and botocore sessions whose settings say so.

    Of the sessions that are made from now on these are the ones whose profile has ``toast_*`` keys;
    and, where code names no profile, those whose environment has any variable of a ``TOAST_*``
    login, ``TOAST_CLOUD`` and ``TOAST_AUTH_URL`` among them. Every other session stays as it is,
    and so do the asynchronous ones of aiobotocore. It is decided when a session is first used. A
    TOAST session offers S3 and nothing else, and is pinned also where it was given keys in code:
    with ``TOAST_*`` in the environment, code that is for AWS must name a profile.

    Sessions and clients that were made before stay as they are, but for boto3's default session: if
    that would be a TOAST session it is made anew, with its profile and region. Keys that were given
    to ``boto3.setup_default_session()`` must be given again.

    Installing twice does nothing more.
    """
    with _lock:
        if not _Installed.depth:
            _enter()


def uninstall() -> None:
    """Undo :func:`install`; does nothing where nothing is installed.

    boto3's default session is again the one that it was before, or is made when it is next needed.
    Sessions that became TOAST sessions by their use stay what they are.
    """
    with _lock:
        if _Installed.depth:
            _Installed.depth = 1
            _leave()


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """:func:`install` for the length of a ``with`` statement; the last of several undoes it."""
    with _lock:
        _enter()
    try:
        yield
    finally:
        with _lock:
            if _Installed.depth:
                _leave()


def _enter() -> None:
    _Installed.depth += 1
    if _Installed.depth == 1:
        botocore.register_initializer(_prepare)
        _replace_default_session()


def _leave() -> None:
    _Installed.depth -= 1
    if _Installed.depth:
        return
    botocore.unregister_initializer(_prepare)
    for session in watched():
        if not is_configured(session):
            _remove_doors(session)
    _restore_default_session()


class _Installed:
    """What is installed in this process."""

    depth = 0
    """How often; by `install` once at most."""
    default_session: Any = None
    """boto3's default session of before."""
    own_default_session: Any = None
    """The one that was put in its place."""


_lock = threading.RLock()


def _prepare(session: Any) -> None:
    """Called by botocore for each new session: watches its doors until the first use."""
    if not inspect.iscoroutinefunction(session.get_credentials):  # as aiobotocore's is
        Doors(session, _decide)


def _decide(session: Session) -> None:
    """Make a session a TOAST session, or leave it as it was made."""
    if is_configured(session):  # as one of toast_boto.Session is
        return
    if _Installed.depth and _is_ours(session, os.environ):
        configure(session)
    else:
        _remove_doors(session)


def _remove_doors(session: Session) -> None:
    doors = doors_of(session)
    if doors is not None:
        doors.remove()


def _is_ours(session: Session, environ: Mapping[str, str]) -> bool:
    """Whether a session's settings say TOAST."""
    try:
        profile = session.get_scoped_config()
    except BotoCoreError:  # no such profile, a broken file: botocore itself will say so
        return False
    if any(profile.get(key) for key in _PROFILE_KEYS if key.startswith("toast_")):
        return True
    named = "profile" in session.instance_variables()
    return not named and any(environ.get(name) for name in _VARIABLES)


# -- boto3's default session


def _replace_default_session() -> None:
    boto3: Any = sys.modules.get("boto3")
    existing = getattr(boto3, "DEFAULT_SESSION", None)
    if existing is None or _is_built_on(existing, configured_sessions()):
        return
    session = _made_again(boto3, existing)
    if session is not None:
        _Installed.default_session, _Installed.own_default_session = existing, session
        boto3.DEFAULT_SESSION = session


def _made_again(boto3: Any, existing: Any) -> Any:
    """A session with the profile and region of another, None if it would be no TOAST session."""
    core = Session()
    ambient = core.get_config_variable("profile") or "default"
    if existing.profile_name != ambient:
        core.set_config_variable("profile", existing.profile_name)
    if not _is_ours(core, os.environ):
        return None
    region = existing.region_name
    given = region if region != core.get_config_variable("region") else None
    return boto3.Session(botocore_session=core, region_name=given)


def _restore_default_session() -> None:
    boto3: Any = sys.modules.get("boto3")
    current = getattr(boto3, "DEFAULT_SESSION", None)
    if current is not None and current is _Installed.own_default_session:
        boto3.DEFAULT_SESSION = _Installed.default_session
    elif current is not None and _became_ours(current):
        boto3.DEFAULT_SESSION = None
    _Installed.default_session = _Installed.own_default_session = None


def _became_ours(session: Any) -> bool:
    """Whether a boto3 session is built on one that was made a TOAST session here."""
    toast_session = getattr(sys.modules.get("toast_boto._session"), "Session", ())
    if isinstance(session, toast_session):
        return False  # it is one by itself
    return _is_built_on(session, [core for core in watched() if is_configured(core)])


def _is_built_on(session: Any, cores: Iterable[Session]) -> bool:
    """By the emitter of its events, which boto3 shows."""
    return any(core.get_component("event_emitter") is session.events for core in cores)


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - there is one
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
