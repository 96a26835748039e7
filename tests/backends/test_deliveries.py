"""From an alert's event to a delivery that was received, with a real home and real receivers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from backends.postgres import sending
from backends.postgres.home import Home
from controlplane.alerts.model import AlertDirectory
from controlplane.alerts.standing import next_cell
from controlplane.deliveries.kept import DeliveryDirectory
from controlplane.errors import Refusal
from controlplane.operations import Outcome
from controlplane.routes.kept import RouteDirectory
from tests.backends.alerts import dead, evaluate, settle
from tests.backends.notices import Hands, do, fire, hands, resolve, sealing, soon, told
from tests.backends.psql import Psql, logins, one
from tests.postgres import Database
from tests.receivers import Answering, Heard, Receiver, hangs, receiving, says

BUSY, NO = says("503 Busy", b"later"), says("400 No", b"never")


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name, plan) VALUES ('acme', 'Acme', 'growth')")
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    await home.open()
    yield home
    await home.close()


async def route(home: Home, receiver: Receiver, name: str = "ops", **fields: Any) -> Outcome:
    home.sealing = sealing(receiver.port)
    address = f"http://127.0.0.1:{receiver.port}/{name}/s3cret-path"
    return await do(home, "routes.create", name=name, channel="webhook", address=address, **fields)


class Stage:
    """A receiver, a worker's hands, and a route between them."""

    def __init__(self, receiver: Receiver, hand: Hands, made: Outcome) -> None:
        self.receiver, self.hand, self.route, self.secret = receiver, hand, made.result["id"], made.secret

    def said(self, number: int = -1) -> dict[str, Any]:
        heard = self.receiver.heard[number]
        found: dict[str, Any] = Webhook(self.secret).verify(heard.body, heard.headers)
        return found

    @property
    def keys(self) -> list[str]:
        return [heard.headers["webhook-id"] for heard in self.receiver.heard]


class Playing:
    def __init__(self, database: Database, home: Home, answer: Answering | list[Answering], **fields: Any) -> None:
        self.database, self.home, self.fields = database, home, fields
        self.receiving = receiving(answer)

    async def __aenter__(self) -> Stage:
        receiver = await self.receiving.__aenter__()
        self.hands = hands(self.database.login("worker"), receiver.port, seconds=20.0)
        hand = await self.hands.__aenter__()
        return Stage(receiver, hand, await route(self.home, receiver, **self.fields))

    async def __aexit__(self, *error: Any) -> None:
        await self.hands.__aexit__(*error)
        await self.receiving.__aexit__(*error)


# Told, and told that it is over


async def test_an_alert_is_told_signed_and_so_is_its_end(database: Database, psql: Psql, home: Home) -> None:
    owner, worker = psql("owner"), psql("worker")
    async with Playing(database, home, says("200 OK", b"ok")) as stage:
        assert stage.secret and stage.secret.startswith("whsec_")
        dead(owner, tenant="acme")
        evaluate(worker)
        await stage.hand.all()
        said = stage.said()
        assert (said["type"], said["data"]["action"]) == ("jobs_dead", "trigger")
        assert said["data"]["reason"] == "first_notification" and said["data"]["tenant_id"] == "acme"
        assert said["data"]["details"]["dead_letter_backlog"] == 1
        await stage.hand.all()
        assert len(stage.keys) == 1, "nothing new is to be told"
        settle(owner)
        evaluate(worker)
        await stage.hand.all()
        over = stage.said()
        assert (over["data"]["action"], over["data"]["reason"]) == ("resolve", "all_alerts_resolved")
        assert len({*stage.keys}) == 2 and said["data"]["alert"] == over["data"]["alert"]
    deliveries = home.of(DeliveryDirectory)
    [alert] = [row[0] for row in owner.execute("SELECT id FROM wf.alerts").fetchall()]
    told_of = await deliveries.of_alert(alert)
    assert [(each.action, each.state, each.attempts, each.code) for each in told_of] == [
        ("trigger", "delivered", 1, "http_200"),
        ("resolve", "delivered", 1, "http_200"),
    ]
    [attempt] = await deliveries.attempts(told_of[0].id)
    assert attempt.answer == "ok" and attempt.seconds is not None
    dump = json.dumps([str(row) for row in owner.execute("SELECT * FROM wf.audit").fetchall()])
    assert "s3cret-path" not in dump and stage.secret not in dump
    assert one(owner, "SELECT count(*) FROM wf.routing_due") == (0,)


