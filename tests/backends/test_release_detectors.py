"""The publish objective and retention locks that end, as detectors of a real home."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.backends.alerts import home, psql
from tests.backends.psql import Psql, one
from tests.backends.test_detectors import found

__all__ = ["home", "psql"]
PUBLISHED = """
WITH e AS (
  INSERT INTO wf.evidence (sha256, bytes, name, kind, environment, at)
  SELECT encode(sha256(convert_to(random()::text || n, 'UTF8')), 'hex'), 1, 'x', 'bundle', 'staging', now()
  FROM generate_series(1, %(number)s) n RETURNING id
), p AS (
  INSERT INTO wf.publications (evidence_id, target, asked_at, published_at, attestation)
  SELECT id, %(target)s, now() - %(ago)s::interval,
         CASE WHEN %(state)s = 'done' THEN now() - %(ago)s::interval END,
         CASE WHEN %(state)s = 'done' THEN %(attestation)s::jsonb END
  FROM e RETURNING id
), numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM p), j AS (
  INSERT INTO wf.jobs (kind, payload, state, attempts, ended_at)
  SELECT 'publish_evidence', '{}', %(state)s, %(attempts)s, CASE WHEN %(state)s IN ('dead', 'canceled') THEN now() END
  FROM generate_series(1, %(number)s) WHERE %(state)s <> 'done' RETURNING id
), made AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM j)
INSERT INTO wf.publication_jobs SELECT numbered.id, made.id FROM numbered JOIN made USING (n)
"""


def publications(
    owner: psycopg.Connection, number: int, state: str, ago: str = "1 hour", *, attempts: int = 1,
    target: str = "s3://acme/x", attestation: str = "{}",
) -> None:  # fmt: skip
    owner.execute(
        PUBLISHED.encode(),
        {"number": number, "state": state, "ago": ago, "attempts": attempts, "target": target,
         "attestation": attestation},
    )  # fmt: skip


def test_a_place_that_publishes_less_often_than_before(psql: Psql) -> None:
    owner = psql("owner")
    publications(owner, 19, "dead", target="gs://few")
    publications(owner, 96, "done")
    publications(owner, 4, "waiting")
    publications(owner, 100, "waiting", attempts=0)
    publications(owner, 5, "canceled")
    assert found(psql, "publishing_failing") == [], "19 are chance, 4 of 100 are usual, the rest was not tried"
    publications(owner, 2, "waiting", target="s3://acme/y")
    [failing] = found(psql, "publishing_failing")
    assert (failing["labels"], failing["severity"]) == ({"place": "s3://acme"}, "warning")
    assert failing["value"] == pytest.approx(6 / 102) and failing["threshold"] == 0.05 and failing["unit"] == "share"
    publications(owner, 90, "done", "3 days")
    publications(owner, 10, "waiting", "3 days")
    assert found(psql, "publishing_failing") == [], "a tenth failed in the days before: now it takes twice as much"
    publications(owner, 8, "dead")
    [dead] = found(psql, "publishing_failing")
    assert dead["severity"] == "critical" and dead["details"]["signals"] == ["dead"], "8 of 110, and none before"
    assert dead["value"] == pytest.approx(8 / 110) and dead["threshold"] == 0.02


def test_a_backlog_needs_no_share(psql: Psql) -> None:
    owner = psql("owner")
    publications(owner, 200, "waiting", "30 days", attempts=0)
    assert found(psql, "publishing_failing") == []
    publications(owner, 1, "waiting", "30 days", attempts=0)
    [waiting] = found(psql, "publishing_failing")
    assert (waiting["severity"], waiting["value"], waiting["threshold"]) == ("warning", 201, 200)
    publications(owner, 21, "dead", "30 days", target="az://a/b")
    dead = {each["labels"]["place"]: each for each in found(psql, "publishing_failing")}["az://a"]
    assert (dead["severity"], dead["value"], dead["summary"]) == (
        "warning", 21, "21 dead publications to az://a wait to be published again",
    )  # fmt: skip
    publications(owner, 30, "dead", "30 days", target="az://a/c")
    assert {each["severity"] for each in found(psql, "publishing_failing")} == {"warning", "critical"}


def test_a_lock_that_ends_within_thirty_days(psql: Psql) -> None:
    owner = psql("owner")
    in_ = "SELECT to_char((now() + %s::interval) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

    def locked(ends: str) -> None:
        at = ends if ends[0] == "x" else one(owner, in_, ends)[0]
        publications(owner, 1, "done", attestation=json.dumps({"lock": {"until": at}}))

    for ends in ("31 days", "xyz", "x2026-02-31"):
        locked(ends)
    publications(owner, 1, "done")
    assert found(psql, "lock_ending") == [], "one that cannot be read hides none of the others"
    locked("29 days")
    [ending] = found(psql, "lock_ending")
    assert ending["severity"] == "warning" and 28.9 < ending["value"] < 29 and ending["threshold"] == 30
    locked("-1 hour")
    assert {each["severity"] for each in found(psql, "lock_ending")} == {"warning", "error"}
    owner.execute("UPDATE wf.evidence SET withdrawn_at = now()")
    assert found(psql, "lock_ending") == [], "what was withdrawn need not stay"
