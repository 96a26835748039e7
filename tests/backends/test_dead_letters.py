"""Dead letters in the home: how jobs and deliveries become them, the counts, replay as a run, quarantine, retention."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql

from backends.postgres import queues
from backends.postgres.home import Home
from backends.postgres.queues import Letters
from controlplane.errors import Refusal
from controlplane.filters.grammar import parse
from controlplane.listing import Count, Query
from controlplane.operations import Call, execute
from controlplane.queues.causes import cause_of, fingerprint
from controlplane.queues.list import LETTERS
from controlplane.queues.model import CauseDirectory, LetterDirectory
from controlplane.registry import named
from controlplane.runs.engine import drive, preview_run, start_run
from controlplane.runs.model import Run
from controlplane.runs.operations import RunStart
from tests.backends.letters import die, fail_all, fail_delivery, letters
from tests.backends.psql import Psql, logins, one
from tests.backends.runs import items, opened
from tests.controlplane.runs import Ticks
from tests.postgres import Database

ALL, CAUSES_BY_DEAD = Query(), Query((), "dead", True)
ROOT = Path(__file__).parents[2]
RECOUNTED = """
SELECT c.fingerprint FROM wf.dead_causes c FULL JOIN (
  SELECT fingerprint, count(*) FILTER (WHERE state = 'dead') AS dead,
         count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
         count(DISTINCT tenant_id) FILTER (WHERE state IN ('dead', 'quarantined')) AS tenants
  FROM wf.dead_letters GROUP BY 1) l USING (fingerprint)
WHERE (c.dead, c.quarantined, c.tenants)
  IS DISTINCT FROM (coalesce(l.dead, 0), coalesce(l.quarantined, 0), coalesce(l.tenants, 0))
"""


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('globex', 'Globex')")
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    async with opened(database.login("operator")) as opened_home:
        yield opened_home


def replaying(text: str, **more: object) -> RunStart:
    return RunStart.model_validate(
        {"operation": "queues.replay", "filter": text, "per_second": 1000, "breaker_share": 1.0, **more}
    )


async def replayed(home: Home, text: str, **more: object) -> Run:
    run = await start_run(home, replaying(text, **more), "the receiver is back")
    return await drive(home, run.id, clock=Ticks())


async def done(home: Home, name: str, number: int, **fields: object) -> None:
    await execute(home, named(name), named(name).parse({"id": number, **fields}), Call("as the test says"))


async def refused(home: Home, name: str, number: int, **fields: object) -> str:
    with pytest.raises(Refusal) as found:
        await done(home, name, number, **fields)
    return found.value.code


def of_jobs(psql: Psql) -> dict[str, int]:
    return dict(psql("owner").execute("SELECT state, count(*) FROM wf.jobs GROUP BY 1").fetchall())


async def test_a_job_that_dies_is_a_letter_with_its_attempts(home: Home, psql: Psql) -> None:
    worker = psql("worker")
    worker.execute("SELECT wf.queue_job('deliver', 'acme', '{\"to\": 7, \"idempotency_key\": \"k1\"}')")
    assert fail_all(worker, "no answer from 192.0.2.7 for ana@acme.example [http_503]") == 1
    [letter] = await letters(home)
    assert (letter.source, letter.handler, letter.error_class) == ("jobs", "deliver", "http_503")
    assert letter.error == "no answer from 192.0.2.7 for ana@acme.example"
    assert letter.cause == cause_of(letter.error) == "no answer from <ip> for <email>"
    assert letter.cause_id == fingerprint("jobs", "deliver", "http_503", letter.error)[:16]
    assert (letter.state, letter.release, letter.idempotency_key, letter.attempt_count) == ("dead", "2.0", "k1", 1)
    [attempt] = await home.of(LetterDirectory).attempts(letter.id)
    assert (attempt["outcome"], attempt["by"]) == ("failed", "w") and attempt["error"].startswith("no answer")
    [cause] = (await home.of(CauseDirectory).page(CAUSES_BY_DEAD)).rows
    assert (cause.dead, cause.tenants, cause.releases, sum(cause.hours)) == (1, 1, ["2.0"], 1)


async def test_without_the_death_there_is_no_letter(home: Home, psql: Psql) -> None:
    with pytest.raises(ZeroDivisionError), psql("owner").transaction():
        die(psql("owner"))
        raise ZeroDivisionError
    assert await letters(home) == []


async def test_a_handler_that_always_fails_is_tried_once_per_replay(home: Home, psql: Psql) -> None:
    """sidekiq#6481: a message that fails again never joins the run that replayed it."""
    die(psql("owner"), 51)
    run = await start_run(home, replaying("state:dead"), "again")
    while (run := await drive(home, run.id, clock=Ticks())).state == "running":
        raise AssertionError("it ends")
    assert (run.state, run.done, run.total) == ("done", 51, 51)
    assert fail_all(psql("worker")) == 51 and fail_all(psql("worker")) == 0
    after = await letters(home, "state:dead")
    assert len(after) == 51 and {letter.replays for letter in after} == {1}
    assert (await home.of(LetterDirectory).count(ALL)).number == 102  # history stays
    assert psql("owner").execute(RECOUNTED).fetchall() == []


