"""Mixed load while everything is taken away: keys, cache, Keystone.

``python -m benchmarks.soak [--minutes 10]``: processes of many threads write, read, list and delete
objects of every kind, and compare what they read with what they wrote. Meanwhile keys are deleted
and rotated, the cache is wiped, and Keystone is stopped and started. Prints the calls made, those
that failed, and the objects whose content differed; exits with 1 if there was one of either.

A call that fails while Keystone is stopped is counted apart: Swift itself can't check a key then,
once its own memory of it has run out. No key is deleted within a minute after that: refusals of the
outage have spent the one question in a minute that a key may cost.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import multiprocessing
import os
import queue
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from typing import Any

from boto3.s3.transfer import TransferConfig

import toast_boto
from benchmarks.load import use
from tests.support import Tenancy, Watch
from toast_boto._notes import ASK_AGAIN_SECONDS
from toast_boto.sandbox import Sandbox

MIB = 1024 * 1024
SECRET_CACHE_SECONDS = 5
PARTS = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3)


def content_of(name: str, size: int) -> bytes:
    """The bytes that an object of this name has; no other has the same."""
    block = hashlib.sha256(name.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


class Worker:
    """One thread's work, on objects of its own."""

    def __init__(self, name: str, s3: Any, report: Any) -> None:
        self.name = name
        self.s3 = s3
        self.report = report
        self.random = random.Random(name)
        self.stored: dict[str, int] = {}
        self.calls: Counter[str] = Counter()

    def run(self, ends: float) -> None:
        works = [self.put, self.get, self.head, self.list, self.delete, self.parts]
        self.put()
        while time.time() < ends:
            (work,) = self.random.choices(works, weights=(10, 20, 10, 10, 5, 1))
            started = time.time()
            try:
                work()
            except Exception as error:
                self.report(("failed", started, time.time(), f"{work.__name__}: {error!r}"[:300]))
            self.calls[work.__name__] += 1
        self.report(("calls", dict(self.calls)))

    def put(self) -> None:
        key = f"{self.name}-{self.random.randrange(20)}"
        size = self.random.choice((0, 10, 5000, 200_000))
        content = content_of(key, size)
        self.stored.pop(key, None)
        with tempfile.TemporaryFile() as file:
            start = self.random.choice((0, 0, 77))
            file.write(bytes(start) + content)
            file.seek(start)
            body = self.random.choice((content, io.BytesIO(content), file))
            self.s3.put_object(Bucket="soak", Key=key, Body=body)
        self.stored[key] = size

    def get(self) -> None:
        if not self.stored:
            self.put()
        key = self.random.choice(list(self.stored))
        self.compare(key, self.s3.get_object(Bucket="soak", Key=key)["Body"].read())

    def head(self) -> None:
        if not self.stored:
            self.put()
        key = self.random.choice(list(self.stored))
        length = self.s3.head_object(Bucket="soak", Key=key)["ContentLength"]
        if length != self.stored[key]:
            self.report(("differs", f"{key}: {length} bytes, not {self.stored[key]}"))

    def list(self) -> None:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket="soak", Prefix=f"{self.name}-", PaginationConfig={"PageSize": 7}
        )
        found = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}
        for key, size in self.stored.items():
            if found.get(key) != size:
                self.report(("differs", f"{key}: listed with {found.get(key)}, not {size}"))

    def delete(self) -> None:
        keys = self.random.sample(list(self.stored), min(3, len(self.stored)))
        for key in keys:
            del self.stored[key]
        objects = {"Objects": [{"Key": key} for key in keys or ["nothing"]]}
        errors = self.s3.delete_objects(Bucket="soak", Delete=objects).get("Errors")
        if errors:
            raise AssertionError(f"not deleted: {errors}")

    def parts(self) -> None:
        key = f"{self.name}-parts"
        size = 11 * MIB
        self.stored.pop(key, None)
        self.s3.upload_fileobj(io.BytesIO(content_of(key, size)), "soak", key, Config=PARTS)
        target = io.BytesIO()
        self.s3.download_fileobj("soak", key, target, Config=PARTS)
        self.stored[key] = size
        self.compare(key, target.getvalue())

    def compare(self, key: str, content: bytes) -> None:
        if content != content_of(key, self.stored[key]):
            self.report(("differs", f"{key}: {len(content)} bytes of something else"))


