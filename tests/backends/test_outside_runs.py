"""Runs over dead messages of another system: the same engine, with the source doing the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.carrier import Carrier
from backends.postgres.home import Home
from controlplane.errors import Refusal, Usage
from controlplane.operations import Call, execute
from controlplane.queues.held import Sources
from controlplane.registry import named
from controlplane.runs.engine import drive, preview_run, start_run
from controlplane.runs.list import NO_ORDER, why
from controlplane.runs.model import Run, RunDirectory
from controlplane.runs.operations import RunStart
from tests.backends.outside import booked, password_of, sources_of, url_of
from tests.backends.psql import denied, logins, one, refused
from tests.backends.runs import items, opened
from tests.controlplane.runs import Ticks
from tests.postgres import Database

ORDERS = """
CREATE TABLE orders (id bigint PRIMARY KEY, state text NOT NULL, tenant text, err text, died timestamptz DEFAULT now());
CREATE TABLE done (id bigint);  -- how often each was queued again
INSERT INTO orders (id, state, tenant, err)
SELECT i, 'dead', 'acme', 'no answer from 10.0.0.' || i FROM generate_series(1, 40) i;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO done VALUES (NEW.id); RETURN NEW; END $$;
CREATE TRIGGER noted AFTER UPDATE OF state ON orders FOR EACH ROW EXECUTE FUNCTION noted();
"""
SETTINGS = """
[{name}]
url = "{url}"
password = "env:ORDERS"
table = "orders"
dead = ["dead"]
requeue = "UPDATE $table SET state = 'waiting' WHERE id = ANY ($ids)"
columns = {{id = "id", error = "err", tenant = "tenant", state = "state", died = "died", handler = "'ship'"}}
"""


@pytest.fixture
def elsewhere(empty_database: Database) -> psycopg.Connection:
    connection = psycopg.connect(empty_database.owner, autocommit=True)
    connection.execute(ORDERS.encode())
    return connection


@pytest.fixture
def book(empty_database: Database, elsewhere: psycopg.Connection, tmp_path: Path) -> Sources:
    text = SETTINGS.format(name="orders", url=url_of(empty_database.owner))
    return booked(sources_of(tmp_path, text, password_of(empty_database.owner)))


@pytest.fixture
async def home(database: Database, book: Sources) -> AsyncIterator[Home]:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('frozen', 'Frozen')")
        owner.execute("UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x'"
                      " WHERE id = 'frozen'")  # fmt: skip
    async with opened(database.login("operator")) as made:
        made.sources = book
        yield made
    await book.close()


def replaying(**more: Any) -> RunStart:
    given = {"operation": "messages.replay", "filter": "source:orders", "per_second": 10_000, **more}
    return RunStart.model_validate(given)


async def do(home: Home, name: str, **fields: Any) -> None:
    await execute(home, named(name), named(name).parse(fields), Call("as the test says"))


def twice(elsewhere: psycopg.Connection) -> int:
    return int(one(elsewhere, "SELECT count(*) FROM (SELECT id FROM done GROUP BY id HAVING count(*) > 1) t")[0])


async def test_its_messages_are_fixed_when_it_is_asked_and_each_has_a_verdict(
    home: Home, elsewhere: psycopg.Connection, database: Database
) -> None:
    elsewhere.execute("UPDATE orders SET tenant = 'frozen' WHERE id = 33")
    elsewhere.execute("DELETE FROM done")
    preview = await preview_run(home, replaying(), "it is back")
    assert preview.total == 40 and dict(preview.refusals) == {"message_tenant": 1} and len(preview.sample) == 5
    assert one(elsewhere, "SELECT count(*) FROM done") == (0,)

    async def more(question: object) -> bool:  # while it is shown, another dies and one is done by somebody else
        elsewhere.execute("INSERT INTO orders (id, state, err) VALUES (99, 'dead', 'late')")
        elsewhere.execute("UPDATE orders SET state = 'gone' WHERE id = 7")
        return True

    run = await drive(home, (await start_run(home, replaying(), "it is back", ask=more)).id, clock=Ticks())
    assert (run.state, run.done, run.refused, run.filter) == ("done", 38, 2, "source:orders")
    verdicts = {item.thing: item.code for item in await items(home, run, "state:refused")}
    assert verdicts == {"orders/7": "message_settled", "orders/33": "message_tenant"}
    assert one(elsewhere, "SELECT array_agg(id ORDER BY id) FROM orders WHERE state = 'dead'") == ([33, 99],)
    assert twice(elsewhere) == 0
    with logins(database) as psql:
        trail = psql("owner").execute(
            "SELECT operation, out_of_band, reason, actor, carried_by, after->>'state',"
            " jsonb_array_length(after->'things'), after->>'run_id' FROM wf.audit WHERE noun = 'messages' ORDER BY seq"
        ).fetchall()  # fmt: skip
    sizes = [row[6] for row in trail if row[0] == "messages.replay"]
    assert sizes[:1] == [1] and sum(sizes) == 38 and sum(sizes[:2]) <= 11  # one, then ten, then the rest
    assert {row[:6] for row in trail} == {
        ("messages.replay", False, "it is back", "t_operator", None, "open"),
        ("messages.settle", False, "it is back", "t_operator", None, "done"),
    }
    assert {row[7] for row in trail} == {str(run.id)}


async def test_more_than_are_held_are_all_found_and_counted(home: Home, elsewhere: psycopg.Connection) -> None:
    """riverui#590: 200 at a time there; the 2,000 that are held of a source are no limit."""
    elsewhere.execute("INSERT INTO orders (id, state, err) SELECT i, 'dead', 'late' FROM generate_series(100, 2599) i")
    run = await start_run(home, replaying(filter="source:orders error:late"), "why")
    assert run.waiting == 2_500
    said = [line if isinstance(line, str) else line[0] for line in why(run, run.created_at)]
    assert NO_ORDER in said and any("settings name its source" in line for line in said)


