"""The socket itself: WebSocket frames in and out of a conversation. Thin; what is decided is decided elsewhere.

Without compression: a document is about 1.5 KB, and a window for each socket would cost more memory than all the rest.
"""

from __future__ import annotations

import asyncio
import http
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from typing import Any, Final, cast

from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import Frame as Wire
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from botlight.edge.codec import encode, rfc3339
from botlight.edge.limits import Limit
from botlight.edge.supabase.conversation import Action, Ask, Conversation, Register, Renew, Say, Unregister
from botlight.edge.supabase.door import Admitted, Door, TurnedBack
from botlight.edge.supabase.frames import Malformed, decode, encoded
from botlight.edge.supabase.reader import Reader, changes_for
from botlight.edge.wire import keep_little_back
from botlight.model.errors import TooManyStreams
from botlight.realtime.subscription import Delivery

__all__ = ["Connection", "protocol_for"]

log = logging.getLogger(__name__)
_silent: Final = logging.getLogger("botlight.websockets")
_silent.disabled = True  # it would write down requests, and with them the secrets in their queries

_numbers: Final = count(1)

MAX_MESSAGE: Final = 128 * 1024
PIECE: Final = 4096
"""Bytes that are read in one go: of a flood of tiny frames no more is looked at once the socket is to be closed."""
MAX_WAITING: Final = 256 * 1024
"""Bytes that may wait for a client that does not read; beyond them the socket is cut. It joins again, and reads anew."""
MAX_DELAYED: Final = 100
UNREADABLE: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
"""What answers a request that is none, a line of more than 8 KB for example."""
FAREWELL_S: Final = 1.0

GOING_AWAY: Final = 1001
INVALID: Final = 1007
TOO_FAST: Final = 1008
BROKEN: Final = 1011
RESTARTING: Final = 1012
TRY_AGAIN_LATER: Final = 1013


