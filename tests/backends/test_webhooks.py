"""From what happens to a tenant to its own webhooks, with a real home and real receivers."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from standardwebhooks import Webhook

from backends.postgres import sending
from backends.postgres.home import Home
from controlplane.deliveries.kept import DeliveryDirectory
from controlplane.errors import Refusal
from controlplane.webhooks.events import EVENTS
from controlplane.webhooks.model import WebhookDirectory
from tests.backends.notices import do, hands, soon
from tests.backends.psql import Psql, logins, one
from tests.backends.webhooks import change_plan, everything, hook, make_key
from tests.postgres import Database
from tests.receivers import Heard, hangs, receiving, says

PLANS = (f"plan-{n}" for n in itertools.count())
QUOTA = """
INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason) VALUES
  ('acme', 'calls', '{"hard": 1, "period": "month"}', 'override', now() + interval '9 days', 'x')
"""
DUE = """
INSERT INTO wf.plan_changes (tenant_id, from_plan, from_version, from_cycle, plan, version, cycle, direction,
  effective_on, period_start, period_end, currency, lines, summary, preview_hash)
SELECT id, 'growth', 1, 'month', 'pro', 1, 'month', 'upgrade', current_date - 1, current_date, current_date + 30,
  'EUR', '[]', '', 'x' FROM unnest(ARRAY['acme', 'beta']) id
"""


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute(
            "INSERT INTO wf.tenants (id, name, plan, owner_email) VALUES"
            " ('acme', 'Acme', 'growth', 'ana@acme.example'), ('beta', 'Beta', 'growth', 'ben@beta.example')"
        )
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    await home.open()
    yield home
    await home.close()


def told(owner: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Each delivery: of which event, its state, its attempts and the last answer; oldest first."""
    return owner.execute("SELECT event_type, state, attempts, code FROM wf.deliveries ORDER BY id").fetchall()


def keys(heard: list[Heard]) -> list[str]:
    return [each.headers["webhook-id"] for each in heard]


def changes(operator: psycopg.Connection, number: int, tenant: str = "acme") -> None:
    """So many changes of plan."""
    for _ in range(number):
        change_plan(operator, next(PLANS), tenant)


# Told


async def test_a_change_is_told_signed_to_the_tenants_webhooks_that_want_it_and_to_no_other(
    database: Database, psql: Psql, home: Home
) -> None:
    async with receiving() as first, receiving() as second, receiving() as other:
        ports = first.port, second.port, other.port
        made = await hook(home, first, events=["plan.changed", "key.created"])
        await hook(home, second, other, first, events=["key.created"])
        await hook(home, other, first, second, tenant="beta")
        change_plan(psql("operator"), "pro")  # as with psql: no operation of ours
        with psql("operator").transaction(force_rollback=True):
            change_plan(psql("operator"), "starter")
        async with hands(database.login("worker"), *ports) as hand:
            await hand.deliver()
        [heard] = first.heard
        said = Webhook(made.secret).verify(heard.body, heard.headers)  # type: ignore[arg-type]
        [(event, at)] = psql("owner").execute("SELECT id, at FROM wf.tenant_events").fetchall()
        assert said == {
            "type": "plan.changed",
            "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": {"id": event, "tenant": "acme", "from": "growth", "to": "pro"},
        }
        assert not second.heard and not other.heard
    [delivery] = (await home.of(DeliveryDirectory).page(_of(made.result["id"]))).rows
    assert (delivery.webhook_id, delivery.route_id, delivery.state) == (made.result["id"], None, "delivered")
    assert delivery.summary == "growth → pro" and "s3cret-path" not in delivery.target


def _of(webhook: int) -> Any:
    from controlplane.filters.grammar import Term
    from controlplane.listing import Query

    return Query((Term("is", (str(webhook),), "webhook"),), "age", descending=True)