async def test_what_came_and_went_before_anybody_was_told_stays_silent(
    database: Database, psql: Psql, home: Home
) -> None:
    """1.d, through the whole path."""
    async with Playing(database, home, says("200 OK"), group_wait="1h", group_by=["kind"]) as stage:
        alerts = fire(psql("owner"), 3)
        await stage.hand.all()
        resolve(psql("owner"), alerts)
        await stage.hand.all()
        assert not stage.receiver.heard and not told(psql("owner"))


async def test_a_resolve_in_a_maintenance_reaches_who_heard_the_trigger(
    database: Database, psql: Psql, home: Home
) -> None:
    """alertmanager#226, in a maintenance."""
    owner = psql("owner")
    async with Playing(database, home, says("200 OK")) as stage:
        alerts = fire(owner, tenant="acme")
        await stage.hand.all()
        await do(home, "objectives.maintenance", tenant_id="acme", lasts="1h")
        fire(owner, tenant="acme", first=2)
        await stage.hand.all()
        assert len(stage.keys) == 1, "the second one is held"
        resolve(owner, alerts)
        await stage.hand.all()
        assert stage.said()["data"]["action"] == "resolve"
        await do(home, "objectives.end-maintenance", number=1)
        await stage.hand.all()
        assert stage.said()["data"]["reason"] == "maintenance_ended", "told within one look"


async def test_a_resolve_while_it_is_silenced_reaches_who_heard_the_trigger(
    database: Database, psql: Psql, home: Home
) -> None:
    """alertmanager#226, #5247."""
    owner = psql("owner")
    async with Playing(database, home, says("200 OK")) as stage:
        [first] = fire(owner, tenant="acme")
        await stage.hand.all()
        await do(home, "silences.create", matchers='tenant="acme"', until="1h", comment="known")
        [hidden] = fire(owner, tenant="acme", first=2)
        await stage.hand.all()
        assert len(stage.keys) == 1, "the second one is hidden"
        assert re.fullmatch(r"silenced to \d\d:\d\dZ", await comes_next(home, hidden))
        resolve(owner, [first])
        await stage.hand.all()
        assert [row[:3] for row in told(owner)] == [
            ("trigger", "first_notification", "delivered"),
            ("resolve", "all_alerts_resolved", "delivered"),
        ]
        await do(home, "silences.end", id=1)
        await stage.hand.all()
        assert stage.said()["data"]["reason"] == "silence_expired", "told within one look"


async def test_a_group_is_told_together_and_a_later_one_of_its_name_anew(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("200 OK"), group_by=["kind"]) as stage:
        for _ in range(2):
            alerts = fire(owner, 3)
            await stage.hand.all()
            assert "3 alerts" in stage.said()["data"]["summary"]
            assert len(stage.said()["data"]["details"]["alerts"]) == 3
            resolve(owner, alerts)
            await stage.hand.all()
        assert [each[0] for each in told(owner)] == ["trigger", "resolve"] * 2
        assert len({*stage.keys}) == 4


async def test_dedupe_holds_for_alerts_of_one_bite(database: Database, psql: Psql, home: Home) -> None:
    policy = {"dedupe": {"key": "{{event_type}}", "ttl_seconds": 600}}
    async with Playing(database, home, says("200 OK"), policy=policy) as stage:
        fire(psql("owner"), 20)
        await stage.hand.all()
        fire(psql("owner"), 5, first=21)
        await stage.hand.all()
        assert len(stage.keys) == 1


async def test_pages_go_out_by_level_until_somebody_has_it(database: Database, psql: Psql, home: Home) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("200 OK"), escalation={"levels": PERSON}) as stage:
        [alert] = fire(owner)
        await stage.hand.all()
        assert [row[0] for row in owner.execute("SELECT person FROM wf.deliveries ORDER BY id")] == ["", "ada"]
        assert re.fullmatch("level 1/2, 4m.* left", await comes_next(home, alert))
        owner.execute(
            "UPDATE wf.route_groups SET next_at = now(), state = jsonb_set(state, '{run,since}', to_jsonb((now()"
            " - interval '6 minutes')::text))"
        )
        await stage.hand.all()
        last = owner.execute("SELECT person, level, reason FROM wf.deliveries ORDER BY id DESC LIMIT 1").fetchone()
        assert (
            last == ("ben", 2, "escalation")
            and "for ben, who has no address for webhook, level 2" in stage.said()["data"]["summary"]
        )
        assert re.fullmatch("level 2/2|all levels told", await comes_next(home, alert))
        await do(home, "alerts.ack", id=alert, comment="looking")
        await stage.hand.all()
        assert [each[0] for each in told(owner)[3:]] == ["acknowledge"] * 3
        assert (await comes_next(home, alert)).startswith("fires in ")
        resolve(owner, [alert])
        await stage.hand.all()
        assert [each[0] for each in told(owner)[6:]] == ["resolve"] * 3


