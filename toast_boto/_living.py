"""The brokers that live in this process: a fork and a rotation concern them all."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ._broker import Broker

_T = TypeVar("_T")

_brokers: weakref.WeakSet[Broker] = weakref.WeakSet()


def register(broker: Broker) -> None:
    """Count a broker in, for as long as somebody uses it."""
    _brokers.add(broker)


def living() -> list[Broker]:
    """Every broker that is in use."""
    return snapshot(_brokers)


def snapshot(weak: Iterable[_T]) -> list[_T]:
    """What a weak collection holds now, whatever other threads do to it."""
    while True:
        try:
            return list(weak)
        except RuntimeError:  # another thread has added something meanwhile
            continue


def _renew_locks() -> None:
    for broker in living():
        broker.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
