"""The brokers that live in this process: a fork and a rotation concern them all."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._broker import Broker

_brokers: weakref.WeakSet[Broker] = weakref.WeakSet()


def register(broker: Broker) -> None:
    """Count a broker in, for as long as somebody uses it."""
    _brokers.add(broker)


def living() -> list[Broker]:
    """Every broker that is in use."""
    while True:
        try:
            return list(_brokers)
        except RuntimeError:  # another thread has made one meanwhile
            continue


def _renew_locks() -> None:
    for broker in living():
        broker.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
