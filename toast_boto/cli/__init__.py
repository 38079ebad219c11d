"""The command line: what it prints on stdout is data, what it says goes to stderr.

Exit codes: 0 ok, 1 unexpected, 2 usage or configuration, 3 login refused, 4 service unreachable,
5 quota, 130 after Ctrl-C; `sandbox` and `exec` end with their command's.
"""

from __future__ import annotations

import os

import click

from .. import __version__
from .._talk import EXIT_INTERRUPTED, exit_code, say, unexpected, warnings_in_words
from ..errors import ToastBotoError
from ._cache import cache
from ._clouds import clouds
from ._configure import configure
from ._credential_process import credential_process
from ._debug import Debug
from ._doctor import doctor
from ._environment import env, run
from ._keys import keys
from ._sandbox import sandbox

_debug = Debug()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="toast-boto")
def toast_boto() -> None:
    """boto3 for TOAST (NHN Cloud) Object Storage, with a Keystone login instead of pasted keys.

    \b
    toast-boto configure              asks for a login and writes an AWS profile
    AWS_PROFILE=toast aws s3 ls       everything that reads AWS profiles works with it
    toast-boto doctor --online        says what is wrong
    """
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False


for _command in (configure, doctor, credential_process, env, run, keys, cache, clouds, sandbox):
    toast_boto.add_command(_command)
_debug.add_to(toast_boto)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; answers the exit code. Errors of ours are one line, no traceback."""
    _debug.wanted = False
    with warnings_in_words():
        try:
            result = toast_boto.main(arguments, prog_name="toast-boto", standalone_mode=False)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("Aborted!", err=True)
            return EXIT_INTERRUPTED
        except ToastBotoError as error:
            _debug.show(error)
            say(str(error))
            return exit_code(error)
        except Exception as error:
            _debug.show(error)
            return unexpected(error)
    return result if isinstance(result, int) else 0
