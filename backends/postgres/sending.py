"""The job that delivers: claims what is due, sends it outside of any transaction, and stores what came of it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

import psycopg
from psycopg.rows import dict_row

from backends.postgres.job_queue import Connection, PostgresQueue
from backends.postgres.refusals import refusal_of
from controlplane.clock import machine_now
from controlplane.contacts.addresses import address_target
from controlplane.contacts.addresses import place_of as contact_place
from controlplane.deliveries import templates
from controlplane.deliveries.channels import prepare
from controlplane.deliveries.endpoints import place_of
from controlplane.deliveries.model import Event, Notice, Outcome, Prepared, Trouble, Verdict
from controlplane.deliveries.retries import next_attempt
from controlplane.deliveries.verdicts import verdict_of
from controlplane.deliveries.webhook import event_request
from controlplane.encryption import Encrypted, Keys
from controlplane.errors import Refusal
from controlplane.jobs.engine import Kind
from controlplane.jobs.model import Claimed, JobQueue
from controlplane.routes.refusals import ROUTE_TARGET
from controlplane.routes.secrets import shown_of, target_of
from controlplane.sealing import Sealing

AT_ONCE = 64
"""How many deliveries one job has under way."""
CLAIMING_SECONDS = 5.0
"""After that a job only finishes: the next one is queued by then, and none holds up a worker that is told to stop."""
LOOK_SECONDS = 0.2
GATHERING_SECONDS = 0.01
"""How long the first that ended waits for others, so that what came of them is stored together."""
JOB_SECONDS = 60.0
MAX_ANSWER = 2000

CLAIM = "SELECT * FROM wf.claim_deliveries(%s, %s)"
TARGETS = """
SELECT e.id, r.name, r.template, coalesce(r.channel, 'webhook') AS channel, coalesce(r.target, w.target) AS target,
  s.id::text AS secret, s.kind, s.key_id, s.data