async def test_everything_that_can_happen_is_told_once_and_names_no_person(
    database: Database, psql: Psql, home: Home
) -> None:
    async with receiving() as receiver:
        await hook(home, receiver)
        everything(psql)
        async with hands(database.login("worker"), receiver.port) as hand:
            await hand.deliver()
        told = [json.loads(each.body) for each in receiver.heard]
        assert sorted(each["type"] for each in told) == sorted(EVENTS)
        assert {each["data"]["tenant"] for each in told} == {"acme"}
        assert len({each["data"]["id"] for each in told}) == len({*keys(receiver.heard)}) == len(EVENTS)
        text = " ".join(each.body.decode() for each in receiver.heard)
        for hidden in ("ana@", "s3cret", "Acme"):
            assert hidden not in text
    by_type = {each["type"]: each["data"] for each in told}
    assert {name: {*data} - {"id", "tenant"} for name, data in by_type.items()} == documented()
    assert by_type["quota.exceeded"].items() >= {"metric": "calls", "used": 9, "hard": 10}.items()
    assert by_type["trial.expiring"].items() >= {"plan": "pro", "days": 3}.items()
    assert by_type["key.rotated"]["replaces"] == by_type["key.created"]["key"]
    assert by_type["tenant.deleted"]["purge_after"].endswith("Z")


