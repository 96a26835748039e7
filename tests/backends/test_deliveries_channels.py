"""From an alert that fires to real receivers of Slack, PagerDuty and mail: its trigger, acknowledgement and resolve;
and receivers that fail, hang, redirect to us, and ask to wait.
"""

from __future__ import annotations

import asyncio
import email
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from backends.drills import Drills
from backends.http.client import Http
from backends.http.guard import Guard
from backends.postgres.home import Home
from backends.postgres.sending import Post
from backends.sending import Courier
from backends.smtp import MailServer, Smtp
from controlplane.deliveries.targets import read_allowed
from controlplane.routes import secrets
from controlplane.sealing import Sealing
from tests.backends.notices import Hands, do, fire, hands, keys, resolve, soon, told
from tests.backends.psql import Psql, logins, one
from tests.postgres import Database
from tests.receivers import (
    TAKES_IT,
    Answering,
    Authority,
    Heard,
    Mailbox,
    Receiver,
    hangs,
    mail_server,
    receiving,
    says,
)

ROUTING_KEY = "k" * 32
SENDER = "watchfloor@ops.example"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        yield connect


class Stage:
    """A receiver of HTTP and one of mail, a worker's hands, and a route to one of them. `answer`: what HTTP is told."""

    def __init__(self, home: Home, hand: Hands, receiver: Receiver, mailbox: Mailbox, mood: list[Answering]) -> None:
        self.home, self.hand, self.receiver, self.mailbox, self.mood = home, hand, receiver, mailbox, mood

    async def route(self, channel: str) -> None:
        addresses = {
            "slack": f"http://127.0.0.1:{self.receiver.port}/services/T0/B0/s3cret",
            "webhook": f"http://127.0.0.1:{self.receiver.port}/hook",
            "pagerduty": ROUTING_KEY,
            "mail": "ana@acme.example",
        }
        await do(self.home, "routes.create", name="ops", channel=channel, address=addresses[channel])

    def posts(self, seconds: float) -> Post:
        """What a worker sends with that waits so long."""
        seal = self.hand.post.sealing
        guard = Guard(read_allowed(seal.targets))
        smtp = Smtp(MailServer("127.0.0.1", self.mailbox.port, "none"), guard, Authority().trusted())
        return Post(seal, Courier(guard, Http(guard), smtp, Drills(None), seconds), SENDER)

    async def attempt(self, owner: Any, seconds: float = 30.0) -> tuple[Any, ...]:
        """One attempt, whenever it is due: the result."""
        soon(owner)
        hand = Hands(self.hand.queue, self.posts(seconds))
        await hand.deliver()
        await hand.post.courier.close()  # type: ignore[attr-defined]
        [found] = told(owner)
        return found[2:]


@pytest.fixture
async def stage(database: Database, psql: Psql, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    mood: list[Answering] = [TAKES_IT]

    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await mood[0](heard, writer)

    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving(answer))
        mailbox = await stack.enter_async_context(mail_server(None))
        # PagerDuty's address is ours to know, not a person's to give.
        monkeypatch.setattr(secrets, "URL", f"http://127.0.0.1:{receiver.port}/v2/enqueue")
        home = Home(database.login("operator"))
        allowed = (f"http://127.0.0.1:{receiver.port}", f"smtp://127.0.0.1:{mailbox.port}")
        home.sealing = Sealing(keys, allowed)
        await home.open()
        stack.push_async_callback(home.close)
        hand = await stack.enter_async_context(hands(database.login("worker"), receiver.port))
        hand.post.sealing.targets = allowed
        made = Stage(home, hand, receiver, mailbox, mood)
        made.hand = Hands(hand.queue, made.posts(30.0))
        stack.push_async_callback(made.hand.post.courier.close)  # type: ignore[attr-defined]
        yield made


async def lived(stage: Stage, owner: Any, channel: str) -> None:
    """An alert fires, somebody has it, and it is over; each is told."""
    await stage.route(channel)
    [alert] = fire(owner, tenant="acme", severity="critical")
    await stage.hand.all()
    await do(stage.home, "alerts.ack", id=alert, comment="looking", until="1h")
    await stage.hand.all()
    resolve(owner, [alert])
    await stage.hand.all()
    assert [(each[0], each[2]) for each in told(owner)] == [
        ("trigger", "delivered"),
        ("acknowledge", "delivered"),
        ("resolve", "delivered"),
    ]


