"""What `botlight run` tells the service and hears from it, over HTTP, on threads of its own.

It speaks as an instance beside the bot's own reporter, which is one process with one voice; that is why the reporter does
not do this work. Three rules of the merge shape it:

* The newest main instance has the card. Heard before the bot starts, we are main, and a bot that reports takes over; heard
  later, we are a worker, so that we never take the card from the bot.
* Only an explicit result of the newest main instance ends a session. The last word, of somebody who saw the process go,
  therefore comes from a fresh instance; where the bot has said its own end, 409 `ended` says so, and that is well.
* A farewell of our own instance is sent as a replay, which is no sign of life: nothing of the session reports after its end.

No failure here reaches the bot. Losing touch is told once, on stderr.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from httpx_sse import SSEError, connect_sse

from botlight import __version__
from botlight.launcher.verdict import Verdict

__all__ = ["Remote", "Target"]

API: Final = "/api/autoapply/bot"
HEARTBEAT_S: Final = 45
ANSWER_S: Final = 5.0
FOREVER_S: Final = 1e6
BEGIN: Final = httpx.Timeout(2.0, connect=1.0)  # how long a hanging service may hold up the bot's start
SILENCE_S: Final = 40.0
FIRST_DELAY_S: Final = 0.5
LAST_DELAY_S: Final = 30.0
WAITING_HELPS: Final = (429, 500, 502, 503, 504)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where the service is, what lets us in, and which session it is about."""

    url: str
    token: str
    session_id: str
    name: str


