"""Bots as children: scripts of `bots/` on a Python under test, with the one file on their path and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torture.journal import wait_for
from torture.latency_probe import verdict
from torture.leak_probe import LeakProbe
from torture.services import Service

from tests.support.pythons import Python

__all__ = ["Bot", "StartBot", "do", "start", "status", "wardrobe"]

HERE = Path(__file__).parent
REPORTER = Path(os.environ.get("TORTURE_REPORTER") or HERE.parent / "status_reporter.py")
FLAGS = ("-W", "error")
INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")


def wardrobe(folder: Path) -> Path:
    """Copies into `folder` what bots need: the reporter as it is now, and the scripts. Answers the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPORTER, folder / "status_reporter.py")
    for script in (HERE / "bots").glob("*.py"):
        shutil.copy(script, folder)
    return folder


class Bot:
    """A bot that runs or has run; `said` is what it told, word by word, `out` and `err` what it printed."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: int, prints: Path) -> None:
        self.process = process
        self.prints = prints  # where `out` and `err` are
        self.said: list[dict[str, Any]] = []
        self.cmdline = b""
        self._reader = threading.Thread(target=self._listen, args=(pipe,), daemon=True)
        self._reader.start()
        with contextlib.suppress(OSError):
            self.cmdline = Path(f"/proc/{process.pid}/cmdline").read_bytes()

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    @property
    def out(self) -> str:
        """Its standard output so far."""
        return (self.prints / "out").read_text("utf-8", "replace")

    @property
    def err(self) -> str:
        """Its standard error so far."""
        return (self.prints / "err").read_text("utf-8", "replace")

    def say(self, **words: Any) -> None:
        """Sends it a line, which `Stage.hear` answers."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        self.process.stdin.flush()

    def heard(self, word: str, seconds: float = 20.0, *, nth: int = 1) -> dict[str, Any]:
        """Waits until it has told `word` for the nth time, and answers that line."""

        def found() -> dict[str, Any] | None:
            lines = [one for one in list(self.said) if one["word"] == word]
            if len(lines) < nth and self.process.poll() is not None:
                self._reader.join(1)
                lines = [one for one in list(self.said) if one["word"] == word]
                assert len(lines) >= nth, f"the bot ended ({self.process.returncode}) without {word!r}: {self.err}"
            return lines[nth - 1] if len(lines) >= nth else None

        return wait_for(found, seconds, lambda: f"{word!r} of the bot; it said {self.said[-3:]}; {self.err}")

    def wait(self, seconds: float = 60.0, *, code: int | None = 0) -> float:
        """Waits for its end, which has to come with this exit code (None: any); answers when it came (monotonic)."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(10)
            raise AssertionError(f"the bot did not end within {seconds} s: {self.err}") from None
        ended = time.monotonic()
        self._reader.join(10)
        if code is not None:
            assert (self.process.returncode, self.out, self.err) == (code, "", "")
        return ended

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends it a signal, and waits for its end when that is SIGKILL."""
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait(10)
            self._reader.join(10)

    @property
    def report(self) -> dict[str, Any]:
        """The last word of a bot that ended by itself: `truth`, `latency`, `threads` and what the script added."""
        return self.heard("done", 1)

    @property
    def truth(self) -> dict[str, Any]:
        """What it really did."""
        truth: dict[str, Any] = self.report["truth"]
        return truth

    def close(self) -> None:
        """Ends it if the case has not."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        self._reader.join(10)

    def check(self, leaks: LeakProbe) -> None:
        """What must hold after every case: no call blocked, and the token is nowhere it should not be."""
        for line in self.said:
            if "latency" in line:
                problem = verdict(line["latency"])
                assert not problem, f"the reporter blocks the bot: {problem}"
        for where, text in (("its output", self.out), ("its errors", self.err), ("its words", json.dumps(self.said))):
            leaks.check(where, text)
        leaks.check("its command line", self.cmdline)

    def _listen(self, pipe: int) -> None:
        with os.fdopen(pipe, "rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # a killed bot may leave half a line
                    self.said.append(json.loads(line))


class StartBot(Protocol):
    """Starts a bot that reports to a service; it is ended with the case, and then all that must hold is checked."""

    def __call__(self, service: Service, python: Python, script: str, **more: Any) -> Bot:
        """`script` is a file of `bots/`; `more` is that of `start` below."""
        ...


def start(
    wardrobe: Path,
    home: Path,
    python: Python,
    script: str,
    *,
    url: str,
    token: str,
    flags: tuple[str, ...] = FLAGS,
    env: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    before: Callable[[], None] | None = None,
    **steering: Any,
) -> Bot:
    """Starts `bots/<script>.py` on `python`, for a user whose home is `home`: what is spooled there the next bot finds.

    `prefix` goes before the command (`strace …`, `unshare …`), `before` runs in the child before it, `env` is put over
    a small environment (the caller's is not inherited). `steering` becomes `stage.<name>` in the script; `limit_s` of it
    is after how many seconds the bot dumps all its stacks and dies.
    """
    prints = Path(tempfile.mkdtemp(prefix=f"{script}-", dir=home))
    reading, writing = os.pipe()
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment |= {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"STATUS_REPORTER_TOKEN": token, "STATUS_REPORTER_URL": url, "TORTURE_PIPE": str(writing)}
    command = [*prefix, python.path, *flags, str(wardrobe / f"{script}.py"), json.dumps(steering)]
    try:
        with (prints / "out").open("wb") as out, (prints / "err").open("wb") as err:
            process = subprocess.Popen(
                command,
                cwd=home,
                env=environment | (env or {}),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                pass_fds=(writing,),
                preexec_fn=before,  # noqa: PLW1509 -- limits and signal masks of the child, nothing that takes a lock
            )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return Bot(process, reading, prints)


def do(bot: Bot, name: str, *args: Any, **kwargs: Any) -> Any:
    """Has a puppet call a method; answers what that answered."""
    nth = sum(one["word"] == "did" for one in bot.said) + 1
    bot.say(do=name, args=args, kwargs=kwargs)
    return bot.heard("did", nth=nth)["answer"]


def status(bot: Bot) -> dict[str, Any]:
    """What a puppet's reporter says of itself."""
    nth = sum(one["word"] == "got" for one in bot.said) + 1
    bot.say(get="status")
    answer: dict[str, Any] = bot.heard("got", nth=nth)["value"]
    return answer
