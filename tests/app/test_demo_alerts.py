"""The demonstration's alerts fire, escalate, are taken and end by themselves; one route's receiver has failed."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from app.demo import audit, estate, keys, on_call, routes, tenants
from app.demo.duty import KIND, Duty
from app.demo.site import open_site
from backends.postgres.home import Home
from controlplane.deliveries.kept import DeliveryDirectory
from controlplane.routes.kept import RouteDirectory
from tests.backends.notices import hands, sealing
from tests.postgres import Database

TOLD = f"""
SELECT d.person, d.level, c.id IS NOT NULL, d.action, d.reason, d.state FROM wf.deliveries d
JOIN wf.delivery_alerts a ON a.delivery_id = d.id JOIN wf.routes r ON r.id = d.route_id AND r.name = 'on-call'
LEFT JOIN wf.contacts c ON c.id = d.contact_id
WHERE d.event_type = '{KIND}' AND d.tenant_id = %s ORDER BY d.id
"""
LATER = """
UPDATE wf.route_groups
SET next_at = now(), state = jsonb_set(state, '{run,since}', to_jsonb((now() - interval '2 minutes')::text))
WHERE state -> 'run' <> 'null'
"""
pytestmark = pytest.mark.timeout(600)


async def test_an_alert_fires_escalates_is_taken_and_ends_by_itself(
    database: Database, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    made = estate.make(7, datetime.now(UTC))
    site = open_site(database.owner, lambda words: None, sealing())
    for seed in (tenants.seed, keys.seed):
        seed(made, site)
    for steps in (on_call.steps, routes.steps):
        async with audit.people(site) as homes:
            for step in steps(made):
                await audit.do(homes, step)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        duty = Duty(made)

        def evaluate() -> None:
            owner.execute("SELECT wf.evaluate(%s)", [KIND])

        def told() -> list[tuple[object, ...]]:
            return owner.execute(TOLD.encode(), [duty._tenant]).fetchall()

        async with audit.people(site) as homes, hands(database.login("worker")) as hand:
            evaluate()
            await hand.all()  # what is old in the estate anyway
            await duty.act(homes)
            evaluate()
            await hand.all()
            [first] = [row for row in told() if row[0]]
            assert first[1] == 1 and first[3:] == ("trigger", "first_notification", "delivered")
            await duty.act(homes)
            owner.execute(LATER.encode())
            await hand.all()
            assert ("chi", 2, True, "trigger", "escalation", "delivered") in told()
            await duty.act(homes)
            await hand.all()
            assert ("chi", 0, True, "acknowledge", "acknowledged", "delivered") in told()
            await duty.act(homes)
            evaluate()
            await hand.all()
            assert ("chi", 0, True, "resolve", "all_alerts_resolved", "delivered") in told()
        kept = "SELECT state, events FROM wf.alerts WHERE kind = %s AND tenant_id = %s"
        assert owner.execute(kept.encode(), [KIND, duty._tenant]).fetchall() == [("resolved", 3)]
    assert b'"title":"[RESOLVED]' in capfdbinary.readouterr().out.replace(b'": "', b'":"'), "in the worker's log"


async def test_a_route_has_failed_and_says_what_its_receiver_answered(database: Database) -> None:
    made = estate.make(7, datetime.now(UTC))
    site = open_site(database.owner, lambda words: None, sealing())
    tenants.seed(made, site)
    async with audit.people(site) as homes:
        for step in routes.steps(made):
            if step[1] == "routes.create":
                await audit.do(homes, step)
    with site.change("demo.load", "as the demonstration does") as connection:
        routes._failed(connection, made)
    home = Home(database.login("viewer"))
    await home.open()
    row = await home.of(RouteDirectory).named("their-pager", made.failing)
    assert row.standing == "endpoint off" and "503" in (row.disabled or "")
    with psycopg.connect(database.owner) as owner:
        alert = owner.execute("SELECT id FROM wf.alerts").fetchone()
    assert alert is not None
    deliveries = home.of(DeliveryDirectory)
    trigger, resolve = await deliveries.of_alert(alert[0])
    assert (trigger.action, trigger.state, trigger.code) == ("trigger", "failed", "http_503")
    assert (resolve.action, resolve.state, resolve.code) == ("resolve", "failed", "http_404")
    attempts = await deliveries.attempts(trigger.id)
    assert len(attempts) == 8 and {each.answer for each in attempts} == {"upstream request timeout"}
    assert [each.outcome for each in await deliveries.attempts(resolve.id)] == ["refused"]
    await home.close()