class Remote:
    """Our own instance of the session. `begin` first, `end` last; the threads in between need nobody."""

    def __init__(self, target: Target, *, stop_asked: Callable[[], None], say: Callable[[str], None]) -> None:
        """`stop_asked` is called once, on a thread of ours; `say` gets a line for the person."""
        self._target = target
        self._stop_asked = stop_asked
        self._say = say
        self._instance_id = str(uuid4())
        self._role = "main"
        self._began = time.monotonic()
        self._seq = 0
        self._turn = threading.Lock()  # one request of this instance at a time, in the order of `seq`
        self._activity = "running"
        self._moved_at = self._began
        self._received: list[str] = []
        self._over = threading.Event()
        self._due = threading.Event()
        self._told: set[str] = set()
        # A proxy that the environment names is for the world outside, not for this machine.
        outside = (urlsplit(target.url).hostname or "") not in ("127.0.0.1", "localhost", "::1")
        headers = {"Authorization": f"Bearer {target.token}"}
        self._http = httpx.Client(base_url=target.url + API, headers=headers, timeout=ANSWER_S, trust_env=outside)

    def begin(self) -> None:
        """Begin the session. Returns after 2 s at the latest, and keeps at it in the background."""
        if self._speak("start", BEGIN) is None and not self._over.is_set():
            self._role, self._instance_id = "worker", str(uuid4())
            self._due.set()
        for work in (self._beat, self._listen):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()

    def moved(self, at: float) -> None:
        """Note when the bot last gave a sign of going on, in seconds of the steady clock."""
        self._moved_at = max(self._moved_at, at)

    def doing(self, activity: str) -> None:
        """Say what is being done with the bot; it shows while the bot itself says nothing."""
        if activity != self._activity:
            self._activity = activity
            self._due.set()

    def end(self, said: Callable[[], Verdict], patience_s: float) -> None:
        """Say how it ended; for so long at most. A stop that nobody has told us of yet is asked for before `said`."""
        ended = time.monotonic()
        self._over.set()
        self._due.set()
        self._look_for_stop()
        result = said()
        farewell = self._snapshot() | {"replay": True}
        # It says nothing but the end: name and last activity stay as the bot itself gave them.
        kept = {name: farewell[name] for name in ("session_id", "heartbeat_s", "client", "commands")}
        last_word = kept | {"instance_id": str(uuid4()), "role": "main", "attach": True, "seq": 1}
        if not all(self._insist(about, result, ended, ended + patience_s) for about in (farewell, last_word)):
            self._say("Botlight could not be told how the bot ended.")

    def _look_for_stop(self) -> None:
        """Ask whether the bot was told to stop: it may have heard that before us, and have gone at once."""
        try:
            answer = self._http.get("/status", params={"session_id": self._target.session_id}, timeout=BEGIN)
            if answer.is_success and answer.json()["session"]["stop_requested_at"] is not None:
                self._stop_asked()
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            pass  # then what we heard has to do

    def _insist(self, about: dict[str, Any], said: Verdict, ended: float, until: float) -> bool:
        """Whether the service took a result, or said that it needs none."""
        delay_s = FIRST_DELAY_S
        error = {"type": said.error_type, "message": said.error_message} if said.error_type else None
        result: dict[str, Any] = {"outcome": said.outcome, "inferred": False, "error": error}
        while True:
            result["ended_age_ms"] = int((time.monotonic() - ended) * 1000)
            with self._turn:
                answer = self._post("complete", about | {"result": result}, ANSWER_S)
            if answer is not None and answer.status_code not in WAITING_HELPS:
                return answer.is_success or answer.status_code in (409, 410)
            if time.monotonic() + delay_s > until:
                return False
            time.sleep(delay_s)
            delay_s *= 2

    def _beat(self) -> None:
        """A heartbeat at each interval, at once when something is due, and again soon while it is not taken."""
        wait_s, delay_s = float(HEARTBEAT_S), FIRST_DELAY_S
        while not self._over.is_set():
            self._due.wait(wait_s)
            self._due.clear()
            told_s = None if self._over.is_set() else self._speak("heartbeat", ANSWER_S)
            wait_s = delay_s * random.uniform(0.7, 1.3) if told_s is None else told_s  # noqa: S311  no secret
            delay_s = min(LAST_DELAY_S, delay_s * 2) if told_s is None else FIRST_DELAY_S

    def _speak(self, path: str, patience: httpx.Timeout | float) -> float | None:
        """Send a snapshot; after how many seconds the next is due, or None: it was not taken."""
        with self._turn:
            if self._over.is_set():
                return None
            answer = self._post(path, self._snapshot(), patience)
        if answer is None:
            return None
        if answer.is_success:
            self._told.clear()
            return self._heard(answer)
        if answer.status_code in (409, 410):  # the bot has said its end, or its owner has deleted it
            self._over.set()
        elif answer.status_code not in WAITING_HELPS:
            self._tell(f"Botlight at {self._target.url} refuses this bot: {_detail(answer)}")
            self._over.set()
        return None

    def _heard(self, answer: httpx.Response) -> float:
        """Take what an answer carries; after how many seconds the next heartbeat is due."""
        try:
            said = answer.json()
            for command in said["commands"]:
                self._take(command)
            if said["session"]["status"] not in ("running", "lost"):
                return FOREVER_S  # the bot has said its end: nothing of it should report any more
            return max(float(HEARTBEAT_S), float(said["config"]["heartbeat_s"]))
        except (ValueError, KeyError, TypeError):
            return float(HEARTBEAT_S)

    def _listen(self) -> None:
        """Hear commands the moment they are given."""
        delay_s = FIRST_DELAY_S
        query = {"session_id": self._target.session_id, "instance_id": self._instance_id}
        patience = httpx.Timeout(ANSWER_S, read=SILENCE_S)
        while not self._over.is_set():
            try:
                with connect_sse(self._http, "GET", "/commands", params=query, timeout=patience) as source:
                    for event in source.iter_sse():
                        delay_s = FIRST_DELAY_S
                        said = event.json() if event.event in ("hello", "command") else {}
                        for command in said.get("commands", [said] if event.event == "command" else []):
                            self._take(command)
            except (httpx.HTTPError, SSEError, ValueError, AttributeError):
                pass  # heartbeats bring the same, later
            self._over.wait(delay_s * random.uniform(0.7, 1.3))  # noqa: S311  no secret
            delay_s = min(LAST_DELAY_S, delay_s * 2)

    def _take(self, command: Any) -> None:
        """Take a command, once: it comes again and again, by both ways."""
        if not isinstance(command, dict) or command.get("id") in self._received:
            return
        self._received.append(str(command.get("id")))
        self._due.set()
        if command.get("type") == "stop":
            self._stop_asked()

    def _snapshot(self) -> dict[str, Any]:
        self._seq += 1
        now = time.monotonic()
        return {
            "session_id": self._target.session_id,
            "instance_id": self._instance_id,
            "role": self._role,
            "seq": self._seq,
            "heartbeat_s": HEARTBEAT_S,
            "bot": {"name": self._target.name, "platform": sys.platform},
            "client": {"name": "botlight run", "version": __version__},
            "activity": self._activity,
            "progress_age_ms": int((now - self._moved_at) * 1000),
            "commands": [{"id": each, "received": True} for each in self._received],
            "uptime_ms": int((now - self._began) * 1000),
        }

    def _post(self, path: str, body: dict[str, Any], patience: httpx.Timeout | float) -> httpx.Response | None:
        """The service's answer, or None where there is none."""
        try:
            answer = self._http.post(f"/{path}", json=body, timeout=patience)
        except httpx.HTTPError:
            self._tell(f"Botlight at {self._target.url} does not answer; the bot goes on, and it will be told later.")
            return None
        if "X-Status-Api" not in answer.headers:
            self._tell(f"What answers at {self._target.url} is not Botlight; the bot goes on.")
            return None
        return answer

    def _tell(self, line: str) -> None:
        """Say something to the person, once for each time that touch is lost."""
        if line not in self._told:
            self._told.add(line)
            self._say(line)


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
