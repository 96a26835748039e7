"""Workers that are killed while they route and send: nothing is lost, and nothing is told twice under another key."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from backends.postgres.home import Home
from tests.backends.notices import do, fire, resolve, sealing, sender, senders
from tests.backends.psql import Psql, logins, one
from tests.postgres import Database
from tests.receivers import receiving, says

KILLS, ALERTS = 20, 15
LEASE_OVER = "UPDATE wf.workers SET lease_until = now() - interval '1 second' WHERE pid = %s"
LEFT = """
SELECT (SELECT count(*) FROM wf.routing_due)
  + (SELECT count(*) FROM wf.deliveries WHERE state IN ('waiting', 'sending'))
"""


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(300):
        while not holds():  # noqa: ASYNC110 - other programs' doing
            await asyncio.sleep(0.02)


async def _route(database: Database, port: int) -> None:
    """It tells its target, and pages somebody there."""
    home = Home(database.login("operator"))
    home.sealing = sealing(port)
    await home.open()
    paged = {"levels": [{"targets": [{"kind": "person", "name": "ana"}], "minutes": 1440}]}
    address = f"http://127.0.0.1:{port}/x"
    await do(home, "routes.create", name="ops", channel="webhook", address=address, escalation=paged)
    await home.close()


async def test_killed_workers_lose_nothing_and_tell_nothing_under_two_keys(database: Database, psql: Psql) -> None:
    """alertmanager#4008, #4179: several that route and send at the same time lose no resolve, and double none."""
    owner, chance = psql("owner"), random.Random(12)
    async with receiving(says("200 OK")) as receiver:
        await _route(database, receiver.port)
        conninfo = database.login("worker")
        alerts: list[int] = []
        with senders(conninfo, 3, receiver.port) as running:
            for _ in range(KILLS):
                alerts += fire(owner, ALERTS, first=1 + len(alerts))
                enough = len(receiver.heard) + chance.randrange(0, ALERTS)
                await until(lambda enough=enough: len(receiver.heard) >= enough)
                victim = running.pop(chance.randrange(len(running)))
                victim.kill()
                victim.join()
                owner.execute(LEASE_OVER, [victim.pid])  # nobody waits 15 seconds for it
                running.append(sender(conninfo, receiver.port))
            await until(lambda: one(owner, LEFT) == (0,))
            resolve(owner, alerts)
            await until(lambda: one(owner, LEFT) == (0,))
    heard = [(each.headers["webhook-id"], json.loads(each.body)["data"]) for each in receiver.heard]
    said = [(data["action"], data["details"]["alert_id"], data["details"].get("person", "")) for _, data in heard]
    events = {(action, str(alert), who) for action in ("trigger", "resolve") for alert in alerts for who in ("", "ana")}
    assert {*said} == events, "each is told to the target and paged"
    keys = [key for key, _ in heard]
    assert len({*zip(said, keys, strict=True)}) == len(events) == len({*keys}), "each under one key of its own"
    delivered = "SELECT count(*), count(DISTINCT key) FROM wf.deliveries WHERE state = 'delivered'"
    assert one(owner, delivered) == (len(events), len(events))
    lost = one(owner, "SELECT count(*) FROM wf.delivery_attempts WHERE outcome = 'lost'")[0]
    again = sum(times - 1 for times in Counter(keys).values())
    assert again <= lost, "heard twice only where a worker was killed between the answer and its report"
