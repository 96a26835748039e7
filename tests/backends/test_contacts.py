"""Pages reach people at their own addresses, which nobody but a worker reads, and which others cannot change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from psycopg import errors

from backends.postgres.home import Home
from controlplane.contacts.model import ContactDirectory
from controlplane.deliveries.kept import DeliveryDirectory
from controlplane.deliveries.reports import who_words
from controlplane.errors import NotPermitted, Refusal
from controlplane.routes.kept import RouteDirectory
from controlplane.routes.replay import simulate
from tests.backends.notices import do, fire, hands, resolve, sealing, told
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.postgres import Database
from tests.receivers import Receiver, receiving, says

PUT = "SELECT wf.put_contact_secret({}, repeat('a', 16), '\\x" + "00" * 40 + "')"
WHO = "SELECT person, contact_id IS NOT NULL, action, state FROM wf.deliveries ORDER BY id"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


@asynccontextmanager
async def opened(database: Database, role: str, *ports: int) -> AsyncIterator[Home]:
    home = Home(database.login(role))
    home.sealing = sealing(*ports)
    await home.open()
    try:
        yield home
    finally:
        await home.close()


class Stage:
    """A route that pages the login of an operator, its target, and that person's own receiver."""

    target: Receiver
    own: Receiver
    home: Home

    def __init__(self, database: Database) -> None:
        self.database, self.stack = database, AsyncExitStack()

    async def __aenter__(self) -> Stage:
        enter = self.stack.enter_async_context
        self.target, self.own = await enter(receiving()), await enter(receiving())
        ports = (self.target.port, self.own.port)
        self.home = await enter(opened(self.database, "operator", *ports))
        self.hand = await enter(hands(self.database.login("worker"), *ports))
        level = {"targets": [{"kind": "person", "name": "t_operator"}], "minutes": 5}
        made = await do(self.home, "routes.create", name="ops", channel="webhook", address=url(self.target),
                        escalation={"levels": [level]})  # fmt: skip
        self.route = made.result["id"]
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.stack.aclose()

    async def add(self, channel: str = "webhook", address: str = "") -> int:
        made = await do(self.home, "contacts.add", person="t_operator", channel=channel,
                        address=address or url(self.own))  # fmt: skip
        return int(made.result["id"])


def url(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.port}/s3cret-path"


def said(receiver: Receiver) -> list[tuple[str, str]]:
    bodies = [json.loads(heard.body)["data"] for heard in receiver.heard]
    return [(body["action"], body["summary"]) for body in bodies]


async def test_a_page_goes_to_the_person_and_so_does_the_resolve(database: Database, psql: Psql) -> None:
    owner = psql("owner")
    async with Stage(database) as stage:
        await stage.add()
        [alert] = fire(owner)
        await stage.hand.all()
        resolve(owner, [alert])
        await stage.hand.all()
        assert said(stage.own) == [
            ("trigger", "alert 1 (for t_operator, level 1)"),
            ("resolve", "alert 1 (for t_operator)"),
        ]
        assert [action for action, _ in said(stage.target)] == ["trigger", "resolve"]
        assert stage.own.heard[0].headers["webhook-signature"].startswith("v1,"), "with the route's secret"
        assert owner.execute(WHO).fetchall() == [
            ("", False, "trigger", "delivered"),
            ("t_operator", True, "trigger", "delivered"),
            ("", False, "resolve", "delivered"),
            ("t_operator", True, "resolve", "delivered"),
        ]
        told_of = await stage.home.of(DeliveryDirectory).of_alert(alert)
        words = who_words(told_of[1])
        assert words == f"t_operator by ops (webhook http://127.0.0.1:{stage.own.port}/•••)"


async def test_without_an_address_for_the_channel_the_target_is_told_and_the_reason_is_said(
    database: Database, psql: Psql
) -> None:
    owner = psql("owner")
    async with Stage(database) as stage:
        await stage.add("mail", "ana@acme.example")
        [alert] = fire(owner)
        decision = await stage.home.of(RouteDirectory).explain(alert)
        await stage.hand.all()
        reached = "t_operator has no address for webhook: told the route's target"
        assert [each.words for each in decision.routes[0].stages if each.name == "page"] == [reached]
        without = "alert 1 (for t_operator, who has no address for webhook, level 1)"
        assert sorted(said(stage.target)) == [("trigger", "alert 1"), ("trigger", without)]
        assert not stage.own.heard
        facts, now = await stage.home.of(RouteDirectory).facts()
        before = simulate({"kind": "x"}, "error", now, facts)
        await stage.add()
        facts, now = await stage.home.of(RouteDirectory).facts()
        after = simulate({"kind": "x"}, "error", now, facts)
        pages = [[each.notice.contact for each in found.sent if each.notice.person] for found in (before, after)]
        assert pages[0] == [0] and pages[1][0] > 0, "simulating is the same decision"


