"""Deliveries in the console, by keys."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres import Database
from tests.screens.console import console, text, type_in, until

ROWS = """
INSERT INTO wf.routes (name, channel, target) VALUES ('ops', 'webhook', 'https://hooks.example/•••');
INSERT INTO wf.deliveries (key, route_id, group_key, number, action, reason, severity, event_type, summary, notice,
  state, ended_at)
SELECT 'msg_' || repeat('a', 39) || n, 1, repeat('a', 63) || n, n, 'trigger', 'first_notification', 'error', 'x',
  'notice ' || n, '{}', CASE n WHEN 3 THEN 'delivered' ELSE 'failed' END, now() FROM generate_series(1, 3) n;
"""


async def test_after_a_replay_the_filter_is_kept(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """mission_control-jobs#161: the filter is lost there after something was done to a row."""
    monkeypatch.setattr("screens.dialogs.confirm.DEAD_SECONDS", 0.0)
    with psycopg.connect(database.owner) as owner:
        owner.execute(ROWS.encode())
    async with console(database, role="operator", link="test/deliveries?state:failed") as (app, pilot):
        await until(pilot, lambda: "notice 2" in text(pilot) and "notice 3" not in text(pilot))
        await pilot.press("a", "p")
        await until(pilot, lambda: "deliveries replay 2" in text(pilot))
        await type_in(pilot, "y")
        await until(pilot, lambda: "replay delivery 2" in text(pilot))
        await until(pilot, lambda: "/state:failed" in text(pilot) and "notice 1" in text(pilot))
        assert "notice 3" not in text(pilot)
        assert app.screen.noun == "deliveries"
