"""The console on a machine whose clock is a day off: ages, charts and judgements are the home's."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from textual.pilot import Pilot

from backends.checkpoint_folder import CheckpointFolder
from backends.postgres.notary import Notary
from controlplane.audit.checkpoints import SigningKey
from tests.clocks import OFF, put_off
from tests.postgres import Database
from tests.screens.console import console, shown, text, until


@pytest.fixture(params=OFF.values(), ids=OFF)
def words(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    by, said = request.param
    put_off(monkeypatch, by)
    return str(said)


def line_of(pilot: Pilot[None], words: str) -> str:
    return next(line for line in shown(pilot) if words in line)


async def test_the_overview_is_of_now_and_the_header_says_once_that_the_clock_is_off(
    fleet: Database, words: str
) -> None:
    async with console(fleet, link="") as (_, pilot):
        await until(pilot, lambda: "not read yet" not in text(pilot) and "FAILING MOST" in text(pilot))
        assert f"local clock {words}" in shown(pilot)[0] and text(pilot).count(words) == 1
        assert "rolled up" not in text(pilot) and "25.00 %" in line_of(pilot, "errors")
        assert "◐ 1 alive" in line_of(pilot, "workers") and "live" in shown(pilot)[0]


async def test_a_list_shows_the_homes_ages(database: Database, words: str) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name, created_at) VALUES ('acme', 'Acme', now() - interval '90 minutes')"
        )
    async with console(database, link="test/tenants?acme", size=(160, 24)) as (_, pilot):
        await until(pilot, lambda: "Acme" in text(pilot))
        assert line_of(pilot, "Acme").split()[-2] == "1h"  # when it was created


async def test_a_chart_ends_at_the_homes_now(fleet: Database, words: str) -> None:
    async with console(fleet, link="test/telemetry") as (_, pilot):
        await until(pilot, lambda: "total 5," in text(pilot))
        assert "changes in this window" in text(pilot) and "no data" not in text(pilot)


async def test_a_fresh_checkpoint_is_no_alarm(database: Database, words: str, tmp_path: Path) -> None:
    notary = Notary(database.login("worker"), CheckpointFolder(tmp_path), SigningKey(bytes(32)))
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('one', 'one')")
        [now] = owner.execute("SELECT clock_timestamp()").fetchone() or ()
    signed = await notary.sign()
    assert signed is not None and abs((signed.checkpoint.at - now).total_seconds()) < 60, "it names the home's time"
    async with console(database, link="test/audit", size=(120, 40)) as (_, pilot):
        await until(pilot, lambda: ", checkpoint " in shown(pilot)[1])
        title = shown(pilot)[1]
        assert "!" not in title and ("s ago" in title or "now" in title)


async def test_a_clock_that_is_right_is_not_spoken_of(database: Database) -> None:
    async with console(database) as (_, pilot):
        assert "clock" not in shown(pilot)[0]
