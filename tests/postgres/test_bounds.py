"""The contract's bounds hold for whoever writes, each refusal names its column; what Botlight lets in passes."""

from __future__ import annotations

import pytest
from msgspec import json

from tests.postgres.conftest import KINDS, Person
from tests.postgres.psql import Database, RefusedSql

pytestmark = pytest.mark.parametrize("database", [KINDS[0]], indirect=True)  # the checks are the same everywhere

REFUSED = {
    "bot_name = repeat('ä', 65)": "bot_name_of_at_most_64_characters",
    "bot_version = repeat('x', 65)": "bot_version_of_at_most_64_characters",
    "platform = repeat('x', 65)": "platform_of_at_most_64_characters",
    "status = 'paused'": "status_is_known",
    "activity = ''": "activity_of_1_to_64_characters",
    "activity = repeat('x', 65)": "activity_of_1_to_64_characters",
    "activity_details = '[1]'": "activity_details_is_an_object_of_at_most_2_kb",
    "activity_details = jsonb_build_object('x', repeat('x', 3100))": "activity_details_is_an_object_of_at_most_2_kb",
    "activity_details = jsonb_build_object('x', repeat('1', 20000))": "activity_details_is_an_object_of_at_most_2_kb",
    "jobs_found = -1": "counters_from_0_with_at_most_6_decimals",
    "jobs_applied = 'NaN'": "counters_from_0_with_at_most_6_decimals",
    "jobs_failed = 'infinity'": "counters_from_0_with_at_most_6_decimals",
    "credits_used = 0.0000001": "counters_from_0_with_at_most_6_decimals",
    "credits_used = 2000000000001": "counters_from_0_with_at_most_6_decimals",
    "counters = '[]'": "counters_is_an_object_of_at_most_32_numbers",
    """counters = '{"a": "1"}'""": "counters_is_an_object_of_at_most_32_numbers",
    """counters = '{"a": [1]}'""": "counters_is_an_object_of_at_most_32_numbers",
    """counters = '{"a": null}'""": "counters_is_an_object_of_at_most_32_numbers",
    """counters = '{"a": -1}'""": "counters_is_an_object_of_at_most_32_numbers",
    """counters = '{"a": 2000000000001}'""": "counters_is_an_object_of_at_most_32_numbers",
    "counters = jsonb_build_object(repeat('x', 65), 1)": "counters_is_an_object_of_at_most_32_numbers",
    """counters = '{"": 1}'""": "counters_is_an_object_of_at_most_32_numbers",
    "counters = (select jsonb_object_agg('c' || n, n) from generate_series(1, 33) n)": "counters_is_an_object_of_at_most",
    "progress_done = -1": "progress_done_from_0_to_2_53",
    "progress_total = 9007199254740992": "progress_total_from_0_to_2_53",
    "waiting_reason = repeat('x', 201)": "waiting_reason_of_at_most_200_characters",
    "error_type = repeat('x', 65)": "error_type_of_at_most_64_characters",
    "error_message = repeat('x', 501)": "error_message_of_at_most_500_characters",
    "heartbeat_s = 14": "heartbeat_s_from_15_to_3600",
    "heartbeat_s = 3601": "heartbeat_s_from_15_to_3600",
    "stop_reason = repeat('x', 201)": "stop_reason_of_at_most_200_characters",
    "outcome = 'great'": "outcome_is_known",
    "instances = 201": "instances_from_0_to_200",
    "instance = repeat('x', 65537)": "instance_of_at_most_64_kb",
    "ended_at = now()": "when_ended_with_ended_at_and_outcome",
    "status = 'stopped'": "when_ended_with_ended_at_and_outcome",
    "status = 'completed', outcome = 'failed', ended_at = now()": "when_ended_with_ended_at_and_outcome",
    "last_heartbeat_at = 'infinity'": "instants_from_1970_to_9999",
    "waiting_until = '-infinity'": "instants_from_1970_to_9999",
    "lease_expires_at = '1969-12-31'": "instants_from_1970_to_9999",
    "id = gen_random_uuid()": "bot_sessions.id never changes",
    "user_id = gen_random_uuid()": "bot_sessions_user_id_fkey",
}


