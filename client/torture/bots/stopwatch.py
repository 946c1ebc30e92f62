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


class _Times:
    """A histogram of durations on one thread, of constant size."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.max_ns = 0
        self.max_name = ""
        self.slow = 0

    def add(self, ns: int, name: str) -> None:
        shift = max(ns.bit_length() - 6, 0)
        bucket = shift * STEPS + (ns >> shift)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        if ns > SLOW_NS:
            self.slow += 1
        if ns > self.max_ns:
            self.max_ns, self.max_name = ns, name


class Stopwatch:
    """Times calls, and beside each a twin that cannot block. Any thread may use it; a signal handler too."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._all: list[tuple[_Times, _Times]] = []
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._spin = 40  # steps of the twin; about as long as a call

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, timed under `name`."""

        def measured(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter_ns()
            try:
                return call(*args, **kwargs)
            finally:
                took = time.perf_counter_ns() - began
                calls, twins = self._mine()
                calls.add(took, name)
                began = time.perf_counter_ns()
                self._twin()
                twins.add(time.perf_counter_ns() - began, "twin")

        return measured

    def report(self) -> dict[str, Any]:
        """The figures so far, in milliseconds, as `latency_probe.verdict` wants them."""
        calls, twins = [pair[0] for pair in self._all], [pair[1] for pair in self._all]
        return {"calls": _summary(calls), "twin": _summary(twins)}

    def _mine(self) -> tuple[_Times, _Times]:
        mine = getattr(self._local, "pair", None)
        if mine is None:
            mine = self._local.pair = (_Times(), _Times())
            self._all.append(mine)
        return cast("tuple[_Times, _Times]", mine)

    def _twin(self) -> None:
        self._queue.put((self, time.monotonic(), ("twin", 1)))
        for _ in range(self._spin):
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
        "slow": sum(one.slow for one in times),
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
