"""What the use cases need from the world: obligations, not signatures.

The user of an interface owns it; adapters live in `botlight.store`. All instants are milliseconds (`Instant`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal, Protocol

from msgspec import Struct

from botlight.model.access import Scope
from botlight.model.event import Change, Fact, JobOutcome, Removal
from botlight.model.identity import Claims, Issuer, is_id
from botlight.model.session import BotSession, Instant, SessionState, Status

__all__ = [
    "Access",
    "Audience",
    "Board",
    "Clock",
    "Committed",
    "Credential",
    "Elsewhere",
    "Feed",
    "Loaded",
    "PageCursor",
    "RejectedWrite",
    "SessionFilter",
    "Store",
    "Token",
    "User",
    "Write",
    "list_group",
]


class Clock(Protocol):
    """The service's clock: never goes back, whatever is done to the machine's."""

    def now(self) -> Instant:
        """The instant that it is."""


class Loaded(Struct, frozen=True, kw_only=True):
    """What a batch needs to know before it folds."""

    states: dict[str, SessionState]
    deleted: frozenset[str]  # ids with a tombstone
    valid: frozenset[str]  # the credentials among those asked for that nobody took back; the principal knows its expiry
    running: dict[str, int]  # running sessions by user, for the users asked for


class Write(Struct, frozen=True, kw_only=True):
    """A session to be saved if it still is as it was loaded (`before`; None: it must not exist yet)."""

    before: SessionState | None
    after: SessionState
    facts: Sequence[Fact] = ()
    jobs: Sequence[JobOutcome] = ()


class Committed(Struct, frozen=True, kw_only=True):
    """What a transaction made durable, to be announced after the answers went out."""

    position: str  # of a reader that has seen this and everything before
    changes: Sequence[Change] = ()
    removals: Sequence[Removal] = ()
    reset: bool = False  # more may have changed than is said: whoever follows begins anew, with a list


class Board(Struct, frozen=True, kw_only=True):
    """A person's list as of one position. `replaces` false: only what changed since the position that was given."""

    position: str
    sessions: Sequence[BotSession]
    removals: Sequence[Removal] = ()
    more: bool = False
    replaces: bool = True


def list_group(status: Status) -> int:
    """The first key of every list: running, then lost, then ended."""
    return {Status.RUNNING: 0, Status.LOST: 1}.get(status, 2)


class PageCursor(Struct, frozen=True, array_like=True):
    """Where a page of the list ends: the order of every list is (group, time descending, id)."""

    group: int
    at: int
    id: str

    @classmethod
    def of(cls, session: BotSession) -> PageCursor:
        """A session's place in the list."""
        at = session.started_at if session.ended_at is None else session.ended_at
        return cls(group=list_group(session.status), at=at, id=session.id)


class SessionFilter(Struct, frozen=True, kw_only=True):
    """Which sessions of a person a list holds."""

    user_id: str
    ended_since: Instant | None = None  # live ones are always in; None: all ended ones
    status: Status | None = None
    bot: str | None = None
    session_id: str | None = None


class RejectedWrite(Exception):  # noqa: N818  a word of the port, like Refusal
    """The database refuses one of the writes (a constraint, a trigger): nothing of the transaction was written.

    The batch halves until it has found which.
    """


class Store(Protocol):
    """Sessions, durable. Every method may raise `Unavailable`; then nothing was written."""

    async def load(
        self, session_ids: Collection[str], *, credentials: Collection[str] = (), users: Collection[str] = ()
    ) -> Loaded:
        """The sessions that exist among the ids, without a lock."""

    async def save(self, writes: Sequence[Write]) -> Committed:
        """Save, in one durable transaction, each write whose session is still as it was loaded.

        A write whose session has changed meanwhile is left out of `Committed.changes`: load it and fold again. One
        that the database refuses makes the whole transaction fail with `RejectedWrite`, and nothing is written.
        """

    async def delete(self, session_ids: Collection[str], *, user_id: str | None = None) -> Committed:
        """Remove ended sessions with all that hangs on them; live ones stay. Each leaves a tombstone.

        Only those that are this person's as they are removed; None: whose they are does not matter.
        """

    async def session(self, session_id: str, user_id: str) -> SessionState | None:
        """One session with all its instances, if it is this person's."""

    async def board(self, which: SessionFilter, limit: int, *, since: str | None = None) -> Board:
        """The list, or what changed in it since a position; a position that means nothing gets the whole list."""

    async def page(self, which: SessionFilter, limit: int, after: PageCursor | None) -> Sequence[BotSession]:
        """One page of the list."""

    async def timeline(self, session_id: str, user_id: str, after: int, limit: int) -> Sequence[Fact]:
        """Facts of a session, if it is this person's, with `n` above `after`, oldest first."""

    async def jobs(
        self, session_id: str, user_id: str, outcome: str | None, after: int, limit: int
    ) -> Sequence[JobOutcome]:
        """Each job of a session, if it is this person's, under its strongest outcome, oldest first.

        Applied is stronger than failed, failed than skipped; `outcome` keeps one kind, `n` is above `after`.
        """

    async def expired(self, now: Instant, hearing_since: Instant, after: str, limit: int) -> Sequence[str]:
        """Ids above `after`, sorted, of open sessions whose lease ran out while the service could hear.

        Where several servers share a store, one of them is told of these at a time: the one whose turn `tick` found.
        """

    async def tick(self, now: Instant) -> Instant | None:
        """Note that the reaper looks now; answers when one last did, in whatever process."""

    async def prunable(self, ended_before: Instant, limit: int) -> Sequence[str]:
        """Ids of sessions that ended before an instant."""

    async def forget(self, gone_before: Instant) -> None:
        """Drop tombstones older than an instant."""

    async def verify(self) -> None:
        """Return only when a change committed now would be announced."""


