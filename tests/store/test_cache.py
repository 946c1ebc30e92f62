"""What a store remembers is a guess: bounded, and never older than what it knew."""

from __future__ import annotations

from botlight.model.session import BotSession, Instant, SessionState
from botlight.store.sqlite.cache import StateCache


def state(session_id: str, revision: int) -> SessionState:
    """A session at a revision."""
    session = BotSession(
        id=session_id, user_id="alice", created_at=Instant(0), started_at=Instant(0), revision=revision
    )
    return SessionState(session=session, instances={})


def test_the_session_that_was_unused_longest_goes() -> None:
    """Being asked for is being used."""
    cache = StateCache(capacity=2)
    for id_ in ("a", "b"):
        cache.put(state(id_, 1))
    assert cache.get("a") is not None
    cache.put(state("c", 1))
    assert [id_ for id_ in "abc" if cache.get(id_) is not None] == ["a", "c"]


def test_a_late_read_does_not_replace_a_newer_session() -> None:
    """A read that began before a save may come back after it; its caller gets the newer one."""
    cache = StateCache()
    newer = cache.put(state("a", 2))
    assert cache.put(state("a", 1)) is newer
    assert cache.get("a") is newer


def test_what_is_dropped_is_asked_for_again() -> None:
    """One, or all."""
    cache = StateCache()
    for id_ in ("a", "b", "c"):
        cache.put(state(id_, 1))
    cache.drop(["a", "unknown"])
    assert cache.get("a") is None
    cache.clear()
    assert cache.get("b") is None
