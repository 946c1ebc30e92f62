"""The servers that the bench compares, each in a process of its own: `python -m bench.servers KIND`.

`service` is Botlight as it is served. `crowd` is the same with room for 5,000 streams and sockets. `single` is the same with one heartbeat a commit. `bare` is an ASGI endpoint on
the same server that reads the body and answers a constant of the same length: what HTTP alone costs.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any

import uvicorn
import uvloop

from botlight.cli.server import serve
from botlight.cli.settings import Settings
from botlight.edge.protocol import Protocol
from botlight.edge.supabase import door
from botlight.realtime import hub
from botlight.service import batch

ANSWER = b'{"ok":true,"applied":true,"session":{"id":"5e0c8a52-6d1b-4f0e-9a37-2b64c1f8d9e0","status":"running"}}'.ljust(
    310
)


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, answer a constant."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def main() -> None:
    """Serve one kind until a signal."""
    kind = sys.argv[1]
    settings = Settings.read()
    if kind == "bare":
        config = uvicorn.Config(
            bare,
            port=settings.port,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
        )
        print(f"bare on {settings.port}", flush=True)
        uvloop.run(uvicorn.Server(config).serve())
        return
    if kind == "single":
        batch.BATCH_SIZE = 1  # type: ignore[misc]  # the bench's own variation
        batch.BATCHES_WAITING = 1024  # type: ignore[misc]
    if kind == "crowd":
        hub.Bounds = partial(hub.Bounds, in_all=5000)  # type: ignore[misc,assignment]  # the bench's own variation
        door.Bounds = partial(door.Bounds, in_all=5000)  # type: ignore[misc,assignment]
    serve(settings, say=lambda text: print(text, flush=True))


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(0)