async def test_1001_matches_are_1001_replayed_while_others_arrive(home: Home, psql: Psql, database: Database) -> None:
    """Oban Web's limit of 1,000, and sidekiq#6936: none is missed, none is extra. A worker carries it."""
    die(psql("owner"), 1001)
    request = replaying("cause:" + fingerprint("jobs", "deliver", "http_503", "no answer from 192.0.2.7")[:16])
    preview = await preview_run(home, request, "again")
    assert preview.total == 1001 and not preview.refusals
    run = await start_run(home, request, "again")
    die(psql("owner"), 40)
    async with opened(database.login("worker")) as worker:
        more = lambda now: die(psql("owner")) if now.done == 11 else None  # noqa: E731
        run = await drive(worker, run.id, clock=Ticks(), on_progress=more)
    assert (run.state, run.done, run.refused, run.waiting) == ("done", 1001, 0, 0)
    assert of_jobs(psql) == {"waiting": 1001, "dead": 41}
    assert psql("owner").execute(RECOUNTED).fetchall() == []


async def test_what_stands_in_the_way_is_a_verdict(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    die(owner, tenant="globex")
    owner.execute("UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x'"
                  " WHERE id = 'globex'")  # fmt: skip
    owner.execute("INSERT INTO wf.job_schedules (name, every) VALUES ('roll', '1 minute')")
    owner.execute("INSERT INTO wf.jobs (kind, schedule, state, ended_at) VALUES ('roll', 'roll', 'dead', now())")
    owner.execute("INSERT INTO wf.jobs (kind, schedule) VALUES ('roll', 'roll')")  # the live unique one
    die(owner, 2, payload={"idempotency_key": "paid-1"})
    first, second = sorted(letter.id for letter in await letters(home, "key:paid-1"))
    await done(home, "queues.replay", first)
    owner.execute("UPDATE wf.jobs SET state = 'done', worker_id = 1, lease = 1, ended_at = now()"
                  " WHERE state = 'waiting' AND kind = 'deliver'")  # fmt: skip
    die(owner)
    owner.execute("UPDATE wf.dead_letters SET source_id = '999999' WHERE id = (SELECT max(id) FROM wf.dead_letters)")
    die(owner)
    preview = await preview_run(home, replaying("state:dead"), "again")
    expected = {"letter_tenant": 1, "letter_conflict": 1, "letter_processed": 1, "letter_gone": 1}
    assert (preview.total, preview.refusals) == (5, expected)
    before = psql("owner").execute("SELECT count(*), max(version) FROM wf.dead_letters").fetchone()
    assert psql("owner").execute("SELECT count(*), max(version) FROM wf.dead_letters").fetchone() == before
    run = await replayed(home, "state:dead")
    found = {item.code: item.state for item in await items(home, run)}
    assert (run.state, run.done, run.refused) == ("done", 1, 4)
    assert found == dict.fromkeys(expected, "refused") | {None: "done"}
    assert await refused(home, "queues.replay", second) == "letter_processed"


async def test_a_dead_key_does_not_block_its_own_replay(home: Home, psql: Psql) -> None:
    die(psql("owner"), payload={"idempotency_key": "once"})
    for replays in range(2):
        [letter] = await letters(home, "state:dead key:once")
        assert (letter.replays, letter.obstacle) == (replays, None)
        await done(home, "queues.replay", letter.id)
        fail_all(psql("worker"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (" ", "run_filter_empty"),
        ("payload.to:ana@acme.example", "run_personal"),  # who reads runs may not read messages
        ('payload:"$.to ? (@ == 7)"', "run_empty"),
    ],
)
async def test_what_is_not_kept_with_a_run_is_refused(home: Home, psql: Psql, text: str, code: str) -> None:
    die(psql("owner"))
    with pytest.raises(Refusal) as found:
        await start_run(home, replaying(text), "all")
    assert found.value.code == code


async def test_poison_is_quarantined_and_left_out(home: Home, psql: Psql) -> None:
    die(psql("owner"), 2)
    for _ in range(3):
        [*waiting] = await letters(home, "state:dead")
        await done(home, "queues.replay", min(waiting, key=lambda letter: int(letter.source_id)).id)
        fail_all(psql("worker"))
    [poison] = await letters(home, "state:quarantined")
    assert (poison.source_id, poison.replays) == ("1", 3)
    run = await replayed(home, "handler:deliver -state:replayed")
    assert {item.thing: item.code for item in await items(home, run)}[poison.key] == "letter_quarantined"
    await done(home, "queues.release", poison.id)
    await done(home, "queues.replay", poison.id)
    fail_all(psql("worker"), "another error")  # of another cause, it begins anew
    assert {letter.replays for letter in await letters(home, "state:dead")} == {0}
    assert psql("owner").execute(RECOUNTED).fetchall() == []


@pytest.mark.parametrize("number", ["9007199254740993", "0.1000000000000000055", "123456789012345678901234567890"])
async def test_numbers_survive_view_edit_and_replay(home: Home, psql: Psql, number: str) -> None:
    """riverui#593, and every other number that a float would change."""
    owner = psql("owner")
    owner.execute(f"INSERT INTO wf.jobs (kind, payload, state, ended_at) VALUES ('x', '{{\"id\": {number}, \"a\": 1}}',"
                  " 'dead', now())".encode())  # fmt: skip
    [letter] = await letters(home, f"payload.id:{number}")
    message = await home.of(LetterDirectory).message(letter.id)
    assert message is not None and f'"id": {number}' in (message.json or "") and number.encode() in message.payload
    await done(home, "queues.edit", letter.id, patch={"a": None, "b": 9007199254740995})
    edited = await home.of(LetterDirectory).message(letter.id)
    assert edited is not None and edited.payload == message.payload and "9007199254740995" in (edited.edited or "")
    await done(home, "queues.replay", letter.id)
    [text] = one(owner, "SELECT payload::text FROM wf.jobs WHERE kind = 'x'")
    assert text == f'{{"b": 9007199254740995, "id": {number}}}'


async def test_a_job_that_is_replayed_elsewhere_settles_its_letter(home: Home, psql: Psql) -> None:
    die(psql("owner"), 3)
    await done(home, "jobs.replay", 1)
    psql("owner").execute("UPDATE wf.jobs SET state = 'canceled' WHERE id = 2")
    assert {letter.source_id: letter.state for letter in await letters(home)} == {
        "1": "replayed", "2": "discarded", "3": "dead"
    }  # fmt: skip
    assert await refused(home, "queues.replay", min(letter.id for letter in await letters(home))) == "letter_settled"


async def test_a_delivery_that_fails_for_good_is_a_letter_and_is_sent_again(home: Home, psql: Psql) -> None:
    fail_delivery(psql("owner"))
    [letter] = await letters(home, "source:deliveries")
    assert (letter.queue, letter.handler, letter.error_class, letter.tenant_id) == (
        "webhook",
        "ops",
        "http_503",
        "acme",
    )
    assert await refused(home, "queues.edit", letter.id, patch={"a": 1}) == "letter_not_editable"
    psql("owner").execute("UPDATE wf.routes SET enabled = false")
    assert await refused(home, "queues.replay", letter.id) == "delivery_route_off"
    psql("owner").execute("UPDATE wf.routes SET enabled = true")
    await done(home, "queues.replay", letter.id)
    assert one(psql("owner"), "SELECT state, replays, tries FROM wf.deliveries") == ("waiting", 1, 0)
    recorded = psql("owner").execute("SELECT noun, operation, out_of_band FROM wf.audit ORDER BY seq DESC LIMIT 2")
    assert recorded.fetchall() == [("queues", "queues.replay", False), ("deliveries", "queues.replay", False)]


async def test_a_letter_is_kept_for_at_least_14_days_and_a_hold_is_honoured(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    die(owner, 4)
    for number, days in ((1, 15), (2, 88), (3, 91), (4, 91)):
        owner.execute(
            "UPDATE wf.dead_letters SET dead_at = now() - make_interval(days => %s) WHERE id = %s", [days, number]
        )
    await done(home, "queues.hold", 4)
    assert await refused(home, "queues.discard", 4) == "letter_held"
    jobs = (await home.of(CauseDirectory).sources())[0]
    assert (jobs.name, jobs.waiting, jobs.ending) == ("jobs", 4, 2)  # told before it ends
    psql("worker").execute("SELECT wf.prune_letters()")
    kept = await letters(home)
    assert [letter.id for letter in kept] == [4, 2, 1]
    assert kept[-1].kept_until is not None and kept[-1].kept_until - home.clock.now() > timedelta(days=14)
    assert of_jobs(psql) == {"dead": 3, "canceled": 1}  # it does not come back without a letter
    assert owner.execute(RECOUNTED).fetchall() == []


async def test_a_letter_that_is_being_replayed_is_not_deleted_for_its_age(psql: Psql) -> None:
    owner, operator, worker = psql("owner"), psql("operator"), psql("worker")
    die(owner)
    die(owner, kind="drill", tenant=None)  # of another cause, whose counts nobody changes
    owner.execute("UPDATE wf.dead_letters SET dead_at = now() - interval '91 days'")
    worker.execute("SET lock_timeout = '10s'")
    with operator.transaction():
        operator.execute("SELECT wf.begin_change('queues.replay', 'the server is back', 'r1')")
        operator.execute("SELECT wf.change_letter('replay', 1)")
        worker.execute("SELECT wf.prune_letters()")
    assert owner.execute("SELECT id, state FROM wf.dead_letters").fetchall() == [(1, "replayed")]
    assert owner.execute(RECOUNTED).fetchall() == []


async def test_discarding_needs_a_reason_also_by_sql(home: Home, psql: Psql) -> None:
    die(psql("owner"))
    operator = psql("operator")
    with pytest.raises(errors.CheckViolation) as found, operator.transaction():
        operator.execute("SELECT wf.begin_change('queues.discard', ' ', 'r1')")
        operator.execute("SELECT wf.change_letter('discard', 1)")
    assert found.value.diag.constraint_name == "letter_reason"
    await done(home, "queues.discard", 1)
    assert of_jobs(psql) == {"canceled": 1}
    assert one(psql("owner"), "SELECT dead, discarded, tenants FROM wf.dead_causes") == (0, 1, 0)


async def test_two_writers_of_many_causes_never_deadlock_and_count_right(psql: Psql, database: Database) -> None:
    statement = """INSERT INTO wf.dead_letters (source, source_id, tenant_id, queue, handler, error)
      SELECT 'jobs', %s || i, CASE i %% 3 WHEN 0 THEN 'acme' WHEN 1 THEN 'globex' END, 'q', 'h' || i %% 7, 'e'
      FROM generate_series(1, 60) i ORDER BY i * %s"""
    with psycopg.connect(database.owner) as one_writer, psycopg.connect(database.owner) as other:
        one_writer.execute(statement, ["a", 1])
        begun = threading.Thread(target=lambda: (other.execute(statement, ["b", -1]), other.commit()))
        begun.start()
        one_writer.execute("UPDATE wf.dead_letters SET state = 'quarantined' WHERE source_id LIKE 'a%5'")
        one_writer.commit()
        begun.join(60)
    assert one(psql("owner"), "SELECT count(*), sum(waiting) FROM wf.dead_causes") == (7, 120)
    assert psql("owner").execute(RECOUNTED).fetchall() == []


async def test_a_tenant_that_is_erased_takes_its_letters_along(psql: Psql) -> None:
    die(psql("owner"), 2)
    die(psql("owner"), 1, tenant="globex")
    owner = psql("owner")
    owner.execute("DELETE FROM wf.dead_letters WHERE tenant_id = 'acme'")
    assert one(owner, "SELECT dead, tenants FROM wf.dead_causes") == (1, 1)


async def test_a_count_that_takes_too_long_is_an_estimate_and_says_so(
    home: Home, psql: Psql, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = psql("owner")
    die(owner, 100, payload={"lines": [{"n": 3}]})
    die(owner, 100)
    owner.execute("ANALYZE wf.dead_letters")
    query = Query(parse('payload:"$.lines[*] ? (@.n > 2)" error:/answer/', LETTERS.fields))
    listing = home.of(LetterDirectory)
    assert str(await listing.count(query)) == "100"

    def endless(self: Letters, query: Query, cap: int) -> tuple[sql.Composed, list[object]]:
        return sql.SQL("SELECT 1 FROM pg_sleep(60)").format(), []

    monkeypatch.setattr(Letters, "_counting", endless)
    monkeypatch.setattr(queues, "COUNT_SECONDS", 0.05)
    assert await listing.count(query) == Count(100), "there are few: all were looked at"
    monkeypatch.setattr(queues, "SAMPLE_ROWS", 150)
    assert str(await listing.count(query)) == "~67"  # 50 of the newest 150, of 200
