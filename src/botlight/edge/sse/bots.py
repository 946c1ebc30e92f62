"""The event stream for bots: commands, the moment they are given."""

from __future__ import annotations

from botlight.edge.codec import command_document, rfc3339
from botlight.edge.exchange import Exchange
from botlight.edge.sse.frame import farewell, frame
from botlight.edge.sse.push import Push
from botlight.model.access import Principal
from botlight.model.command import Command, commands_for
from botlight.realtime.hub import Hub
from botlight.service.ports import Clock
from botlight.service.queries import Queries

__all__ = ["BotStreams"]


class BotStreams:
    """Serves `GET /commands`."""

    def __init__(self, hub: Hub, queries: Queries, clock: Clock) -> None:
        self._hub = hub
        self._queries = queries
        self._clock = clock

    async def serve(self, exchange: Exchange, principal: Principal, session_id: str, instance_id: str) -> None:
        """Send the whole level of commands, then each new one, until the bot goes.

        Raises:
            Unknown: not this person's session.
            TooManyStreams: a bound is reached.
        """
        await self._queries.state(principal, session_id)
        stream = _BotStream(exchange, self._clock)
        self._hub.attach(principal, session_id, instance_id, stream)
        try:
            # Read after attaching: what is committed in between comes by the hub, what was before stands here.
            state = await self._queries.state(principal, session_id)
            await stream.hello(commands_for(state, instance_id), state.session.heartbeat_s)
            while (await exchange.receive())["type"] != "http.disconnect":
                pass
        finally:
            self._hub.detach(session_id, instance_id, stream)


class _BotStream:
    """One open stream; what the hub calls a bot's reader."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._clock = clock
        self._push = Push(exchange, self._send)
        self._told: set[str] = set()
        self._waiting: list[Command] = []
        self._begun = False

    async def hello(self, commands: list[Command], heartbeat_s: int) -> None:
        """Send the level, and what came while it was read."""
        self._told |= {command.id for command in commands}
        data = {
            "commands": [command_document(command) for command in commands],
            "server_time": rfc3339(self._clock.now()),
            "heartbeat_s": heartbeat_s,
        }
        await self._push.begin()
        self._begun = True
        self._push.write(frame("hello", data))
        self._send()

    def command(self, command: Command) -> None:
        """Send a command that this stream has not told yet."""
        if command.id not in self._told:
            self._told.add(command.id)
            self._waiting.append(command)
            self._send()

    def tick(self) -> None:
        """Show that the stream is open."""
        if self._begun and not self._push.busy:
            self._push.write(frame("tick", {"server_time": rfc3339(self._clock.now())}))

    def close(self) -> None:
        """End the stream."""
        self._push.end()

    def bye(self) -> None:
        """Say when to come back, and end the stream."""
        self._push.end(farewell())

    def _send(self) -> None:
        if self._begun and self._waiting and not self._push.busy:
            waiting, self._waiting = self._waiting, []
            self._push.write(b"".join(frame("command", command_document(command)) for command in waiting))
