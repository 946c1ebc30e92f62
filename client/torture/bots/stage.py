"""What every bot of the torture suite stands on: its steering, its report, its time limit, its reporter.

Standard library and Python 3.9. A bot is a script: it makes a `Stage`, gets a reporter from it, works, and tells what it
did. It is steered by JSON on its command line and line by line on its standard input; it tells on a pipe of its own,
because standard output and standard error have to stay empty.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import logging
import os
import sys
import threading
import time
from typing import Any, cast

from stopwatch import Stopwatch, timed_class

__all__ = ["Stage"]


class _Teller(logging.Handler):
    """Tells the case what the reporter logs."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        """Each record becomes a word `log`."""
        self._stage.tell("log", level=record.levelname, text=record.getMessage())


class Stage:
    """One run of a bot. With `log` in the steering, each record of the reporter's logger is told as `log`."""

    def __init__(self) -> None:
        self.steering: dict[str, Any] = json.loads(sys.argv[1])
        self.watch = Stopwatch()
        self.truth: dict[str, Any] = {}
        self._pipe = int(os.environ["TORTURE_PIPE"])
        faulthandler.dump_traceback_later(self.steering.get("limit_s", 60.0), exit=True)
        if self.steering.get("log"):
            logging.getLogger("status_reporter").addHandler(_Teller(self))
            logging.getLogger("status_reporter").setLevel(logging.DEBUG)

    def __getattr__(self, name: str) -> Any:
        """A value of the steering: `stage.n`."""
        try:
            return self.steering[name]
        except KeyError:
            raise AttributeError(name) from None

    def reporter(self, *, timed: bool = True, **settings: Any) -> Any:
        """A reporter with the token and address of the environment, each of its calls timed unless `timed` is False.

        `settings` are those of `StatusReporter`; what the steering has under `settings` is put over them.
        """
        module = importlib.import_module("status_reporter")
        kind = timed_class(module.StatusReporter, self.watch) if timed else module.StatusReporter
        return kind(**{**settings, **self.steering.get("settings", {})})

    def count(self, name: str, amount: Any = 1) -> None:
        """Notes what was really done; from one thread only."""
        self.truth[name] = self.truth.get(name, 0) + amount

    def tell(self, word: str, **fields: Any) -> None:
        """Tells the case something at once, with the time (monotonic) at which it was said."""
        line = json.dumps({"word": word, "at": time.monotonic(), **fields}, default=str) + "\n"
        with contextlib.suppress(OSError):  # nobody may be listening any more
            os.write(self._pipe, line.encode())

    def hear(self) -> dict[str, Any] | None:
        """Waits for the next line from the case; None when there will be none."""
        line = sys.stdin.readline()
        return cast("dict[str, Any]", json.loads(line)) if line else None

    def done(self, **fields: Any) -> None:
        """Tells what was really done and what the calls cost: the last word of a bot that ends by itself."""
        truth = {name: str(value) for name, value in self.truth.items()}
        self.tell("done", truth=truth, latency=self.watch.report(), threads=self.threads(), **fields)

    @staticmethod
    def threads() -> list[str]:
        """The reporter's threads that are alive."""
        return sorted(one.name for one in threading.enumerate() if one.name.startswith("status-reporter"))