def process(number: int, threads: int, ends: float, reports: Any) -> None:
    """A process of many workers, some with a session of their own."""
    sessions = [toast_boto.Session() for _ in range(2)]
    workers = [
        Worker(f"{number}-{n}", sessions[n % 2].client("s3"), reports.put) for n in range(threads)
    ]
    running = [threading.Thread(target=worker.run, args=(ends,)) for worker in workers]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


class Disturber:
    """What happens meanwhile."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.done: Counter[str] = Counter()
        self.outages: list[tuple[float, float]] = []
        self.most_keys = 0

    def run(self, ends: float) -> None:
        while True:
            for disturb in (self.delete, self.wipe, self.delete_and_wipe, self.rotate, self.stop):
                # The key of the disturbance before has died at the server, too, and was replaced.
                self.wait(SECRET_CACHE_SECONDS + 4)
                if time.time() > ends - 2 * SECRET_CACHE_SECONDS:
                    return
                disturb()
                self.done[disturb.__name__] += 1

    def wait(self, seconds: float) -> None:
        until = time.time() + seconds
        while time.time() < until:
            self.most_keys = max(self.most_keys, len(self.tenancy.list_keys()))
            time.sleep(0.5)

    def delete(self) -> None:
        self.tenancy.delete_all_keys()

    def wipe(self) -> None:
        shutil.rmtree(os.environ["TOAST_CACHE_DIR"], ignore_errors=True)

    def delete_and_wipe(self) -> None:
        self.delete()
        self.wipe()

    def rotate(self) -> None:
        toast_boto.rotate_key(grace=1)

    def stop(self) -> None:
        started = time.time()
        self.tenancy.cloud.stop_keystone()
        time.sleep(4)
        self.tenancy.cloud.start_keystone()
        self.outages.append((started, time.time()))
        # What the server refused meanwhile has spent the minute in which Keystone may be asked.
        self.wait(ASK_AGAIN_SECONDS)

    def away(self, started: float, ended: float) -> bool:
        """Whether Keystone was stopped during a call."""
        return any(started < outage[1] and ended > outage[0] for outage in self.outages)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    with Sandbox(secret_cache=SECRET_CACHE_SECONDS) as cloud:
        tenancy = use(cloud)
        toast_boto.client("s3").create_bucket(Bucket="soak")
        watch, disturber = Watch(cloud), Disturber(tenancy)
        ends = time.time() + arguments.minutes * 60
        context = multiprocessing.get_context("spawn")
        reports = context.Queue()
        processes = [
            context.Process(target=process, args=(number, arguments.threads, ends, reports))
            for number in range(arguments.processes)
        ]
        for one in processes:
            one.start()
        disturber.run(ends)
        found: list[Any] = []
        while any(one.is_alive() for one in processes) or not reports.empty():
            try:
                found.append(reports.get(timeout=1))
            except queue.Empty:
                continue
        asked = Counter(watch.identity())
    return tell(found, disturber, asked)


def tell(found: list[Any], disturber: Disturber, asked: Counter[str]) -> int:
    """Print what was found; answers the exit code."""
    calls: Counter[str] = Counter()
    for report in found:
        if report[0] == "calls":
            calls.update(report[1])
    failures = [report for report in found if report[0] == "failed"]
    failed = [report for report in failures if not disturber.away(report[1], report[2])]
    differs = [report for report in found if report[0] == "differs"]
    print(f"disturbances: {dict(disturber.done)}")
    print(f"requests to Keystone: {dict(asked)}; most keys at once: {disturber.most_keys}")
    print(f"calls: {calls.total()} {dict(calls)}")
    print(f"failed while Keystone was stopped: {len(failures) - len(failed)}")
    print(f"failed otherwise: {len(failed)}")
    print(f"objects whose content differed: {len(differs)}")
    for report in [*failed, *differs][:10]:
        print("  ", *report)
    return 1 if failed or differs else 0


if __name__ == "__main__":
    sys.exit(main())
