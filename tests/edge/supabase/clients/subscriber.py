"""The official Python clients, one command on a line of stdin, what they say on lines of stdout, both JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from realtime import AsyncRealtimeClient

from supabase import acreate_client


def say(id_: str, **what: Any) -> None:
    """One line."""
    print(json.dumps({"id": id_, **what}), flush=True)  # noqa: T201  it is what the test reads


class Subscriber:
    """One client with its channels."""

    def __init__(self, id_: str, realtime: AsyncRealtimeClient) -> None:
        self._id = id_
        self._realtime = realtime
        self._channels: dict[str, Any] = {}

    async def subscribe(self, command: dict[str, Any]) -> None:
        """Open a channel, with as many bindings as the test wants."""
        name = command["name"]
        channel = self._channels[name] = self._realtime.channel(name)
        for binding in command["bindings"]:
            channel.on_postgres_changes(
                **binding, callback=lambda payload: say(self._id, name=name, change=_flat(payload["data"]))
            )
        channel.on_system(lambda payload: say(self._id, name=name, system=payload.model_dump()))
        await channel.subscribe(
            lambda status, error: say(self._id, name=name, status=status.value, error=error and str(error))
        )

    async def token(self, command: dict[str, Any]) -> None:
        """Go on with another token."""
        await self._realtime.set_auth(command["token"])

    async def leave(self, command: dict[str, Any]) -> None:
        """Leave a channel."""
        await self._channels[command["name"]].unsubscribe()
        say(self._id, name=command["name"], left="ok")

    async def close(self, _: dict[str, Any]) -> None:
        """Leave everything."""
        await self._realtime.remove_all_channels()


def _flat(data: Any) -> dict[str, Any]:
    """The change in the words of the JavaScript clients."""
    found = data if isinstance(data, dict) else data.model_dump(mode="json")
    return {
        "eventType": getattr(found["type"], "value", found["type"]),
        "new": found.get("record") or {},
        "old": found.get("old_record") or {},
        "columns": len(found["columns"]),
        "errors": found["errors"],
    }


async def opened(command: dict[str, Any]) -> Subscriber:
    """A client of the kind that is asked for."""
    if command["client"] == "supabase":
        supabase = await acreate_client(command["url"], command["key"])
        realtime: AsyncRealtimeClient = supabase.realtime
    else:
        url = command["url"].replace("http", "ws", 1) + "/realtime/v1"
        realtime = AsyncRealtimeClient(url, command["key"])
    if command["token"] is not None:
        await realtime.set_auth(command["token"])
    return Subscriber(command["id"], realtime)


async def done(subscribers: dict[str, Subscriber], command: dict[str, Any]) -> None:
    """Do one command, and say so."""
    try:
        if command["do"] == "open":
            subscribers[command["id"]] = await opened(command)
        else:
            await getattr(subscribers[command["id"]], command["do"])(command)
    except Exception as error:  # noqa: BLE001  whatever a client raises is the test's to see
        say(command["id"], failed=command["do"], error=repr(error))
    else:
        say(command["id"], done=command["do"])


async def main() -> None:
    """Do what stdin says until it ends, beside one another: a client whose service has gone holds up no other."""
    subscribers: dict[str, Subscriber] = {}
    doing = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        task = asyncio.create_task(done(subscribers, json.loads(line)))
        doing.add(task)
        task.add_done_callback(doing.discard)


asyncio.run(main())
