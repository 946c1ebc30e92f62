"""The doors and the hub on an open house, in this process: a service whose bounds a test chooses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from msgspec import Struct

from botlight.edge.app import create_app
from botlight.edge.doors import Doors
from botlight.edge.protocol import Protocol
from botlight.edge.services import Services
from botlight.edge.supabase import door as supabase
from botlight.edge.supabase.connection import protocol_for
from botlight.model.access import Scope
from botlight.realtime.hub import Bounds, Hub
from tests.service.house import ALICE, House

__all__ = ["SmallService", "small_service"]

HOST: Final = "127.0.0.1"


class SmallService(Struct, frozen=True):
    """Where it is, its hub, and a token of Alice's to look with."""

    address: str
    hub: Hub
    view: str


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the test."""
        yield


@asynccontextmanager
async def small_service(
    house: House, bounds: Bounds, sockets: supabase.Bounds | None = None
) -> AsyncIterator[SmallService]:
    """Serve a house until the test is done with it."""
    hub = Hub(house.store, house.tokens.valid, bounds)
    services = Services(
        reporting=house.reporting,
        control=house.control,
        queries=house.queries,
        tokens=house.tokens,
        principals=house.principals,
        people=house.people,
        hub=hub,
        store=house.store,
        feed=house.store,
        clock=house.clock,
    )
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        app = create_app(services, house.access, Doors(port=port))
        door = supabase.Door(services, Doors(port=port), sockets)
        config = uvicorn.Config(
            app, http=Protocol, ws=protocol_for(door), lifespan="off", log_config=None, access_log=False
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        checking = asyncio.create_task(hub.run(house.store.verify))
        _, view = await house.tokens.issue(ALICE.user_id, "view", Scope.VIEW)
        try:
            yield SmallService(f"http://{HOST}:{port}", hub, view)
        finally:
            hub.bye()
            server.should_exit = True
            await serving
            checking.cancel()
            await asyncio.gather(checking, return_exceptions=True)
