"""``toast-boto clouds``: the table of clouds."""

from __future__ import annotations

import json

import click

from .._clouds import CLOUDS
from ._tables import show_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def clouds(as_json: bool) -> None:
    """List the clouds that are known by name (--cloud, TOAST_CLOUD)."""
    if as_json:
        fields = {
            cloud.name: {"auth_url": cloud.auth_url, "endpoint_urls": cloud.endpoint_urls}
            for cloud in CLOUDS.values()
        }
        click.echo(json.dumps(fields, indent=2))
        return
    rows = [
        [cloud.name if number == 0 else "", region, url, cloud.auth_url if number == 0 else ""]
        for cloud in CLOUDS.values()
        for number, (region, url) in enumerate(cloud.endpoint_urls.items())
    ]
    show_table(["cloud", "region", "S3 endpoint", "identity URL"], rows)
