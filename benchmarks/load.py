"""What many processes and threads cost Keystone, counted on the server.

``python -m benchmarks.load [--processes 32] [--threads 16]``: a cold start of them all at once, and
then 64 threads whose one key is deleted under them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import toast_boto
from tests.support import Tenancy, Watch
from toast_boto.sandbox import Sandbox


def start(threads: int, ready: Any, go: Any, results: Any) -> None:
    """One process: a session of its own for every other thread, one for the rest."""
    shared = toast_boto.Session()
    clients = [
        (shared if number % 2 else toast_boto.Session()).client("s3") for number in range(threads)
    ]
    ready.release()
    go.wait()

    def work(client: Any) -> str | None:
        try:
            client.list_buckets()
        except Exception as error:
            return repr(error)[:200]
        return None

    with ThreadPoolExecutor(threads) as pool:
        results.put(list(pool.map(work, clients)))


def cold_start(cloud: Sandbox, processes: int, threads: int) -> None:
    """All at once, with neither a key nor a cache file."""
    context = multiprocessing.get_context("spawn")
    ready, go, results = context.Semaphore(0), context.Event(), context.Queue()
    workers = [
        context.Process(target=start, args=(threads, ready, go, results)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.acquire()
    watch, started = Watch(cloud), time.monotonic()
    go.set()
    outcomes = [outcome for _ in workers for outcome in results.get()]
    seconds = time.monotonic() - started
    for worker in workers:
        worker.join()
    failed = [outcome for outcome in outcomes if outcome]
    print(f"cold start of {processes} processes x {threads} threads, {seconds:.1f} s:")
    print(f"  requests to Keystone: {dict(Counter(watch.identity()))}")
    print(f"  S3 calls: {len(outcomes)}, failed: {len(failed)} {failed[:1] or ''}")


def dead_key(tenancy: Tenancy, threads: int = 64, calls: int = 1024) -> None:
    """Many threads, one session, and its key deleted in between."""
    client = toast_boto.Session().client("s3")
    client.list_buckets()
    tenancy.delete_all_keys()
    watch = Watch(tenancy.cloud)

    def work(_: int) -> bool:
        try:
            client.list_buckets()
        except Exception:
            return False
        return True

    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(pool.map(work, range(calls)))
    asked = Counter(watch.identity())
    print(f"{threads} threads with one dead key:")
    print(f"  replacements made: {asked['create']}; requests to Keystone: {dict(asked)}")
    print(f"  S3 calls: {len(outcomes)}, failed: {outcomes.count(False)}")
    print(f"  keys in the list afterwards: {len(tenancy.list_keys())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=32)
    parser.add_argument("--threads", type=int, default=16)
    arguments = parser.parse_args()
    with Sandbox(secret_cache=0) as cloud:
        tenancy = use(cloud)
        cold_start(cloud, arguments.processes, arguments.threads)
        dead_key(tenancy)


def use(cloud: Sandbox) -> Tenancy:
    """A new user of the sandbox, whose settings are this process's from now on."""
    environ = cloud.environ()
    for name in set(os.environ) - set(environ):
        del os.environ[name]
    tenancy = Tenancy.create(cloud)
    environ |= {
        "TOAST_USERNAME": tenancy.username,
        "TOAST_PASSWORD": tenancy.password,
        "TOAST_TENANT_ID": tenancy.tenant_id,
    }
    os.environ.update(environ)
    return tenancy


if __name__ == "__main__":
    main()
