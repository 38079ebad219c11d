"""``toast-boto credential-process``: hands the key to whoever reads AWS profiles.

Every command of the AWS CLI and every session of an SDK runs it, so that what it imports counts: on
a warm cache a few modules of the standard library. The format is AWS's ("Sourcing credentials with
an external process" in the AWS CLI's user guide).

The key never expires, but it can be deleted. So what is handed out is a lease, after which the
caller asks again; botocore does so from 15 minutes before its end, and for every request when it
is shorter than that (measured with boto3 1.36 to 1.44).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ._brokers import make_broker
from ._profiles import profile_in_use
from ._settings import nothing_configured, resolve
from ._talk import EXIT_INTERRUPTED, exit_code, say, unexpected, warnings_in_words
from .errors import ToastBotoError

LEASE_SECONDS = 3600
SHORT_LEASE_SECONDS = 1200
CHECK_AFTER_SECONDS = 2400.0


def print_key(
    profile_name: str | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.time,
    out: TextIO | None = None,
) -> None:
    """Print the key as one JSON object; it is looked up in Keystone's list every 40 minutes.

    Where Keystone is away then, the key goes on being used, with a lease of 20 minutes instead of
    an hour.

    Args:
        profile_name: an AWS profile, None for the ambient one.
        options: of the login, by name.
        environ: the environment variables.
        clock: seconds since the epoch.
        out: where to print, default stdout.

    Raises:
        ToastBotoError: there is no key to be had; nothing was printed.
    """
    settings = resolve(options or {}, environ, profile_in_use(environ, profile_name), flags=True)
    if not settings.has_login:
        raise nothing_configured(settings)
    settings.check_login()
    entry, failure = make_broker(settings).checked(CHECK_AFTER_SECONDS)
    if failure is not None:
        say(f"the key could not be looked up, and is used as it is: {failure}")
    lease = SHORT_LEASE_SECONDS if failure else LEASE_SECONDS
    answer = {
        "Version": 1,
        "AccessKeyId": entry.key.access,
        "SecretAccessKey": entry.key.secret,
        "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock() + lease)),
    }
    out = out or sys.stdout
    out.write(f"{json.dumps(answer)}\n")
    out.flush()


def takes(arguments: list[str]) -> bool:
    """Whether a command line is the one that `configure` writes, which needs no parser."""
    if arguments[:1] != ["credential-process"]:
        return False
    rest = arguments[1:]
    return not rest or (rest[:-1] == ["--profile"] and not rest[-1].startswith("-"))


def main(arguments: list[str]) -> int:
    """Run such a command line; answers the exit code."""
    with warnings_in_words():
        try:
            print_key(arguments[2] if len(arguments) > 1 else None)
        except ToastBotoError as error:
            say(str(error))
            return exit_code(error)
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        except Exception as error:
            return unexpected(error)
    return 0
