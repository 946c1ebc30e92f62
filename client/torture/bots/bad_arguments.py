"""Hands every call what it cannot use. Nothing may raise; what is wrong is ignored and counted as such."""

from __future__ import annotations

import math
import threading
from decimal import Decimal
from typing import Any

from stage import Stage


class Hostile:
    """An object whose every special method raises."""

    def __str__(self) -> str:
        raise RuntimeError("__str__ was called")

    __repr__ = __str__

    def __int__(self) -> int:
        raise RuntimeError("__int__ was called")

    __index__ = __int__

    def __float__(self) -> float:
        raise RuntimeError("__float__ was called")

    def __hash__(self) -> int:
        raise RuntimeError("__hash__ was called")

    def __iter__(self) -> Any:
        raise RuntimeError("__iter__ was called")

    def __bool__(self) -> bool:
        raise RuntimeError("__bool__ was called")

    def __eq__(self, _: object) -> bool:
        raise RuntimeError("__eq__ was called")


NO_COUNTS: list[Any] = [math.nan, math.inf, -1, True, 10**30, "5", None, Hostile(), [], {}, -0.5, Decimal("NaN"), b"1"]
ITSELF: dict[str, Any] = {"a": 1}
ITSELF["self"] = ITSELF
ITSELF["list"] = [ITSELF]
DETAILS: list[Any] = [
    ITSELF,
    {"long": "x" * 10_000_000},
    {"surrogate": "\ud800 \udfff", "\ud800": 1},
    {"control": "\x00\x07"},
    {Hostile: 1, "object": Hostile(), "set": {1, 2}, "bytes": b"\xff", 5: 6, None: None, (1, 2): 3},
    {"deep": [[[[[[[[[[1]]]]]]]]]]},
    {str(n): "y" * 500 for n in range(1000)},
    {"numbers": [math.nan, math.inf, -math.inf, 10**30, 10**5000, True, None, Decimal("1.5")]},
    "no dict",
    Hostile(),
    42,
]
ACTIVITIES: list[Any] = [None, 5, "", "   ", Hostile(), "z" * 10_000_000, "\ud800", b"bytes", ["list"], "\x00"]


def mutate(shared: dict[str, Any], over: threading.Event) -> None:
    """Changes a dict as fast as it can, while it is being reported."""
    n = 0
    while not over.is_set():
        n += 1
        shared[str(n % 97)] = {"n": n}
        shared.pop(str((n * 7) % 97), None)


def try_all(reporter: Any) -> list[str]:
    """Makes every wrong call; answers what raised."""
    raised: list[str] = []

    def call(name: str, *args: Any, **kwargs: Any) -> None:
        try:
            getattr(reporter, name)(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 -- nothing at all may come out
            raised.append(f"{name}: {type(error).__name__}")

    for name in ("jobs_found", "jobs_applied", "jobs_failed", "credits_used"):
        for n in NO_COUNTS:
            call("increment_" + name, n)
    for n in NO_COUNTS:
        if type(n) is not str:
            call("increment", n, 1)
        call("increment", "pages", n)
        call("progress", n, n)
        call("job", n)
        call("on_stop", n)
    for seconds in (math.nan, -1, None, "5", Hostile(), Decimal("NaN"), -math.inf):
        call("wait", seconds)
    for details in DETAILS:
        call("send_heartbeat", "applying", details)
        call("checkpoint", "applying", details)
    for activity in ACTIVITIES:
        call("send_heartbeat", activity)
    call("start_session", Hostile(), Hostile())
    call("flush", Hostile())
    call("flush", math.nan)
    over, shared = threading.Event(), {"a": 1}
    thread = threading.Thread(target=mutate, args=(shared, over))
    thread.start()
    for _ in range(2_000):
        call("send_heartbeat", "applying", shared)
    over.set()
    thread.join()
    return raised


def main() -> None:
    """Makes the wrong calls between right ones, which all have to count."""
    stage = Stage()
    reporter = stage.reporter()
    reporter.start_session("1.0")
    reporter.increment_jobs_found(3)
    raised = try_all(reporter)
    reporter.increment_jobs_found(4)
    stage.count("jobs_found", 7 + len(NO_COUNTS))  # a job with a strange key is a job all the same
    reporter.send_heartbeat("finishing", {"fine": "ü € 😀"})
    reporter.flush(20)
    status = reporter.status
    try:
        ended = reporter.complete_session(True, Hostile(), timeout=20)
    except BaseException as error:  # noqa: BLE001 -- nothing at all may come out
        raised.append(f"complete_session: {type(error).__name__}")
        ended = None
    stage.done(raised=raised, ignored=status["ignored"], counters=status["counters"], ended=ended)


main()
