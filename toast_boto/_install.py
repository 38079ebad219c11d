"""`install()`: makes TOAST sessions of those that somebody else's code opens.

By botocore's initializer hook, which is called at the end of every session's making, before boto3
sets its profile and region. So nothing is decided then: the session's two doors are replaced on the
instance, and at the first knock its own settings say whether it is a TOAST session.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import botocore
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from ._living import snapshot
from ._options import OPTIONS
from ._plugin import configure, is_configured

_PROFILE_KEYS = tuple(option.profile for option in OPTIONS.values() if option.profile)
_VARIABLES = tuple(n for o in OPTIONS.values() if o.identity for n in o.environment)
_DOORS = ("create_client", "get_credentials")


def install() -> None:
    """Make every botocore and boto3 session of this process a TOAST session whose settings say so.

    That is a session whose profile has ``toast_*`` keys; or, where code names no profile, one whose
    environment has ``TOAST_*`` variables of a login. Every other session stays as it is, and so do
    the asynchronous ones of aiobotocore. It is decided when a session is first used.

    Clients and sessions that were used before stay as they are, but for boto3's default session: if
    that would be a TOAST session it is made anew, with its profile and region. Keys that were given
    to ``boto3.setup_default_session()`` must be given again.

    Installing twice does nothing more.
    """
    with _lock:
        if not _Installed.now:
            _Installed.now = True
            botocore.register_initializer(_prepare)
            _replace_default_session()


def uninstall() -> None:
    """Undo :func:`install`; does nothing where nothing is installed.

    boto3's default session is again the one that it was before, or is made when it is next needed.
    Sessions that became TOAST sessions by their use stay what they are.
    """
    with _lock:
        if not _Installed.now:
            return
        _Installed.now = False
        botocore.unregister_initializer(_prepare)
        for session in _sessions():
            if not is_configured(session):
                _remove_doors(session)
        _restore_default_session()


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """:func:`install` for the length of a ``with`` statement; harmless where it is already."""
    before = _Installed.now
    install()
    try:
        yield
    finally:
        if not before:
            uninstall()


class _Installed:
    """What is installed in this process."""

    now = False
    default_session: Any = None
    """boto3's default session of before."""
    own_default_session: Any = None
    """The one that was put in its place."""


_lock = threading.RLock()
_watched: weakref.WeakKeyDictionary[Session, weakref.ref[_Decision]] = weakref.WeakKeyDictionary()


def _prepare(session: Any) -> None:
    """Called by botocore for each new session: watches its doors until the first use."""
    if inspect.iscoroutinefunction(session.get_credentials):
        return  # aiobotocore's
    decide = _Decision(session)
    for name in _DOORS:
        setattr(session, name, _door(session, name, decide))
    _watched[session] = weakref.ref(decide)


def _sessions() -> list[Session]:
    """The sessions that were made meanwhile, and are in use."""
    return snapshot(_watched)


def _door(session: Session, name: str, decide: _Decision) -> Callable[..., Any]:
    original = getattr(session, name)

    @functools.wraps(original)
    def door(*args: Any, **kwargs: Any) -> Any:
        decide()
        now = getattr(session, name)
        return (original if now is door else now)(*args, **kwargs)

    door.behind = original  # type: ignore[attr-defined]
    return door


def _remove_doors(session: Session) -> None:
    for name in _DOORS:
        if hasattr(vars(session).get(name), "behind"):
            vars(session).pop(name, None)  # another thread may have been quicker


class _Decision:
    """Whether a session is a TOAST session: made once, and again after a mistake was mended."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.RLock()
        self._made = False

    def renew_lock(self) -> None:
        """In a forked child: whoever held the lock is not there to release it."""
        self._lock = threading.RLock()

    def __call__(self) -> None:
        with self._lock:
            if self._made:
                return
            session = self._session
            if not is_configured(session):  # as one of toast_boto.Session is
                if _Installed.now and _is_ours(session, os.environ):
                    configure(session)
                else:
                    _remove_doors(session)
            self._made = True


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
    if existing is None or isinstance(existing, _toast_session()):
        return
    session = _made_again(boto3, existing)
    if session is not None:
        _Installed.default_session, _Installed.own_default_session = existing, session
        boto3.DEFAULT_SESSION = session


def _toast_session() -> Any:
    """The class, if anybody has used it."""
    module = sys.modules.get("toast_boto._session")
    return getattr(module, "Session", ())


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
    if isinstance(session, _toast_session()):
        return False
    cores = [core for core in _sessions() if is_configured(core)]
    return any(core.get_component("event_emitter") is session.events for core in cores)


def _renew_locks() -> None:
    global _lock  # noqa: PLW0603 - there is one
    _lock = threading.RLock()
    for reference in snapshot(_watched.values()):
        decide = reference()
        if decide is not None:
            decide.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