async def comes_next(home: Home, alert: int) -> str:
    return next_cell(await home.of(AlertDirectory).get(alert), home.clock.now()).text


PERSON = [{"targets": [{"kind": "person", "name": name}], "minutes": 5} for name in ("ada", "ben")]


async def test_who_escalates_has_the_next_level_told_once_by_whoever_routes(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("200 OK"), escalation={"levels": PERSON}) as stage:
        [alert] = fire(owner)
        with pytest.raises(Refusal, match="No escalation"):
            await do(home, "alerts.escalate", id=alert)
        await stage.hand.all()
        shown = await do(home, "alerts.escalate", id=alert, dry_run=True)
        assert shown.result["notes"] == ["level 2 is told: ben"]
        await do(home, "alerts.escalate", id=alert)
        with pytest.raises(Refusal) as refusal:
            await do(home, "alerts.escalate", id=alert)
        assert refusal.value.code == "alert_just_escalated"
        async with hands(database.login("worker"), stage.receiver.port) as other:
            await asyncio.gather(stage.hand.route(), other.route())
        await stage.hand.deliver()
        assert told(owner)[2:] == [("trigger", "escalated", "delivered", 1, "http_200")]
        said = stage.said()["data"]
        assert (
            "(for ben, who has no address for webhook, level 2, escalated by t_operator)" in said["summary"]
            and said["reason"] == "escalated"
        )
        [page] = [each for each in await home.of(DeliveryDirectory).of_alert(alert) if each.person == "ben"]
        assert page.escalated_by == "t_operator"
        with pytest.raises(Refusal, match="last level"):
            await do(home, "alerts.escalate", id=alert)
        [event] = owner.execute("SELECT actor, words FROM wf.alert_events WHERE kind = 'escalated'").fetchall()
        assert event == ("t_operator", "as the test says")


async def test_who_escalates_what_they_have_gives_it_to_the_next_level(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("200 OK"), escalation={"levels": PERSON}) as stage:
        [alert] = fire(owner)
        await stage.hand.route()
        await do(home, "alerts.ack", id=alert, comment="looking")
        await stage.hand.route()
        await do(home, "alerts.escalate", id=alert)
        assert one(owner, "SELECT state, holder FROM wf.alerts") == ("firing", None)
        await stage.hand.route()
        paged = owner.execute("SELECT person, level FROM wf.deliveries WHERE reason = 'escalated'").fetchall()
        assert paged == [("ben", 2)]


async def test_who_is_on_call_by_a_schedule_is_paged(database: Database, psql: Psql, home: Home) -> None:
    owner = psql("owner")
    await do(home, "schedules.create", name="primary", people=["ada"], starts="2020-01-06 09:00")
    level = {"targets": [{"kind": "schedule", "name": "primary"}, {"kind": "schedule", "name": "absent"}]}
    async with Playing(database, home, says("200 OK"), escalation={"levels": [level]}) as stage:
        fire(owner)
        await stage.hand.all()
        assert [row[0] for row in owner.execute("SELECT person FROM wf.deliveries ORDER BY id")] == ["", "ada"]
        await do(home, "schedules.override", name="primary", person="zoe", until="8h")
        fire(owner, first=2)
        await stage.hand.all()
        assert owner.execute("SELECT person FROM wf.deliveries ORDER BY id DESC LIMIT 1").fetchone() == ("zoe",)


# Answers