async def test_a_test_goes_to_the_person_and_counts_toward_nothing(database: Database, psql: Psql) -> None:
    owner = psql("owner")
    async with Stage(database) as stage:
        contact = await stage.add()
        testing = asyncio.create_task(do(stage.home, "contacts.test", id=contact))
        while not testing.done():
            await stage.hand.deliver()
            await asyncio.sleep(0)
        result = testing.result().result
        assert (result["state"], result["person"], result["channel"]) == ("delivered", "t_operator", "webhook")
        [heard] = stage.own.heard
        assert json.loads(heard.body)["test"] is True and not stage.target.heard
        summary = "This is a test of the address of t_operator"
        assert one(owner, "SELECT summary, test, person FROM wf.deliveries") == (summary, True, "t_operator")
        assert one(owner, "SELECT delivered_at FROM wf.endpoints") == (None,)
        mail = await stage.add("mail", "ana@acme.example")
        with pytest.raises(Refusal, match="contact_no_route"):
            await do(stage.home, "contacts.test", id=mail)
        async with opened(database, "support", stage.own.port) as another:
            with pytest.raises(Refusal, match="contact_of_another"):
                await do(another, "contacts.test", id=contact)
        await do(stage.home, "contacts.remove", id=contact)
        with pytest.raises(Refusal, match="contact_removed"):
            await do(stage.home, "contacts.test", id=contact)


async def test_an_address_that_is_removed_before_the_attempt_leaves_the_page_to_the_target(
    database: Database, psql: Psql
) -> None:
    owner = psql("owner")
    async with Stage(database) as stage:
        contact = await stage.add()
        fire(owner)
        await stage.hand.route()
        await do(stage.home, "contacts.remove", id=contact)
        assert one(owner, "SELECT count(*) FROM wf.contact_secrets") == (0,), "and is kept nowhere"
        await stage.hand.deliver()
        assert len(stage.target.heard) == 2 and not stage.own.heard
        assert {row[1] for row in owner.execute(WHO).fetchall()} == {False}
        with pytest.raises(Refusal, match="contact_removed"):
            await do(stage.home, "contacts.edit", id=contact, address=url(stage.own))


async def test_a_mailbox_that_is_full_disables_no_endpoint_and_a_disabled_endpoint_holds_no_page(
    database: Database, psql: Psql
) -> None:
    owner = psql("owner")
    async with Stage(database) as stage, receiving(says("410 Gone")) as gone:
        stage.home.sealing = sealing(stage.own.port, gone.port)
        stage.hand.post.sealing.targets += (f"http://127.0.0.1:{gone.port}",)
        await stage.add("webhook", url(gone))
        fire(owner)
        async with hands(database.login("worker"), stage.target.port, gone.port) as hand:
            await hand.all()
        assert [row[4] for row in told(owner)] == ["http_200", "http_410"]
        assert one(owner, "SELECT failures, disabled FROM wf.endpoints") == (0, None)
        owner.execute("UPDATE wf.endpoints SET disabled = 'x', disabled_at = now()")
        await do(stage.home, "contacts.edit", id=1, address=url(stage.own))
        fire(owner, first=2)
        await stage.hand.all()
        assert [row[3] for row in owner.execute(WHO).fetchall()][2:] == ["held", "delivered"]
        assert len(stage.own.heard) == 1


