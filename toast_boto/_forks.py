"""Gives a client that was made before a fork connections of its own after it.

A forked process inherits the open connections of its parent's clients. When both use one, each
reads the other's answers: over TLS that breaks the connection, and botocore repeats the call, but
over plain http objects come back with the contents of other objects (seen with boto3 1.44).
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any


def register(client: Any) -> None:
    """Let a client drop its connections when it is first used in another process."""
    owner = os.getpid()
    lock = threading.Lock()
    reference = weakref.ref(client)

    def drop_inherited_connections(**_: Any) -> None:
        nonlocal owner
        if owner == os.getpid():
            return
        with lock:  # no thread of the child may send anything before it is done
            found = reference()
            if found is not None and owner != os.getpid():
                found.close()  # the pool of connections; a client opens new ones
            owner = os.getpid()

    client.meta.events.register_first("request-created.s3", drop_inherited_connections)
