"""The whole of Botlight in one terminal, `make demo`: a service, a job board, and a bot that applies for jobs on it.

Starts the three as a person would, prints the link to open, and runs until Ctrl-C; then it ends what it started. Everything
is kept in a temporary folder and gone afterwards.
"""

import argparse
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
PORTS = range(3000, 3100)
PAUSE_S = 1.2  # between two applications: a pace that a person can follow
JOBS = 60  # that each bot looks at: some minutes of work
NEXT_BOT_S = 20  # after one that has done its work; one that was stopped stays stopped
READY_S = 30
LOOK_S = 0.1


class EndedError(Exception):
    """The person has pressed Ctrl-C."""


class BrokenError(Exception):
    """A part of the demo does not run; the text says which, and its last words."""


class Part:
    """One process of the demo, in a process group of its own; what it says goes into a file."""

    def __init__(self, name: str, module: str, *arguments: str, folder: Path, environment: dict[str, str]) -> None:
        self.name = name
        self._log = folder / f"{name.replace(' ', '_')}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 (our own modules)
                [sys.executable, "-m", module, *arguments],
                cwd=HERE.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def words(self) -> str:
        """What it has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def send(self, number: int) -> None:
        """Sends a signal to all of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def wait_until(self, moment: float) -> None:
        """Waits for its end, until a moment of the steady clock at most."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, moment - time.monotonic()))


class Demo:
    """The three parts together."""

    def __init__(self, folder: Path, *, browser: bool) -> None:
        self._folder = folder
        self._browser = "--browser" if browser else "--no-browser"
        self._over = threading.Event()
        self._asked = threading.Event()  # Enter was pressed
        self._parts: list[Part] = []
        self._bots = 0
        self._port = _free_port()
        own = {name: value for name, value in os.environ.items() if not re.match("BOTLIGHT_|STATUS_REPORTER_", name)}
        self._environment = own | {
            "BOTLIGHT_DATABASE_URL": (folder / "botlight.db").as_uri().replace("file:", "sqlite:", 1),
            "BOTLIGHT_PORT": str(self._port),
            "PYTHONUNBUFFERED": "1",
            "XDG_STATE_HOME": str(folder / "state"),  # what the bot could not deliver goes with the rest of the demo
        }
        if "BOTLIGHT_POSTINGS" in os.environ:
            self._environment["BOTLIGHT_POSTINGS"] = os.environ["BOTLIGHT_POSTINGS"]

    def end(self, *_: object) -> None:
        """Asks for the end; may be called from a signal handler."""
        self._over.set()

    def run(self) -> None:
        """Runs until the end is asked for. Raises BrokenError when a part does not run."""
        signals = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        for number in signals:
            signal.signal(number, self.end)
        try:
            self._start()
            self._keep_going()
        except EndedError:
            _say("\nEnding the bot, the job board and the service …")
        finally:
            self._end_all()

    def _start(self) -> None:
        _say("Starting Botlight, a job board, and a bot that applies for jobs on it …")
        if self._port != PORTS[0]:
            _say(f"Port {PORTS[0]} is in use by another program, so this Botlight takes port {self._port}.")
        service = self._add("service", "botlight.cli.main", "serve")
        board = self._add("job board", "examples.job_board", "--port", "0", "--journal", str(self._folder / "journal"))
        self._wait_for(service, self._service_answers)
        self._wait_for(board, lambda: "http://" in board.words())
        found = re.search(r"http://\S+", board.words())
        self._board = found[0] if found else ""
        self._token = self._botlight("token", "create", "--scope", "report", "--name", "Auto-apply bot")
        self._preferences = self._folder / "preferences.toml"
        wishes = (HERE / "auto_apply_bot" / "preferences.toml").read_text(encoding="utf-8")
        for setting, value in (("pause_s", PAUSE_S), ("limit", JOBS)):
            wishes = re.sub(rf"(?m)^{setting} = \S+", f"{setting} = {value}", wishes)
        self._preferences.write_text(wishes, encoding="utf-8")
        self._bot = self._start_bot()
        _say(f"\n  Open this, and press its button:  {self._botlight('link')}\n")
        _say("There you see the bot work, and stop it. Enter makes a fresh link; Ctrl-C ends the demo.")

    def _keep_going(self) -> None:
        """Looks after the parts, and after Enter."""
        threading.Thread(target=self._read_keys, daemon=True).start()
        while True:
            self._pause(LOOK_S)
            for part in self._parts:
                if part is not self._bot and not part.runs:
                    raise BrokenError(f"The {part.name} has ended.\n{part.words()[-2000:]}")
            if not self._bot.runs:
                self._bot = self._another_bot()
            elif self._asked.is_set():
                self._asked.clear()
                _say(f"  A fresh link:  {self._botlight('link')}")

    def _another_bot(self) -> Part:
        """Waits until it is time for the next bot, and starts it: a stopped one stays stopped until the person says so."""
        outcome = self._outcome()
        if outcome == "success":
            _say(f"The bot has done its work; another one starts in {NEXT_BOT_S} s, or when you press Enter.")
        else:
            _say(f"The bot has ended ({outcome}). Press Enter to start another one, or Ctrl-C to end the demo.")
        until = time.monotonic() + NEXT_BOT_S
        while not self._asked.is_set() and not (outcome == "success" and time.monotonic() > until):
            self._pause(LOOK_S)
        self._asked.clear()
        return self._start_bot()

    def _start_bot(self) -> Part:
        self._bots += 1
        self._session = str(uuid.uuid4())
        self._environment |= {
            "STATUS_REPORTER_URL": f"http://127.0.0.1:{self._port}",
            "STATUS_REPORTER_TOKEN": self._token,
            "STATUS_REPORTER_SESSION": self._session,  # so that we can ask how it ended
        }
        # Each bot signs in under a name of its own: the board takes one application for a job from each.
        wishes = ("--preferences", str(self._preferences), "--user", f"robin {self._bots}", self._browser)
        return self._add("bot", "examples.auto_apply_bot", "--board", self._board, *wishes)

    def _outcome(self) -> str:
        """How the bot ended, as the board shows it."""
        address = f"http://127.0.0.1:{self._port}/api/autoapply/bot/status?session_id={self._session}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self._token}"})
        try:
            with _opener().open(request, timeout=5) as answer:
                outcome = json.load(answer)["session"]["outcome"]
        except (OSError, ValueError, KeyError):
            outcome = None
        return outcome or f"exit code {self._bot.process.returncode}"

    def _service_answers(self) -> bool:
        try:
            with _opener().open(f"http://127.0.0.1:{self._port}/readyz", timeout=1):
                return True
        except OSError:
            return False

    def _add(self, name: str, module: str, *arguments: str) -> Part:
        self._parts = [part for part in self._parts if part.name != name]
        part = Part(name, module, *arguments, folder=self._folder, environment=self._environment)
        self._parts.append(part)
        return part

    def _botlight(self, *arguments: str) -> str:
        """Runs a command of Botlight to its end, and returns what it printed."""
        command = subprocess.Popen(  # noqa: S603 (our own commands)
            [sys.executable, "-m", "botlight.cli.main", *arguments],
            cwd=HERE.parent,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            while command.poll() is None:
                self._pause(LOOK_S / 2)
        finally:
            command.kill()
            out, problem = command.communicate()
        if command.returncode != 0:
            raise BrokenError(problem.strip())
        return out.strip()

    def _wait_for(self, part: Part, is_ready: Callable[[], bool]) -> None:
        until = time.monotonic() + READY_S
        while not is_ready():
            if not part.runs or time.monotonic() > until:
                raise BrokenError(f"The {part.name} does not start.\n{part.words()[-2000:]}")
            self._pause(LOOK_S)

    def _pause(self, seconds: float) -> None:
        if self._over.wait(seconds):
            raise EndedError

    def _read_keys(self) -> None:
        """Notes each Enter; where there is no terminal, there is none."""
        if sys.stdin is not None and sys.stdin.isatty():
            for _ in sys.stdin:
                self._asked.set()

    def _end_all(self) -> None:
        """Ends the bot first, so that it can say so; nothing outlives 4.5 s."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # it is under way
        now = time.monotonic()
        bots = [part for part in self._parts if part.name == "bot"]
        others = [part for part in self._parts if part.name != "bot"]
        for parts, number, moment in ((bots, signal.SIGINT, now + 2), (others, signal.SIGTERM, now + 4.5)):
            for part in parts:
                part.send(number)
            for part in parts:
                part.wait_until(moment)
        for part in self._parts:
            part.send(signal.SIGKILL)  # also what a part has left behind in its group
            part.process.wait()
            if "Traceback (most recent call last)" in part.words():
                _say(f"The {part.name} had trouble:\n{part.words()[-4000:]}")


def _free_port() -> int:
    """Port 3000, or the next one that nobody listens on, be it at 127.0.0.1 or at ::1."""
    return next(port for port in PORTS if not any(_is_taken(address, port) for address in ("127.0.0.1", "::1")))


def _is_taken(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.create_server((address, port), family=family).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE  # anything else: this computer has no such address
    return False


def _opener() -> urllib.request.OpenerDirector:
    """Asks this machine; a proxy that the environment names is for the world outside."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Runs the demo; 0 after Ctrl-C, 1 when a part does not run."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="Shows Botlight with a real bot.")
    parser.add_argument("--browser", action="store_true", help="let the bot drive a Chromium instead of plain HTTP")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="botlight-demo-", ignore_cleanup_errors=True) as folder:
        try:
            Demo(Path(folder), browser=options.browser).run()
        except BrokenError as problem:
            print(f"demo: {problem}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
