"""What a call of the reporter costs the bot while another of its threads counts 10,000 times a second.

Each public call beside a bare `SimpleQueue.put` measured in the same run; the service is a process of its own.
"""

from __future__ import annotations

import functools
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from status_reporter import StatusReporter

__all__ = ["main"]

CALLS = int(os.environ.get("CALLS", "4000"))  # of each kind
APART_S = 0.0002
PER_SECOND = 10_000
AIM_US = 1000.0
SERVICE = """
import sys
from fake_service import TOKEN, FakeService
with FakeService() as service:
    print(service.url, TOKEN, flush=True)
    sys.stdin.read()
"""


@contextmanager
def service() -> Iterator[tuple[str, str]]:
    """The address and token of a service that takes what the reporter sends."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        url, token = child.stdout.readline().split()
        yield url, token
        child.communicate("")


@contextmanager
def counting(count: Callable[[], None]) -> Iterator[list[float]]:
    """Counts from a thread of its own meanwhile; afterwards the list holds how many times a second it was."""
    over, rate = threading.Event(), list[float]()

    def work() -> None:
        began, done = time.monotonic(), 0
        while not over.is_set():
            due = int((time.monotonic() - began) * PER_SECOND)
            while done < due:
                count()
                done += 1
            time.sleep(0.0005)
        rate.append(done / (time.monotonic() - began))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield rate
    finally:
        over.set()
        worker.join()


def timed(call: Callable[[], Any]) -> list[float]:
    """Microseconds of each of many calls, ascending."""
    clock, times = time.perf_counter_ns, []
    for _ in range(CALLS):
        began = clock()
        call()
        times.append((clock() - began) / 1000)
        time.sleep(APART_S)
    return sorted(times)


def public_calls(reporter: StatusReporter) -> dict[str, Callable[[], Any]]:
    """Every call that a bot makes while it works; those that wait by their nature are not among them."""
    details = {"title": "Data analyst", "company": "Acme", "page": 3}
    numbers = iter(range(10**9))
    job = reporter.job("a")
    event = reporter.stop_event
    return {
        "send_heartbeat(activity)": lambda: reporter.send_heartbeat("applying"),
        "send_heartbeat(activity, details)": lambda: reporter.send_heartbeat("applying", details),
        "increment_jobs_found": reporter.increment_jobs_found,
        "increment_jobs_applied": reporter.increment_jobs_applied,
        "increment_jobs_failed": reporter.increment_jobs_failed,
        "increment_credits_used": lambda: reporter.increment_credits_used(0.25),
        "increment": lambda: reporter.increment("pages_read", 2),
        "progress": lambda: reporter.progress(3, 60),
        "job": lambda: reporter.job(next(numbers), title="Data analyst", company="Acme", url="https://jobs.example/1"),
        "job.applied": lambda: job.applied(credits=0.5),
        "job.failed": lambda: job.failed("the form was closed"),
        "job.skipped": job.skipped,
        "should_stop": lambda: reporter.should_stop,
        "stop_event.is_set": event.is_set,
        "checkpoint": reporter.checkpoint,
        "on_stop": functools.partial(reporter.on_stop, int),
        "start_session (again)": reporter.start_session,
        "session_id": lambda: reporter.session_id,
        "status": lambda: reporter.status,
    }


def line(name: str, times: list[float], bare: float) -> float:
    """Prints one row; answers its p99.9."""
    median, rare = statistics.median(times), times[int(len(times) * 0.999)]
    ratio = f"{median / bare:6.1f} x"
    print(f"  {name:<34}{median:9.2f}{rare:11.1f}{times[-1]:11.1f}   {ratio}")
    return rare


def main() -> None:
    """Prints p50, p99.9 and max of each call, and p50 as a ratio to a bare put."""
    bare_queue: queue.SimpleQueue[int] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder, service() as (url, token):
        reporter = StatusReporter(token, url, spool_dir=folder)
        reporter.start_session("bench")
        assert reporter.flush(10)
        with counting(reporter.increment_jobs_found) as rate:
            bare = timed(lambda: bare_queue.put(1))
            figures = {name: timed(call) for name, call in public_calls(reporter).items()}
        acknowledged = reporter.complete_session(timeout=20)
        reporter.close()
    print(f"A reporter's call while another thread counts {rate[0]:,.0f} times a second, µs of {CALLS} calls each")
    print(f"  {'':<34}{'p50':>9}{'p99.9':>11}{'max':>11}   p50 to a bare put")
    median = statistics.median(bare)
    line("SimpleQueue.put", bare, median)
    worst = max(line(name, times, median) for name, times in figures.items())
    verdict = "met" if worst <= AIM_US and acknowledged else "missed"
    print(f"  worst p99.9: {worst:.0f} µs; aim: {AIM_US:.0f} µs, {verdict}")


if __name__ == "__main__":
    main()