def largest_details() -> list[dict[str, object]]:
    """Details of exactly what the service's door lets in, 2048 bytes of compact JSON, in the forms that jsonb makes long."""
    return [
        {"x": [1] * 1020},
        {"x": [1e300] * 340},
        {"x": [1.5e-300] * 225},
        {"x": [[]] * 680},
        {f"{n:03}": 1 for n in range(250)},
        {"x": "é" * 1020},
        {"x": [1e300] * 170 + [1] * 510},
    ]


@pytest.fixture
def session(database: Database, person: Person) -> str:
    """A session that runs."""
    return database.value(f"insert into bot_sessions (user_id) values ('{person()}') returning id")


def refusal(database: Database, sql: str) -> str:
    """What the database says on a statement that it refuses, else "allowed"."""
    try:
        database.run(sql)
    except RefusedSql as refused:
        return str(refused)
    return "allowed"


def test_what_would_make_a_row_unreadable_is_refused(database: Database, session: str) -> None:
    """Each refusal says which column it was and what was expected."""
    said = {change: refusal(database, f"update bot_sessions set {change} where id = '{session}'") for change in REFUSED}
    assert {change: said[change] for change, why in REFUSED.items() if why not in said[change]} == {}


def test_what_the_door_lets_in_is_never_refused(database: Database, session: str) -> None:
    """The longest values of the contract pass: what was accepted makes no statement fail later."""
    for details in largest_details():
        compact = json.encode(details).decode()
        assert 1900 < len(compact.encode()) <= 2048
        database.run(f"update bot_sessions set activity_details = '{compact}' where id = '{session}'")
    database.run(
        f"""update bot_sessions set bot_name = repeat('ä', 64), activity = repeat('日', 64), jobs_found = 10000000000,
            credits_used = 10000000000 - 0.000001, progress_done = 9007199254740991, error_message = repeat('😀', 500),
            counters = (select jsonb_object_agg(lpad(n::text, 64, 'ä'), 2000000000000 - 0.000001) from generate_series(1, 32) n),
            heartbeat_s = 3600, instances = 200, waiting_until = now() + interval '30 days', status = 'failed',
            outcome = 'failed', ended_at = now(), inferred = true where id = '{session}'"""
    )


def test_counters_are_plain_numbers(database: Database, session: str) -> None:
    """Three is three for every reader, and millionths come and go exactly."""
    database.run(
        f"update bot_sessions set jobs_applied = 3, credits_used = trim_scale(1234567 * 0.000001) where id = '{session}'"
    )
    assert database.value("select to_jsonb(s) -> 'jobs_applied' from bot_sessions s") == "3"
    assert database.value("select to_jsonb(s) -> 'credits_used' from bot_sessions s") == "1.234567"
    assert database.value("select (credits_used * 1000000)::bigint from bot_sessions") == "1234567"


def test_jobs_keep_their_bounds(database: Database, session: str) -> None:
    """The proof list holds no outcome, key or link that a page could not show."""
    expected = {
        "'k', 'great', 1, null": "outcome_is_known",
        "'', 'applied', 1, null": "key_of_1_to_128_characters",
        "'k', 'applied', 1, 'javascript:alert(1)'": "url_of_at_most_500_characters",
        "'k', 'applied', 1, 'https://' || repeat('x', 500)": "url_of_at_most_500_characters",
    }
    insert = f"insert into botlight.jobs (session_id, at, key, outcome, n, url) values ('{session}', now(), "
    said = {values: refusal(database, f"{insert}{values})") for values in expected}
    assert {values: said[values] for values, why in expected.items() if why not in said[values]} == {}