def documented() -> dict[str, set[str]]:
    """Of each event in the page for receivers, the fields of its example."""
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+\.\w+)` \| .* \| `(\{.*\})` \|$", page, re.M)
    return {name: {*json.loads(example)} for name, example in rows}


def test_times_in_events_are_utc_whatever_the_session_is_set_to(psql: Psql) -> None:
    operator = psql("operator")
    operator.execute("INSERT INTO wf.webhooks (tenant_id, target) VALUES ('acme', 'https://x')")
    operator.execute("SET timezone = 'Asia/Kolkata'; SET datestyle = 'German'")
    make_key(operator, 1, expires_at="2027-01-02 03:04:05Z")
    assert one(psql("owner"), "SELECT data ->> 'expires_at' FROM wf.tenant_events") == ("2027-01-02T03:04:05Z",)


async def test_a_due_change_of_plan_is_told_too_and_a_tenant_without_webhooks_has_no_events(
    psql: Psql, home: Home
) -> None:
    owner, worker = psql("owner"), psql("worker")
    async with receiving() as receiver:
        await hook(home, receiver)
    owner.execute(DUE)
    assert one(worker, "SELECT wf.apply_due_changes()") == (2,)
    assert owner.execute("SELECT tenant_id, type, summary FROM wf.tenant_events").fetchall() == [
        ("acme", "plan.changed", "growth → pro")
    ]


def test_a_used_up_quota_is_noted_once_in_each_period_also_by_two_at_once(psql: Psql) -> None:
    owner, service = psql("owner"), psql("service")
    owner.execute("INSERT INTO wf.webhooks (tenant_id, target) VALUES ('acme', 'https://x')")
    owner.execute(QUOTA)
    for _ in range(4):
        service.execute("SELECT * FROM wf_data.admit('acme', 'calls', 1)")
    assert one(owner, "SELECT count(*), min(type) FROM wf.tenant_events") == (1, "quota.exceeded")
    owner.execute("UPDATE wf.tenant_events SET id = 'evt_' || repeat('0', 40)")  # as that of the month before
    for _ in range(2):
        service.execute("SELECT * FROM wf_data.admit('acme', 'calls', 1)")
    assert one(owner, "SELECT count(*) FROM wf.tenant_events") == (2,)
    service.execute("SELECT * FROM wf_data.admit('beta', 'calls', 1)")
    assert one(owner, "SELECT count(*) FROM wf.tenant_events") == (2,), "of a tenant without webhooks nothing is noted"


# Answers


async def test_an_endpoint_is_disabled_at_exactly_so_many_failures_and_nothing_is_lost(
    database: Database, psql: Psql, home: Home
) -> None:
    """outpost#596: the disabling never came; outpost#611: what happened meanwhile was gone."""
    owner, operator = psql("owner"), psql("operator")
    mood = [says("500 Broken", b"not today")]

    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await mood[0](heard, writer)

    async with receiving(answer) as receiver, hands(database.login("worker"), receiver.port) as hand:
        number = (await hook(home, receiver)).result["id"]
        limit = one(owner, "SELECT wf.endpoint_failure_limit()")[0]
        changes(operator, 20)
        disabled = None
        while disabled is None:
            await hand.deliver()
            failures, disabled = one(owner, "SELECT failures, disabled FROM wf.endpoints")
            assert (disabled is not None) == (failures >= limit)
            soon(owner)
        assert failures == limit and disabled.startswith(f"{limit} attempts in a row failed")
        heard = len(receiver.heard)
        assert heard == limit, "one that fails is tried with one delivery at a time"
        changes(operator, 5)
        soon(owner)
        await hand.deliver()
        assert len(receiver.heard) == heard and {state for _, state, *_ in told(owner)} == {"held"}
        row = await home.of(WebhookDirectory).get(number)
        assert (row.state, row.enabled) == ("off", True)
        with pytest.raises(Refusal, match="webhook_idle"):
            await do(home, "webhooks.replay", id=number, since="1h")
        mood[0] = says("200 OK")
        await do(home, "webhooks.enable", id=number)
        preview = await do(home, "webhooks.replay", id=number, since="1h", dry_run=True)
        assert preview.result["replayed"] == 25
        done = await do(home, "webhooks.replay", id=number, since="1h")
        assert done.result["replayed"] == 25 and [row.noun for row in done.rows] == ["webhooks"]
        await hand.deliver()
        assert {state for _, state, *_ in told(owner)} == {"delivered"}
        assert len({*keys(receiver.heard)}) == 25, "each with the key that it had"
        with pytest.raises(Refusal, match="webhook_nothing_to_replay"):
            await do(home, "webhooks.replay", id=number, since="1h")
        again = await do(home, "webhooks.replay", id=number, since="1h", what="all")
        assert again.result["replayed"] == 25
        assert one(owner, "SELECT failures FROM wf.endpoints") == (0,), "replays say nothing of its health"


async def test_what_happens_while_a_person_has_disabled_it_is_held_for_a_replay(
    database: Database, psql: Psql, home: Home
) -> None:
    owner, operator = psql("owner"), psql("operator")
    async with receiving() as receiver, hands(database.login("worker"), receiver.port) as hand:
        number = (await hook(home, receiver)).result["id"]
        changes(operator, 1)
        await do(home, "webhooks.disable", id=number)
        assert told(owner)[0][1] == "held", "what waited too"
        changes(operator, 2)
        await hand.deliver()
        row = await home.of(WebhookDirectory).get(number)
        assert not receiver.heard and row.state == "disabled" and "as the test says" in (row.disabled or "")
        await do(home, "webhooks.enable", id=number)
        await do(home, "deliveries.replay", id=1)
        await hand.deliver()
        assert len(receiver.heard) == 1, "one by one"
        await do(home, "webhooks.replay", id=number, since="1h")
        await hand.deliver()
        assert len({*keys(receiver.heard)}) == 3


async def test_what_was_noted_by_a_change_that_did_not_see_the_disabling_is_held(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with receiving() as receiver, hands(database.login("worker"), receiver.port) as hand:
        number = (await hook(home, receiver)).result["id"]
        owner.execute(QUOTA)
        with psql("service").transaction():
            for _ in range(2):
                psql("service").execute("SELECT * FROM wf_data.admit('acme', 'calls', 1)")
            await do(home, "webhooks.disable", id=number)
        assert told(owner)[0][:2] == ("quota.exceeded", "waiting")
        await hand.kind.run(hand.queue, _job())
        assert told(owner)[0][1] == "waiting" and not receiver.heard, "it is not sent"
        psql("worker").execute("SELECT wf.queue_deliveries()")
        assert told(owner)[0][1] == "held"


def _job() -> Any:
    from controlplane.jobs.model import Claimed

    return Claimed(0, "deliver", None, 1, 0, {})


async def test_gone_disables_at_once_and_a_pause_that_is_asked_for_is_kept(
    database: Database, psql: Psql, home: Home
) -> None:
    owner, operator = psql("owner"), psql("operator")
    slow = says("429 Slow down", b"", {"retry-after": "300"})
    async with receiving([slow, says("410 Gone")]) as receiver, hands(database.login("worker"), receiver.port) as hand:
        await hook(home, receiver)
        changes(operator, 1)
        await hand.deliver()
        left = one(owner, "SELECT next_at - clock_timestamp() FROM wf.deliveries")[0]
        assert timedelta(seconds=290) < left < timedelta(seconds=340)
        soon(owner)
        await hand.deliver()
        assert told(owner) == [("plan.changed", "held", 2, "http_410")]
        assert "is gone" in one(owner, "SELECT disabled FROM wf.endpoints")[0]


async def test_a_redirect_to_this_machine_is_not_followed(database: Database, psql: Psql, home: Home) -> None:
    async with receiving() as inside:
        away = says("302 Found", b"", {"location": f"http://127.0.0.1:{inside.port}/admin"})
        async with receiving(away) as receiver, hands(database.login("worker"), receiver.port) as hand:
            await hook(home, receiver)
            changes(psql("operator"), 1)
            await hand.deliver()
            assert told(psql("owner")) == [("plan.changed", "waiting", 1, "http_302")]
            assert len(receiver.heard) == 1 and not inside.heard


async def test_an_address_inside_is_refused_when_it_is_saved_and_when_it_is_sent_to(
    database: Database, psql: Psql, home: Home
) -> None:
    for address, code in (
        ("http://hooks.acme.example/x", "target_not_https"),
        ("https://127.0.0.1/x", "target_address"),
        ("https://[::ffff:10.0.0.1]/x", "target_address"),
        ("https://169.254.169.254/latest", "target_address"),
        ("https://hooks.acme.example:8443/x", "target_port"),
        ("https://" + "a" * 2048 + ".example", "request_invalid"),
    ):
        with pytest.raises(Refusal, match=code):
            await do(home, "webhooks.create", tenant_id="acme", address=address)
    async with receiving() as receiver, hands(database.login("worker")) as hand:
        await hook(home, receiver)
        changes(psql("operator"), 1)
        await hand.deliver()  # by a worker whose profile allows nothing
        assert told(psql("owner")) == [("plan.changed", "failed", 1, "refused_here")] and not receiver.heard


# Secrets and tests


async def test_two_secrets_sign_until_the_older_one_ends(database: Database, psql: Psql, home: Home) -> None:
    owner, operator = psql("owner"), psql("operator")
    async with receiving() as receiver, hands(database.login("worker"), receiver.port) as hand:
        made = await hook(home, receiver)
        rotated = await do(home, "webhooks.rotate-secret", id=made.result["id"], keeps="1h")
        changes(operator, 1)
        await hand.deliver()
        for secret in (made.secret, rotated.secret):
            Webhook(secret).verify(receiver.heard[-1].body, receiver.heard[-1].headers)  # type: ignore[arg-type]
        owner.execute("UPDATE wf.endpoint_secrets SET ends_at = now() WHERE ends_at IS NOT NULL")
        changes(operator, 2)
        await hand.deliver()
        Webhook(rotated.secret).verify(receiver.heard[-1].body, receiver.heard[-1].headers)  # type: ignore[arg-type]
        with pytest.raises(Exception, match="signature"):
            Webhook(made.secret).verify(receiver.heard[-1].body, receiver.heard[-1].headers)  # type: ignore[arg-type]
    everything_kept = " ".join(
        str(owner.execute(f"SELECT * FROM wf.{table}".encode()).fetchall())
        for table in ("audit", "changes", "webhooks", "endpoint_secrets", "deliveries", "tenant_events")
    )
    for secret in ("s3cret-path", made.secret, rotated.secret):
        assert secret and secret not in everything_kept


async def test_a_test_is_sent_for_real_also_while_disabled_and_counts_toward_nothing(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with (
        receiving(says("500 Broken", b"not today")) as receiver,
        hands(database.login("worker"), receiver.port) as hand,
    ):
        made = await hook(home, receiver)
        number = made.result["id"]
        await do(home, "webhooks.disable", id=number)
        testing = asyncio.create_task(do(home, "webhooks.test", id=number))
        while not testing.done():
            await hand.deliver()
            await asyncio.sleep(0)
        result = testing.result().result
        assert (result["state"], result["code"], result["answer"]) == ("failed", "http_500", "not today")
        assert result["seconds"] >= 0
        said = Webhook(made.secret).verify(receiver.heard[0].body, receiver.heard[0].headers)  # type: ignore[arg-type]
        assert (said["type"], said["test"], said["data"]) == ("webhook.test", True, {"tenant": "acme"})
        assert one(owner, "SELECT failures FROM wf.endpoints") == (0,)
        with pytest.raises(Refusal, match="delivery_test"):
            await do(home, "deliveries.replay", id=1)


# Many


async def test_a_tenant_whose_endpoints_all_hang_holds_up_no_other(
    database: Database, psql: Psql, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CLAIMING_SECONDS", 600.0)  # one job does what several do otherwise
    async with receiving(hangs) as hung, receiving() as well:
        for _ in range(10):
            await hook(home, hung, well)
        await hook(home, well, hung, tenant="beta")
        async with hands(database.login("worker"), hung.port, well.port, seconds=60.0) as hand:
            with psql("operator").transaction():
                changes(psql("operator"), 10)
                changes(psql("operator"), 20, "beta")
            delivering = asyncio.create_task(hand.deliver())
            await asyncio.wait_for(well.until(20), 100)
            assert len(hung.heard) <= 40, "four at once of each endpoint"
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)


async def test_a_tenant_with_much_to_tell_holds_up_no_other(database: Database, psql: Psql, home: Home) -> None:
    async with receiving() as receiver, hands(database.login("worker"), receiver.port) as hand:
        await hook(home, receiver)
        await hook(home, receiver, tenant="beta")
        with psql("operator").transaction():
            changes(psql("operator"), 60)
            changes(psql("operator"), 1, "beta")
        await hand.deliver()
    begun = psql("owner").execute(
        "SELECT d.tenant_id FROM wf.delivery_attempts a JOIN wf.deliveries d ON d.id = a.delivery_id"
        " ORDER BY a.started_at"
    )
    tenants = [tenant for (tenant,) in begun.fetchall()]
    at_once = one(psql("owner"), "SELECT wf.deliveries_at_once(true, 0)")[0]
    assert len(tenants) == 61 and tenants.index("beta") <= at_once, "though it came last"


async def test_two_workers_at_once_tell_everything_once(database: Database, psql: Psql, home: Home) -> None:
    async with (
        receiving() as receiver,
        hands(database.login("worker"), receiver.port) as first,
        hands(database.login("worker"), receiver.port) as second,
    ):
        await hook(home, receiver)
        with psql("operator").transaction():
            changes(psql("operator"), 100)
        await asyncio.gather(first.deliver(), second.deliver())
        await asyncio.gather(first.deliver(), second.deliver())
        assert len(receiver.heard) == len({*keys(receiver.heard)}) == 100
        assert {state for _, state, *_ in told(psql("owner"))} == {"delivered"}


async def test_a_purged_tenants_webhooks_events_and_deliveries_are_gone_and_the_certificate_says_so(
    database: Database, psql: Psql, home: Home
) -> None:
    owner = psql("owner")
    async with receiving() as receiver:
        await hook(home, receiver)
        await hook(home, receiver, tenant="beta")
    changes(psql("operator"), 3)
    changes(psql("operator"), 1, "beta")
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER guard")
    counts = one(owner, "SELECT (wf.purge_tenant('acme')).counts")[0]
    assert (counts["wf.webhooks"], counts["wf.tenant_events"], counts["wf.deliveries"]) == (1, 3, 3)
    assert one(owner, "SELECT count(*) FROM wf.endpoints") == one(owner, "SELECT count(*) FROM wf.webhooks") == (1,)
    assert one(owner, "SELECT count(DISTINCT endpoint_id) FROM wf.endpoint_secrets") == (1,)
    assert one(owner, "SELECT min(tenant_id), count(*) FROM wf.deliveries") == ("beta", 1)
