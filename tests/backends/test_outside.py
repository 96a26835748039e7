"""Dead messages in tables of other systems: read, counted, replayed and discarded, in another PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from controlplane.errors import NotFound, NotPermitted, Refusal, Usage
from controlplane.queues.held import SAMPLE, read
from controlplane.queues.source import Source
from controlplane.queues.source_words import indented
from tests.backends.outside import EXACT, NOW, PGMQ, SYSTEMS, password_of, sources_of, url_of
from tests.postgres import Database

Made = Callable[..., Source]
ORDERS = """
CREATE TABLE orders_outbox (
  id bigserial PRIMARY KEY, body text, status text NOT NULL, tries int NOT NULL DEFAULT 0, err text, key text,
  died timestamptz);
CREATE UNIQUE INDEX one_waits ON orders_outbox (key) WHERE status = 'waiting';
"""
OWN = """
table = "orders_outbox"
dead = ["dead"]
requeue = "UPDATE $table SET status = 'waiting', tries = 0 WHERE id = ANY ($ids)"
columns = {id = "id", payload = "body", error = "err", attempts = "tries", state = "status", died = "died", key = "key"}
"""


@pytest.fixture
def source_database(empty_database: Database) -> Database:
    return empty_database


@pytest.fixture
async def made(source_database: Database, tmp_path: Path) -> AsyncIterator[Made]:
    """made(lines): a source `orders` in that database with these lines of settings."""
    opened: list[Source] = []

    def make(lines: str, conninfo: str = source_database.owner) -> Source:
        text = f'[orders]\nurl = "{url_of(conninfo)}"\npassword = "env:ORDERS"\n{lines}'
        opened.append(sources_of(tmp_path, text, password_of(conninfo))["orders"])
        return opened[-1]

    yield make
    for source in opened:
        await source.close()


async def names(source: Source) -> list[str]:
    return [message.name for message in (await source.page(None, 500)).rows]


async def test_each_shipped_mapping_reads_replays_and_discards(made: Made, source_database: Database) -> None:
    with psycopg.connect(source_database.owner, autocommit=True) as owner:
        for system, tables in SYSTEMS.items():
            owner.execute(tables.encode())
            source = made(f'mapping = "{system}"')
            held = await read(source, lambda: NOW)
            assert held.counted is not None and (held.counted.waiting, held.whole) == (2, True), system
            assert held.counted.oldest is not None and held.counted.entered == 2, system
            assert len({message.fingerprint for message in held.messages}) == (2 if system == "aionis-outbox" else 1)
            found = [await source.fetch(each.name) for each in held.messages]
            [(one, said)] = [pair for pair in found if EXACT.encode() in pair[1].payload]
            assert one.handler in ("embed_nodes", "publish", "send", "paid", "App.Mailer"), system
            assert one.attempts and one.dead_at and one.created_at, system
            assert f'"n": {EXACT}' in (indented(said.payload) or ""), system
            acted = await source.replay([one.name, "no such id"])
            assert acted.verdicts == {one.name: "done", "no such id": "settled"}, (system, acted)
            assert (await source.replay([one.name])).verdicts == {one.name: "settled"}, system
            [other] = await names(source)
            if source.can.discard:
                assert (await source.discard([other])).verdicts == {other: "done"}, system
                assert await names(source) == [], system
        outbox = owner.execute("SELECT scope, attempts, claimed_at, last_error FROM memory_outbox WHERE id = 1")
        assert outbox.fetchall() == [("tenant:acme::scope:default", 0, None, None)]
        publish = owner.execute(
            "SELECT status, attempts, metadata->>'replay_reason' FROM control_incident_publish_jobs"
            " WHERE metadata ? 'n'"
        )
        assert publish.fetchall() == [("pending", 0, "manual_replay")]
        assert owner.execute("SELECT status::text, attempts FROM procrastinate_jobs ORDER BY id").fetchall() == [
            ("todo", 0), ("cancelled", 3), ("todo", 0)]  # fmt: skip
        assert owner.execute("SELECT * FROM pgque.sent").fetchall() == [("orders", "paid", f'{{"n": {EXACT}}}')]
        oban = owner.execute(
            "SELECT state::text, attempt, max_attempts, cardinality(errors) FROM oban_jobs WHERE id = 1"
        )
        assert oban.fetchall() == [("available", 20, 21, 2)]


async def test_what_each_mapping_says_of_a_message(made: Made, source_database: Database) -> None:
    with psycopg.connect(source_database.owner, autocommit=True) as owner:
        for system in ("aionis-outbox", "aionis-publish", "oban"):
            owner.execute(SYSTEMS[system].encode())
    outbox = (await made('mapping = "aionis-outbox"').look(["1"]))["1"]
    assert (outbox.tenant_id, outbox.error_class, outbox.error) == (
        "acme", "max_attempts_exceeded", "no answer from 10.0.0.7")  # fmt: skip
    publish = {m.tenant_id: m for m in (await made('mapping = "aionis-publish"').page(None, 9)).rows}
    assert publish["acme"].error_class == "exit_2" and publish["acme"].cause == "no such bucket <s>"
    oban = (await made('mapping = "oban"').look(["1"]))["1"]
    assert (oban.error_class, oban.error, oban.queue) == ("RuntimeError", "** (RuntimeError) no mail for 17", "default")


async def test_faults_of_a_mapping_are_all_told_with_their_line_and_column(
    made: Made, source_database: Database
) -> None:
    with psycopg.connect(source_database.owner, autocommit=True) as owner:
        owner.execute(ORDERS.encode())
    wrong = """
