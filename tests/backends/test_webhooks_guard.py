"""What nobody can do with psql: read a webhook's secret, tell a tenant what did not happen, send where none may be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from psycopg import errors

from backends.postgres.home import Home
from controlplane.webhooks.events import EVENTS
from controlplane.webhooks.operations import MAX_REPLAYED
from tests.backends.notices import do, hands, sealing
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.webhooks import change_plan
from tests.postgres import Database

PUT = "SELECT wf.put_endpoint_secret({}, gen_random_uuid(), '{}', repeat('a', 16), '\\x{}', '0')"
INSERT = "INSERT INTO wf.webhooks (tenant_id, target) VALUES ('{}', 'https://x')"
DELIVERY = (
    "INSERT INTO wf.deliveries (key, webhook_id, group_key, number, reason, event_type, summary, notice)"
    " VALUES ('msg_' || repeat('a', 40), 1, '', 0, 'tenant_event', 'plan.changed', 'x', '{}')"
)


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute(
            "INSERT INTO wf.tenants (id, name, plan) VALUES ('acme', 'Acme', 'growth'), ('beta', 'B', 'x')"
        )
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    home.sealing = sealing(9)
    await home.open()
    await do(home, "webhooks.create", tenant_id="acme", address="http://127.0.0.1:9/s3cret-path")
    yield home
    await home.close()


@pytest.mark.usefixtures("home")
def test_everybody_may_look_operators_may_change_and_nobody_writes_what_the_home_knows(psql: Psql) -> None:
    for role in ("viewer", "support", "operator", "admin"):
        assert one(psql(role), "SELECT target FROM wf.webhook_list") == ("http://127.0.0.1:9/•••",)
    for role in ("viewer", "support", "worker"):
        denied(
            psql(role),
            INSERT.format("acme"),
            "UPDATE wf.webhooks SET enabled = false",
            "SELECT wf.replay_webhook(1, '2020-01-01Z', '2100-01-01Z', '{held}')",
            "SELECT wf.test_endpoint(1, 'msg_')",
        )
    for role in ("viewer", "support", "operator", "admin", "worker", "service"):
        denied(
            psql(role),
            "INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data) VALUES ('e', 'acme', 'a.b', 'x', '{}')",
            "UPDATE wf.tenant_events SET tenant_id = 'beta'",
            "DELETE FROM wf.tenant_events",
            "SELECT wf.note_exceeded_quota('acme', 'calls', 1, 1, now())",
            "SELECT * FROM wf.told_tenants",
            "UPDATE wf.endpoints SET disabled = NULL",
            "DELETE FROM wf.webhooks",
            "UPDATE wf.webhooks SET tenant_id = 'beta'",
            "UPDATE wf.webhooks SET id = 7",
            "UPDATE wf.webhooks SET replayed = 3",
            "UPDATE wf.webhooks SET version = 9",
            DELIVERY,
        )
    for role in ("viewer", "support", "operator", "admin", "service"):
        denied(psql(role), "SELECT wf.note_expiring_keys()", "SELECT data FROM wf.endpoint_secrets")


def test_a_secret_is_put_only_with_the_change_of_its_own_webhook(psql: Psql, home: Home) -> None:
    operator = psql("operator")
    other = one(operator, INSERT.format("beta") + " RETURNING id")[0]
    data = "00" * 40
    for kind in ("target", "signing"):
        refused(operator, "endpoint_secret_alone", PUT.format(1, kind, data))
    with pytest.raises(errors.CheckViolation), operator.transaction():
        operator.execute("UPDATE wf.webhooks SET secret_at = now() WHERE id = 1")
        operator.execute(PUT.format(other, "signing", data).encode())
    with operator.transaction(force_rollback=True):
        operator.execute("UPDATE wf.webhooks SET secret_at = now() WHERE id = 1")
        operator.execute(PUT.format(1, "signing", data).encode())  # then the trail tells of it


async def test_a_target_that_was_only_written_down_is_not_sent_to(database: Database, psql: Psql, home: Home) -> None:
    owner, operator = psql("owner"), psql("operator")
    operator.execute("UPDATE wf.webhooks SET target = 'https://elsewhere.example' WHERE id = 1")
    change_plan(operator, "pro")
    async with hands(database.login("worker"), 9) as hand:
        await hand.deliver()
    assert one(owner, "SELECT state, code FROM wf.deliveries") == ("failed", "route_target_unfit")


async def test_a_secret_that_was_moved_to_another_webhook_opens_nothing(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    made = await do(home, "webhooks.create", tenant_id="beta", address="http://127.0.0.1:9/other")
    owner.execute(
        "UPDATE wf.endpoint_secrets s SET data = o.data FROM wf.endpoint_secrets o WHERE s.endpoint_id = 1"
        " AND o.endpoint_id = %s AND s.kind = o.kind",
        [made.result["id"]],
    )
    change_plan(psql("operator"), "pro")
    async with hands(database.login("worker"), 9) as hand:
        await hand.deliver()
    assert one(owner, "SELECT state, code FROM wf.deliveries") == ("failed", "not_decrypted")


@pytest.mark.usefixtures("home")
def test_what_a_webhook_may_not_be_is_refused(psql: Psql) -> None:
    operator = psql("operator")
    for constraint, column, value in (
        ("webhook_events", "events", "'{}'"),
        ("webhook_events", "events", "'{plan.changed,nothing.known}'"),
        ("webhook_events", "events", "array_fill('*'::text, ARRAY[1000])"),
        ("webhook_events", "events", "ARRAY['*', NULL]"),
        ("webhook_label", "label", "repeat('x', 101)"),
        ("line_length", "target", "repeat('x', 401)"),
        ("webhook_target", "target", "''"),
    ):
        refused(operator, constraint, f"UPDATE wf.webhooks SET {column} = {value} WHERE id = 1")
    refused(operator, "webhook_tenant", INSERT.format("nobody"))
    for role, what in (("admin", "pending_deletion"),):
        psql(role).execute(
            "UPDATE wf.tenants SET status = %s, deleted_at = now(), deleted_from = status,"
            " purge_after = now() + interval '3 days' WHERE id = 'beta'",
            [what],
        )
    refused(operator, "webhook_tenant_gone", INSERT.format("beta"))


@pytest.mark.usefixtures("home")
def test_a_tenant_has_at_most_so_many_also_when_two_make_them_at_once(psql: Psql) -> None:
    operator, admin = psql("operator"), psql("admin")
    most = one(psql("owner"), "SELECT wf.webhooks_of_a_tenant()")[0]
    for _ in range(most - 2):
        operator.execute(INSERT.format("acme").encode())
    with operator.transaction():
        operator.execute(INSERT.format("acme").encode())
        admin.execute("SET lock_timeout = '100ms'")
        with pytest.raises(errors.LockNotAvailable):
            admin.execute(INSERT.format("acme").encode())
    refused(admin, "webhook_many", INSERT.format("acme"))
    operator.execute("UPDATE wf.webhooks SET deleted_at = now(), enabled = false WHERE id = 1")
    admin.execute(INSERT.format("acme").encode())


async def test_a_deleted_webhook_is_told_nothing_has_no_secret_and_comes_back_never(psql: Psql, home: Home) -> None:
    owner, operator = psql("owner"), psql("operator")
    change_plan(operator, "pro")
    await do(home, "webhooks.delete", id=1)
    change_plan(operator, "starter")
    assert one(owner, "SELECT count(*) FROM wf.endpoint_secrets") == (0,)
    assert owner.execute("SELECT state FROM wf.deliveries").fetchall() == [("held",)]
    for change in ("deleted_at = NULL", "enabled = true", "revived_at = now()", "target = 'https://x'"):
        refused(operator, "webhook_deleted", f"UPDATE wf.webhooks SET {change} WHERE id = 1")
    refused(operator, "delivery_route_off", "SELECT wf.replay_delivery(1)")
    refused(operator, "endpoint_unknown", "SELECT wf.test_endpoint(1, 'msg_' || repeat('a', 40))")
    refused(operator, "webhook_unknown", "SELECT wf.replay_webhook(1, '2020-01-01Z', '2100-01-01Z', '{held}')")
    assert one(operator, "SELECT count(*) FROM wf.webhook_list") == (0,)


@pytest.mark.usefixtures("home")
def test_enabling_takes_more_than_the_one_or_the_other_column(psql: Psql) -> None:
    owner, operator = psql("owner"), psql("operator")
    operator.execute("UPDATE wf.webhooks SET enabled = false WHERE id = 1")
    operator.execute("UPDATE wf.webhooks SET revived_at = now() WHERE id = 1")
    assert "disabled by" in one(owner, "SELECT disabled FROM wf.endpoints")[0]
    operator.execute("UPDATE wf.webhooks SET enabled = true WHERE id = 1")
    assert one(owner, "SELECT disabled FROM wf.endpoints") == (None,)


@pytest.mark.usefixtures("home")
def test_a_replay_takes_a_bounded_number(psql: Psql) -> None:
    owner, operator = psql("owner"), psql("operator")
    assert one(owner, "SELECT wf.replayed_at_most()") == (MAX_REPLAYED,)
    owner.execute(
        "CREATE OR REPLACE FUNCTION wf.replayed_at_most() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 2"
    )
    for plan in ("pro", "starter", "growth"):
        change_plan(operator, plan)
    owner.execute("UPDATE wf.deliveries SET state = 'failed', ended_at = now()")
    replay = "SELECT wf.replay_webhook(1, '2020-01-01Z', '2100-01-01Z', '{failed}')"
    refused(operator, "webhook_replay_many", replay)
    owner.execute("DELETE FROM wf.deliveries WHERE id = 1")
    assert one(operator, replay) == (2,)
    assert one(owner, "SELECT operation, thing FROM wf.audit ORDER BY seq DESC LIMIT 1") == ("sql.update", "1")


async def test_every_change_of_a_webhook_is_in_the_trail(psql: Psql, home: Home) -> None:
    owner = psql("owner")
    await do(home, "webhooks.edit", id=1, label="billing", events=["plan.changed"])
    await do(home, "webhooks.edit", id=1, address="http://127.0.0.1:9/0ther-path")
    rotated = await do(home, "webhooks.rotate-secret", id=1)
    await do(home, "webhooks.disable", id=1)
    await do(home, "webhooks.enable", id=1)
    await do(home, "webhooks.delete", id=1)
    rows = owner.execute("SELECT operation FROM wf.audit WHERE noun = 'webhooks' ORDER BY seq").fetchall()
    verbs = ("create", "edit", "edit", "rotate-secret", "disable", "enable", "delete")
    assert [name for (name,) in rows] == [f"webhooks.{verb}" for verb in verbs]
    everything = " ".join(str(owner.execute(f"SELECT * FROM wf.{t}".encode()).fetchall()) for t in ("audit", "changes"))
    for secret in ("s3cret-path", "0ther-path", rotated.secret):
        assert secret and secret not in everything


def test_the_home_and_the_program_know_the_same_events(psql: Psql) -> None:
    assert one(psql("owner"), "SELECT wf.event_types()") == ([*EVENTS],)
