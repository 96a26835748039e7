"""How sources outside look, frozen: above the causes of all, and one of their messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from textual.pilot import Pilot

from app.console import Watchfloor
from controlplane.queues.held import Sources
from tests.backends.outside import password_of, sources_of, url_of
from tests.postgres import Database
from tests.screens.console import until
from tests.screens.letters import ROWS
from tests.screens.test_snapshots import NARROW, NOW, Steps, estate, frozen, steps

__all__ = ["estate"]
ORDERS = """
CREATE TABLE orders (id bigint PRIMARY KEY, state text, err text, body jsonb, at timestamptz, tenant text, tries int);
INSERT INTO orders SELECT i, 'dead', 'POST https://ship.example: 503, parcel ' || i, jsonb_build_object('parcel',
  9007199254740993, 'to', 'ann-' || i || '@customer.example'),
  '2025-11-21T11:00Z'::timestamptz - make_interval(mins => i), 'acme', 7 FROM generate_series(1, 9) i;
INSERT INTO orders VALUES (10, 'dead', E'it said \\x1b[31mno', '{}', '2025-11-18T09:00Z', 'globex', 7);
"""
SETTINGS = """
[{0}]
url = "{1}"
password = "env:ORDERS"
table = "orders"
dead = ["dead"]
requeue = "UPDATE $table SET state = 'new' WHERE id = ANY ($ids)"
[{0}.columns]
id = "id"
state = "state"
error = "err"
payload = "body"
died = "at"
tenant = "tenant"
attempts = "tries"
handler = "'parcel.ship'"
"""
SHOTS = {"causes": ("5",), "message": (":acme-stage/messages/orders/3", "tab")}


@pytest.fixture
def with_sources(estate: Database, empty_database: Database, tmp_path: Path) -> Steps:
    for database, text in ((estate, ROWS), (empty_database, ORDERS)):
        with psycopg.connect(database.owner, autocommit=True) as owner:
            for statement in text.split(";\n"):
                owner.execute(statement.encode())
    text = SETTINGS.format("orders", url_of(empty_database.owner))
    text += SETTINGS.format("billing", "postgresql://watchfloor@127.0.0.1:9/billing")

    async def run(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, Watchfloor)
        await until(pilot, lambda: app.context is not None)
        assert app.context is not None
        made = sources_of(tmp_path, text, password_of(empty_database.owner))
        app.context.home.sources = Sources(lambda: list(made.values()), lambda: NOW, 25.0)
        await app.session.read_standing()  # or the header would know of them only at its next reading

    return run


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(estate: Database, with_sources: Steps, snap_compare: Any, name: str) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await with_sources(pilot)
        await steps(*SHOTS[name])(pilot)

    assert snap_compare(frozen(estate), terminal_size=NARROW, run_before=before)
