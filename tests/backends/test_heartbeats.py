"""A heartbeat that stays away is the alert; one that comes ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.errors import Conflict, Refusal
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from tests.backends.alerts import alerts, evaluate
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.postgres import Database

EARLIER = "UPDATE wf.beats SET at = at - %s::interval WHERE name = %s"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    await home.open()
    yield home
    await home.close()


async def do(home: Home, verb: str, /, **fields: Any) -> Outcome:
    operation = named(f"heartbeats.{verb}")
    return await execute(home, operation, operation.parse(fields), Call("as the test says"))


def state(psql: Psql, name: str = "billing") -> object:
    return one(psql("viewer"), "SELECT state FROM wf.heartbeat_list WHERE name = %s", name)[0]


async def test_a_heartbeat_that_stays_away_fires_and_one_that_comes_resolves(home: Home, psql: Psql) -> None:
    owner, service, worker = psql("owner"), psql("service"), psql("worker")
    await do(
        home, "create", name="billing", every="5m", grace="1m", tenant_id="acme", severity="error", means="no bills"
    )
    assert state(psql) == "never"
    assert evaluate(worker, "heartbeat_missing") == {}, "it may still come"
    assert one(service, "SELECT wf_data.beat('billing'), wf_data.beat('nobody')") == (True, False)
    assert state(psql) == "alive"
    owner.execute(EARLIER, ["5 minutes 30 seconds", "billing"])
    assert state(psql) == "alive", "it is expected again from when it was made"
    owner.execute("ALTER TABLE wf.heartbeats DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.heartbeats SET since = since - interval '1 day'")
    owner.execute("ALTER TABLE wf.heartbeats ENABLE TRIGGER guard")
    assert state(psql) == "late" and evaluate(worker, "heartbeat_missing") == {}
    owner.execute(EARLIER, ["1 minute", "billing"])
    assert state(psql) == "missing" and evaluate(worker, "heartbeat_missing") == {"fired": 1}
    [alert] = alerts(owner, "kind = 'heartbeat_missing'")
    assert (alert["tenant_id"], alert["labels"], alert["severity"]) == ("acme", {"heartbeat": "billing"}, "error")
    assert alert["summary"].endswith("no bills") and alert["value"] == pytest.approx(1.5, abs=0.4)
    assert alert["threshold"] == 1
    service.execute("SELECT wf_data.beat('billing')")
    assert evaluate(worker, "heartbeat_missing") == {"resolved": 1}


async def test_one_that_never_came_fires_after_its_time(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    await do(home, "create", name="billing", every=10, grace=0)
    owner.execute("ALTER TABLE wf.heartbeats DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.heartbeats SET since = since - interval '11 seconds'")
    evaluate(psql("worker"), "heartbeat_missing")
    [alert] = alerts(owner)
    assert "has never said" in alert["summary"] and alert["severity"] == "critical"


async def test_a_heartbeat_is_edited_retired_and_restored_and_is_expected_from_then_on(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    await do(home, "create", name="billing", every="10s", grace="0s")
    with pytest.raises(Conflict) as taken:
        await do(home, "create", name="billing", every="10s")
    assert taken.value.code == "heartbeat_taken"
    owner.execute("ALTER TABLE wf.heartbeats DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.heartbeats SET since = since - interval '1 day'")
    owner.execute("ALTER TABLE wf.heartbeats ENABLE TRIGGER guard")
    assert evaluate(worker, "heartbeat_missing") == {"fired": 1}
    changed = await do(home, "edit", name="billing", every="2d")
    assert changed.result["every"] == 172_800 and evaluate(worker, "heartbeat_missing") == {"resolved": 1}
    assert changed.undo is not None and changed.undo.request["every"] == 10
    await do(home, "retire", name="billing")
    assert state(psql) == "retired"
    assert one(psql("service"), "SELECT wf_data.beat('billing')") == (False,)
    with pytest.raises(Refusal) as gone:
        await do(home, "edit", name="billing", every="1d")
    assert gone.value.code == "heartbeat_retired"
    await do(home, "restore", name="billing")
    assert state(psql) == "never", "its day begins now"
    trail = "SELECT operation FROM wf.audit WHERE noun = 'heartbeats' ORDER BY seq"
    done = [row[0] for row in owner.execute(trail.encode()).fetchall()]
    assert done[-3:] == ["heartbeats.edit", "heartbeats.retire", "heartbeats.restore"]


async def test_a_beat_in_an_open_transaction_holds_no_other_up(home: Home, psql: Psql, database: Database) -> None:
    await do(home, "create", name="billing", every="5m")
    with psycopg.connect(database.login("service")) as idle:
        idle.execute("SELECT wf_data.beat('billing')")
        psql("service").execute("SET lock_timeout = '1 s'")
        assert one(psql("service"), "SELECT wf_data.beat('billing')") == (True,)


async def test_who_may_beat_and_who_may_not(home: Home, psql: Psql) -> None:
    await do(home, "create", name="billing", every="5m")
    for role in ("viewer", "operator", "admin", "worker"):
        denied(psql(role), "SELECT wf_data.beat('billing')", "UPDATE wf.beats SET at = now()")
    for role in ("service", "worker", "viewer"):
        denied(psql(role), "INSERT INTO wf.heartbeats (name, every) VALUES ('x', 10)")
    denied(psql("operator"), "DELETE FROM wf.heartbeats", "UPDATE wf.heartbeats SET since = now()")
    operator = psql("operator")
    operator.execute("UPDATE wf.heartbeats SET retired_at = now() WHERE name = 'billing'")
    refused(operator, "heartbeat_retired", "UPDATE wf.heartbeats SET every = 20 WHERE name = 'billing'")
    refused(operator, "heartbeat_every", "INSERT INTO wf.heartbeats (name, every) VALUES ('y', 1)")
