"""The questions of `configure`, each with what is known as its default."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from .._checks import check_version
from .._clouds import CLOUDS, http_host
from .._options import AMBIENT_PROFILE_RANK
from .._regions import DEFAULT_REGION, is_aws_region, known_region
from .._settings import Settings
from .._talk import say
from ..errors import ConfigurationError
from ._login import Login

_QUESTIONS = {
    "username": "User name (the account's e-mail address, or the IAM account ID)",
    "tenant_id": "Tenant ID (Object Storage's own: console, API Endpoint Setting)",
}


class Questions:
    """Asks a person at the terminal; the answers become options of the login.

    Args:
        login: what the command line said; what it gave is not asked.
        resolve: gives the settings by the answers so far.
        before: the keys of the profile as it was.
    """

    def __init__(
        self, login: Login, resolve: Callable[[], Settings], before: Mapping[str, str]
    ) -> None:
        self._login = login
        self._resolve = resolve
        self._before = before

    def ask(self, again: bool) -> None:
        """Ask for what is missing; ``again`` also for what was answered, or given, before."""
        options, settings = self._login.options, self._resolve()
        if again or not {"cloud", "auth_url"} & options.keys():
            self._ask_cloud(settings)
        for name, question in _QUESTIONS.items():
            if again or name not in options:
                default = options.get(name) or settings.text(name) or None
                options[name] = _prompt(question, default, _not_empty)
                self._login.typed.add(name)
        if again or not self._has_password(settings):
            self._ask_password()
        if again or self._login.region_name is None:
            self._ask_region(self._resolve())

    def _has_password(self, settings: Settings) -> bool:
        """Whether one was given for this run, by flag or environment; the profile's is asked."""
        found = settings["password"] or settings["password_process"]
        return found is not None and found.rank != AMBIENT_PROFILE_RANK

    def _ask_cloud(self, settings: Settings) -> None:
        def check(text: str) -> str:
            if text.lower() in CLOUDS:
                return text.lower()
            if http_host(text):
                check_version(text.rstrip("/"), "as typed")
                return text
            raise ConfigurationError(
                f"there is no cloud {text!r}; there are {', '.join(CLOUDS)}. For an identity "
                "service of your own type its URL."
            )

        default = settings.cloud.name if settings.cloud else settings.auth_url
        question = f"Cloud ({', '.join(list(CLOUDS)[:3])} ...), or the console's identity URL"
        answer = _prompt(question, default, check)
        for name in ("cloud", "auth_url"):
            self._login.options.pop(name, None)
        name = "cloud" if answer in CLOUDS else "auth_url"
        self._login.options[name] = answer
        self._login.typed.add(name)

    def _ask_password(self) -> None:
        stored = self._before.get("toast_password")
        self._login.typed.add("password")
        self._login.options["password"] = click.prompt(
            "API password (Enter keeps the one that is stored)" if stored else "API password",
            hide_input=True,
            err=True,
            default=stored or None,
            show_default=False,
        )

    def _ask_region(self, settings: Settings) -> None:

        def check(text: str) -> str:
            if is_aws_region(text):
                raise ConfigurationError(f"{text} is a region of AWS's; the first here is KR1")
            return known_region(text, "as typed", settings.cloud)

        self._login.region_name = _prompt("Region", region_before(self._before, settings), check)


def region_before(before: Mapping[str, str], settings: Settings) -> str:
    """The region of the profile as it was, if there is such a one; else the default."""
    region = before.get("region", "")
    if settings.cloud is None:
        return region if region and not is_aws_region(region) else DEFAULT_REGION
    return settings.cloud.spelling(region) or settings.cloud.default_region


def _prompt(question: str, default: str | None, check: Callable[[str], str]) -> str:
    """Ask until the answer makes sense."""
    while True:
        answer = click.prompt(question, default=default, err=True)
        try:
            return check(answer.strip())
        except ConfigurationError as error:
            say(str(error))


def _not_empty(text: str) -> str:
    if text:
        return text
    raise ConfigurationError("there must be an answer; Ctrl-C ends it")
