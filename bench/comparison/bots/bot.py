"""A bot that reports through one of the modules beside it and times what its own thread gives away for that.

`python bot.py MODULE PLAN`, run by the interpreter of the library's own virtual environment. The socket whose number is in
BENCH_LINE tells the bench of every call as it is over, because a bot that hangs has no other last word.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

WARM = 50  # calls before those that are timed one by one


class Line:
    """What the bot tells the bench, a JSON document a line, and what it hears from there."""

    def __init__(self) -> None:
        number = int(os.environ.pop("BENCH_LINE"))
        os.set_inheritable(number, False)
        self._file: TextIO = socket.socket(fileno=number).makefile("rw", encoding="utf-8")

    def tell(self, **document: Any) -> None:
        """Tells one thing."""
        self._file.write(json.dumps(document) + "\n")
        self._file.flush()

    def pause(self, leg: str) -> None:
        """Waits until the bench has set the stage for the next leg; the wait is the bench's and not the library's."""
        self.tell(leg=leg)
        self._file.readline()


def timed(line: Line, name: str, call: Callable[..., Any], *args: Any) -> Any:
    """Makes a call as a bot does whose author guards every one; tells how long it took and what it raised."""
    error, answer = "", None
    began = time.perf_counter()
    try:
        answer = call(*args)
    except BaseException as raised:  # noqa: BLE001 -- whatever a library lets out into the bot is what is counted
        error = f"{type(raised).__name__}: {raised}"
    line.tell(call=name, seconds=time.perf_counter() - began, error=error[:300])
    return answer


def live(line: Line, library: Any, plan: dict[str, Any]) -> None:
    """A bot's life in legs; the first begins with the start, the last ends with the end."""
    total, run = plan["from"], None
    for number, leg in enumerate(plan["legs"]):
        line.pause(leg["name"])
        if number == 0:
            run = timed(line, "start", library.start)
        for _ in range(leg["reports"]):
            total += 1
            timed(line, "report", library.report, run, total)
            time.sleep(leg["apart_s"])
    timed(line, "end", library.end, run)


def measure(line: Line, library: Any, plan: dict[str, Any]) -> None:
    """Many calls one by one, apart from each other, for a limited time."""
    clock, times, run = time.perf_counter_ns, [], library.start()
    until = time.monotonic() + plan["seconds"]
    for total in range(1, WARM + plan["calls"] + 1):
        began = clock()
        library.report(run, total)
        times.append((clock() - began) / 1000)
        if time.monotonic() > until:
            break
        time.sleep(plan["apart_s"])
    library.end(run)
    line.tell(times_us=times[min(WARM, len(times) // 2) :])


def main() -> None:
    """Does what the plan says; the bench measures from the last word to the end of the process."""
    line, plan = Line(), json.loads(sys.argv[2])
    began = time.perf_counter()
    library = importlib.import_module(sys.argv[1])
    line.tell(imported_s=time.perf_counter() - began)
    (measure if "calls" in plan else live)(line, library, plan)
    line.tell(done_at=time.monotonic())


if __name__ == "__main__":
    main()
