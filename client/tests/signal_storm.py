# A program, run by the tests on every Python: every public method under a storm of signals that call every method.
"""Fails when a public call takes a lock, does I/O or runs anything but the reporter's own code on the caller's thread.

Three witnesses watch the main thread while it is inside a call: locks made by this program tell who takes them, the
audit hook tells of files, sockets and processes, and the profiler of every function that runs, C or Python. Each is
shown at the end to notice what it is there for.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import faulthandler
import functools
import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

MAIN = threading.main_thread()
inside = 0  # how many calls deep the main thread is in the reporter
waiting = False  # in a call that waits: it may sleep
faults: set[str] = set()

real_lock, real_rlock = threading.Lock, threading.RLock


def watched(make: Callable[[], Any]) -> Callable[..., Any]:
    """A lock that tells when the main thread takes it during a call."""

    class Lock:
        def __init__(self) -> None:
            self._lock = make()

        def acquire(self, *args: Any, **kwargs: Any) -> Any:
            if inside and threading.get_ident() == MAIN.ident:
                faults.add("took a lock")
            return self._lock.acquire(*args, **kwargs)

        __enter__ = acquire

        def __exit__(self, *_: object) -> None:
            self._lock.release()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._lock, name)

    return Lock


threading.Lock = _thread.allocate_lock = threading._allocate_lock = watched(real_lock)  # type: ignore[assignment,attr-defined]
threading.RLock = watched(real_rlock)  # type: ignore[assignment]

from fake_service import TOKEN, FakeService  # noqa: E402 -- its locks are to be watched ones

from status_reporter import StatusReporter, StopRequested  # noqa: E402 -- likewise

QUIET_PYTHON = ("status_reporter.py", "uuid.py", "json/__init__.py", "json/encoder.py", "contextlib.py", "typing.py")
LOUD_C = ("posix", "nt", "_io", "io", "_socket", "_ssl", "select", "_thread", "_posixsubprocess", "signal", "logging")
LOUD_NAMES = ("acquire", "__enter__", "notify", "write", "send", "recv", "connect", "open", "flush", "read", "select")


def audit(event: str, _: tuple[Any, ...]) -> None:
    """Called by the interpreter for whatever might matter to an auditor."""
    loud = event.partition(".")[0] in (
        "open",
        "socket",
        "subprocess",
        "os",
        "ssl",
        "pty",
        "fcntl",
        "shutil",
        "tempfile",
    )
    if inside and loud and threading.get_ident() == MAIN.ident:
        faults.add("did " + event)


def profile(frame: FrameType, event: str, arg: Any) -> None:
    """Called for every function on the main thread; `inside` is about the reporter's calls alone."""
    if not inside:
        return
    if event == "c_call":
        owner = getattr(arg, "__self__", None)
        home = getattr(arg, "__module__", None) or type(owner).__module__
        harmless = arg is os.getpid or (waiting and arg is time.sleep)  # asks whether this is a forked child
        if not harmless and (home in LOUD_C or arg.__name__ in LOUD_NAMES or arg is time.sleep):
            faults.add(f"ran {home}.{arg.__name__}")
    elif event == "call":
        file = frame.f_code.co_filename.replace("\\", "/")
        name = frame.f_code.co_name
        quiet = file.endswith(QUIET_PYTHON) or file == __file__.replace("\\", "/") or name == "is_set"  # reads a flag
        if not quiet:
            faults.add(f"ran {file}:{name}")


sys.addaudithook(audit)


def call(what: Callable[[], Any], *, waits: bool = False) -> Any:
    """Makes one call with the witnesses on."""
    global inside, waiting  # noqa: PLW0603 -- the witnesses are functions of the interpreter and look here
    before = waiting
    waiting = waits
    inside += 1
    try:
        return what()
    finally:
        inside -= 1
        waiting = before


found = itertools.count()  # of increments made; `next` is one step, which no signal can split


def found_one(reporter: StatusReporter) -> None:
    """Counts here and there."""
    next(found)
    reporter.increment_jobs_found(1)


