"""What the doors lead to: the use cases, put together by the composition root."""

from __future__ import annotations

from msgspec import Struct

from botlight.realtime.hub import Hub
from botlight.service.control import Control
from botlight.service.people import People
from botlight.service.ports import Clock, Feed, Store
from botlight.service.principals import Principals
from botlight.service.queries import Queries
from botlight.service.reporting import Reporting
from botlight.service.tokens import Tokens

__all__ = ["Services"]


class Services(Struct, frozen=True, kw_only=True):
    """The use cases that the edge calls."""

    reporting: Reporting
    control: Control
    queries: Queries
    tokens: Tokens
    principals: Principals
    people: People
    hub: Hub
    store: Store
    feed: Feed
    clock: Clock
