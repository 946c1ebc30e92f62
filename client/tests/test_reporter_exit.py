"""However a bot's process ends, the truth about it arrives, quietly and in bounded time."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fake_service import FakeService

    from conftest import MakeReporter, RunBot

START = """
import atexit, os, signal, sys, threading, time
from status_reporter import StatusReporter, StopRequested, get_reporter
reporter = get_reporter()
reporter.start_session("1.0")
reporter.increment_jobs_found(7)
"""
BLOCK = """
import sys
from status_reporter import StopRequested, get_reporter
with get_reporter().session("1.0") as reporter:
    reporter.increment_jobs_found(7)
"""

ENDS = {
    # name: (code, exit code, outcome, inferred, type of the error)
    "returns without a word": (START, 0, "interrupted", True, None),
    "exception without a word": (START + "{}['door']", 1, "failed", True, "KeyError"),
    "exit without a word": (START + "sys.exit(0)", 0, "interrupted", True, None),
    "ctrl-c without a word": (START + "raise KeyboardInterrupt", -2, "interrupted", True, "KeyboardInterrupt"),
    "stop that nobody caught": (START + "raise StopRequested('x')", 1, "stopped", True, None),
    "exit in a thread": (
        START + "t = threading.Thread(target=sys.exit); t.start(); t.join(); reporter.complete_session()",
        0,
        "success",
        False,
        None,
    ),
    "said so in a hook that runs later": (
        "import atexit\natexit.register(lambda: reporter.complete_session(success=True))\n" + START,
        0,
        "success",
        False,
        None,
    ),
    "counted and said so in a hook that runs later": (
        "import atexit\ndef late():\n    reporter.increment_jobs_found(3)\n    reporter.complete_session()\n"
        "atexit.register(late)\n" + START.replace("(7)", "(4)"),
        0,
        "success",
        False,
        None,
    ),
    "said so, and then an exception": (START + "reporter.complete_session()\n1 / 0", 1, "success", False, None),
    "closed without a word": (START + "reporter.close()", 0, "interrupted", True, None),
    "block ends": (BLOCK, 0, "success", False, None),
    "exception in the block": (BLOCK + "    raise LookupError('no door')", 1, "failed", False, "LookupError"),
    "exit 0 in the block": (BLOCK + "    sys.exit()", 0, "success", False, None),
    "exit 3 in the block": (BLOCK + "    sys.exit(3)", 3, "failed", False, "SystemExit"),
    "ctrl-c in the block": (BLOCK + "    raise KeyboardInterrupt", -2, "interrupted", False, "KeyboardInterrupt"),
    "stop in the block": (BLOCK + "    raise StopRequested('x')", 0, "stopped", False, None),
    "said so in the block": (BLOCK + "    reporter.complete_session(error='x')", 0, "failed", False, None),
    "dies within a millisecond": (START + "reporter.complete_session()", 0, "success", False, None),
    "no streams to write to": (
        "import sys; sys.stdout = sys.stderr = None\n" + START + "reporter.complete_session()",
        0,
        "success",
        False,
        None,
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_the_end_is_told_as_it_was(service: FakeService, run_bot: RunBot, case: str) -> None:
    """The exit code and the traceback are the bot's own; outcome, error and every count are at the service."""
    code, exit_code, outcome, inferred, error = ENDS[case]
    done = run_bot(code)
    result = service.last["result"]
    assert (done.returncode, result["outcome"], result["inferred"]) == (exit_code, outcome, inferred)
    assert (result["error"] or {}).get("type") == error
    assert service.totals["jobs_found"] == 7
    assert "status_reporter.py" not in done.stderr
    assert done.stdout == ""
    assert (done.stderr == "") == (exit_code in (0, 3))


