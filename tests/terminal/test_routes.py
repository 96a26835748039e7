"""A route is tested and a delivery replayed, with the real program in a real terminal."""

from __future__ import annotations

import psycopg

from tests.postgres import Database
from tests.terminal.console import console
from tests.terminal.test_faults import DEAD_TIME

FAILED = """
INSERT INTO wf.routes (name, channel, target) VALUES ('ops', 'drill', 'ops.txt');
INSERT INTO wf.deliveries (key, route_id, group_key, number, action, reason, severity, event_type, summary, notice,
                           state, code, words, ended_at)
  VALUES ('msg_' || repeat('a', 40), 1, repeat('a', 64), 1, 'trigger', 'first_notification', 'error', 'jobs_dead',
          '9 dead jobs', '{}', 'failed', 'http_400', 'The receiver refused it.', now());
"""


def test_a_route_is_tested_and_a_failed_delivery_is_replayed(database: Database) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute(FAILED.encode())
        with console(database, "operator", words=("/routes",), columns=100) as t:
            t.see("ops.txt")
            t.press("a", "y")
            t.see("audit")
            t.type(":deliveries\r")
            t.see("9 dead jobs")
            t.see("This is a test of the ro")
            t.type(f":{database.name}/deliveries/1\r")
            t.see("The receiver refused it.")
            t.press("a", "p")
            t.see("Do it? y/N")
            t.settle(DEAD_TIME)
            t.press("y")
            t.see("attempt 1 is due")
            t.press("ctrl+c", "ctrl+c")
            assert t.wait() == 0 and t.restored()
        found = owner.execute("SELECT state, replays, test FROM wf.deliveries ORDER BY id").fetchall()
        assert found == [("waiting", 1, False), ("waiting", 0, True)]
