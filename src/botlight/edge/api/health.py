"""Alive, able to reach its store, metrics, and the contract itself."""

from __future__ import annotations

import asyncio
from importlib import resources
from pathlib import Path

from botlight.edge.doors import Doors, is_loopback
from botlight.edge.exchange import Exchange
from botlight.edge.metrics import Metrics
from botlight.edge.operation import Call, Operation
from botlight.edge.services import Services
from botlight.model.errors import Unavailable, Unknown

__all__ = ["operations"]

READY_S = 2.0
YAML = (b"content-type", b"application/yaml")


def operations(services: Services, doors: Doors, metrics: Metrics) -> list[Operation]:
    """The operations of this module; they have no prefix."""

    def check(exchange: Exchange) -> None:
        if not (doors.metrics_open or is_loopback(exchange.address)):
            raise Unknown("Open on loopback only; BOTLIGHT_METRICS=open opens it to everybody.")

    async def healthz(call: Call) -> None:
        check(call.exchange)
        await call.exchange.json(200, {"ok": True})

    async def readyz(call: Call) -> None:
        check(call.exchange)
        try:
            async with asyncio.timeout(READY_S):
                await services.store.verify()
        except TimeoutError:
            raise Unavailable("The store does not answer.") from None
        await call.exchange.json(200, {"ok": True})

    async def show_metrics(call: Call) -> None:
        check(call.exchange)
        media_type, body = metrics.exposition()
        await call.exchange.answer(200, body, [(b"content-type", media_type.encode())])

    async def contract(call: Call) -> None:
        await call.exchange.answer(200, _contract(), [YAML])

    return [
        Operation(method="GET", path="/healthz", action=None, handle=healthz),
        Operation(method="GET", path="/readyz", action=None, handle=readyz),
        Operation(method="GET", path="/metrics", action=None, handle=show_metrics),
        Operation(method="GET", path="/openapi.yaml", action=None, handle=contract),
    ]


def _contract() -> bytes:
    """The contract travels inside the wheel; in a checkout it lies beside the source."""
    inside = resources.files("botlight.edge").joinpath("openapi.yaml")
    if inside.is_file():
        return inside.read_bytes()
    return Path(__file__).parents[4].joinpath("contract", "openapi.yaml").read_bytes()