def test_a_service_that_hangs_holds_an_exit_up_for_two_seconds(run_bot: RunBot) -> None:
    """Also when the bot has waited in `complete_session` already: both together, not each."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        began = time.monotonic()
        done = run_bot(START + "reporter.complete_session()", url=f"http://127.0.0.1:{hanging.getsockname()[1]}")
    assert (done.returncode, done.stderr) == (0, "")
    assert 2 <= time.monotonic() - began < 4


def test_many_reporters_hold_an_exit_up_no_longer_than_one(run_bot: RunBot) -> None:
    """Each says its end first, and all are waited for together, be it for a service that hangs or for a disk."""
    code = """
        import atexit, os, time
        began = time.monotonic()
        atexit.register(lambda: print(time.monotonic() - began))
        from status_reporter import StatusReporter
        reporters = [StatusReporter() for _ in range(12)]
        for reporter in reporters:
            reporter.start_session("1.0")
        os.fsync = lambda descriptor: time.sleep(60)
        began = time.monotonic()
    """
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        done = run_bot(code, url=f"http://127.0.0.1:{hanging.getsockname()[1]}")
    assert (done.returncode, done.stderr) == (0, "")
    assert 2 <= float(done.stdout) < 5


def test_each_of_many_reporters_tells_its_end(service: FakeService, run_bot: RunBot) -> None:
    """A process that ends has a last word for every session in it."""
    run_bot("""
        from status_reporter import StatusReporter
        reporters = [StatusReporter() for _ in range(5)]
        for reporter in reporters:
            reporter.start_session("1.0")
    """)
    ended = {request.document["session_id"] for request in service.journal if request.document.get("result")}
    assert len(ended) == 5


def test_neither_a_service_nor_a_disk_that_hangs_holds_a_close_up_for_long(run_bot: RunBot) -> None:
    """`exit_timeout` for the one and 0.2 s for the other, also where the bot waits for two things of the disk."""
    code = "os.fsync = lambda descriptor: time.sleep(60)\n" + START + "began = time.monotonic(); reporter.close()\n"
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        done = run_bot(
            "import os, time\n" + code + "print(time.monotonic() - began)",
            url=f"http://127.0.0.1:{hanging.getsockname()[1]}",
        )
    assert 2.2 <= float(done.stdout) < 2.39


@pytest.mark.parametrize("code", [START, START + "reporter.complete_session()", BLOCK], ids=["forgot", "said", "block"])
def test_nobody_there_holds_an_exit_up_for_a_moment(run_bot: RunBot, code: str) -> None:
    """The first attempt has failed: 0.3 s, and nothing is printed."""
    timed = f"import time; began = time.monotonic(); import atexit\natexit.register(lambda: print(time.monotonic() - began))\n{code}"
    done = run_bot(timed, url="http://127.0.0.1:9")
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout) < 1.5


def test_a_second_ctrl_c_ends_the_wait_for_the_end(run_bot: RunBot) -> None:
    """An impatient person is not made to wait for the service."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        began = time.monotonic()
        done = run_bot(
            """
            import os, signal, threading, time
            from status_reporter import StatusReporter
            def press():
                for _ in range(3):
                    time.sleep(0.4)
                    os.kill(os.getpid(), signal.SIGINT)
            with StatusReporter(exit_timeout=25).session("1.0") as reporter:
                threading.Thread(target=press, daemon=True).start()
                reporter.wait(900)
            """,
            url=f"http://127.0.0.1:{hanging.getsockname()[1]}",
        )
    assert done.returncode == -signal.SIGINT
    assert time.monotonic() - began < 10


def test_a_bots_own_signal_handlers_and_hooks_are_left_alone(run_bot: RunBot) -> None:
    """No handler, no exception hook, no default time-out is set, and nothing is logged where nothing was asked for."""
    done = run_bot("""
        import logging, signal, socket, sys, threading
        def state():
            return (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.excepthook,
                    threading.excepthook, socket.getdefaulttimeout(), logging.getLogger().handlers, sys.getswitchinterval())
        before = state()
        from status_reporter import get_reporter
        with get_reporter().session("1.0"):
            assert state() == before
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_async_block_ends_without_blocking_the_loop(service: FakeService, make: MakeReporter) -> None:
    """Other tasks go on while the end is delivered; a cancelled task was interrupted."""
    service.stream = "closed"

    async def bot() -> int:
        ticks = 0

        async def other() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        task = asyncio.create_task(other())
        async with make().session("1.0") as reporter:
            reporter.increment_jobs_found()
            ticks = 0
        task.cancel()
        return ticks

    assert asyncio.run(bot()) > 0
    assert service.session.status == "completed"


def test_a_cancelled_task_was_interrupted(service: FakeService, make: MakeReporter) -> None:
    """Cancelling is neither a success nor the bot's failure, and it goes on to whoever cancelled."""

    async def main() -> None:
        async def bot() -> None:
            async with make().session("1.0") as reporter:
                await reporter.wait_async(900)

        task = asyncio.create_task(bot())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert service.session.status == "interrupted"


def test_an_error_of_the_bots_own_kind_is_named_without_asking_it(service: FakeService, make: MakeReporter) -> None:
    """An exception whose text is made by code of the bot's is told by its type and plain arguments."""

    class BrowserError(Exception):
        def __init__(self, msg: str) -> None:
            super().__init__()
            self.msg = msg

        def __str__(self) -> str:
            raise AssertionError

    with pytest.raises(BrowserError), make().session("1.0"):
        raise BrowserError("element not found" + "x" * 1000)
    error = service.last["result"]["error"]
    assert error["type"] == "BrowserError"
    assert error["message"].startswith("element not found")
    assert len(error["message"]) == 500


def test_closing_ends_the_threads(service: FakeService, make: MakeReporter) -> None:
    """After `close` nothing of the reporter is left running, and every call still does no harm."""
    before = threading.active_count()
    reporter = make()
    reporter.start_session("1.0")
    service.wait_for(lambda: service.streams)
    reporter.close()
    end = time.monotonic() + 10
    while any(thread.name.startswith("status-reporter") for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert before >= 2
    reporter.send_heartbeat("x")
    assert reporter.start_session("1.0") == ""
    assert reporter.status["disabled_reason"] == "closed"
    assert service.last["result"]["outcome"] == "interrupted"
