"""What programs would do with the profile that know nothing of toast_boto."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping

from .._profiles import Profile
from .._settings import Settings
from ._findings import Report
from ._program import credential_process_command

# Botocore looks for these before it runs a profile's credential_process.
_BEFORE_PROCESS = (
    "role_arn",
    "web_identity_token_file",
    "sso_session",
    "sso_start_url",
    "login_session",
)


class Shadows:
    """What stands in the way of the profile's line, and whether that line is of use.

    Args:
        report: where the findings go.
        profile: that is in use.
        environ: the environment variables.
    """

    def __init__(self, report: Report, profile: Profile, environ: Mapping[str, str]) -> None:
        self._report = report
        self._profile = profile
        self._environ = environ

    def run(self, settings: Settings) -> None:
        """Look at everything."""
        self._other_keys(settings)
        self._credential_process(settings)

    def _other_keys(self, settings: Settings) -> None:
        """Keys that stand in the way of the login, for programs that know nothing of it."""
        process = self._profile.text("credential_process")
        if self._environ.get("AWS_ACCESS_KEY_ID") and (process or settings.has_login):
            whose = "counts more than the profile in the AWS CLI and the SDKs"
            if settings.has_login:
                whose += "; toast_boto takes the login"
            self._report.warning("keys", f"AWS_ACCESS_KEY_ID is set, and {whose}", "unset it")
        if self._environ.get("AWS_SESSION_TOKEN"):
            self._report.warning(
                "keys", "AWS_SESSION_TOKEN is set, and belongs to another key", "unset it"
            )
        for key in ("aws_access_key_id", *_BEFORE_PROCESS):
            if process and self._profile.text(key):
                path = self._profile.values[key][1]
                self._report.warning(
                    "keys",
                    f"{key} in the profile {self._profile.name!r} of {path} counts more than its "
                    "credential_process",
                    "take it out of that file",
                )

    def _credential_process(self, settings: Settings) -> None:
        process, name = self._profile.text("credential_process"), self._profile.name
        if not process:
            if any(key.startswith("toast_") for key in self._profile.values):
                self._report.warning(
                    "credential_process",
                    f"the profile {name!r} has none, so that only toast_boto can use it",
                    f"toast-boto configure --profile {shlex.quote(name)}",
                )
            return
        words = _words(process)
        if "credential-process" not in words:
            self._report.warning(
                "credential_process",
                f"that of the profile {name!r} is another program's",
                f"toast-boto configure --profile {shlex.quote(name)} --force writes ours",
            )
        elif shutil.which(words[0], path=self._environ.get("PATH")) is None:
            self._report.failed(
                "credential_process",
                f"{words[0]} is not there any more",
                f"toast-boto configure --profile {shlex.quote(name)} writes where it is now",
            )
        elif process != credential_process_command(name):
            self._report.warning(
                "credential_process",
                f"the profile's is not this program's: {process}",
                f"toast-boto configure --profile {shlex.quote(name)}, if this is the right one",
            )
        else:
            self._report.ok("credential_process", process)
            self._stock_settings(settings)

    def _stock_settings(self, settings: Settings) -> None:
        """What programs need of the profile that read nothing else."""
        missing = [key for key in ("region", "endpoint_url") if not self._profile.text(key)]
        style = self._profile.text("s3")
        if "addressing_style=path" not in "".join(style.split()):
            missing.append("s3 addressing_style = path")
        checksums = ("request_checksum_calculation", "response_checksum_validation")
        missing += [key for key in checksums if self._profile.text(key) != "when_required"]
        if missing:
            self._report.warning(
                "profile",
                f"it lacks {', '.join(missing)}, which stock clients need",
                f"toast-boto configure --profile {shlex.quote(self._profile.name)}",
            )
        bundle = settings["ca_bundle"]
        if bundle and bundle.source == "AWS_CA_BUNDLE" and not self._profile.text("ca_bundle"):
            self._report.ok("CA bundle", "only of the environment; the profile has none")


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command) or [""]
    except ValueError:
        return [command]
