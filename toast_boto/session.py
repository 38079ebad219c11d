"""What ``boto3.session`` holds, with the TOAST :class:`Session` in its place."""

from typing import Any

from ._session import Session

__all__ = ["Session"]


def __getattr__(name: str) -> Any:
    import boto3.session  # noqa: PLC0415

    return getattr(boto3.session, name)