table = "orders_outbox"
dead = "t.statsu = 'dead'"
requeue = "UPDATE $table SET retries = 0 WHERE id = ANY ($ids)"
columns = {id = "key", payload = "payload", error = "er", attempts = "status", died = "body", tenant = "lower(t.nam)"}
"""
    with pytest.raises(Usage) as found:
        await made(wrong).count()
    assert found.value.code == "mapping_invalid"
    assert [line.removeprefix("orders.") for line in found.value.why] == [
        "columns.payload: orders_outbox has no column payload; it has id, body, status, tries, err, key, died",
        "columns.error: orders_outbox has no column er; did you mean 'err'?",
        "columns.attempts: status is text, and no whole number",
        "columns.died: body is text, and no time",
        "columns.tenant: column t.nam does not exist",
        "columns.id: no unique index is over key alone, so it names no one message",
        "dead: column t.statsu does not exist",
    ]
    with pytest.raises(Usage) as found:
        await made(OWN.replace("tries = 0", "retries = 0")).count()
    assert found.value.why == ('orders.requeue: column "retries" of relation "orders_outbox" does not exist',)
    with pytest.raises(Usage, match="has no table nowhere"):
        await made(OWN.replace("orders_outbox", "nowhere")).count()


async def test_a_replay_is_all_or_nothing_and_each_message_has_its_verdict(
    made: Made, source_database: Database
) -> None:
    with psycopg.connect(source_database.owner, autocommit=True) as owner:
        owner.execute(ORDERS.encode())
        owner.execute("INSERT INTO orders_outbox (body, status, tries, key) SELECT i, 'dead', 5, 'k' || i"
                      " FROM generate_series(1, 5) i")  # fmt: skip
        state = "SELECT string_agg(status, ',' ORDER BY id) FROM orders_outbox"
        half = made(OWN.replace("= ANY ($ids)", "= ANY ($ids) AND id <> 3"))
        acted = await half.replay(["1", "2", "3"])
        assert set(acted.verdicts.values()) == {"refused"} and "changed 2 of 3" in acted.detail
        idle = made(OWN.replace("status = 'waiting', ", ""))
        acted = await idle.replay(["1"])
        assert acted.verdicts == {"1": "refused"} and "still dead" in acted.detail
        assert owner.execute(state.encode()).fetchone() == ("dead,dead,dead,dead,dead",)
        source = made(OWN)
        owner.execute("INSERT INTO orders_outbox (status, key) VALUES ('waiting', 'k2')")
        with psycopg.connect(source_database.owner) as other:
            other.execute("SELECT FROM orders_outbox WHERE id = 4 FOR UPDATE")
            acted = await source.replay(["1", "2", "4", "5", "99"])
        assert acted.verdicts == {"1": "done", "2": "conflict", "4": "busy", "5": "done", "99": "settled"}
        assert owner.execute(state.encode()).fetchone() == ("waiting,dead,dead,dead,waiting,waiting",)


async def test_a_commit_without_an_answer_is_looked_up(made: Made, source_database: Database) -> None:
    with psycopg.connect(source_database.owner, autocommit=True) as owner:
        owner.execute(ORDERS.replace("orders_outbox", '"Orders"').encode())
        owner.execute("""
            CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS
              'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
            CREATE CONSTRAINT TRIGGER hang_up AFTER UPDATE ON "Orders" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
              EXECUTE FUNCTION hang_up();
            INSERT INTO "Orders" (status) VALUES ('dead')""")
        acted = await made(OWN.replace('"orders_outbox"', "'public.\"Orders\"'")).replay(["1", "7"])
        assert acted.verdicts == {"1": "refused", "7": "settled"} and "looked up" in acted.detail
        assert owner.execute('SELECT status FROM "Orders"').fetchall() == [("dead",)]


async def test_pages_go_by_key_and_the_number_is_an_honest_estimate_beyond_what_is_counted(
    made: Made, source_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(source_database.owner, autocommit=True) as owner:
        owner.execute(ORDERS.encode())
        owner.execute("INSERT INTO orders_outbox (status, err, died)"
                      " SELECT 'dead', 'no ' || i, now() - interval '2 hours'"
                      " FROM generate_series(1, 3000) i")  # fmt: skip
        owner.execute("INSERT INTO orders_outbox (status, died) VALUES ('dead', 'infinity'), ('dead', '0044-03-15 BC')")
        owner.execute("ANALYZE orders_outbox")
    source = made(OWN)
    first = await source.page(None, 3)
    second = await source.page(first.next, 3)
    assert [m.name for m in (*first.rows, *second.rows)] == ["3002", "3001", "3000", "2999", "2998", "2997"]
    assert [m.dead_at for m in first.rows[:2]] == [None, None]
    held = await read(source, lambda: NOW)
    assert held.counted is not None and (held.counted.waiting, held.counted.entered) == (3002, 0)
    assert len(held.messages) == SAMPLE and not held.whole
    monkeypatch.setattr("backends.sources.outbox.MAX_COUNTED", 100)
    counted = await source.count()
    assert not counted.exact and 2900 < counted.waiting < 3100 and counted.oldest is None


async def test_pgmq_needs_its_tables_alone_and_says_when_they_are_not_there(
    made: Made, source_database: Database
) -> None:
    archive, live = 'kind = "pgmq"\nqueue = "orders"', 'kind = "pgmq"\nqueue = "orders"\nheld = "queue"'
    with pytest.raises(Usage, match="has no pgmq"):
        await made(archive).count()
    with psycopg.connect(source_database.owner, autocommit=True) as owner:
        owner.execute(PGMQ.encode())
        with pytest.raises(Usage, match="no queue other"):
            await made('kind = "pgmq"\nqueue = "other"').count()
        source = made(archive)
        [message] = (await source.page(None, 9)).rows
        assert (message.name, message.attempts, message.error_class) == ("11", 5, "max_reads")
        _, said = await source.fetch("11")
        assert said.headers == {"trace": "a1"} and EXACT.encode() in said.payload
        assert (await source.replay(["11"])).verdicts == {"11": "done"}
        sent = owner.execute("SELECT read_ct, message::text, headers FROM pgmq.q_orders WHERE headers ? 'trace'")
        assert sent.fetchall() == [(0, f'{{"n": {EXACT}}}', {"trace": "a1"})]
        assert owner.execute("SELECT msg_id FROM pgmq.a_orders").fetchall() == [(12,)]
        stuck = made(live)
        assert await names(stuck) == ["1"]
        assert (await stuck.replay(["1"])).verdicts == {"1": "done"}
        assert await names(stuck) == []
        owner.execute("ALTER TABLE pgmq.a_orders DROP COLUMN headers; ALTER TABLE pgmq.q_orders DROP COLUMN headers;"
                      "UPDATE pgmq.a_orders SET read_ct = 7")  # fmt: skip
        older = made(archive)
        acted = await older.replay(["12"])
        assert acted.verdicts == {"12": "done"}, acted.detail


async def test_what_a_source_does_not_permit_or_cannot_do_is_told(made: Made, source_database: Database) -> None:
    with psycopg.connect(source_database.owner, autocommit=True) as owner:
        owner.execute(ORDERS.encode())
        owner.execute("INSERT INTO orders_outbox (status, body) VALUES ('dead', 'x')")
        reader = source_database.login("service")
        owner.execute("GRANT SELECT ON orders_outbox TO t_service")
    source = made(OWN, reader)
    assert await names(source) == ["1"]
    with pytest.raises(NotPermitted) as denied:
        await source.replay(["1"])
    assert denied.value.code == "source_not_permitted"
    assert not source.can.discard and "discard" in source.can.why
    with pytest.raises(NotFound):
        await source.fetch("77")
    nobody = made(OWN, source_database.owner.replace("dbname=", "dbname=no"))
    with pytest.raises(Refusal) as away:
        await nobody.count()
    assert away.value.code in ("source_unreachable", "source_refused_sql") and "password" not in str(away.value)