class Connection(asyncio.Protocol):
    """One socket, from the request that uvicorn hands over."""

    def __init__(self, door: Door, server: ServerState) -> None:
        self._door = door
        self._server = server
        self._number = next(_numbers)
        self._loop = asyncio.get_running_loop()
        self._web = ServerProtocol(max_size=MAX_MESSAGE, logger=_silent)
        self._transport: asyncio.Transport
        self._admitted: Admitted
        self._conversation = Conversation("")
        self._readers: dict[str, Reader] = {}
        self._message = bytearray()
        self._binary = False
        self._pace = Limit(per_second=100, burst=500)
        self._joins = Limit(per_second=10, burst=200)
        self._asks: dict[str, Ask] = {}
        self._asking: asyncio.Task[None] | None = None
        self._delayed: set[asyncio.TimerHandle] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._heard_at = time.monotonic()
        self._busy = False
        self._answered = False
        self._over = False

    # -- what asyncio says ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over from the HTTP protocol."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._server.connections.add(self)  # type: ignore[arg-type]  # uvicorn asks for `shutdown` alone
        keep_little_back(self._transport)

    def data_received(self, data: bytes) -> None:
        """Take what came; whatever is wrong with it concerns this socket alone."""
        if self._over:  # an answer to it could not be sent any more, not even that to a ping
            return
        self._heard_at = time.monotonic()
        try:
            for at in range(0, len(data), PIECE):
                self._read(data[at : at + PIECE])
                if self._over:
                    break
        except Exception:
            log.exception("a socket failed")
            self.end(BROKEN)
        if self._web.handshake_exc is not None and not self._answered:
            self._transport.write(UNREADABLE)
        self._flush()
        if self._web.close_rcvd is not None:
            self._over = True
            self._transport.close()
            # It waits until all is sent, for ever where the client has said goodbye and reads nothing more.
            self._loop.call_later(FAREWELL_S, self._transport.abort)
        elif self._web.state is not State.OPEN and not self._over:
            self._hang_up()

    def eof_received(self) -> None:
        """The client has gone."""

    def connection_lost(self, _: Exception | None) -> None:
        """Forget everything."""
        self._over = True
        self._server.connections.discard(self)
        self._door.forget(self)
        for reader in tuple(self._readers.values()):
            self._unregister(reader.topic)
        for timer in (*self._delayed, *([self._timer] if self._timer else [])):
            timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        self._busy = True

    def resume_writing(self) -> None:
        """The client has taken everything: what is newest goes out."""
        self._busy = False
        for reader in tuple(self._readers.values()):
            reader.subscription.unblocked()

    # -- the end -------------------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """The service ends; called by uvicorn."""
        self.end(RESTARTING)

    def end(self, code: int = RESTARTING) -> None:
        """Say goodbye and close; a client that takes nothing is cut off."""
        if self._over:
            return
        self._over = True
        with suppress(InvalidState):  # there was no opening, or there has been a goodbye
            self._web.send_close(code)
        self._flush()
        self._hang_up()

    def cut(self) -> None:
        """Break off without a word: the client takes nothing."""
        self._over = True
        self._transport.abort()

    def _hang_up(self) -> None:
        """Let the last word arrive: a connection that is closed while something comes in takes back what went out."""
        self._over = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(FAREWELL_S, self._transport.abort)

    # -- what comes in -------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        self._web.receive_data(data)
        for event in self._web.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif isinstance(event, Wire):
                self._take(event)

    def _open(self, request: Request) -> None:
        self._answered = True
        peer = self._transport.get_extra_info("peername")
        try:
            headers = {name.lower(): value for name, value in request.headers.raw_items()}
            admitted = self._door.admit(request.path, headers, peer[0] if peer else "")
        except TurnedBack as refusal:
            log.debug("socket refused", extra={"status": refusal.status})
            self._web.send_response(_answer(refusal))
            return
        response = self._web.accept(request)
        self._web.send_response(response)
        if self._web.state is not State.OPEN:
            return
        self._admitted = admitted
        self._conversation = Conversation(admitted.apikey)
        log.debug("socket opened", extra={"address": admitted.address, "version": admitted.version})
        self._door.enter(self, lambda: self.end(TRY_AGAIN_LATER))
        self._watch()

    def _take(self, part: Wire) -> None:
        if self._over or part.opcode is Opcode.CLOSE:
            return
        if self._pace.take(""):  # of every frame: pings and the parts of a message are work too
            self.end(TOO_FAST)
            return
        if part.opcode in (Opcode.PING, Opcode.PONG):
            return
        if part.opcode is not Opcode.CONT:
            self._message, self._binary = bytearray(), part.opcode is Opcode.BINARY
        self._message += part.data
        if not part.fin:
            return
        data, self._message = bytes(self._message), bytearray()
        try:
            frame = decode(data, self._admitted.version, binary=self._binary)
        except Malformed:
            self.end(INVALID)
            return
        slow_down = frame.event == "phx_join" and self._joins.take("") > 0
        self._perform(self._conversation.hear(frame, slow_down=slow_down))

    # -- what is to be done --------------------------------------------------------------------------------------

    def _perform(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Say():
                    self._say(action)
                case Ask():
                    self._ask(action)
                case Register():
                    try:
                        self._register(action)
                    except TooManyStreams as refusal:
                        self._perform(self._conversation.turned_away(action, f"ConnectionRateLimitReached: {refusal}"))
                        break
                case Renew():
                    self._readers[action.topic].subscription.principal = action.principal
                case Unregister():
                    self._unregister(action.topic)
        self._door.settle(self, lambda: self.end(TRY_AGAIN_LATER), nobodys=not self._conversation.somebodys)
        self._watch()

    def _say(self, say: Say) -> None:
        if not say.after_s:
            self._send(encoded(say.frame, self._admitted.version))
            return
        if len(self._delayed) >= MAX_DELAYED:
            self.end(TOO_FAST)
            return

        def later() -> None:
            self._delayed.discard(timer)
            self._send(encoded(say.frame, self._admitted.version))
            self._flush()

        timer = self._loop.call_later(say.after_s, later)
        self._delayed.add(timer)

    def _send(self, text: bytes) -> None:
        if not self._over and self._web.state is State.OPEN:
            self._web.send_text(text)

    def _flush(self) -> None:
        data = b"".join(self._web.data_to_send())
        if not data or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_WAITING:
            self.cut()

    def _ask(self, ask: Ask) -> None:
        """One question at a time, the newest of each topic."""
        self._asks[ask.topic] = ask
        if self._asking is None:
            self._asking = self._loop.create_task(self._answer())

    async def _answer(self) -> None:
        while self._asks:
            ask = self._asks.pop(next(iter(self._asks)))
            if self._over or not self._conversation.awaits(ask):
                continue
            try:
                who = await self._door.identify(ask.secret, self._admitted)
                self._perform(self._conversation.answered(ask, who))
            except Exception:
                log.exception("a join failed")
                self.end(BROKEN)
            self._flush()
        self._asking = None

    def _register(self, register: Register) -> None:
        reader = Reader(self, register.topic)
        reader.subscription = self._door.hub.subscribe(register.principal, reader, socket=self._number)
        self._readers[register.topic] = reader
        reader.subscription.release(0, ())
        if self._busy:
            reader.subscription.blocked()

    def _unregister(self, topic: str) -> None:
        reader = self._readers.pop(topic, None)
        if reader is not None:
            self._door.hub.unsubscribe(reader, reader.subscription)

    # -- what the hub tells a channel ----------------------------------------------------------------------------

    def deliver(self, topic: str, delivery: Delivery) -> bool:
        """Send changes on; whatever goes wrong with them concerns this channel alone."""
        at = rfc3339(self._door.clock.now()) or ""
        principal = self._readers[topic].subscription.principal
        try:
            self._perform(self._conversation.changed(topic, changes_for(delivery, principal, at)))
        except Exception:
            log.exception("a change could not be sent")
            self._perform(self._conversation.interrupted(topic))
        self._flush()
        return not self._busy

    def revoked(self, reader: Reader) -> None:
        """End a channel whose token lets nobody in any more."""
        if self._readers.get(reader.topic) is reader:
            self._perform(self._conversation.revoked(reader.topic))
            self._flush()

    # -- time ----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Wake up when the first token expires, or the client has been silent for too long; too early does no harm."""
        due = self._heard_at + self._door.bounds.silence_s
        deadline = self._conversation.deadline
        if deadline is not None:
            due = min(due, time.monotonic() + (deadline - self._door.clock.now()) / 1000)
        if self._over or (self._timer is not None and self._due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), self._woken)

    def _woken(self) -> None:
        self._timer = None
        if time.monotonic() - self._heard_at >= self._door.bounds.silence_s:
            self.end(GOING_AWAY)
            return
        self._perform(self._conversation.expire(self._door.clock.now()))
        self._flush()


def protocol_for(door: Door) -> Any:
    """What uvicorn takes as `ws`: it makes a connection of each request for a socket."""

    def connection(*, server_state: ServerState, **_: Any) -> Connection:
        return Connection(door, server_state)

    return connection


def _answer(refusal: TurnedBack) -> Response:
    body = encode({"error": str(refusal)})
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
    return Response(refusal.status, http.HTTPStatus(refusal.status).phrase, headers, body)
