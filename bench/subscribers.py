"""Many people with a Supabase client each, in a process of their own: `python -m bench.subscribers PORT TOKENS_FILE BEGAN`.

A thin client, so that what is measured is the service: it joins as the official ones do, and of a change it reads the one
number that says when it was sent. Says `ready` when all are subscribed; for each line on stdin it prints what was delivered
since the line before: {"delivered": …, "late_ms": […]}.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

SENT = re.compile(rb'"jobs_found":(\d+)')
AT_ONCE = 50


class Subscriber(asyncio.Protocol):
    """One person's socket."""

    def __init__(self, port: int, token: str, began: float, late_ms: list[float]) -> None:
        self.subscribed = asyncio.get_running_loop().create_future()
        self._hello = (
            f"GET /realtime/v1/websocket?apikey={token}&vsn=2.0.0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
        ).encode()
        self._began = began
        self._late_ms = late_ms
        self._open = False
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the socket."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._came += data
        if not self._open:
            head, found, self._came = self._came.partition(b"\r\n\r\n")
            if not found:
                self._came = head
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open = True
            self.join()
        while (message := self._message()) is not None:
            self.hear(message)

    def join(self) -> None:
        """Subscribe to everything that is one's own."""
        asked = {"event": "*", "schema": "public", "table": "bot_sessions"}
        text = json.dumps(["1", "1", "realtime:bots", "phx_join", {"config": {"postgres_changes": [asked]}}]).encode()
        # Masked with nought, which leaves it as it is.
        self._transport.write(bytes([0x81, 0x80 | 126]) + len(text).to_bytes(2, "big") + bytes(4) + text)

    def hear(self, message: bytes) -> None:
        """Note how late a change is."""
        if b'"postgres_changes",{"ids"' in message:
            found = SENT.search(message)
            assert found
            self._late_ms.append((time.monotonic() - self._began) * 1000 - int(found[1]) / 1000)
        elif b'"system"' in message:
            assert b"Subscribed to PostgreSQL" in message, message
            self.subscribed.set_result(None)

    def _message(self) -> bytes | None:
        """The next whole message of a server, whose frames are not masked."""
        if len(self._came) < 2:
            return None
        length, at = self._came[1], 2
        if length == 126:
            length, at = int.from_bytes(self._came[2:4], "big"), 4
        if len(self._came) < at + length:
            return None
        message, self._came = self._came[at : at + length], self._came[at + length :]
        return message


async def main(port: int, tokens: list[str], began: float) -> None:
    """Subscribe everybody, then answer questions until stdin ends."""
    late_ms: list[float] = []
    loop = asyncio.get_running_loop()
    for first in range(0, len(tokens), AT_ONCE):
        group = [Subscriber(port, token, began, late_ms) for token in tokens[first : first + AT_ONCE]]
        for number, one in enumerate(group, first):  # each from an address of its own, as people are
            own = (f"127.{1 + number // 62_500}.{number // 250 % 250}.{2 + number % 250}", 0)
            await loop.create_connection(lambda one=one: one, "127.0.0.1", port, local_addr=own)  # type: ignore[misc]
        await asyncio.gather(*(one.subscribed for one in group))
    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({"delivered": len(late_ms), "late_ms": late_ms}), flush=True)
        late_ms.clear()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2]).read_text().split(), float(sys.argv[3])))