async def test_an_empty_filter_and_a_source_that_cannot_are_refused(home: Home) -> None:
    with pytest.raises(Usage, match="empty filter"):
        await start_run(home, replaying(filter=""), "why")
    with pytest.raises(Usage, match="needs a reason"):
        await start_run(home, replaying(), None)
    with pytest.raises(Refusal) as cannot:
        await start_run(home, replaying(operation="messages.discard"), "why")
    assert cannot.value.code == "source_cannot"
    with pytest.raises(Refusal) as nothing:
        await start_run(home, replaying(filter="source:orders handler:other"), "why")
    assert nothing.value.code == "run_empty"


async def test_one_bad_message_stops_no_other_and_too_many_pause_it(home: Home, elsewhere: psycopg.Connection) -> None:
    elsewhere.execute("ALTER TABLE orders ADD CONSTRAINT stays CHECK (id <> 30 OR state = 'dead')")
    run = await drive(home, (await start_run(home, replaying(), "why")).id, clock=Ticks())
    assert (run.state, run.done, run.refused) == ("done", 39, 1)
    [bad] = await items(home, run, "state:refused")
    assert bad.thing == "orders/30" and bad.code == "message_refused" and "stays" in (bad.words or "")
    elsewhere.execute("UPDATE orders SET state = 'dead'; ALTER TABLE orders ADD CHECK (id < 37 OR state = 'dead')")
    run = await drive(home, (await start_run(home, replaying(), "why")).id, clock=Ticks())
    assert (run.state, run.why, run.done) == ("paused", "breaker: 1 of the canary of 1 refused", 0)
    await do(home, "runs.resume", id=run.id)
    run = await drive(home, run.id, clock=Ticks())
    assert run.state == "paused" and run.waiting > 25


class Halting(Ticks):
    """A clock that does something at the n-th wait."""

    def __init__(self, home: Home, after: int, verb: str, **fields: Any) -> None:
        super().__init__()
        self.home, self.left, self.verb, self.fields = home, after, verb, fields

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.left -= 1
        if self.left == 0:
            await do(self.home, self.verb, **self.fields)


async def test_another_console_pauses_resumes_changes_the_rate_and_stops_it(
    home: Home, elsewhere: psycopg.Connection, database: Database
) -> None:
    async with opened(database.login("admin")) as another:  # it has no source, and needs none
        run = await start_run(home, replaying(per_second=1), "why")
        run = await drive(home, run.id, clock=Halting(another, 3, "runs.pause", id=run.id))
        assert run.state == "paused" and 1 <= run.done <= 5
        assert one(elsewhere, "SELECT count(*) FROM done") == (run.done,)
        await do(another, "runs.resume", id=run.id)
        clock = Halting(another, 2, "runs.rate", id=run.id, per_second=500)
        run = await drive(home, run.id, clock=clock)
        assert (run.state, run.done, run.per_second) == ("done", 40, 500) and clock.at < 15
        with pytest.raises(Refusal) as over:
            await do(another, "runs.rate", id=run.id, per_second=1)
        assert over.value.code == "run_over"
        elsewhere.execute("UPDATE orders SET state = 'dead'")
        run = await start_run(home, replaying(per_second=1), "why")
        run = await drive(home, run.id, clock=Halting(another, 3, "runs.stop", id=run.id))
        assert run.state == "stopped" and run.waiting == 0 and run.done + run.skipped == 40


