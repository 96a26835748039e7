"""Workers and jobs in the console, by keys."""

from __future__ import annotations

import psycopg
import pytest

from screens.lists import ListWithin
from tests.postgres import Database
from tests.screens.console import command, console, quiet, text, type_in, until

ESTATE = """
INSERT INTO wf.workers (name, host, pid, version, kinds, lease_until, seen_at, done, failed, per_minute)
  VALUES ('box-1', 'box', 11, '1', '{}', now() + interval '1 hour', now() + interval '1 hour', 1204, 3, 61.4),
         ('box-2', 'box', 12, '1', '{}', now() + interval '1 hour', now() - interval '12 s', 0, 0, 5),
         ('box-3', 'box', 13, '1', '{}', now() - interval '1 s', now() - interval '20 s', 0, 0, NULL);
INSERT INTO wf.jobs (kind, tenant_id, state, attempts, tries, error, ended_at, worker_id, lease) VALUES
  ('deliver', 'default', 'dead', 6, 5, E'\\x1b[31m[red]no', now(), NULL, NULL),
  ('deliver', NULL, 'running', 1, 1, NULL, NULL, 1, 1),
  ('publish', NULL, 'waiting', 0, 0, NULL, NULL, NULL, NULL);
INSERT INTO wf.job_attempts VALUES
  (1, 1, 'default', 1, now() - interval '2 s', now() - interval '1 s', 'failed', 'it said no'),
  (1, 2, 'default', 3, now() - interval '1 s', now(), 'lost', 'its worker box-3 was lost: no heartbeat');
"""


@pytest.fixture
def estate(database: Database) -> Database:
    with psycopg.connect(database.owner) as owner:
        owner.execute(ESTATE)
    return database


async def test_workers_say_how_they_are_and_lead_to_their_jobs(estate: Database) -> None:
    async with console(estate, role="viewer", link="test/workers") as (app, pilot):
        await until(pilot, lambda: "box-3" in text(pilot))
        lines = {line.split()[0 if line[0] == " " else 1]: line for line in text(pilot).splitlines() if "box-" in line}
        assert "● alive" in lines["box-1"] and "61" in lines["box-1"] and "1,204" in lines["box-1"]
        assert "◐ late" in lines["box-2"] and "–" in lines["box-2"]  # what is not known is not 5 and not 0
        assert "✕ gone" in lines["box-3"]
        await pilot.press("w")
        await until(pilot, lambda: "process 13 on box" in text(pilot))
        await pilot.press("escape", "G", "enter")
        await until(pilot, lambda: app.screen.noun == "jobs" and "/worker:box-1" in text(pilot))
        await until(pilot, lambda: "1 of 3" in text(pilot) and "▶ running" in text(pilot))


async def test_a_dead_job_says_why_and_is_replayed(estate: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.dialogs.confirm.DEAD_SECONDS", 0.0)
    async with console(estate, role="operator", link="test/jobs?state:dead") as (app, pilot):
        await until(pilot, lambda: "✕ dead" in text(pilot) and "5/5" in text(pilot))
        assert "\x1b" not in text(pilot) and "[red]no" in text(pilot)
        await pilot.press("w")
        await until(pilot, lambda: "all its tries failed" in text(pilot) and "attempts in total: 6" in text(pilot))
        await pilot.press("escape", "enter")
        await until(pilot, lambda: isinstance(app.screen, ListWithin) and "✕ lost" in text(pilot))
        assert "✕ failed" in text(pilot) and "1,000ms" in text(pilot)
        await pilot.press("w")
        await until(pilot, lambda: "attempt 1 at job 1" in text(pilot))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen.noun == "jobs")
        await pilot.press("a", "r")
        await until(pilot, lambda: "jobs replay 1" in text(pilot))
        await type_in(pilot, "y")
        await until(pilot, lambda: "replay job 1" in text(pilot) and "u: undo" in text(pilot))
        await command(pilot, "jobs state:waiting")
        await until(pilot, lambda: "2 of 3" in text(pilot))
    with psycopg.connect(estate.owner) as owner:
        assert owner.execute("SELECT state, tries FROM wf.jobs WHERE id = 1").fetchone() == ("waiting", 0)


async def test_without_a_worker_the_screen_says_what_that_means(database: Database) -> None:
    async with console(database, link="test/workers") as (app, pilot):
        await quiet(pilot)
        assert app.screen.noun == "workers"
        await until(pilot, lambda: "watchfloor worker" in text(pilot))