def calls(reporter: StatusReporter) -> list[Callable[[], Any]]:
    """Each public method, as something to call."""
    details: dict[Any, Any] = {"title": "Analyst ☃", "deep": [1, {"a": (2, 3)}], "thing": object(), 5: float("nan")}
    job = reporter.job(("a", 1), title="T", company="C", url="https://jobs.example/1")
    return [
        functools.partial(found_one, reporter),
        lambda: reporter.send_heartbeat("applying", details),
        lambda: reporter.increment_jobs_applied(1),
        lambda: reporter.increment_jobs_failed(1),
        lambda: reporter.increment_credits_used(0.25),
        lambda: reporter.increment("pages", 2),
        lambda: reporter.increment("pages", -2),
        lambda: reporter.progress(1, 2),
        lambda: reporter.job(("a", 1), title="T", company="C", url="https://jobs.example/1"),
        lambda: job.applied(credits=0.5),
        lambda: job.failed(ValueError("no")),
        lambda: job.skipped("x"),
        functools.partial(register, reporter),
        lambda: reporter.should_stop,
        lambda: reporter.stop_reason,
        reporter.stop_event.is_set,
        lambda: reporter.session_id,
        lambda: reporter.status,
        lambda: reporter.start_session("again"),
        functools.partial(checkpoint, reporter),
        functools.partial(during, reporter),
        lambda: list(reporter.track([1, 2], activity="listing")),
        lambda: reporter.session("1.0"),
        lambda: repr(reporter),
        lambda: reporter.wait(0.0001, reason="r"),
        lambda: reporter.flush(0.0001),
    ]


WAITING = 2  # the last two of them wait, and may sleep


def checkpoint(reporter: StatusReporter) -> None:
    """A checkpoint, whose purpose is to raise."""
    with contextlib.suppress(StopRequested):
        reporter.checkpoint("checking")


def register(reporter: StatusReporter) -> None:
    """A callback, and its removal."""
    remove = reporter.on_stop(int)
    remove()


def during(reporter: StatusReporter) -> None:
    """A block with an activity of its own."""
    with reporter.activity("filling_form", field="salary"):
        pass


def storm(seconds: float) -> None:
    """Signals every 0.2 ms, each of which makes the next call in turn, while the main thread makes them all."""
    with FakeService() as service:
        reporter = StatusReporter(TOKEN, service.url)
        reporter.start_session("1.0")
        service.wait_for(lambda: service.streams)
        every = calls(reporter)
        turn, depth, signals = itertools.cycle(range(len(every))), [0], itertools.count()

        def make(number: int) -> None:
            call(every[number], waits=number >= len(every) - WAITING)

        def on_signal(*_: object) -> None:
            next(signals)
            if depth[0] < 4:
                depth[0] += 1
                make(next(turn))
                depth[0] -= 1

        signal.signal(signal.SIGALRM, on_signal)
        sys.setprofile(profile)
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
        ends, pressed = time.monotonic() + seconds, False
        while time.monotonic() < ends:
            for number in range(len(every)):
                make(number)
            if not pressed and time.monotonic() > ends - seconds / 2:
                pressed = bool(service.press_stop(reporter.session_id or ""))
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert reporter.should_stop, "the stop came"
        call(lambda: reporter.complete_session(timeout=0), waits=True)
        sys.setprofile(None)
        service.wait_for(lambda: service.session.status == "stopped")
        truth = next(found) + 1  # and the job, once
        assert service.totals["jobs_found"] == truth, (service.totals, truth)
        call(lambda: reporter.close(0), waits=True)
        assert not faults, sorted(faults)
    sys.stdout.write(f"{next(signals)} signals, {truth} counted\n")


def asynchronous() -> None:
    """`wait_async` and `async with` take no lock either, beyond what the event loop does for itself."""

    async def bot(reporter: StatusReporter) -> None:
        async with reporter.session("1.0"):
            await reporter.wait_async(0.01)

    with FakeService() as service:
        asyncio.run(bot(StatusReporter(TOKEN, service.url)))
        assert service.session.status == "completed"


def witnesses_see() -> None:
    """Each witness notices what it is there for."""
    event = threading.Event()
    call(event.set)
    assert faults == {"took a lock"}, faults
    faults.clear()
    sys.setprofile(profile)
    call(lambda: Path(__file__).read_bytes())
    sys.setprofile(None)
    assert "did open" in faults, faults
    assert any(fault.startswith("ran ") for fault in faults), faults


if __name__ == "__main__":
    faulthandler.dump_traceback_later(60, exit=True)
    storm(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
    asynchronous()
    witnesses_see()
