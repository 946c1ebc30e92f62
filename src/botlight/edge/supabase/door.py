"""Who may open a socket, who comes with a secret, and how many sockets there may be."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from botlight.edge.doors import Doors
from botlight.edge.limits import Limit
from botlight.edge.services import Services
from botlight.edge.supabase.conversation import TurnedAway
from botlight.edge.supabase.frames import Version
from botlight.model.access import Principal, Scope
from botlight.model.errors import Unauthorized, Unavailable

__all__ = ["PATHS", "Admitted", "Bounds", "Door", "TurnedBack"]

PATHS: Final = frozenset({"/realtime/v1/websocket", "/socket/websocket"})
MAX_KEY: Final = 4096
OURS: Final = "bl_"
KEY_OF_A_PROJECT: Final = "sb_"
NOBODYS_ROLES: Final = ("anon", "service_role")  # no set: what a token says may be of a kind that none can be asked for
JWT_PARTS: Final = 3
VERSIONS: Final = frozenset(one.value for one in Version)


class TurnedBack(Exception):  # noqa: N818  an answer, not a fault
    """The socket is not opened; status and message are the answer to its request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Admitted(Struct, frozen=True, kw_only=True):
    """A socket that may be opened."""

    version: Version
    apikey: str
    address: str


class Bounds(Struct, frozen=True, kw_only=True):
    """How many sockets may be open, and how long a client may be silent.

    Of those that belong to nobody the oldest goes when there is one too many: strangers cannot keep people out.
    """

    in_all: int = 2000
    nobodys: int = 200
    silence_s: float = 60.0


class Door:
    """The rules of the socket's door, for all sockets of this process."""

    def __init__(self, services: Services, doors: Doors, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.hub = services.hub
        self.clock = services.clock
        self._principals = services.principals
        self._doors = doors
        self._hosts = doors.hosts
        self._origins = doors.origins | doors.allowed_origins
        self._prefix = doors.prefix
        self._openings = Limit(per_second=10, burst=200)
        self._strangers = Limit(per_second=5, burst=50)
        self._open: dict[object, None] = {}
        self._nobodys: dict[object, Callable[[], None]] = {}

    # -- the request ---------------------------------------------------------------------------------------------

    def admit(self, target: str, headers: Mapping[str, str], peer: str) -> Admitted:
        """Look at a request for a socket; `headers` by their lower-case names. Its query is written nowhere.

        Raises:
            TurnedBack: no socket here, or not for this one.
        """
        path, _, query = target.partition("?")
        if path.removeprefix(self._prefix) not in PATHS:
            raise TurnedBack(404, "There is no socket here, only at /realtime/v1/websocket.")
        host = headers.get("host", "")
        if host.lower() not in self._hosts:
            raise TurnedBack(421, f"Not a name of this service: {host[:100]!r}. BOTLIGHT_ALLOWED_HOSTS adds it.")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self._origins:
            raise TurnedBack(403, f"Pages of {origin[:100]!r} may not come. BOTLIGHT_ALLOWED_ORIGINS adds it.")
        address = self._doors.peer(peer, headers.get("x-forwarded-for", ""))
        if self._openings.take(address):
            raise TurnedBack(429, "Too many sockets from this address within a short time.")
        version, apikey = _asked(query)
        apikey = apikey or headers.get("x-api-key", "")
        if not apikey:
            raise TurnedBack(401, "The apikey is missing: a token that may view, or any key together with one.")
        if len(apikey) > MAX_KEY or not apikey.isascii():
            raise TurnedBack(401, f"The apikey may have {MAX_KEY} ASCII characters.")
        if len(self._open) >= self.bounds.in_all:
            raise TurnedBack(503, "The service has as many open sockets as it can hold.")
        return Admitted(version=version, apikey=apikey, address=address)

    # -- the secret ----------------------------------------------------------------------------------------------

    async def identify(self, secret: str | None, admitted: Admitted) -> Principal | TurnedAway | None:
        """Who comes with a secret: a person, nobody (None), or somebody who is not let in."""
        if secret is None or secret.startswith(KEY_OF_A_PROJECT):
            return None
        claims = _claims(secret)
        if claims is not None and (claims.get("role") in NOBODYS_ROLES or not claims.get("sub")):
            return None  # who signed it does not matter: nobody is sent nothing
        try:
            principal = await self._principals.principal(secret)
        except Unauthorized as refusal:
            return self._unknown(secret, admitted, str(refusal), jwt=claims is not None)
        except Unavailable as refusal:
            return TurnedAway(f"RealtimeRestarting: {refusal}", certain=False)
        person = principal.issuer is not None  # a sign-in is a cookie, and none is taken here
        if person or principal.scope in (Scope.VIEW, Scope.OPERATE):
            return principal
        return TurnedAway("Unauthorized: expected a token that may view or operate, or a JWT")

    def _unknown(self, secret: str, admitted: Admitted, reason: str, *, jwt: bool) -> TurnedAway | None:
        if self._strangers.take(admitted.address):
            return TurnedAway("ClientJoinRateLimitReached: Too many unknown tokens from this address")
        if secret == admitted.apikey and not jwt and not secret.startswith(OURS):
            return None  # a key of another kind of project: it lets nobody in, and is no mistake
        return TurnedAway(f"Unauthorized: {reason}")

    # -- the sockets ---------------------------------------------------------------------------------------------

    @property
    def open(self) -> int:
        """How many sockets are open."""
        return len(self._open)

    def enter(self, connection: object, leave: Callable[[], None]) -> None:
        """Note a new socket, nobody's as yet; `leave` ends it."""
        self._open[connection] = None
        self.settle(connection, leave, nobodys=True)

    def settle(self, connection: object, leave: Callable[[], None], *, nobodys: bool) -> None:
        """Note whose a socket is: a person's or nobody's."""
        if not nobodys:
            self._nobodys.pop(connection, None)
        elif connection not in self._nobodys:
            self._nobodys[connection] = leave
            if len(self._nobodys) > self.bounds.nobodys:
                self._nobodys.pop(next(iter(self._nobodys)))()

    def forget(self, connection: object) -> None:
        """Note that a socket has gone."""
        self._open.pop(connection, None)
        self._nobodys.pop(connection, None)


def _asked(query: str) -> tuple[Version, str]:
    try:
        query.encode("ascii")
        found = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=32, errors="strict"))
    except ValueError:
        raise TurnedBack(400, "The query cannot be read; expected at most 32 parameters in UTF-8.") from None
    version = found.get("vsn", Version.OBJECT.value)
    if version not in VERSIONS:
        raise TurnedBack(400, "vsn: expected 1.0.0 or 2.0.0.")
    return Version(version), found.get("apikey", "")


def _claims(secret: str) -> dict[str, Any] | None:
    """What a JWT says, whoever signed it; None: it is none."""
    parts = secret.split(".")
    if len(parts) != JWT_PARTS or secret.startswith(OURS):
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=dict[str, Any])
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return None
