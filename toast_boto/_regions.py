"""Region names: the cloud's own, AWS's, and mistakes."""

from __future__ import annotations

import re

from ._clouds import Cloud
from .errors import ConfigurationError

DEFAULT_REGION = "KR1"
# us-east-1, ap-northeast-2, us-gov-west-1, us-isob-east-1; and botocore's pseudo regions.
_AWS_REGION = re.compile(
    r"^(fips-)?(af|ap|ca|cn|eu|eusc|il|me|mx|sa|us)(-[a-z]+)+-\d+(-fips)?$"
    r"|^aws(-[a-z]+)*-global$|^s3-external-1$",
    re.IGNORECASE,
)


def is_aws_region(name: str) -> bool:
    """Whether a name is of the kind that AWS gives to its regions."""
    return bool(_AWS_REGION.match(name))


def known_region(name: str, source: str, cloud: Cloud | None) -> str:
    """A region's name as the cloud's table spells it; without a table, as it is.

    Args:
        name: the region that was asked for.
        source: where that came from, for the error's text.
        cloud: whose regions there are.

    Raises:
        ConfigurationError: the cloud has no such region; the text lists those that it has.
    """
    if cloud is None:
        return name
    spelled = cloud.spelling(name)
    if spelled is None:
        raise ConfigurationError(
            f"the cloud {cloud.name!r} has no region {name!r} ({source}); it has "
            f"{', '.join(cloud.endpoint_urls)}"
        )
    return spelled