FROM wf.endpoints e LEFT JOIN wf.routes r ON r.id = e.route_id LEFT JOIN wf.webhooks w ON w.id = e.webhook_id
LEFT JOIN wf.endpoint_secrets s ON s.endpoint_id = e.id AND (s.ends_at IS NULL OR s.ends_at > now())
WHERE e.id = ANY (%s) ORDER BY s.made_at DESC
"""
ADDRESSES = """
SELECT c.id, c.channel, c.target, s.key_id, s.data FROM wf.contacts c JOIN wf.contact_secrets s ON s.contact_id = c.id
WHERE c.id = ANY (%s)
"""
SETTLE = """
SELECT wf.settle_deliveries(%s, %s, %s, %s::text[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::interval[],
                            %s::boolean[])
"""
log = logging.getLogger(__name__)


class Sends(Protocol):
    """What sends a request, a mail, a line: `backends.sending.Courier`."""

    async def send(self, prepared: Prepared) -> Outcome: ...


@dataclass(frozen=True)
class Post:
    """What a worker delivers with. `sender`: the address that its mails are from; "" where no mail server is set."""

    sealing: Sealing
    courier: Sends
    sender: str = ""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as its deliveries need it. `route`: the name of its route; None: it is a tenant's webhook. `secrets`:
    encrypted, the newest first.
    """

    id: int
    route: str | None
    channel: str
    target: str
    template: str | None
    secrets: list[tuple[str, str, Encrypted]] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Address:
    """A person's own address, encrypted; `shown`: as their contact shows it."""

    contact: int
    channel: str
    shown: str
    stored: Encrypted = field(repr=False)


Sent = tuple[Mapping[str, Any], Endpoint, Address | None]
"""What is claimed, its endpoint, and whose address it goes to; None: the endpoint's target."""


class Settled(NamedTuple):
    """What came of an attempt: the values of `SETTLE` for one delivery."""

    delivery: int
    attempt: int
    state: str
    code: str
    words: str
    answer: str
    seconds: float
    again: timedelta | None
    gone: bool


def delivering(post: Post) -> Kind:
    """The job of a worker that can send."""

    async def deliver(queue: JobQueue, claimed: Claimed) -> bool:
        assert isinstance(queue, PostgresQueue)
        try:
            keys = await post.sealing.keys()
        except Refusal as refusal:
            await queue.release([claimed], refusal.message, 2.0)  # another worker may have the key
            return True
        try:
            await _Round(queue, post, keys).work()
        except psycopg.Error as error:
            raise refusal_of(error) from None
        return False

    return Kind("deliver", deliver, seconds=JOB_SECONDS)


class _Round:
    """One job's deliveries."""

    def __init__(self, queue: PostgresQueue, post: Post, keys: Keys) -> None:
        self.queue, self.post, self.keys = queue, post, keys

    async def work(self) -> None:
        under_way: set[asyncio.Task[Settled]] = set()
        ended: list[Settled] = []
        until = time.monotonic() + CLAIMING_SECONDS
        try:
            while True:
                room = AT_ONCE - len(under_way) if (claiming := time.monotonic() < until) else 0
                for each in await self.exchange(ended, room):
                    under_way.add(asyncio.create_task(self.deliver(*each)))
                if not under_way:
                    return
                done, under_way = await _some(under_way, LOOK_SECONDS if claiming else None)
                ended = [task.result() for task in done if task.exception() is None]
                if len(ended) < len(done):  # a fault of the program: what the others came to is kept first
                    await self.exchange(ended, 0)
                    for task in done:
                        task.result()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def exchange(self, ended: Sequence[Settled], room: int) -> Sequence[Sent]:
        """Store what came of attempts and claim others, in one transaction: claims see what has room by that."""
        async with self.queue.connection() as connection:
            if not ended:
                return await self.claim(connection, room)
            try:
                async with connection.transaction():
                    await self.settle(connection, ended)
                    return await self.claim(connection, room)
            except psycopg.Error:
                if len(ended) == 1 or connection.closed:
                    raise
            await self._settle_each(connection, ended)
            return await self.claim(connection, room)

    async def claim(self, connection: Connection, room: int) -> Sequence[Sent]:
        if not room:
            return ()
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(CLAIM, [self.queue.worker, room])
            claimed = await cursor.fetchall()
            if not claimed:
                return ()
            await cursor.execute(TARGETS, [sorted({each["endpoint_id"] for each in claimed})])
            found: dict[int, Endpoint] = {}
            for row in await cursor.fetchall():
                endpoint = found.setdefault(
                    row["id"], Endpoint(row["id"], row["name"], row["channel"], row["target"], row["template"])
                )
                if row["secret"]:
                    endpoint.secrets.append((row["kind"], row["secret"], Encrypted(row["key_id"], bytes(row["data"]))))
            addresses = {}
            if contacts := [each["contact_id"] for each in claimed if each["contact_id"]]:
                await cursor.execute(ADDRESSES, [contacts])
                addresses = {
                    row["id"]: Address(
                        row["id"], row["channel"], row["target"], Encrypted(row["key_id"], bytes(row["data"]))
                    )
                    for row in await cursor.fetchall()
                }
        return [(each, found[each["endpoint_id"]], addresses.get(each["contact_id"])) for each in claimed]

    async def deliver(self, claimed: Mapping[str, Any], endpoint: Endpoint, address: Address | None) -> Settled:
        started = time.monotonic()
        verdict, answer, seconds = await self._attempt(claimed, endpoint, address)
        again = None
        if verdict.state == "retry" and not claimed["test"]:
            now = machine_now()  # only its distance to the next attempt is used
            due = next_attempt(claimed["tries"], now, random.random(), verdict.retry_after)
            again = None if due is None else due - now
        seconds = time.monotonic() - started if seconds is None else seconds
        said = (verdict.state, verdict.code, verdict.words, answer)
        return Settled(claimed["id"], claimed["attempt"], *said, seconds, again, verdict.gone)

    async def _attempt(
        self, claimed: Mapping[str, Any], endpoint: Endpoint, address: Address | None
    ) -> tuple[Verdict, str, float | None]:
        try:
            prepared = self._prepared(claimed, endpoint, address)
        except Refusal as refusal:
            state = "retry" if refusal.code == "encryption_key_missing" else "refused"
            return Verdict(state, refusal.code, f"{refusal.message} {refusal.hint}".strip()), "", None  # type: ignore[arg-type]
        except Exception as error:  # a notice that cannot be made ready must not stop the others
            log.warning("delivery %s cannot be made ready", claimed["id"], exc_info=error)
            words = f"{type(error).__name__} while it was made ready; the log of its worker has more."
            return Verdict("refused", "unprepared", words), "", None
        outcome = await self.post.courier.send(prepared)
        verdict = verdict_of(outcome, machine_now())
        return verdict, "" if isinstance(outcome, Trouble) else outcome.text[:MAX_ANSWER], outcome.seconds

    def _prepared(self, claimed: Mapping[str, Any], endpoint: Endpoint, address: Address | None) -> Prepared:
        target = self._target(endpoint, address)
        if endpoint.route is None:
            return event_request(event_of(claimed), target, machine_now())
        notice = notice_of(claimed, endpoint)
        return prepare(notice, templates.text_of(endpoint.template or "", notice), target, machine_now())

    def _target(self, endpoint: Endpoint, address: Address | None) -> Any:
        """Raises Refusal: a secret of another row or key, and a target that is not what its row or contact shows."""
        opened = {"target": [], "signing": []}  # type: dict[str, list[str]]
        for kind, secret, stored in endpoint.secrets:
            opened[kind].append(self.keys.decrypt(stored, place_of(endpoint.id, secret, kind)))
        if not opened["target"]:
            raise ROUTE_TARGET("There is no target.")
        text = opened["target"][0]
        if shown_of(endpoint.channel, text) != endpoint.target:
            raise ROUTE_TARGET("The target is not the one that is shown.")
        target = target_of(endpoint.channel, text, opened["signing"], self.post.sender)
        if address is None:
            return target
        own = self.keys.decrypt(address.stored, contact_place(address.contact, address.channel))
        return address_target(address.channel, own, address.shown, target, opened["signing"], self.post.sender)

    async def settle(self, connection: Connection, ended: Sequence[Settled]) -> None:
        await connection.execute(SETTLE, [self.queue.worker, *map(list, zip(*ended, strict=True))])

    async def _settle_each(self, connection: Connection, ended: Sequence[Settled]) -> None:
        """One that cannot be stored stops no other."""
        fault: psycopg.Error | None = None
        for each in ended:
            try:
                await self.settle(connection, [each])
            except psycopg.Error as error:
                fault = error
        if fault is not None:
            raise fault


async def _some(
    under_way: set[asyncio.Task[Settled]], seconds: float | None
) -> tuple[set[asyncio.Task[Settled]], set[asyncio.Task[Settled]]]:
    """Those that ended, and the others: those that end a moment after the first too."""
    done, others = await asyncio.wait(under_way, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if done and others:
        more, others = await asyncio.wait(others, timeout=GATHERING_SECONDS)
        done |= more
    return done, others


def event_of(claimed: Mapping[str, Any]) -> Event:
    return Event(claimed["key"], claimed["event_type"], claimed["created_at"], claimed["notice"], claimed["test"])


def notice_of(claimed: Mapping[str, Any], endpoint: Endpoint) -> Notice:
    said = claimed["notice"]
    return Notice(
        claimed["key"],
        claimed["group_key"] or claimed["key"],
        claimed["event_type"],
        claimed["action"],
        claimed["tenant_id"] or "",
        claimed["severity"],
        claimed["summary"],
        claimed["reason"],
        claimed["created_at"],
        said.get("details") or {},
        said.get("value"),
        said.get("threshold"),
        said.get("unit") or "",
        str(endpoint.id),
        endpoint.route,
        claimed["test"],
    )