async def test_people_set_their_own_addresses_and_an_admin_everybodys(database: Database, psql: Psql) -> None:
    for role in ("support", "operator", "admin", "viewer"):
        database.login(role)
    async with opened(database, "support") as support, opened(database, "admin") as admin:
        made = await do(support, "contacts.add", person="t_support", channel="mail", address="ana@acme.example")
        assert made.result["target"] == "a…@acme.example"
        assert (await do(admin, "contacts.add", person="t_operator", channel="slack", address="U012AB3CD")).audit_ids
        with pytest.raises(NotPermitted, match="contact_of_another"):
            await do(support, "contacts.add", person="t_admin", channel="mail", address="ana@evil.example")
        with pytest.raises(NotPermitted, match="contact_of_another"):
            await do(support, "contacts.remove", id=2)
        with pytest.raises(Refusal, match="contact_taken"):
            await do(support, "contacts.add", person="t_support", channel="mail", address="b@acme.example")
        with pytest.raises(Refusal, match="contact_person"):
            await do(admin, "contacts.add", person="stranger", channel="mail", address="b@acme.example")
        with pytest.raises(Refusal, match="slack_member"):
            await do(admin, "contacts.add", person="t_admin", channel="slack", address="https://hooks.slack.com/x")
        page = [contact async for contact in _all(support)]
        assert [(each.person, each.channel, each.target) for each in page] == [
            ("t_operator", "slack", "a member"),
            ("t_support", "mail", "a…@acme.example"),
        ]
    kept = "SELECT string_agg(coalesce(before::text, '') || coalesce(after::text, ''), '') FROM wf.audit"
    trail = one(psql("owner"), kept)[0]
    assert "t_support" in trail and "ana@" not in trail and "U012AB3CD" not in trail
    assert "ana@" not in one(psql("owner"), "SELECT string_agg(c::text, '') FROM wf.changes c")[0]


async def _all(home: Home) -> AsyncIterator[Any]:
    rows, _ = await home.of(ContactDirectory).rows()  # type: ignore[attr-defined]
    for row in rows:
        yield row


def test_with_psql_nobody_takes_over_the_pages_of_another(database: Database, psql: Psql) -> None:
    for role in ("support", "operator", "admin", "viewer"):
        database.login(role)
    operator, support, owner = psql("operator"), psql("support"), psql("owner")
    operator.execute("INSERT INTO wf.contacts (person, channel, target) VALUES ('t_operator', 'mail', 'x')")
    for sql in (
        "INSERT INTO wf.contacts (person, channel, target) VALUES ('t_operator', 'slack', 'x')",
        "UPDATE wf.contacts SET target = 'y'",
        "UPDATE wf.contacts SET removed_at = now()",
    ):
        refused(support, "contact_of_another", sql)
    denied(support, "UPDATE wf.contacts SET person = 't_support'", "DELETE FROM wf.contacts")
    denied(psql("viewer"), "INSERT INTO wf.contacts (person, channel, target) VALUES ('t_viewer', 'mail', 'x')")
    for role in ("viewer", "support", "operator", "admin"):
        denied(psql(role), "SELECT data FROM wf.contact_secrets", "DELETE FROM wf.contact_secrets")
    refused(operator, "contact_secret_alone", PUT.format(1))
    with pytest.raises(errors.CheckViolation), operator.transaction():
        operator.execute("UPDATE wf.contacts SET target = target")  # of which the trail is silent
        operator.execute(PUT.format(1).encode())
    denied(psql("worker"), PUT.format(1), "UPDATE wf.contacts SET target = 'x'", "DELETE FROM wf.contact_secrets")
    with operator.transaction():
        operator.execute("UPDATE wf.contacts SET target = 'y', target_at = '2020-01-01Z'")
        operator.execute(PUT.format(1).encode())
    assert one(owner, "SELECT target_at > now() - interval '1 hour' FROM wf.contacts") == (True,)
    owner.execute("SELECT wf.remove_operator('t_operator')")
    assert one(owner, "SELECT removed_at IS NOT NULL FROM wf.contacts") == (True,), "and hears of no tenant again"
    assert one(owner, "SELECT count(*) FROM wf.contact_secrets") == (0,)
    refused(
        owner, "contact_person", "INSERT INTO wf.contacts (person, channel, target) VALUES ('t_operator', 'mail', 'x')"
    )


async def test_an_address_that_was_swapped_with_another_opens_nothing(database: Database, psql: Psql) -> None:
    owner = psql("owner")
    database.login("admin")
    async with Stage(database) as stage, opened(database, "admin", stage.own.port, stage.target.port) as admin:
        await stage.add()
        await do(admin, "contacts.add", person="t_admin", channel="webhook", address=url(stage.target))
        owner.execute("UPDATE wf.contact_secrets s SET data = o.data FROM wf.contact_secrets o"
                      " WHERE s.contact_id <> o.contact_id")  # fmt: skip
        fire(owner)
        await stage.hand.all()
        assert [row[4] for row in told(owner)] == ["http_200", "not_decrypted"] and not stage.own.heard
