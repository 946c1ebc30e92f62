"""`botlight watch`: the card in the terminal."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from botlight.cli.credential import credential
from botlight.cli.document import SessionDocument
from botlight.cli.follower import Follower
from botlight.cli.http_service import HttpService
from botlight.cli.keyboard import keys
from botlight.cli.options import DatabaseUrl, TokenStdin, Url, address, given_token, store_settings
from botlight.cli.picture import card, no_card
from botlight.cli.running import run
from botlight.cli.selection import SessionId, chosen

__all__ = ["watch"]

FRAME_S = 0.25
LIFE = timedelta(days=1)


def watch(
    *,
    session: SessionId = None,
    once: Annotated[bool, typer.Option("--once", help="Print one picture and leave.")] = False,
    url: Url = None,
    token_stdin: TokenStdin = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Watch a bot live in the terminal; q or Ctrl-C leaves, the bot goes on.

    Without SESSION it follows the newest running bot, and waits for one when there is none. With SESSION it leaves when that
    session has ended. The picture comes over the event stream; where that cannot be had it asks every 10 s and says so.

    Needs a token of scope view or operate in BOTLIGHT_TOKEN. On the computer that runs the service none is needed: one is
    made in its store for as long as the command runs, a day at most.

    \b
    Examples:
      botlight watch
      botlight watch 5e0c8a52 --once
      BOTLIGHT_URL=https://bots.example.org botlight watch --token-stdin < token.txt
    """  # noqa: D301  \b keeps the examples' lines
    settings = store_settings(database_url)
    where, given = address(url, settings), given_token(from_stdin=token_stdin)

    async def work() -> None:
        async with (
            credential(settings, where, given, name="botlight watch", life=LIFE) as token,
            HttpService(where, token) as service,
        ):
            wanted = (await chosen(service, session)).id if session else None
            watcher = _Watcher(Follower(service), wanted)
            await (watcher.once() if once else watcher.live())

    try:
        run(work())
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


class _Watcher:
    """Draws one session, or the first of the list where none is named."""

    def __init__(self, follower: Follower, wanted: str | None) -> None:
        self._follower = follower
        self._wanted = wanted
        self._console = Console()
        self._left = asyncio.Event()

    async def once(self) -> None:
        """Print one picture."""
        await self._follower.refresh()
        self._console.print(self._picture(mark=""))

    async def live(self) -> None:
        """Draw until a key leaves, the session that was named has ended, or the service refuses."""
        following = asyncio.create_task(self._follower.run())
        following.add_done_callback(lambda _: self._left.set())
        draw = self._draw_in_place if self._console.is_terminal else self._print_changes
        try:
            await draw()
        finally:
            following.cancel()
            await asyncio.wait([following])
        if not following.cancelled() and (trouble := following.exception()):
            raise trouble

    async def _draw_in_place(self) -> None:
        def pressed(key: str) -> None:
            if key in "qQ":
                self._left.set()

        with (
            keys(pressed),
            Live(self._picture(), console=self._console, auto_refresh=False, vertical_overflow="crop") as screen,
        ):
            while not self._over():
                await self._next_frame()
                screen.update(self._picture(), refresh=True)

    async def _print_changes(self) -> None:
        """Where stdout is no terminal: a picture whenever the session has changed."""
        printed = None
        while not self._over():
            await self._next_frame()
            session = self._session()
            drawn = session and (session.id, session.revision, session.state(self._follower.now))
            if self._follower.connected and drawn != printed:
                self._console.print(self._picture())
                printed = drawn

    async def _next_frame(self) -> None:
        """Wait for a change, but not longer than a clock that ticks may stand still."""
        waits = [asyncio.create_task(event.wait()) for event in (self._follower.changed, self._left)]
        await asyncio.wait(waits, timeout=FRAME_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        self._follower.changed.clear()

    def _over(self) -> bool:
        session = self._session()
        return self._left.is_set() or (self._wanted is not None and session is not None and session.ended)

    def _session(self) -> SessionDocument | None:
        return self._follower.session(self._wanted) if self._wanted else self._follower.first()

    def _picture(self, mark: str | None = None) -> RenderableType:
        mark = self._follower.freshness if mark is None else mark
        session = self._session()
        if session is not None:
            return card(session, self._follower.now, mark)
        words = "No bot has reported yet." if self._follower.connected else "Looking for the bot …"
        return no_card(words, mark)
