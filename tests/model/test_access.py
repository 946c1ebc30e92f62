"""The access table: what each scope may do, as the contract's routes say it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from botlight.model.access import PERMITS, Action, Principal, Scope
from botlight.model.session import BotSession, Instant

# What each operation of the contract asks of the table. Routes that anybody may use ask nothing.
ACTION_OF = {
    "start": Action.REPORT,
    "heartbeat": Action.REPORT,
    "complete": Action.REPORT,
    "commands": Action.REPORT,
    "stop": Action.STOP,
    "close": Action.STOP,
    "status": Action.STATUS,
    "events": Action.EVENTS,
    "sessions": Action.READ,
    "session": Action.READ,
    "timeline": Action.READ,
    "jobs": Action.READ,
    "delete_session": Action.MANAGE,
    "tokens": Action.MANAGE,
    "create_token": Action.MANAGE,
    "revoke_token": Action.MANAGE,
    "refusals": Action.MANAGE,
    "sign_out": Action.MANAGE,
    "me": Action.IDENTIFY,
}
CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "contract" / "openapi.yaml").read_text())
SCOPES_OF = {
    operation["operationId"]: set(operation["x-scopes"])
    for path in CONTRACT["paths"].values()
    for operation in path.values()
    if isinstance(operation, dict) and operation.get("x-scopes")
}


def principal(scope: Scope, *, user: str = "alice", bot: str | None = None, session: str | None = None) -> Principal:
    """Somebody who asks."""
    return Principal(user_id=user, scope=scope, credential_id="c", bot=bot, session_id=session)


def session(bot_name: str | None = "hunter") -> BotSession:
    """A session of Alice's."""
    return BotSession(id="s", user_id="alice", bot_name=bot_name, created_at=Instant(0), started_at=Instant(0))


def test_every_operation_with_a_scope_has_an_action() -> None:
    """A new route cannot be forgotten here."""
    assert set(SCOPES_OF) == set(ACTION_OF)


@pytest.mark.parametrize("operation", SCOPES_OF)
@pytest.mark.parametrize("scope", Scope)
def test_scopes_may_do_what_the_contract_says_and_nothing_else(operation: str, scope: Scope) -> None:
    """The table and the contract name the same scopes for each operation: no scope implies another."""
    assert principal(scope).may(ACTION_OF[operation]) is (scope.value in SCOPES_OF[operation])


def test_every_scope_is_in_the_table() -> None:
    """A scope without a row would be an error when it is used, so there is none."""
    assert set(PERMITS) == set(Scope)


@pytest.mark.parametrize("scope", Scope)
def test_only_the_owner_sees_a_session(scope: Scope) -> None:
    """Whatever the scope, somebody else's session is not seen."""
    assert principal(scope).sees(session())
    assert not principal(scope, user="bob").sees(session())


def test_an_embed_token_sees_what_it_names() -> None:
    """One bot's sessions, or one session."""
    assert principal(Scope.EMBED, bot="hunter").sees(session())
    assert not principal(Scope.EMBED, bot="hunter").sees(session("scraper"))
    assert not principal(Scope.EMBED, bot="hunter").sees(session(None))
    assert principal(Scope.EMBED, session="s").sees(session())
    assert not principal(Scope.EMBED, session="t").sees(session())
    assert not principal(Scope.EMBED, user="bob", session="s").sees(session())
