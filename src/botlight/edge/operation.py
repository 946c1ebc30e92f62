"""One operation of the HTTP interface: who may, what comes in, what goes out. The table of them is the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from msgspec import Struct

from botlight.edge.codec import decode, decode_query
from botlight.edge.exchange import Exchange
from botlight.model.access import Action, Principal
from botlight.model.errors import Unauthorized, Unknown

__all__ = ["Call", "Operation"]

T = TypeVar("T")


class Call(Struct):
    """A request that was let in."""

    exchange: Exchange
    parameters: dict[str, str]
    caller: Principal | None

    @property
    def principal(self) -> Principal:
        """Who asks, where the operation names an action."""
        if self.caller is None:
            raise Unauthorized
        return self.caller

    @property
    def id(self) -> str:
        """The id in the path. What is no UUID does not exist.

        Raises:
            Unknown: it is none.
        """
        try:
            return str(UUID(self.parameters["id"]))
        except ValueError:
            raise Unknown from None

    def query(self, as_type: type[T]) -> T:
        """The query's parameters as a value."""
        return decode_query(self.exchange.query(), as_type)

    async def body(self, as_type: type[T]) -> T:
        """The JSON body as a value."""
        return decode(await self.exchange.body(), as_type)


class Operation(Struct, frozen=True, kw_only=True):
    """A row of the table. `action` None: anybody. `query` and `body` say what the handler decodes."""

    method: str
    path: str
    action: Action | None
    handle: Callable[[Call], Awaitable[Any]]
    query: type | None = None
    body: type | None = None