async def test_a_stop_while_the_source_is_asked_counts_what_was_done(
    home: Home, elsewhere: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.sources is not None
    source, run = home.sources.source("orders"), await start_run(home, replaying(per_second=1), "why")
    really = source.replay

    async def replay(names: Any) -> Any:
        acted = await really(names)
        await do(home, "runs.stop", id=run.id)
        return acted

    monkeypatch.setattr(source, "replay", replay)
    ended = await drive(home, run.id, clock=Ticks())
    assert (ended.state, ended.done, ended.skipped, ended.waiting) == ("stopped", 1, 39, 0)


@pytest.mark.parametrize("before", [True, False])
async def test_a_program_that_dies_is_taken_over_and_nothing_is_done_twice(
    home: Home, elsewhere: psycopg.Connection, database: Database, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """Killed before its source was asked, or after: the act that it had begun stays open until somebody goes on."""
    assert home.sources is not None
    source, run = home.sources.source("orders"), await start_run(home, replaying(), "why")
    really, died = source.replay, []

    class Killed(BaseException):
        pass

    async def replay(names: Any) -> Any:
        if len(names) > 5 and not died:
            died.extend(names)
            if not before:
                await really(names)
            raise Killed
        return await really(names)

    monkeypatch.setattr(source, "replay", replay)
    with pytest.raises(Killed):
        await drive(home, run.id, clock=Ticks())
    assert died
    with logins(database) as psql:
        assert one(psql("owner"), "SELECT count(*) FROM wf.source_acts WHERE state = 'open'") == (1,)
    run = await drive(home, run.id, clock=Ticks())
    if run.state == "paused":  # the breaker looked at what nobody knows
        await do(home, "runs.resume", id=run.id)
        run = await drive(home, run.id, clock=Ticks())
    unknown = {item.thing for item in await items(home, run, "code:message_unknown")}
    assert unknown == (set() if before else {f"orders/{name}" for name in died})
    assert run.state == "done" and run.done + run.refused == 40
    assert twice(elsewhere) == 0 and one(elsewhere, "SELECT count(*) FROM orders WHERE state = 'dead'") == (0,)


async def test_a_source_that_goes_away_pauses_it_with_the_reason(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.sources is not None
    source, run = home.sources.source("orders"), await start_run(home, replaying(), "why")
    really, looks = source.look, []

    async def look(names: Any) -> Any:
        looks.append(names)
        if len(looks) > 2:
            raise Refusal("source_unreachable", "orders cannot be reached: gone.")
        return await really(names)

    monkeypatch.setattr(source, "look", look)
    run = await drive(home, run.id, clock=Ticks())
    assert (run.state, run.refused) == ("paused", 0) and "orders cannot be reached: gone" in (run.why or "")


async def test_a_worker_carries_it_where_it_has_the_source_and_leaves_it_where_not(
    home: Home, elsewhere: psycopg.Connection, database: Database, book: Sources
) -> None:
    run = await start_run(home, replaying(), "it is back")
    async with opened(database.login("worker")) as bare:
        with pytest.raises(Refusal) as lacking:
            await drive(bare, run.id)
        assert lacking.value.code == "run_source" and "no source orders" in str(lacking.value)
    said: list[str] = []
    carrying = asyncio.create_task(Carrier(database.login("worker"), said.append, lambda clock: book).run())
    try:
        while (now := await home.of(RunDirectory).get(run.id)).state == "running":  # noqa: ASYNC110 - another connection's work
            await asyncio.sleep(0.01)
    finally:
        carrying.cancel()
        await asyncio.wait([carrying])
    assert (now.state, now.done) == ("done", 40)
    with logins(database) as psql:
        by = psql("owner").execute("SELECT DISTINCT actor, carried_by FROM wf.audit WHERE noun = 'messages'").fetchall()
    assert by == [("t_operator", "t_worker")]


async def test_who_drives_says_what_became_of_it_and_nobody_else(home: Home, database: Database) -> None:
    run: Run = await start_run(home, replaying(), "why")
    with logins(database) as psql:
        worker, operator, viewer = psql("worker"), psql("operator"), psql("viewer")
        begin = f"SELECT wf.begin_run_act({run.id}, '{{1,2}}')"
        refused(worker, "run_not_held", begin)
        refused(operator, "run_not_carried", f"SELECT wf.carry_item({run.id}, 1)")
        assert one(worker, f"SELECT wf.hold_run({run.id}, 'mine')") == (True,)
        for wrong in ("{1,1}", "{}", "{77}", "{NULL}"):
            refused(worker, "act_things", f"SELECT wf.begin_run_act({run.id}, '{wrong}')")
        [act] = one(worker, begin)
        refused(worker, "run_item_settled", begin)
        end = f"SELECT wf.end_run_act({act}, 'done', '%s', '', '{{}}')"
        refused(worker, "act_things", end % '{"1": "refused"}')
        refused(operator, "run_not_held", end % "{}")
        with pytest.raises(psycopg.errors.CheckViolation) as foreign, operator.transaction():
            operator.execute("SELECT wf.begin_change('messages.settle', 'x', 'r1')")
            operator.execute(f"SELECT wf.end_source_act({act}, 'done', '{{}}', '')")
        assert foreign.value.diag.constraint_name == "act_foreign"
        worker.execute((end % '{"39": "refused"}').encode())  # the newest come first
        refused(worker, "act_ended", end % "{}")
        rows = viewer.execute(f"SELECT state, code FROM wf.run_items WHERE run_id = {run.id} AND ordinal < 4"
                              " ORDER BY ordinal").fetchall()  # fmt: skip
        assert rows == [("done", None), ("refused", "message_refused"), ("waiting", None)]
        refused(operator, "run_item_unknown", f"SELECT wf.begin_change('messages.replay', 'x', 'run-{run.id}-3')")
        denied(viewer, begin, end % "{}", f"SELECT wf.end_lost_acts({run.id})")
