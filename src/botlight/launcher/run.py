"""`botlight run`: runs a bot, shows it on the board, and ends it when its owner asks and it does not end by itself."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import FrameType
from typing import Final
from uuid import uuid4

from botlight.launcher.child import CannotStart, Child
from botlight.launcher.remote import Remote, Target
from botlight.launcher.tail import secrets_in
from botlight.launcher.verdict import Ending, verdict

__all__ = ["Access", "launch"]

FAREWELL_S: Final = 5.0
LOOK_S: Final = 1.0  # an end or a stop wakes us at once
HOPELESS_S: Final = 5.0  # what SIGKILL has not ended by then hangs in the system
PASSED_ON: Final = ("SIGINT", "SIGTERM", "SIGHUP")


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Where the service is, and the bot's token."""

    url: str
    token: str


def launch(
    command: Sequence[str],
    access: Access | None,
    *,
    name: str | None,
    grace_s: float,
    kill_after_s: float,
    say: Callable[[str], None],
) -> int:
    """Run the bot to its end; the exit code is the bot's, or 128 + the signal that ended it. Call it on the main thread.

    Args:
        command: the program and its arguments.
        access: None: nobody is told.
        name: what the bot is called until it says its own name; by default after its program.
        grace_s: after a stop, how long the bot may take to end by itself before SIGTERM.
        kill_after_s: after SIGTERM, how long all of it may take before SIGKILL.
        say: gets a line for the person.

    Raises:
        CannotStart: there is no such program, or it may not be run.
    """
    if shutil.which(command[0]) is None:
        problem, code = ("is not executable", 126) if Path(command[0]).exists() else ("is not there", 127)
        raise CannotStart(f"The program {command[0]!r} {problem}.", code)
    return _Run(command, access, name, say).to_the_end(grace_s, kill_after_s)


class _Run:
    """One bot from start to end."""

    def __init__(
        self, command: Sequence[str], access: Access | None, name: str | None, say: Callable[[str], None]
    ) -> None:
        self._command = command
        self._name = name
        self._news = threading.Event()
        self._stop_at: float | None = None
        self._passed_on: int | None = None
        self._forced_by: str | None = None
        self._terminated_at: float | None = None
        self._killed_at: float | None = None
        self._child: Child | None = None
        self._environment = dict(os.environ)
        self._remote: Remote | None = None
        if access is not None:
            target = Target(url=access.url, token=access.token, session_id=str(uuid4()), name=name or _name(command))
            self._environment |= _for_the_bot(target, name)
            self._remote = Remote(target, stop_asked=self._stop_asked, say=say)

    def to_the_end(self, grace_s: float, kill_after_s: float) -> int:
        """Start, watch, stop where asked, and tell how it ended."""
        with self._passing_signals_on():
            if self._remote is not None:
                self._remote.begin()
            child = self._child = Child(self._command, self._environment, ended=self._news.set)
            if self._passed_on is not None:
                child.forward(self._passed_on)  # it came while the bot was not there yet
            self._watch(child, grace_s, kill_after_s)
            exit_code = child.exit_code or 0
            if self._remote is not None:
                self._remote.end(lambda: verdict(self._ending(child, exit_code, grace_s)), FAREWELL_S)
        return exit_code if exit_code >= 0 else 128 - exit_code

    def _stop_asked(self) -> None:
        if self._stop_at is None:
            self._stop_at = time.monotonic()
            self._news.set()

    def _watch(self, child: Child, grace_s: float, kill_after_s: float) -> None:
        """Return when the bot has gone; after a stop, when all that it started has gone too."""
        while child.exit_code is None or self._leaves_others(child):
            if self._stop_at is not None:
                self._press(child, self._stop_at + grace_s, kill_after_s)
            if self._remote is not None and child.output_at is not None:
                self._remote.moved(child.output_at)
            self._news.wait(LOOK_S if self._stop_at is None else LOOK_S / 10)
            self._news.clear()

    def _leaves_others(self, child: Child) -> bool:
        """Whether a stopped bot has left processes behind that can still be ended."""
        hopeless = self._killed_at is not None and time.monotonic() > self._killed_at + HOPELESS_S
        return self._stop_at is not None and not hopeless and bool(child.family())

    def _press(self, child: Child, due_at: float, kill_after_s: float) -> None:
        """What comes next for a bot that was asked to stop. What it leaves behind gets no grace time of its own."""
        now, gone = time.monotonic(), child.exit_code is not None
        if self._remote is not None:
            self._remote.doing("stopping")
        if self._terminated_at is None:
            if not gone and now < due_at:
                child.family()  # remembered: later some of them may be nobody's children any more
                return
            self._terminated_at = now
            self._forced_by = None if gone else "SIGTERM"
            child.terminate()
        elif now >= self._terminated_at + kill_after_s:
            self._killed_at = self._killed_at or now
            self._forced_by = self._forced_by if gone else "SIGKILL"
            child.kill()

    def _ending(self, child: Child, exit_code: int, grace_s: float) -> Ending:
        return Ending(
            exit_code=exit_code,
            stop_asked=self._stop_at is not None,
            forced_by=self._forced_by,
            grace_s=grace_s,
            passed_on=self._passed_on,
            output=child.tail.text(secrets_in(self._environment)),
        )

    @contextmanager
    def _passing_signals_on(self) -> Iterator[None]:
        """The bot is in a session of its own: what comes to us is meant for it."""

        def pass_on(number: int, _: FrameType | None) -> None:
            self._passed_on = number
            if self._child is not None:
                self._child.forward(number)

        before = {}
        for name in PASSED_ON:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                before[number] = signal.signal(number, pass_on)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _for_the_bot(target: Target, name: str | None) -> dict[str, str]:
    """What the bot's own reporter finds in its environment."""
    named = {"STATUS_REPORTER_NAME": name} if name else {}
    return named | {
        "STATUS_REPORTER_URL": target.url,
        "STATUS_REPORTER_TOKEN": target.token,
        "STATUS_REPORTER_SESSION": target.session_id,
    }


def _name(command: Sequence[str]) -> str:
    """What a bot is called after its program: for `python -m jobs.bot` that is "jobs.bot", for `python bot.py` "bot.py"."""
    program, *arguments = command
    if PurePath(program).name.startswith(("python", "pypy", "node")) and "-c" not in arguments:
        program = next((each for each in arguments if not each.startswith("-")), program)
    return os.environ.get("STATUS_REPORTER_NAME", "").strip()[:64] or PurePath(program).name[:64]
