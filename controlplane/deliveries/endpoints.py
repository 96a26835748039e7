"""Endpoints: where deliveries go, of routes and of webhooks alike. How their secrets are kept, and how a test ends."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from controlplane.audit.model import Record
from controlplane.deliveries.kept import Delivery, DeliveryDirectory, DeliveryStore
from controlplane.deliveries.retries import idempotency_key
from controlplane.encryption import Place
from controlplane.jobs.model import WorkerDirectory
from controlplane.listing import Query

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane
    from controlplane.operations import Request

PATIENCE_SECONDS = 40.0
"""An attempt takes 20 s at most; a worker begins it within some."""
LOOK_SECONDS = 0.1


def place_of(endpoint: int, secret: str, kind: str) -> Place:
    """What a secret is bound to: it decrypts as no other one, and on no other endpoint. The table has the name that it
    had when only routes had endpoints, so that what was encrypted then can be read.
    """
    return Place("wf.route_secrets", f"{endpoint}/{secret}", kind)


async def keep_secret(change: Change, endpoint: int, kind: str, text: str, keeps_seconds: int = 0) -> None:
    """Encrypt and keep a "target" or a "signing" secret, in the change that says so in the row of its route or webhook.

    A new signing secret lets the ones before it sign for `keeps_seconds` more.
    """
    secret = change.drawn.draw(lambda: str(uuid.uuid4()))
    keys = await change.sealing.keys()
    stored = keys.encrypt(text, place_of(endpoint, secret, kind))
    await change.of(DeliveryStore).put_secret(endpoint, secret, kind, stored, keeps_seconds)


async def send_test(change: Change, endpoint: int) -> Delivery:
    """A real delivery marked as a test, which counts toward nothing."""
    key = change.drawn.draw(lambda: idempotency_key(f"test {uuid.uuid4()}", str(endpoint)))
    return await change.of(DeliveryStore).test(endpoint, key)


async def send_test_to(change: Change, contact: int) -> Delivery:
    """The same, to somebody's own address."""
    key = change.drawn.draw(lambda: idempotency_key(f"test {uuid.uuid4()}", f"contact {contact}"))
    return await change.of(DeliveryStore).test_contact(contact, key)


async def outcome_of_test(plane: ControlPlane, request: Request, made: Record) -> Record:
    """What came of the test that is the result's `delivery`; "waiting" when no worker has sent it in time."""
    deliveries = plane.of(DeliveryDirectory)
    number = made["delivery"]
    workers = (await plane.of(WorkerDirectory).page(Query())).rows
    if not any(each.state == "alive" for each in workers):
        return {"state": "waiting", "words": "No worker runs: it is sent when one does (watchfloor worker)."}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    delivery = await deliveries.get(number)
    while delivery.state in ("waiting", "sending") and loop.time() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        delivery = await deliveries.get(number)
    told: Record = {"state": delivery.state, "code": delivery.code, "words": delivery.words}
    for attempt in await deliveries.attempts(number):
        seconds = None if attempt.seconds is None else round(attempt.seconds, 3)
        told |= {"seconds": seconds, "answer": attempt.answer}
    return told
