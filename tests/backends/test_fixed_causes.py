"""A cause that is fixed is offered for a replay when the gate of its release passed; what a legal hold holds; and the
reason that an export of dead letters takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.errors import NotPermitted, Refusal, Usage
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.queues.exported import note_export
from controlplane.queues.list import CAUSES
from controlplane.queues.model import Cause, CauseDirectory
from controlplane.queues.words import cause_words, why_cause
from tests.backends import gates
from tests.backends.letters import die
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.runs import opened
from tests.postgres import Database


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    async with opened(database.login("admin")) as made:
        yield made


async def cause(home: Home, text: str = "") -> Cause | None:
    page = await home.of(CauseDirectory).page(Query(parse(text, CAUSES.fields), "dead", True))
    return page.rows[0] if page.rows else None


async def decided(home: Home, psql: Psql, verdict: str, environment: str = "production") -> None:
    """A run of the gate that ends in that verdict."""
    psql("owner").execute("UPDATE wf.tenants SET region = %s", ["ok" if verdict == "GO" else "bad"])
    whole = await gates.ran(home, await gates.begin(home, "shop", environment))
    assert whole.run.verdict == verdict


async def test_a_cause_is_offered_when_the_gate_of_its_release_passed_since(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    die(owner, 3)
    await gates.apply(
        home, {"name": "regions", "kind": "sql", "sql": "SELECT id FROM wf.tenant_list WHERE region = 'bad'"}
    )
    await decided(home, psql, "GO")  # before anybody said so
    found = await cause(home)
    assert found is not None and not found.ready
    done = await gates.do(home, "queues.fixed", id=found.id, release="2.4.1", gate="shop/production")
    assert done.undo is not None and done.undo.request["gate"] == ""
    for environment, verdict, ready in (
        ("staging", "GO", False),
        ("production", "NO_GO", False),
        ("production", "GO", True),
        ("production", "NO_GO", False),
        ("production", "GO", True),
    ):
        await decided(home, psql, verdict, environment)
        found = await cause(home, "handler:deliver")
        assert found is not None and found.ready is ready, (environment, verdict)
        assert (await cause(home, "ready:yes") is not None) is ready is bool(await home.of(CauseDirectory).ready())
    assert "gate passed" in cause_words(found)
    said = [line if isinstance(line, str) else line[0] for line in why_cause(found, found.last_seen)]
    assert "its gate shop/production: GO" in said and any("one message first" in line for line in said)
    owner.execute("UPDATE wf.dead_causes SET releases = '{2.4.1}'")  # it died in that release
    found = await cause(home, "handler:deliver")
    assert found is not None and not found.ready


def test_a_gate_that_is_none_is_refused(psql: Psql) -> None:
    die(psql("owner"))
    operator = psql("operator")
    [name] = one(operator, "SELECT id FROM wf.cause_list")
    for release, gate in (("2.0", "nothing/production"), ("2.0", "shop"), ("", "shop/production"), ("2.0", "/x")):
        operator.execute("BEGIN; SELECT wf.begin_change('queues.fixed', 'x', 'r1')")
        refused(operator, "cause_gate", f"SELECT wf.fix_cause('{name}', '{release}', '{gate}')")
        operator.execute("ROLLBACK")


async def test_an_export_needs_a_reason_and_is_in_the_trail_before_it_begins(
    home: Home, psql: Psql, database: Database
) -> None:
    with pytest.raises(Usage):
        await note_export(home, "letters", "", "csv", " ")
    async with opened(database.login("viewer")) as viewer:
        with pytest.raises(NotPermitted):
            await note_export(viewer, "letters", "", "csv", "curious")
    await note_export(home, "letters", "key: ana@acme.example", "csv", "ticket 4711")
    row = one(
        psql("owner"), "SELECT operation, thing, actor, reason, out_of_band, after FROM wf.audit WHERE noun = 'exports'"
    )
    assert row == ("queues.export", "letters", "t_admin", "ticket 4711", False,
                   {"form": "csv", "filter": "key: a\u2022\u2022\u2022@acme.example"})  # fmt: skip
    refused(psql("support"), "export_note", "SELECT wf.note_letter_export('letters', '', 'csv')")
    denied(psql("viewer"), "SELECT wf.note_letter_export('letters', '', 'csv')")


async def test_a_held_message_outlives_its_time_and_its_tenants_purge(home: Home, psql: Psql) -> None:
    owner: psycopg.Connection = psql("owner")
    die(owner, 2)
    owner.execute("UPDATE wf.dead_letters SET dead_at = now() - interval '91 days', hold = (id = 1)")
    assert one(psql("worker"), "SELECT wf.prune_letters()") == (1,)
    assert one(owner, "SELECT array_agg(id) FROM wf.dead_letters") == ([1],)
    owner.execute("UPDATE wf.dead_letters SET state = 'discarded', settled_at = now() - interval '99 days'")
    assert one(psql("worker"), "SELECT wf.prune_letters()") == (0,)
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.tenants SET status = 'pending_deletion', deleted_at = now() - interval '9 days',"
                  " deleted_from = 'active', purge_after = now() - interval '1 day' WHERE id = 'acme'")  # fmt: skip
    owner.execute("ALTER TABLE wf.tenants ENABLE TRIGGER guard")
    with pytest.raises(Refusal) as held:
        await gates.do(home, "tenants.purge", id="acme")
    assert held.value.code == "tenant_letters_held"
    owner.execute("UPDATE wf.dead_letters SET hold = false")
    await gates.do(home, "tenants.purge", id="acme")
    assert one(owner, "SELECT count(*) FROM wf.dead_letters") == (0,)