class Audience(Struct, frozen=True):
    """Whose changes somebody waits for: all sessions of these people, and these sessions."""

    people: AbstractSet[str]
    sessions: AbstractSet[str]


class Feed(Protocol):
    """Committed changes, in order."""

    def listen(self, sink: Callable[[Committed], None], audience: Callable[[], Audience] | None = None) -> None:
        """Call the sink with every committed transaction, on the event loop, in the order of their positions.

        `audience` answers whom it has readers for at the moment: what is of nobody among them may be left out.
        """

    def ring(self, committed: Committed) -> None:
        """Announce what `Store.save` or `delete` answered, as soon as all before it is announced.

        An adapter whose database announces by itself does nothing.
        """

    def position(self) -> str:
        """The position of a reader that has seen everything announced so far."""

    def covers(self, position: str, announced: str) -> bool:
        """Whether a list of a position holds all that was announced up to another one; false where nobody can tell."""

    async def reach(self, position: str) -> None:
        """Return when all that a list of this position holds was announced; that may be never.

        Raises:
            Unavailable: nobody can tell.
        """


class User(Struct, frozen=True, kw_only=True):
    """A person with an account."""

    id: str
    name: str
    password_hash: str | None
    operator: bool  # runs the service; sees which bots were refused
    created_at: Instant

    @property
    def elsewhere(self) -> bool:
        """Whether this is a person from elsewhere, who has no name here: in its place stands the id."""
        return self.name == self.id and is_id(self.name)


class Token(Struct, frozen=True, kw_only=True):
    """What lets a program in. The secret itself is kept nowhere."""

    id: str
    user_id: str
    name: str
    scope: Scope
    created_at: Instant
    expires_at: Instant | None = None
    last_used_at: Instant | None = None
    bot: str | None = None
    session_id: str | None = None
    origin: str | None = None


class Credential(Struct, frozen=True, kw_only=True):
    """A token or sign-in as found by the hash of its secret."""

    kind: Literal["token", "sign_in"]
    id: str
    user: User
    expires_at: Instant | None
    token: Token | None = None


class Access(Protocol):
    """People and what lets them in, durable."""

    @property
    def manages_people(self) -> bool:
        """Whether people are added here; false: somebody else's accounts are named, by id."""

    async def users(self) -> Sequence[User]:
        """Everybody, oldest first."""

    async def user_named(self, name: str) -> User | None:
        """A person by name, whatever the case."""

    async def add_user(self, user: User) -> bool:
        """Add a person; false: the name is taken."""

    async def settle(self, user_id: str, now: Instant) -> None:
        """See to it that a person from elsewhere can have tokens and sessions.

        Where people are kept here: a row whose name is the id, without a password, unless it is there. Where the
        database keeps them for somebody else, as on Supabase: nothing.
        """

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Set a password and end every sign-in of that person."""

    async def find(self, secret_hash: str) -> Credential | None:
        """The token or sign-in with this secret, expired or not."""

    async def valid(self, credential_ids: Collection[str], now: Instant) -> frozenset[str]:
        """Those that still let somebody in."""

    async def tokens(self, user_id: str) -> Sequence[Token]:
        """A person's tokens, newest first."""

    async def add_token(self, token: Token, secret_hash: str) -> None:
        """Keep a new token."""

    async def revoke(self, user_id: str, token_id: str) -> bool:
        """Remove a person's token; false: there is none."""

    async def used(self, token_ids: Collection[str], now: Instant) -> None:
        """Note that tokens were used."""

    async def embed_origins(self) -> frozenset[str]:
        """The origins that embed tokens name."""

    async def sign_in(self, user_id: str, sign_in_id: str, secret_hash: str, now: Instant, expires_at: Instant) -> None:
        """Keep a new sign-in, and drop expired ones."""

    async def sign_out(self, sign_in_id: str) -> None:
        """End a sign-in."""

    async def add_link(self, user_id: str, secret_hash: str, expires_at: Instant) -> None:
        """Keep a one-time link."""

    async def take_link(self, secret_hash: str, now: Instant) -> User | None:
        """Consume a one-time link: it works once, and not after it expired."""


class Elsewhere(Protocol):
    """An issuer whose tokens are accepted as a person's identity, and the keys to check them with."""

    issuer: Issuer

    async def claims(self, token: str) -> Claims:
        """What a token says, once its signature and times are found right.

        Raises:
            Unauthorized: they are not.
            Unavailable: the keys cannot be had now, so nobody can tell.
        """
