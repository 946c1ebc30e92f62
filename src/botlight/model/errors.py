"""Everything that can be refused, as one tree.

Refusal
├── Invalid        a value is wrong; names the fields
├── Unauthorized   no token, or one that is not valid
├── Forbidden      the token's scope does not allow this
│   └── ForeignOrigin   a page of another origin asked with our cookie
├── Unknown        no such thing, or not yours
├── Conflict
│   ├── Ended      the session has an explicit end
│   ├── Live       the session is still going on
│   └── TooManyInstances
├── Deleted        the session was removed; a late report does not bring it back
├── WrongMethod    this path answers to other methods
├── Broken         our own mistake
├── TooLarge       the body is over its bound
├── WrongMediaType
├── WrongHost      the Host header is not one of ours
├── TooMany        waiting helps
│   ├── TooFast    requests of one token, or sign-ins
│   ├── TooManySessions
│   └── TooManyStreams
└── Unavailable    the store did not take it; nothing was acknowledged
    └── Overloaded more waits than can be taken in time

The docstring of a class is its title on the wire; the message of an instance is the detail. `edge.problems` maps
codes to HTTP.
"""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):  # noqa: N818  the tree says what it is; "Error" would be said of our own bugs
    """The request was refused."""

    code: ClassVar[str] = "refused"
    retry_after_s: float | None = None

    def __init__(self, detail: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(detail or (type(self).__doc__ or "").strip())
        self.retry_after_s = retry_after_s


class Invalid(Refusal):
    """A value is wrong."""

    code = "invalid"

    def __init__(self, detail: str, *, errors: tuple[tuple[str, str], ...] = (), malformed: bool = False) -> None:
        """`errors` holds (JSON pointer, what was expected); `malformed` says that it was not even JSON."""
        super().__init__(detail)
        self.errors = errors
        self.malformed = malformed


class Unauthorized(Refusal):
    """A valid token or sign-in is needed."""

    code = "token"


class Forbidden(Refusal):
    """This token may not do that."""

    code = "scope"


class ForeignOrigin(Forbidden):
    """A page of another origin may not do that."""

    code = "origin"


class Unknown(Refusal):
    """There is no such thing, or it is not yours."""

    code = "unknown"


class Conflict(Refusal):
    """It does not fit what is already so."""

    code = "conflict"


class Ended(Conflict):
    """The session has ended."""

    code = "ended"


class Live(Conflict):
    """The session is still going on."""

    code = "live"


class TooManyInstances(Conflict):
    """The session has as many instances as it can hold."""

    code = "instances"


class Deleted(Refusal):
    """The session was deleted."""

    code = "deleted"


class TooLarge(Refusal):
    """The body is too large."""

    code = "too_large"


class WrongMediaType(Refusal):
    """The body has to be application/json."""

    code = "media_type"


class WrongHost(Refusal):
    """The Host header is not one of this service's names."""

    code = "host"


class TooMany(Refusal):
    """Too much at once."""

    code = "rate"


class TooFast(TooMany):
    """Too many requests."""


class TooManySessions(TooMany):
    """Too many sessions are running."""

    code = "sessions"


class TooManyStreams(TooMany):
    """Too many streams are open."""

    code = "streams"


class Unavailable(Refusal):
    """The store cannot take this now; nothing was acknowledged."""

    code = "unavailable"


class Overloaded(Unavailable):
    """More is waiting than can be taken in time; nothing was acknowledged."""

    code = "overloaded"


class WrongMethod(Refusal):
    """This path does not answer to that method."""

    code = "method"

    def __init__(self, detail: str, allowed: tuple[str, ...] = ()) -> None:
        """`allowed` holds the methods that it answers to."""
        super().__init__(detail)
        self.allowed = allowed


class Broken(Refusal):
    """The service made a mistake; its log says which."""

    code = "internal"