async def test_what_cannot_be_taken_now_is_tried_again_with_the_same_key(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with Playing(
        database, home, [BUSY, says("429 Slow down", b"", {"retry-after": "300"}), says("200 OK")]
    ) as stage:
        fire(owner)
        await stage.hand.all()
        assert told(owner) == [("trigger", "first_notification", "waiting", 1, "http_503")]
        soon(owner)
        await stage.hand.deliver()
        left = one(owner, "SELECT next_at - clock_timestamp() FROM wf.deliveries")[0]
        assert timedelta(seconds=290) < left < timedelta(seconds=340)
        soon(owner)
        await stage.hand.deliver()
        assert told(owner) == [("trigger", "first_notification", "delivered", 3, "http_200")]
        assert len(stage.keys) == 3 and len({*stage.keys}) == 1
        assert one(owner, "SELECT failures FROM wf.endpoints") == (0,)


async def test_a_no_is_final_and_can_be_replayed(database: Database, psql: Psql, home: Home) -> None:
    owner = psql("owner")
    async with Playing(database, home, [NO, says("200 OK")]) as stage:
        fire(owner)
        await stage.hand.all()
        assert told(owner) == [("trigger", "first_notification", "failed", 1, "http_400")]
        assert one(owner, "SELECT answer FROM wf.delivery_attempts") == ("never",)
        await do(home, "routes.rotate-secret", id=stage.route, keeps="0s")
        outcome = await do(home, "deliveries.replay", id=1)
        assert outcome.audit_ids and outcome.result["state"] == "waiting"
        await stage.hand.deliver()
        assert told(owner) == [("trigger", "first_notification", "delivered", 2, "http_200")]
        assert len({*stage.keys}) == 1, "the same key"
        assert one(owner, "SELECT failures FROM wf.endpoints") == (1,), "a replay says nothing of its health"
        with pytest.raises(Exception, match="signature"):
            stage.said()
        with pytest.raises(Refusal, match="no_delivery"):
            await do(home, "deliveries.replay", id=99)


async def test_an_endpoint_that_hangs_holds_up_no_other(
    database: Database, psql: Psql, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = psql("owner")
    monkeypatch.setattr(sending, "CLAIMING_SECONDS", 600.0)  # one job does what several do otherwise
    async with receiving() as well, Playing(database, home, hangs, name="hung") as stage:
        home.sealing = sealing(well.port)
        stage.hand.post.sealing.targets = (*stage.hand.post.sealing.targets, f"http://127.0.0.1:{well.port}")
        await route(home, well, "well", position=1)
        owner.execute("UPDATE wf.routes SET continues = true")
        async with hands(database.login("worker"), well.port, stage.receiver.port, seconds=60.0) as hand:
            fire(owner, 40)
            await hand.route()
            delivering = asyncio.create_task(hand.deliver())
            await asyncio.wait_for(well.until(40), 50)
            assert len(stage.receiver.heard) <= 8, "no more at once than that"
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)


async def test_a_test_is_sent_for_real_and_counts_toward_nothing(database: Database, psql: Psql, home: Home) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("500 Broken", b"not today")) as stage:
        testing = asyncio.create_task(do(home, "routes.test", id=stage.route))
        while not testing.done():
            await stage.hand.deliver()
            await asyncio.sleep(0)
        result = testing.result().result
        assert (result["state"], result["code"], result["answer"]) == ("failed", "http_500", "not today")
        assert result["seconds"] >= 0 and stage.said()["test"] is True and "TEST" in stage.said()["data"]["title"]
        assert one(owner, "SELECT failures FROM wf.endpoints") == (0,)
        assert [row.noun for row in testing.result().rows] == ["deliveries"]


async def test_an_endpoint_is_disabled_at_exactly_so_many_failures_and_what_follows_is_held(
    database: Database, psql: Psql, home: Home
) -> None:
    """outpost#596: it is never disabled there; outpost#611: what comes then vanishes there."""
    owner = psql("owner")
    limit = one(owner, "SELECT wf.endpoint_failure_limit()")[0]
    mood = [BUSY]

    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await mood[0](heard, writer)

    async with Playing(database, home, answer) as stage:
        fire(owner, 60)
        why = None
        await stage.hand.route()
        while why is None:
            await stage.hand.deliver()
            failures, why = one(owner, "SELECT failures, disabled FROM wf.endpoints")
            assert (why is not None) == (failures >= limit)
            soon(owner)
        assert why.startswith(f"{limit} attempts in a row failed")
        heard = len(stage.receiver.heard)
        assert {row[2] for row in told(owner)} == {"held"}
        mood[0] = says("200 OK")
        fire(owner, 1, first=61)
        soon(owner)
        await stage.hand.all()
        assert len(stage.receiver.heard) == heard and len(told(owner)) == 61, "kept, and not sent"
        with pytest.raises(Refusal, match="delivery_route_off"):
            await do(home, "deliveries.replay", id=1)
        row = await home.of(RouteDirectory).get(stage.route)
        assert row.standing == "endpoint off" and "attempts in a row failed" in (row.disabled or "")
        await do(home, "routes.enable", id=stage.route)
        await do(home, "deliveries.replay", id=1)
        await stage.hand.deliver()
        assert told(owner)[0][2] == "delivered"


