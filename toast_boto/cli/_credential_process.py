"""``toast-boto credential-process``, as the command line's parser knows it."""

from __future__ import annotations

import click

from .._credential_process import print_key
from ._login import Login, LoginCommand, login_options


@click.command("credential-process", cls=LoginCommand)
@login_options
def credential_process(login: Login) -> None:
    """Print the key for a profile's credential_process, the secret included.

    It never asks: the AWS CLI and the SDKs run it, and nobody would see the question. The key is a
    lease of an hour, after which they ask again.
    """
    print_key(login.profile_name, login.options)
