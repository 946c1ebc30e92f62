"""A refused bot is no secret to the one who runs the service: the bot itself stays silent."""

from __future__ import annotations

from typing import Any

from tests.conftest import StartService
from tests.edge.cast import BLOG
from tests.support.service import API, Person, RunningService


def listed(person: Person) -> list[dict[str, Any]]:
    """What a person is told about refused bots."""
    with person.service.client(person.sign_in().headers) as client:
        found: list[dict[str, Any]] = client.get(f"{API}/refusals").json()["refusals"]
        return found


def report(service: RunningService, headers: dict[str, str], what: str = "heartbeat") -> int:
    """Come as a bot; answers the status."""
    with service.client(headers) as client:
        return client.post(f"{API}/{what}", json={}).status_code


def test_the_operator_sees_who_was_refused_and_why(running: RunningService) -> None:
    """An unknown token, an expired one, and one of another scope, the newest first; no token is repeated."""
    operator = running.operator()
    assert listed(operator) == []
    unknown = {"Authorization": "Bearer bl_unknown-secret"}
    assert report(running, unknown) == 401
    assert report(running, operator.token("report", lives_s=-5).headers, "start") == 401
    assert report(running, operator.token("view").headers, "complete") == 403
    assert report(running, operator.token("report").headers) == 422  # let in: no refusal of a bot
    rows = listed(operator)
    assert [row["address"] for row in rows] == ["127.0.0.1"] * 3
    assert ["view" in rows[0]["reason"], "expired" in rows[1]["reason"], "nknown" in rows[2]["reason"]] == [True] * 3
    assert "bl_unknown-secret" not in str(rows)


def test_nobody_else_is_told(running: RunningService) -> None:
    """Another person gets an empty list: the addresses of other people's bots are not theirs."""
    other = running.person("other")
    assert report(running, {"Authorization": "Bearer bl_unknown-secret"}) == 401
    assert listed(other) == []


def test_a_person_who_is_refused_is_no_bot(running: RunningService) -> None:
    """Only what wanted to report is listed, not a page with an old token."""
    operator = running.operator()
    with running.client({"Authorization": "Bearer bl_unknown-secret"}) as client:
        assert client.get(f"{API}/sessions").status_code == 401
    with running.client(operator.token("embed", lives_s=60, bot="b", origin=BLOG).headers) as client:
        assert client.get(f"{API}/events").status_code == 403
    assert listed(operator) == []


def test_the_last_ten_are_kept(start_service: StartService) -> None:
    """However many come; each with the address that the proxy says."""
    service = start_service(BOTLIGHT_TRUSTED_PROXIES="127.0.0.1")
    operator = service.operator()
    for number in range(12):
        headers = {"Authorization": f"Bearer bl_{number}", "X-Forwarded-For": f"10.0.0.{number}"}
        assert report(service, headers) == 401
    assert [row["address"] for row in listed(operator)] == [f"10.0.0.{number}" for number in range(11, 1, -1)]


def test_unknown_tokens_are_slowed_down(start_service: StartService) -> None:
    """One address that tries token after token meets 429; a good token from the same address does not."""
    service = start_service(BOTLIGHT_TRUSTED_PROXIES="127.0.0.1")
    token = service.person().token("report")
    address = {"X-Forwarded-For": "10.0.0.1"}
    with service.client(address) as client:
        answers = (client.get(f"{API}/me", headers={"Authorization": f"Bearer bl_{number}"}) for number in range(2000))
        slowed = next(answer for answer in answers if answer.status_code != 401)
        assert (slowed.status_code, slowed.json()["code"]) == (429, "rate")
        assert int(slowed.headers["retry-after"]) >= 1
        assert client.get(f"{API}/me", headers=token.headers).status_code == 200
    elsewhere = {"X-Forwarded-For": "10.0.0.2", "Authorization": "Bearer bl_1"}
    with service.client(elsewhere) as client:
        assert client.get(f"{API}/me").status_code == 401