async def test_an_endpoint_that_takes_nothing_for_five_days_is_disabled(
    database: Database, psql: Psql, home: Home
) -> None:
    """As Svix does by default, however few the attempts are."""
    owner = psql("owner")
    async with Playing(database, home, BUSY) as stage:
        fire(owner, 1)
        await stage.hand.route()
        await stage.hand.deliver()
        assert one(owner, "SELECT failures, disabled, failing_since IS NOT NULL FROM wf.endpoints") == (1, None, True)
        owner.execute("UPDATE wf.endpoints SET failing_since = now() - interval '5 days'")
        soon(owner)
        await stage.hand.deliver()
        failures, why = one(owner, "SELECT failures, disabled FROM wf.endpoints")
        assert failures == 2 and why.startswith("2 attempts in a row failed since")
        await do(home, "routes.enable", id=stage.route)
        assert one(owner, "SELECT failing_since FROM wf.endpoints") == (None,)


async def test_only_failures_in_a_row_count_and_one_that_wants_no_more_is_disabled_at_once(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    health = "SELECT failures, disabled FROM wf.endpoints"
    async with Playing(database, home, [BUSY, BUSY, says("200 OK"), BUSY, says("410 Gone")]) as stage:
        fire(owner)
        await stage.hand.all()
        soon(owner)
        await stage.hand.deliver()
        assert one(owner, health) == (2, None)
        soon(owner)
        await stage.hand.deliver()
        assert one(owner, health) == (0, None)
        fire(owner, first=2)
        await stage.hand.all()
        assert one(owner, health) == (1, None)
        soon(owner)
        await stage.hand.deliver()
        assert one(owner, health) == (2, "The receiver is gone (410).")
        assert told(owner)[-1][2] == "held"


# What cannot be decided or sent stops no other


async def test_a_route_and_a_group_that_cannot_be_read_stop_no_other(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("200 OK"), position=1) as stage:
        policy = '{"quiet_windows": 5}'
        owner.execute(
            "INSERT INTO wf.routes (name, channel, target, policy) VALUES ('bad', 'slack', 'x', %s)", [policy]
        )
        fire(owner)
        await stage.hand.all()
        assert len(stage.keys) == 1
        assert "quiet_windows" in (await home.of(RouteDirectory).named("bad")).fault
        owner.execute("UPDATE wf.route_groups SET state = '{}', next_at = now()")
        fire(owner, first=2)
        await stage.hand.all()
        assert len(stage.keys) == 2
        assert one(owner, "SELECT fault FROM wf.route_groups WHERE state = '{}'") == (
            "what is kept of this group cannot be read",
        )


async def test_a_decision_that_cannot_be_stored_is_set_aside_and_the_others_are_told(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("200 OK")) as stage:
        owner.execute("ALTER TABLE wf.deliveries ADD CONSTRAINT odd CHECK (summary <> 'alert 2')")
        fire(owner, 3)
        await stage.hand.all()
        assert sorted(json.loads(each.body)["data"]["summary"] for each in stage.receiver.heard) == [
            "alert 1",
            "alert 3",
        ]
        [(fault,)] = owner.execute("SELECT fault FROM wf.routing_due").fetchall()
        assert "odd" in fault
        owner.execute("ALTER TABLE wf.deliveries DROP CONSTRAINT odd")
        owner.execute("UPDATE wf.alerts SET events = 2 WHERE summary = 'alert 2'")
        owner.execute(
            "INSERT INTO wf.alert_events (alert_id, n, kind, severity) SELECT id, 2, 'raised', severity FROM wf.alerts"
            " WHERE summary = 'alert 2'"
        )
        await stage.hand.all()
        assert len(stage.keys) == 3, "tried again with its next event"


async def test_a_secret_that_was_moved_to_another_route_opens_nothing(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with receiving() as other, Playing(database, home, says("200 OK")) as stage:
        made = await route(home, other, "other", position=1)
        owner.execute(
            "UPDATE wf.endpoint_secrets s SET data = o.data FROM wf.endpoint_secrets o"
            " WHERE s.endpoint_id = %s AND o.endpoint_id = %s AND s.kind = 'target' AND o.kind = 'target'",
            [stage.route, made.result["id"]],
        )
        fire(owner)
        await stage.hand.all()
        assert told(owner) == [("trigger", "first_notification", "failed", 1, "not_decrypted")]
        assert not other.heard and not stage.receiver.heard


async def test_an_address_that_may_not_be_called_is_refused_when_it_is_saved_and_when_it_is_sent(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("200 OK")) as stage:
        home.sealing = sealing()
        with pytest.raises(Refusal, match="target_not_https"):
            await do(home, "routes.create", name="x", channel="webhook", address="http://127.0.0.1/x")
        async with hands(database.login("worker")) as hand:  # a worker whose profile allows nothing
            fire(owner)
            await hand.all()
        assert told(owner) == [("trigger", "first_notification", "failed", 1, "refused_here")]
        assert not stage.receiver.heard


# Several workers


async def test_four_workers_at_once_lose_nothing_and_tell_nothing_twice(
    database: Database, psql: Psql, home: Home
) -> None:
    """alertmanager#4008, #4179: replicas double and lose resolves there. With 10,000 alerts: the benchmark routing."""
    owner = psql("owner")
    async with Playing(database, home, says("200 OK")) as stage, AsyncExitStack() as stack:
        others = [hands(database.login("worker"), stage.receiver.port, seconds=20.0) for _ in range(3)]
        four = [stage.hand, *[await stack.enter_async_context(each) for each in others]]
        alerts = fire(owner, 200)
        await asyncio.gather(*(each.all() for each in four))
        await asyncio.gather(*(each.all() for each in four))
        resolve(owner, alerts)
        await asyncio.gather(*(each.all() for each in four))
        await asyncio.gather(*(each.all() for each in four))
        said = [json.loads(each.body)["data"] for each in stage.receiver.heard]
        events = [(each["action"], int(each["details"]["alert_id"])) for each in said]
        assert sorted(events) == sorted((action, alert) for action in ("trigger", "resolve") for alert in alerts)
        assert len({*stage.keys}) == 400
        assert one(owner, "SELECT count(*), count(DISTINCT group_key) FROM wf.deliveries") == (400, 200)


async def test_what_was_decided_on_an_older_state_is_not_stored(database: Database, psql: Psql, home: Home) -> None:
    owner, worker = psql("owner"), psql("worker")
    async with Playing(database, home, says("200 OK")) as stage:
        before = one(worker, "SELECT wf.begin_routing()")[0]
        fire(owner)
        await stage.hand.all()
        store = "SELECT wf.store_routing(%s, '[]', '{}', '{\"alerts\": {}, \"groups\": {}}', false)"
        assert one(worker, store, before) == (False,)
        assert len(told(owner)) == 1


async def test_a_late_report_of_a_lost_attempt_has_no_effect(database: Database, psql: Psql, home: Home) -> None:
    owner = psql("owner")
    async with Playing(database, home, says("200 OK")) as stage, hands(database.login("worker")) as lost:
        fire(owner)
        await stage.hand.route()
        [(claimed, _)] = await claim(lost)
        owner.execute("UPDATE wf.workers SET ended_at = now(), ended = 'gone' WHERE id = %s", [lost.queue.worker])
        await stage.hand.deliver()
        assert [row[:4] for row in told(owner)] == [("trigger", "first_notification", "delivered", 2)]
        late = "SELECT wf.settle_delivery(%s, %s, 1, 'refused', 'x', 'x', '', 0, NULL, false)"
        assert one(psql("worker"), late, lost.queue.worker, claimed) == (False,)
        outcomes = owner.execute("SELECT outcome FROM wf.delivery_attempts ORDER BY attempt").fetchall()
        assert outcomes == [("lost",), ("delivered",)]


async def claim(hand: Hands) -> list[tuple[int, str]]:
    async with hand.queue.connection() as connection:
        cursor = await connection.execute("SELECT id, key FROM wf.claim_deliveries(%s, 5)", [hand.queue.worker])
        return await cursor.fetchall()
