"""The command line: what it prints on stdout is data, what it says goes to stderr.

Exit codes: 0 ok, 1 unexpected, 2 usage or configuration, 3 login refused, 4 service unreachable,
5 quota.
"""

from __future__ import annotations

import click

from .. import __version__
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    IdentityUnavailableError,
    KeyQuotaError,
    ToastBotoError,
)
from ._keys import keys
from ._sandbox import sandbox

_EXIT_CODES = (
    (ConfigurationError, 2),
    (AuthenticationError, 3),
    (IdentityUnavailableError, 4),
    (KeyQuotaError, 5),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="toast-boto")
def toast_boto() -> None:
    """boto3 for TOAST (NHN Cloud) Object Storage, with a Keystone login instead of pasted keys."""


toast_boto.add_command(keys)
toast_boto.add_command(sandbox)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; answers the exit code. Errors of ours are one line, no traceback."""
    try:
        result = toast_boto.main(arguments, prog_name="toast-boto", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("Aborted!", err=True)
        return 130
    except ToastBotoError as error:
        click.echo(f"toast-boto: {error}", err=True)
        return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)
    return result if isinstance(result, int) else 0
