"""Times what the calls of the reporter cost the bot, in the bot itself. Standard library and Python 3.9.

Left out are the calls that wait by their nature: `start_session`, `wait`, `flush`, `complete_session`, `close`, the ends of
`session()`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Stopwatch", "timed_class"]

TIMED = (
    "send_heartbeat",
    "increment_jobs_found",
    "increment_jobs_applied",
    "increment_jobs_failed",
    "increment_credits_used",
    "increment",
    "progress",
    "checkpoint",
    "on_stop",
    "job",
)
STEPS = 64  # of the histogram below each power of two: 3 % exact
SLOW_NS = 20_000_000
LONG_NS = 1_000_000


class _Times:
    """A histogram of durations on one thread, of constant size."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.max_ns = 0
        self.max_name = ""
        self.long = 0
        self.slow = 0

    def add(self, ns: int, name: str) -> None:
        shift = max(ns.bit_length() - 6, 0)
        bucket = shift * STEPS + (ns >> shift)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        if ns > LONG_NS:
            self.long += 1
            self.slow += ns > SLOW_NS
        if ns > self.max_ns:
            self.max_ns, self.max_name = ns, name


class Stopwatch:
    """Times calls, and beside each a twin that cannot block. Any thread may use it; a signal handler too."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._all: list[tuple[_Times, _Times, _Times]] = []
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, timed under `name`."""

        def measured(*args: Any, **kwargs: Any) -> Any:
            began, busy = time.perf_counter_ns(), time.thread_time_ns()
            try:
                return call(*args, **kwargs)
            finally:
                busy = time.thread_time_ns() - busy
                took = time.perf_counter_ns() - began
                calls, twins, work = self._mine()
                calls.add(took, name)
                work.add(busy, name)
                began = time.perf_counter_ns()
                self._twin(busy)
                twins.add(time.perf_counter_ns() - began, "twin")

        return measured

    def report(self) -> dict[str, Any]:
        """The figures so far, in milliseconds, as `latency_probe.verdict` wants them."""
        return {name: _summary([one[n] for one in self._all]) for n, name in enumerate(("calls", "twin", "work"))}

    def _mine(self) -> tuple[_Times, _Times, _Times]:
        """This thread's times: of calls, of their twins, and the processor time of the calls."""
        mine = getattr(self._local, "times", None)
        if mine is None:
            mine = self._local.times = (_Times(), _Times(), _Times())
            self._all.append(mine)
        return cast("tuple[_Times, _Times, _Times]", mine)

    def _twin(self, busy_ns: int) -> None:
        """Computes as long as the call did, around a put: it meets the same chances to be interrupted, and no lock."""
        until = time.thread_time_ns() + busy_ns
        self._queue.put((self, time.monotonic(), ("twin", 1)))
        while time.thread_time_ns() < until:
            pass
        with contextlib.suppress(queue.Empty):  # another thread took it
            self._queue.get_nowait()


def timed_class(reporter_class: Any, watch: Stopwatch) -> Any:
    """A class of reporters whose calls `watch` times."""

    def should_stop(self: Any) -> bool:
        return cast("bool", look(self))

    look = watch.timed("should_stop", reporter_class.should_stop.fget)
    methods: dict[str, Any] = {name: watch.timed(name, getattr(reporter_class, name)) for name in TIMED}
    make_job = methods["job"]

    def job(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = make_job(self, *args, **kwargs)
        for name in ("applied", "failed", "skipped"):
            setattr(made, name, watch.timed("Job." + name, getattr(made, name)))
        return made

    return type("TimedReporter", (reporter_class,), {**methods, "job": job, "should_stop": property(should_stop)})


def _summary(times: list[_Times]) -> dict[str, Any]:
    counts: dict[int, int] = {}
    for one in times:
        for bucket, count in list(one.counts.items()):
            counts[bucket] = counts.get(bucket, 0) + count
    worst = max(times, key=lambda one: one.max_ns, default=_Times())
    return {
        "n": sum(counts.values()),
        "p50_ms": _quantile(counts, 0.5),
        "p99_ms": _quantile(counts, 0.99),
        "p999_ms": _quantile(counts, 0.999),
        "max_ms": round(worst.max_ns / 1e6, 4),
        "max_name": worst.max_name,
        "over_1_ms": sum(one.long for one in times),
        "over_20_ms": sum(one.slow for one in times),
    }


def _quantile(counts: dict[int, int], share: float) -> float:
    """The upper edge of the bucket in which the quantile lies, in milliseconds."""
    left = share * sum(counts.values())
    for bucket in sorted(counts):
        left -= counts[bucket]
        if left <= 0:
            shift, value = divmod(bucket, STEPS)
            return round(((value + 1) << shift) / 1e6, 5)
    return 0.0
