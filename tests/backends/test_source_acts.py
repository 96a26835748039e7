"""What is done outside from this home: who may, what is kept of it before and after, and how all sources are listed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from backends.postgres.home import Home
from controlplane.changes import Intent
from controlplane.errors import NotFound, NotPermitted, Refusal
from controlplane.filters.grammar import parse
from controlplane.listing import Position, Query
from controlplane.operations import Call, Outcome, execute
from controlplane.queues.everywhere import AllCauses
from controlplane.queues.list import CAUSES
from controlplane.queues.source_lists import MESSAGES
from controlplane.queues.sources import MessageDirectory, SourceDirectory
from controlplane.registry import named
from tests.backends.letters import die
from tests.backends.outside import booked, password_of, sources_of, url_of
from tests.backends.psql import denied, logins, one, refused
from tests.backends.runs import opened
from tests.postgres import Database

ORDERS = """
CREATE TABLE orders (
  id bigserial PRIMARY KEY, state text NOT NULL, tenant text, err text, died timestamptz DEFAULT now());
INSERT INTO orders (state, tenant, err)
SELECT 'dead', 'acme', 'no answer from 10.0.0.' || i FROM generate_series(1, 5) i;
INSERT INTO orders (state, tenant, err)
VALUES ('dead', 'frozen', 'no mail for ana@acme.example'), ('done', 'acme', NULL);
"""
SETTINGS = """
[{name}]
url = "{url}"
password = "env:ORDERS"
table = "orders"
dead = ["dead"]
requeue = "UPDATE $table SET state = 'waiting' {and_so} WHERE id = ANY ($ids)"
columns = {{id = "id", error = "err", tenant = "tenant", state = "state", died = "died", handler = "'ship'"}}
"""


@pytest.fixture
def elsewhere(empty_database: Database) -> psycopg.Connection:
    connection = psycopg.connect(empty_database.owner, autocommit=True)
    connection.execute(ORDERS.encode())
    return connection


@pytest.fixture
async def home(
    database: Database, empty_database: Database, elsewhere: psycopg.Connection, tmp_path: Path
) -> AsyncIterator[Home]:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('frozen', 'Frozen')")
        owner.execute("UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x'"
                      " WHERE id = 'frozen'")  # fmt: skip
    url = url_of(empty_database.owner)
    text = SETTINGS.format(name="orders", url=url, and_so="")
    text += SETTINGS.format(name="cut", url=url, and_so=", err = pg_terminate_backend(pg_backend_pid())::text")
    text += SETTINGS.format(name="slow", url=url, and_so=", err = pg_sleep(60)::text")
    text += SETTINGS.format(name="away", url=url.replace("host=", "host=%2Fnowhere"), and_so="")
    book = booked(sources_of(tmp_path, text, password_of(empty_database.owner)))
    async with opened(database.login("operator")) as made:
        made.sources = book
        yield made
    await book.close()
    elsewhere.close()


async def act(home: Home, verb: str, message: str, dry_run: bool = False) -> Outcome:
    operation = named(f"messages.{verb}")
    request = operation.parse({"id": message})
    return await execute(home, operation, request, Call("the receiver is back", dry_run=dry_run))


async def test_the_intent_and_the_outcome_are_in_the_trail_and_the_message_is_queued_again(
    home: Home, elsewhere: psycopg.Connection, database: Database
) -> None:
    preview = await act(home, "replay", "orders/1", dry_run=True)
    assert preview.result["ids"] == ["1"] and one(elsewhere, "SELECT state FROM orders WHERE id = 1") == ("dead",)
    outcome = await act(home, "replay", "orders/1")
    assert outcome.result["verdicts"] == {"done": 1}
    assert one(elsewhere, "SELECT string_agg(state, ',' ORDER BY id) FROM orders WHERE id IN (1, 6)") == (
        "waiting,dead",
    )
    with logins(database) as psql:
        trail = psql("owner").execute(
            "SELECT operation, out_of_band, reason, before->>'state', after->>'state', after->'things', actor"
            " FROM wf.audit WHERE noun = 'messages' ORDER BY seq").fetchall()  # fmt: skip
    assert trail == [
        ("messages.replay", False, "the receiver is back", None, "open", ["1"], "t_operator"),
        ("messages.settle", False, "the outcome", "open", "done", ["1"], "t_operator"),
    ]
    messages, newest = home.of(MessageDirectory), Query(parse("source:orders", MESSAGES.fields), "age", True)
    assert [m.name for m in (await messages.page(newest)).rows] == ["6", "5", "4", "3", "2"]
    elsewhere.execute("UPDATE orders SET state = 'dead' WHERE id = 1")
    again = await messages.get("orders/1")
    assert (again.replays, again.act) == (1, "")
    [row] = [r for r in await home.of(SourceDirectory).lines() if r.id == "orders"]
    assert (row.waiting, row.settled, row.state) == (5, 1, "ok")  # it is asked again after some seconds
    for name, words in (("6", "tenant not active"), ("77", "no longer dead")):
        with pytest.raises(Refusal, match=words) as nothing:
            await act(home, "replay", f"orders/{name}")
        assert nothing.value.code == "messages_settled"
    with pytest.raises(Refusal) as cannot:
        await act(home, "discard", "orders/2")
    assert cannot.value.code == "source_cannot"
    with pytest.raises(NotFound):
        await act(home, "replay", "orders")


async def test_what_is_cut_off_leaves_an_act_whose_outcome_is_told_or_unknown_and_never_nothing(
    home: Home, elsewhere: psycopg.Connection
) -> None:
    with pytest.raises(Refusal) as lost:
        await act(home, "replay", "cut/1")
    assert lost.value.code == "source_refused" and "cannot be reached" in str(lost.value)
    task = asyncio.ensure_future(act(home, "replay", "slow/2"))
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    while one(elsewhere, asleep) != (1,):  # noqa: ASYNC110 - another server's session is waited for
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    acts = {
        a.source: a
        for name in ("cut", "slow")
        for a in await home.of(MessageDirectory).acts(name, "1" if name == "cut" else "2")
    }
    assert (acts["cut"].state, acts["cut"].done, acts["cut"].others) == ("refused", 0, {"1": "refused"})
    assert (acts["slow"].state, acts["slow"].others) == ("unknown", {"2": "unknown"})
    assert one(elsewhere, "SELECT count(*) FROM orders WHERE state = 'dead'") == (6,)
    found = await home.of(MessageDirectory).get("slow/2")
    assert found.act == "replay unknown"


async def test_a_program_that_dies_between_the_intent_and_the_outcome_leaves_an_open_act(
    home: Home, elsewhere: psycopg.Connection, database: Database
) -> None:
    """As after kill -9: nothing more of it runs."""
    operation = named("messages.replay")
    request = operation.parse({"id": "orders/1"})
    async with home.change(Intent("messages.replay", "r1", "", "it is back")) as change:
        made = await operation.perform(change, request)
        await change.finish(made)
    messages = home.of(MessageDirectory)
    assert (await messages.get("orders/1")).act == "replay open"
    with logins(database) as psql:
        psql("owner").execute("UPDATE wf.source_acts SET at = now() - interval '3 minutes'")
    assert (await messages.get("orders/1")).act == "replay unknown"
    assert one(elsewhere, "SELECT count(*) FROM orders WHERE state = 'dead'") == (6,)
    again = await act(home, "replay", "orders/1")
    assert again.result["verdicts"] == {"done": 1}
    assert [a.state for a in await messages.acts("orders", "1")] == ["done", "open"]


async def test_all_causes_are_in_one_order_whatever_the_page_and_a_source_that_is_away_is_one_line(
    home: Home, database: Database
) -> None:
    with logins(database) as psql:
        for number, error in ((4, "four [a]"), (1, "one [b]"), (9, "nine [c]"), (5, "five [d]")):
            die(psql("owner"), number, error=error)
    causes = AllCauses(home, CAUSES)
    for sort in ("dead", "last"):
        for down in (True, False):
            query = Query((), sort, down)
            whole = (await causes.page(query, limit=100)).rows
            assert len(whole) == 4 + 2 * 3 and (await causes.count(query)).number == 10
            assert sum(each.waiting for each in whole) == 19 + 3 * 6
            for backward in (False, True):
                found: list[str] = []
                start: Position | None = None
                while True:
                    page = await causes.page(query, start=start, backward=backward, limit=3)
                    here = [each.fingerprint for each in page.rows]
                    found = here + found if backward else found + here
                    if (page.first if backward else page.last) or not here:
                        break
                    start = page.positions[0 if backward else -1]
                assert found == [each.fingerprint for each in whole], (sort, down, backward)
    only = (await causes.page(Query(parse("source:orders", CAUSES.fields), "dead", True))).rows
    assert [(c.waiting, c.tenants, c.handler) for c in only] == [(5, 1, "ship"), (1, 1, "ship")]
    assert (await causes.get(only[0].id)).source in ("orders", "cut", "slow")
    rows = {row.id: row for row in (await home.of(SourceDirectory).page(Query(), limit=100)).rows}
    assert list(rows) == ["jobs", "deliveries", "orders", "cut", "slow", "away"]
    assert rows["away"].state == "down" and rows["away"].waiting is None and rows["away"].code == "source_unreachable"
    assert rows["orders"].waiting == 6 and rows["orders"].entered == 6 and rows["jobs"].waiting == 19


async def test_who_may_not_acts_on_nothing_and_sees_no_address(home: Home, database: Database) -> None:
    for role in ("viewer", "support"):
        async with opened(database.login(role)) as other:
            other.sources = home.sources
            with pytest.raises(NotPermitted):
                await act(other, "replay", "orders/1")
            message = await other.of(MessageDirectory).get("orders/6")
            assert message.error == "no mail for a•••@acme.example"
            mine, all_causes = (
                AllCauses(other, CAUSES),
                {c.id for c in (await AllCauses(home, CAUSES).page(Query())).rows},
            )
            assert message.cause_id in all_causes and {c.id for c in (await mine.page(Query())).rows} == all_causes
            listed = (await other.of(MessageDirectory).page(Query(parse("source:orders", MESSAGES.fields)))).rows
            assert {m.cause_id for m in listed} <= all_causes and "ana@" not in str(listed)
            assert await other.of(MessageDirectory).said(message) is None


def test_the_home_guards_what_is_recorded(database: Database) -> None:
    begin = "SELECT wf.begin_source_act('orders', 'replay', '{1,2}')"
    end = "SELECT wf.end_source_act(1, 'done', '{}', '')"
    with logins(database) as psql:
        operator, admin = psql("operator"), psql("admin")
        for role in ("viewer", "support", "worker", "service"):
            denied(psql(role), begin, end, "INSERT INTO wf.source_acts (source) VALUES ('x')")
        denied(admin, "UPDATE wf.source_acts SET state = 'done'", "DELETE FROM wf.source_acts")
        refused(operator, "act_change", begin)
        with operator.transaction():
            operator.execute("SELECT wf.begin_change('messages.discard', 'why', 'r1')")
            with pytest.raises(errors.CheckViolation), operator.transaction():
                operator.execute(begin)
        # Another noun's operation of that name: its row would be one of the trail of job 1, or letter 1.
        for other in ("jobs.replay", "queues.replay", "deliveries.replay", "webhooks.replay"):
            with pytest.raises(errors.CheckViolation), operator.transaction():
                operator.execute("SELECT wf.begin_change(%s, 'why', %s)", [other, f"of {other}"])
                operator.execute(begin)
        with operator.transaction():
            operator.execute("SELECT wf.begin_change('messages.replay', NULL, 'r2')")
            with pytest.raises(errors.CheckViolation), operator.transaction():
                operator.execute(begin)
        with operator.transaction():
            operator.execute("SELECT wf.begin_change('messages.replay', 'why', 'r3')")
            for things in (
                "ARRAY[]::text[]",
                "'{1,1}'",
                "array_fill('x'::text, ARRAY[501])",
                "ARRAY[repeat('x', 50000)]",
            ):
                with pytest.raises(errors.CheckViolation), operator.transaction():
                    operator.execute(f"SELECT wf.begin_source_act('orders', 'replay', {things})".encode())
            [act] = one(operator, begin)
        refused(operator, "act_change", end.replace("(1", f"({act}"))
        for person, others, constraint in ((admin, "{}", "act_foreign"), (operator, '{"77": "x"}', "act_things")):
            with pytest.raises(errors.CheckViolation) as found, person.transaction():
                person.execute("SELECT wf.begin_change('messages.settle', 'why', %s)", [f"s-{constraint}"])
                person.execute("SELECT wf.end_source_act(%s, 'done', %s, '')", [act, others])
            assert found.value.diag.constraint_name == constraint
        with operator.transaction():
            operator.execute("SELECT wf.begin_change('messages.settle', 'why', 's1')")
            operator.execute(
                "SELECT wf.end_source_act(%s, 'done', '{\"2\": \"settled\"}', 'mail to ana@acme.example')", [act]
            )
            with pytest.raises(errors.CheckViolation), operator.transaction():
                operator.execute("SELECT wf.end_source_act(%s, 'unknown', '{}', '')", [act])
        assert one(operator, "SELECT done, detail FROM wf.source_act_list") == (1, "mail to a•••@acme.example")
        owner = psql("owner")
        assert one(owner, "SELECT bool_or(out_of_band), count(*) FROM wf.audit WHERE noun = 'messages'") == (False, 2)
        assert one(owner, "SELECT count(*) FROM wf.audit WHERE after::text LIKE '%ana@acme%'") == (0,)
        owner.execute("UPDATE wf.source_acts SET at = now() - interval '401 days'")
        assert one(psql("worker"), "SELECT wf.prune_source_acts()") == (1,)
