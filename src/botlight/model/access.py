"""Who is asking, and what they may do. One table decides; the service refuses what it does not list."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from botlight.model.session import BotSession, Instant

__all__ = ["PERMITS", "Action", "Principal", "Scope"]


class Scope(StrEnum):
    """What a token is for; `person` is a signed-in person and never a token's."""

    REPORT = "report"
    VIEW = "view"
    OPERATE = "operate"
    EMBED = "embed"
    PERSON = "person"


class Action(StrEnum):
    """What can be asked of the service."""

    REPORT = "report"  # start, heartbeat, complete, the command stream
    STATUS = "status"  # one session document
    EVENTS = "events"  # the event stream for people
    READ = "read"  # lists, timelines, proof
    STOP = "stop"  # stop and close
    MANAGE = "manage"  # tokens, deletion, refused bots
    IDENTIFY = "identify"  # ask who one is


_VIEW = frozenset({Action.STATUS, Action.EVENTS, Action.READ, Action.IDENTIFY})

PERMITS: Final[dict[Scope, frozenset[Action]]] = {
    Scope.REPORT: frozenset({Action.REPORT, Action.STATUS, Action.IDENTIFY}),
    Scope.VIEW: _VIEW,
    Scope.OPERATE: _VIEW | {Action.STOP},
    Scope.EMBED: frozenset({Action.STATUS, Action.EVENTS}),
    Scope.PERSON: _VIEW | {Action.REPORT, Action.STOP, Action.MANAGE},
}


class Principal(Struct, frozen=True, kw_only=True):
    """Who is asking. `credential_id` names the token or sign-in, never its secret."""

    user_id: str
    scope: Scope
    credential_id: str
    user_name: str = ""
    operator: bool = False  # runs the service; sees which bots were refused
    expires_at: Instant | None = None
    bot: str | None = None  # an embed token shows this bot's sessions only,
    session_id: str | None = None  # or this one session,
    origin: str | None = None  # on pages of this origin
    issuer: str | None = None  # who vouches for a person from elsewhere; nothing of their credential is kept here

    @property
    def revocable(self) -> str | None:
        """The credential, where the store can say that it was taken back; None: it is somebody else's and expires."""
        return self.credential_id if self.issuer is None else None

    @property
    def paced_as(self) -> str:
        """Under which name requests are counted: a token's own, or the person's whose issuer makes a new one each hour."""
        return self.credential_id if self.issuer is None else f"person {self.user_id}"

    def may(self, action: Action) -> bool:
        """Whether the scope allows the action at all; whose session it is, is another question.

        A person from elsewhere reports for no bot: a bot runs longer than such a token is good for.
        """
        return action in PERMITS[self.scope] and (self.issuer is None or action is not Action.REPORT)

    def sees(self, session: BotSession) -> bool:
        """Whether the session is this principal's, and within what an embed token names."""
        return (
            session.user_id == self.user_id
            and (self.bot is None or self.bot == session.bot_name)
            and (self.session_id is None or self.session_id == session.id)
        )