async def test_slack_hears_the_trigger_the_acknowledgement_and_the_resolve(stage: Stage, psql: Psql) -> None:
    await lived(stage, psql("owner"), "slack")
    bodies = [json.loads(heard.body) for heard in stage.receiver.heard]
    assert [body["text"] for body in bodies] == ["[CRITICAL] alert 1", "[ACKNOWLEDGED] alert 1", "[RESOLVED] alert 1"]
    for body in bodies:
        header, section, _ = body["blocks"]
        assert header["text"]["text"] == body["text"] and "tenant: acme" in section["text"]["text"]
    assert {heard.path for heard in stage.receiver.heard} == {"/services/T0/B0/s3cret"}


async def test_pagerduty_hears_them_under_one_dedup_key(stage: Stage, psql: Psql) -> None:
    await lived(stage, psql("owner"), "pagerduty")
    bodies = [json.loads(heard.body) for heard in stage.receiver.heard]
    assert [body["event_action"] for body in bodies] == ["trigger", "acknowledge", "resolve"]
    assert len({body["dedup_key"] for body in bodies}) == 1 and {body["routing_key"] for body in bodies} == {
        ROUTING_KEY
    }
    payload = bodies[0]["payload"]
    assert (payload["summary"], payload["severity"], payload["source"]) == ("[CRITICAL] alert 1", "critical", "acme")
    assert "payload" not in bodies[1] and {heard.path for heard in stage.receiver.heard} == {"/v2/enqueue"}


async def test_a_mailbox_gets_them_as_one_thread(stage: Stage, psql: Psql) -> None:
    await lived(stage, psql("owner"), "mail")
    mails = [email.message_from_bytes(each, policy=SMTP) for each in stage.mailbox.mails]
    subjects = [str(each["Subject"]) for each in mails]
    assert subjects == ["[CRITICAL] alert 1", "[ACKNOWLEDGED] alert 1", "[RESOLVED] alert 1"]
    assert {(each["To"], each["From"]) for each in mails} == {("ana@acme.example", f"Watchfloor <{SENDER}>")}
    assert len({each["References"] for each in mails}) == 1 and len({each["Message-ID"] for each in mails}) == 3
    assert isinstance(mails[0], EmailMessage) and "tenant: acme" in mails[0].get_content()


@pytest.mark.parametrize("channel", ["webhook", "slack", "pagerduty"])
async def test_a_receiver_that_fails_hangs_redirects_to_us_or_asks_to_wait(
    stage: Stage, psql: Psql, channel: str
) -> None:
    """PagerDuty's reference: again after 429 and 5xx, and never after 400."""
    owner = psql("owner")
    await stage.route(channel)
    fire(owner, tenant="acme")
    await stage.hand.route()
    async with receiving() as inside:
        redirect = says("307 Elsewhere", b"", {"location": f"http://127.0.0.1:{inside.port}/admin"})
        for number, (mood, seconds, code) in enumerate(
            ((says("500 No"), 30.0, "http_500"), (hangs, 0.3, "slow"), (redirect, 30.0, "http_307")), 1
        ):
            stage.mood[0] = mood
            assert await stage.attempt(owner, seconds) == ("waiting", number, code)
        assert not inside.heard, "a redirect is not followed"
    stage.mood[0] = says("429 Slow down", b"", {"retry-after": "1800"})
    assert await stage.attempt(owner) == ("waiting", 4, "http_429")
    assert one(owner, "SELECT next_at - clock_timestamp() FROM wf.deliveries")[0] > timedelta(minutes=29)
    stage.mood[0] = says("202 Accepted")
    assert await stage.attempt(owner) == ("delivered", 5, "http_202")
    heard = stage.receiver.heard
    same = {each.body for each in heard} if channel != "webhook" else {each.headers["webhook-id"] for each in heard}
    assert len(heard) >= 4 and len(same) == 1, "each attempt is the same message"


async def test_a_mail_server_that_fails_hangs_and_at_last_takes_it(stage: Stage, psql: Psql) -> None:
    owner = psql("owner")
    await stage.route("mail")
    fire(owner)
    await stage.hand.route()
    stage.mailbox.answers["RCPT"] = b"451 try later\r\n"
    assert await stage.attempt(owner) == ("waiting", 1, "smtp_451")
    stage.mailbox.answers = {"GREETING": b""}
    assert await stage.attempt(owner, 0.3) == ("waiting", 2, "slow")
    stage.mailbox.answers = {}
    assert await stage.attempt(owner) == ("delivered", 3, "smtp_250")
    [mail] = stage.mailbox.mails
    assert b"alert 1" in mail


async def test_a_mailbox_that_does_not_exist_is_final(stage: Stage, psql: Psql) -> None:
    owner = psql("owner")
    await stage.route("mail")
    fire(owner)
    await stage.hand.route()
    stage.mailbox.answers["RCPT"] = b"550 no such mailbox\r\n"
    assert await stage.attempt(owner) == ("failed", 1, "smtp_550")
    assert not stage.mailbox.mails
