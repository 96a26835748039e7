"""What masks addresses in any JSON never spoils it: a change or an outcome whose text holds one is recorded."""

from __future__ import annotations

import json
import re

import psycopg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.backends.psql import denied, logins, one
from tests.postgres import Database

PIECES = ("ana@acme.com", "@", ".", " ", '"', "\\", "u0041", "\n", "\x01", "é", "a", "\\u0041", "x@y.z")
TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3), min_size=1, max_size=30))
@example(values=[{"a": "\x01ana@acme.com"}, {"a": "\\ana@acme.com"}, {"a": '"ana@acme.com'}, {"ana@acme.com": "\\u"}])
def test_addresses_are_masked_and_the_rest_stays(database: Database, values: list[dict[str, str]]) -> None:
    with psycopg.connect(database.owner) as connection:
        query = "SELECT wf.without_addresses(v) FROM jsonb_array_elements(%s::jsonb) v"
        masked = [row[0] for row in connection.execute(query, [json.dumps(values)])]
    for before, after in zip(values, masked, strict=True):
        assert len(after) <= len(before)
        for text in (part for pair in after.items() for part in pair):
            assert not re.search(r"(^|\s)ana@acme\.com", text), text
        if "@" not in json.dumps(before):
            assert after == before


ERROR = "550 no such person <ada@acme.example> [rejected]"


def test_an_error_that_names_a_person_is_masked_wherever_it_is_shown(database: Database) -> None:
    """The job, its tries, its letter, the delivery and the trail tell the same error."""
    with logins(database) as psql:
        owner, viewer, operator = psql("owner"), psql("viewer"), psql("operator")
        (worker,) = one(psql("worker"), "SELECT wf.start_worker('w', 'h', 1, 'v', '{x}')")
        (job,) = one(psql("worker"), "SELECT wf.queue_job('x', NULL, '{}', NULL, 1, 1)")
        (lease,) = one(psql("worker"), "SELECT lease FROM wf.claim_jobs(%s, 1, '{}', '{}')", worker)
        psql("worker").execute("SELECT wf.fail_job(%s, %s, %s, %s, true)", [worker, job, lease, ERROR])
        owner.execute("SET session_replication_role = replica")
        owner.execute(
            "INSERT INTO wf.deliveries (key, webhook_id, group_key, number, reason, event_type, summary, notice, code,"
            " words, test) VALUES ('msg_' || repeat('0', 40), 1, '', 0, 'test', 'x', 's', '{}', 'c', %s, true)",
            [ERROR],
        )
        owner.execute(
            "INSERT INTO wf.delivery_attempts (delivery_id, attempt, worker_id, started_at, outcome, code, words,"
            " answer) SELECT id, 1, 1, now(), 'refused', 'c', %s, %s FROM wf.deliveries", [ERROR, ERROR],
        )  # fmt: skip
        owner.execute("SET session_replication_role = origin")
        shown = (
            "SELECT error FROM wf.job_list", "SELECT error FROM wf.job_attempt_list",
            "SELECT error FROM wf.letter_list", "SELECT words FROM wf.delivery_list",
            "SELECT words FROM wf.delivery_attempt_list",
            "SELECT answer FROM wf.delivery_attempt_list",
        )  # fmt: skip
        for query in shown:
            [said] = one(viewer, query)
            assert "<a•••@acme.example>" in said and "ada" not in said, query
            assert "<ada@acme.example>" in one(operator, query)[0], query
        denied(viewer, "SELECT error FROM wf.jobs", "TABLE wf.job_attempts", "TABLE wf.delivery_attempts")
        for role in ("viewer", "operator"):
            found = one(psql(role), "SELECT search LIKE '%550%', search LIKE '%ada%' FROM wf.job_list")
            assert found == (True, False)
        operator.execute("SELECT wf.replay_job(%s)", [job])
        trail = viewer.execute("SELECT before, after FROM wf.audit").fetchall()
        assert trail and "ada" not in json.dumps(trail)
