"""What nobody can do with psql: send where no route says, read a secret, swap one, or forge what the trail tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from psycopg import errors

from backends.postgres.home import Home
from tests.backends.notices import do, fire, hands, sealing, told
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.postgres import Database

PUT = "SELECT wf.put_endpoint_secret(%s, gen_random_uuid(), 'target', repeat('a', 16), '\\x{}', '0')"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('beta', 'Beta')")
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    home.sealing = sealing(9)
    await home.open()
    await do(home, "routes.create", name="ops", channel="webhook", address="http://127.0.0.1:9/s3cret-path")
    yield home
    await home.close()


@pytest.mark.usefixtures("home")
def test_nobody_but_a_worker_reads_an_encrypted_secret_and_nobody_writes_one_alone(psql: Psql) -> None:
    for role in ("viewer", "support", "operator", "admin"):
        denied(psql(role), "SELECT data FROM wf.endpoint_secrets", "SELECT count(*) FROM wf.endpoint_secrets")
        denied(psql(role), "UPDATE wf.endpoint_secrets SET endpoint_id = 1", "DELETE FROM wf.endpoint_secrets")
    for role in ("viewer", "support", "worker", "service"):
        denied(psql(role), PUT.replace("%s", "1").format("00" * 40))
    denied(psql("worker"), "UPDATE wf.endpoint_secrets SET endpoint_id = 1", "DELETE FROM wf.endpoint_secrets")
    refused(psql("operator"), "endpoint_secret_alone", PUT.replace("%s", "1").format("00" * 40))
    with pytest.raises(errors.CheckViolation), psql("operator").transaction():
        psql("operator").execute("UPDATE wf.routes SET enabled = enabled WHERE id = 1")  # of which the trail is silent
        psql("operator").execute(PUT.format("00" * 40).encode(), [1])
    with psql("operator").transaction(force_rollback=True):
        psql("operator").execute("UPDATE wf.routes SET target = 'https://elsewhere' WHERE id = 1")
        psql("operator").execute(PUT.format("00" * 40).encode(), [1])  # then the trail tells of it


@pytest.mark.usefixtures("home")
def test_a_worker_sends_nothing_but_what_was_decided_and_changes_no_route(psql: Psql) -> None:
    denied(
        psql("worker"),
        "INSERT INTO wf.deliveries (key) VALUES ('msg_1')",
        "UPDATE wf.deliveries SET route_id = 1",
        "UPDATE wf.routes SET target = 'x'",
        "INSERT INTO wf.routes (name, channel, target) VALUES ('mine', 'webhook', 'x')",
        "UPDATE wf.endpoints SET disabled = NULL",
        "UPDATE wf.route_groups SET state = '{}'",
        "SELECT wf.replay_delivery(1)",
        "SELECT wf.test_endpoint(1, 'msg_')",
        "SELECT notice FROM wf.deliveries",
    )
    for role in ("viewer", "support", "operator", "admin"):
        denied(
            psql(role),
            "SELECT wf.begin_routing()",
            "SELECT wf.store_routing(0, '[]', '{}', '{}', false)",
            "SELECT wf.claim_deliveries(1, 1)",
            "SELECT wf.settle_delivery(1, 1, 1, 'delivered', '', '', '', 0, NULL, false)",
            "SELECT wf.settle_deliveries(1, '{1}', '{1}', '{delivered}', '{x}', '{x}', '{x}', '{0}', '{1 s}', '{f}')",
            "UPDATE wf.deliveries SET state = 'delivered'",
            "INSERT INTO wf.delivery_attempts (delivery_id) VALUES (1)",
        )
    for role in ("viewer", "support"):
        denied(psql(role), "INSERT INTO wf.routes (name) VALUES ('mine')", "UPDATE wf.routes SET enabled = false")
        denied(psql(role), "SELECT wf.replay_delivery(1)", "SELECT wf.test_endpoint(1, 'msg_')")


async def test_another_workers_login_settles_nothing(database: Database, psql: Psql, home: Home) -> None:
    owner = psql("owner")
    async with hands(database.login("worker")) as hand:
        fire(owner)
        await hand.route()
        owner.execute("UPDATE wf.workers SET login = 'somebody' WHERE id = %s", [hand.queue.worker])
        with pytest.raises(errors.CheckViolation):
            psql("worker").execute("SELECT * FROM wf.claim_deliveries(%s, 5)", [hand.queue.worker])
        assert told(owner)[0][2] == "waiting"


@pytest.mark.usefixtures("home")
def test_what_a_route_may_not_be_is_refused(psql: Psql) -> None:
    operator = psql("operator")
    insert = "INSERT INTO wf.routes (name, channel, target, {}) VALUES ('new', 'webhook', 'x', {})"
    for constraint, column, value in (
        ("route_matchers", "matchers", '\'[{"label": "a"}]\''),
        ("route_matchers", "matchers", "jsonb_build_array(repeat('x', 100000))"),
        ("route_events", "events", "'{}'"),
        ("route_events", "events", "array_fill('e'::text, ARRAY[1000])"),
        ("document_size", "policy", "jsonb_build_object('x', repeat('x', 100000))"),
        ("route_policy", "policy", "'[]'"),
        ("route_group_by", "group_by", "array_fill('e'::text, ARRAY[1000])"),
        ("route_repeat", "repeat_seconds", "1"),
        ("route_template", "template", "repeat('x', 5000)"),
        ("route_parent", "parent", "99"),
        ("route_severity", "min_severity", "'loud'"),
    ):
        refused(operator, constraint, insert.format(column, value))
    refused(operator, "route_taken", insert.format("position", "1").replace("'new'", "'ops'"))
    denied(operator, "UPDATE wf.routes SET name = 'x'", "UPDATE wf.routes SET tenant_id = 'acme'")
    denied(operator, "UPDATE wf.routes SET channel = 'slack'", "UPDATE wf.routes SET version = 9")
    denied(operator, "DELETE FROM wf.routes")


def test_routes_make_no_circle_and_keep_to_their_tenant(psql: Psql, home: Home) -> None:
    operator = psql("operator")
    operator.execute("INSERT INTO wf.routes (name, channel, target, parent) VALUES ('below', 'webhook', 'x', 1)")
    refused(operator, "route_parent", "UPDATE wf.routes SET parent = 2 WHERE id = 1")
    refused(operator, "route_parent", "UPDATE wf.routes SET parent = 1 WHERE id = 1")
    operator.execute("INSERT INTO wf.routes (name, channel, target, tenant_id) VALUES ('a', 'webhook', 'x', 'acme')")
    refused(
        operator,
        "route_parent",
        "INSERT INTO wf.routes (name, channel, target, tenant_id, parent) VALUES ('b', 'webhook', 'x', 'beta', 3)",
    )


async def test_every_change_of_a_route_is_in_the_trail_and_its_secret_is_not(psql: Psql, home: Home) -> None:
    owner = psql("owner")
    made = await do(
        home, "routes.create", name="hook", channel="slack", address="https://hooks.slack.com/T0/s3cret-path"
    )
    assert made.result["target"] == "https://hooks.slack.com/•••" and made.secret is None
    edited = await do(home, "routes.edit", id=made.result["id"], address="https://hooks.slack.com/T0/0ther-path")
    rotated = await do(home, "routes.rotate-secret", id=1)
    assert rotated.secret and edited.audit_ids and rotated.audit_ids
    psql("operator").execute("UPDATE wf.routes SET enabled = false WHERE id = 1")
    rows = owner.execute("SELECT operation, thing FROM wf.audit WHERE noun = 'routes' ORDER BY seq").fetchall()
    assert rows == [
        ("routes.create", "1"),
        ("routes.create", "2"),
        ("routes.edit", "2"),
        ("routes.rotate-secret", "1"),
        ("sql.update", "1"),
    ]
    everything = " ".join(
        str(owner.execute(f"SELECT * FROM wf.{table}".encode()).fetchall())
        for table in ("audit", "changes", "routes", "endpoint_secrets", "route_list")
    )
    for secret in ("s3cret-path", "0ther-path", rotated.secret):
        assert secret not in everything
    assert one(owner, "SELECT count(*) FROM wf.endpoint_secrets WHERE endpoint_id = 1 AND kind = 'signing'") == (2,)


async def test_a_purged_tenants_routes_and_deliveries_are_gone(database: Database, psql: Psql, home: Home) -> None:
    owner = psql("owner")
    await do(home, "routes.create", name="mine", channel="webhook", address="http://127.0.0.1:9/x", tenant_id="acme")
    async with hands(database.login("worker")) as hand:
        fire(owner, 2, tenant="acme")
        await hand.all()
    assert one(owner, "SELECT count(*) > 0 FROM wf.deliveries WHERE tenant_id = 'acme'") == (True,)
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER guard")
    owner.execute("SELECT wf.purge_tenant('acme')")
    for table in ("deliveries", "routes", "alerts"):
        assert one(owner, f"SELECT count(*) FROM wf.{table} WHERE tenant_id = 'acme'") == (0,)
