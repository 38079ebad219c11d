"""The doctor's look at the services, step by step, each resting on the one before."""

from __future__ import annotations

import contextlib
import time
import urllib.request
import warnings
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from .._brokers import make_broker
from .._clouds import is_loopback, normalised_url
from .._console import KeyConsole
from .._settings import Settings
from .._slots import QUOTA
from .._talk import EXIT_REFUSED, EXIT_UNREACHABLE, exit_code
from ..errors import ToastBotoError, ToastBotoWarning
from ._findings import Report
from ._login import Login
from ._network import Unreachable, connect
from ._progress import waiting

_SKEW_ALLOWED_SECONDS = 15 * 60  # Swift's allowable_clock_skew
_SKEW_SEEN_SECONDS = 60
_UNKNOWN_KEY = ("SignatureDoesNotMatch", "InvalidAccessKeyId")


class _Stop(Exception):
    """What comes next makes no sense any more."""


class Online:
    """The steps.

    Args:
        report: where they go.
        login: what the command line said.
        settings: of it, with a whole login.
        bucket: where to try uploads, None for nowhere.
    """

    def __init__(
        self, report: Report, login: Login, settings: Settings, bucket: str | None
    ) -> None:
        self._report = report
        self._login = login
        self._settings = settings
        self._bucket = bucket

    def run(self) -> None:
        """Take all steps, up to the first that fails."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ToastBotoWarning)
            with contextlib.suppress(_Stop):
                self._reach("identity service", self._settings.auth_url)
                self._keys()
                signing = self._signing()
                self._reach("S3 endpoint", signing.endpoint_url)
                self._storage(signing)
        for text in dict.fromkeys(
            str(w.message) for w in caught if issubclass(w.category, ToastBotoWarning)
        ):
            self._report.warning("warning", text, "")

    # -- network

    def _reach(self, what: str, url: str) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        proxy = urllib.request.getproxies().get(parts.scheme)
        if proxy and not is_loopback(url) and not urllib.request.proxy_bypass(host):
            self._report.ok(what, f"{host} is asked through a proxy ({urlsplit(proxy).hostname})")
            return
        try:
            with waiting(f"Connecting to {host}"):
                found = connect(host, port, parts.scheme == "https", self._settings["ca_bundle"])
        except Unreachable as failure:
            self._report.failed(what, str(failure), failure.way_out, EXIT_UNREACHABLE)
        else:
            self._report.ok(what, found)
            return
        raise _Stop

    # -- Keystone

    def _keys(self) -> None:
        with self._our_errors("login"), KeyConsole(self._settings) as console:
            with waiting("Logging in"):
                login = console.login()
            self._report.ok("login", f"user ID {login.user_id}")
            self._report.ok("tenant", login.tenant_id or self._settings.text("tenant_id"))
            self._compare_endpoints(login.endpoints)
            with self._our_errors("keys"), waiting("Listing the keys"):
                listed = console.list()
            cached = console.in_use()
        tenant_id = login.tenant_id or self._settings.text("tenant_id")
        own = [item.key.access for item in listed if item.key.tenant_id == tenant_id]
        if cached and cached not in own:
            self._mend(cached)
        elif own:
            self._report.ok("keys", f"{len(own)} of {QUOTA} for this tenant: {', '.join(own)}")
        else:
            self._mend(None)

    def _mend(self, gone: str | None) -> None:
        with self._our_errors("keys"), waiting("Getting a key"):
            entry, failure = make_broker(self._settings).checked(0, ask_again=True)
        if failure is not None:
            self._report.failed("keys", str(failure), code=exit_code(failure))
            raise _Stop
        if gone:
            self._report.warning(
                "keys",
                f"the cached key {gone} was deleted; {entry.key.access} takes its place now",
                "programs that use toast_boto find it by themselves; start others again",
            )
        else:
            self._report.ok("keys", f"there was none; made {entry.key.access}")

    def _compare_endpoints(self, catalogue: dict[str, str]) -> None:
        table = self._settings.cloud.endpoint_urls if self._settings.cloud else {}
        differing = [
            f"{region}: {catalogue[region]} instead of {url}"
            for region, url in table.items()
            if region in catalogue and normalised_url(catalogue[region]) != normalised_url(url)
        ]
        if differing:
            self._report.warning(
                "service catalogue",
                f"it has other endpoints than the table of clouds: {'; '.join(differing)}",
                "if the table's does not answer, give --endpoint-url to toast-boto configure",
            )
        elif catalogue:
            self._report.ok("service catalogue", ", ".join(sorted(catalogue)))

    # -- S3

    def _signing(self) -> Any:
        from .. import _sessions  # noqa: PLC0415 - the offline part needs no botocore

        with self._our_errors("key"), waiting("Getting the key"):
            return _sessions.signing_of(self._login.session())

    def _storage(self, signing: Any) -> None:
        from .._trial import Trial  # noqa: PLC0415 - likewise

        trial = Trial(signing, self._login.profile_name)
        with contextlib.closing(trial):
            with waiting("Asking the S3 server"):
                answer = trial.list_buckets()
            self._clock(answer.date)
            if answer.error:
                self._refused(answer, signing)
            self._report.ok("S3", f"ListBuckets by {signing.access_key}: {answer.buckets} buckets")
            if self._bucket:
                with waiting(f"Trying the bucket {self._bucket}"):
                    self._abilities(trial, self._bucket)

    def _clock(self, date: str) -> None:
        try:
            skew = time.time() - parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError):
            return  # it did not tell
        text = f"this machine's differs from the server's by {abs(skew):.0f} s"
        if abs(skew) > _SKEW_ALLOWED_SECONDS:
            self._report.failed("clock", text, "set it: 15 minutes are allowed")
        elif abs(skew) > _SKEW_SEEN_SECONDS:
            self._report.warning("clock", text, "set it, before it is 15 minutes")
        else:
            self._report.ok("clock", text)

    def _refused(self, answer: Any, signing: Any) -> None:
        code = EXIT_UNREACHABLE if answer.status in (0, 500, 502, 503, 504) else EXIT_REFUSED
        way_out = "is this the S3 endpoint of the cloud?"
        if answer.code in _UNKNOWN_KEY:
            way_out = (
                f"the server does not know the key {signing.access_key}: is the endpoint of the "
                "same cloud as the login?"
            )
        elif answer.code == "AuthorizationHeaderMalformed":
            way_out = f"set the region to the one that it expects, instead of {signing.region}"
        elif answer.status == 403:
            way_out = "has the user a role in the tenant?"
        self._report.failed("S3", answer.error, way_out, code)
        raise _Stop

    def _abilities(self, trial: Any, bucket: str) -> None:
        key, answer = trial.upload(bucket)
        if answer.code in ("NoSuchBucket", "AccessDenied") or answer.status == 0:
            code = EXIT_REFUSED if answer.status else EXIT_UNREACHABLE
            way_out = "name one that this login may write to"
            self._report.failed("bucket", answer.error, way_out, code)
            return
        if answer.error:
            self._report.ok(
                "checksums",
                f"a stock upload is refused ({answer.status} {answer.code}); when_required, which "
                "toast_boto and its profiles set, is needed",
            )
            answer = trial.upload_plainly(bucket, key)
            if answer.error:
                self._report.failed("upload", answer.error, "", EXIT_REFUSED)
                trial.delete(bucket, key)  # it may be there in part
                return
        else:
            self._report.ok("checksums", "an upload with stock boto3's checksum is taken")
        self._report.ok("upload", f"wrote {key} to {bucket}")
        answer = trial.delete_many(bucket, key)
        if answer.error:
            self._report.warning(
                "DeleteObjects",
                f"it is refused without Content-MD5, as stock clients send it ({answer.error})",
                "toast_boto sends it; in other programs delete objects one by one",
            )
            trial.delete(bucket, key)
        else:
            self._report.ok("DeleteObjects", "taken as stock clients send it")

    @contextlib.contextmanager
    def _our_errors(self, subject: str) -> Iterator[None]:
        """Turn an error of ours into a line of the report, and stop."""
        try:
            yield
        except ToastBotoError as error:
            self._report.failed(subject, str(error), code=exit_code(error))
        else:
            return
        raise _Stop
