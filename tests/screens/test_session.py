from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from controlplane.live import LinkState
from screens.session import Session
from tests.postgres import Database
from tests.screens.console import command, console, text, until

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("jump", "words"),
    [(timedelta(0), "offline 0s"), (timedelta(hours=-3), "offline 0s"), (timedelta(hours=3), "offline 3h")],
)
def test_silence_is_never_still_to_come(jump: timedelta, words: str) -> None:
    session = Session(link=LinkState("offline", retry_in=2), heard_at=NOON)
    session.clock = lambda: NOON + jump  # type: ignore[method-assign]
    assert session.link_words() == f"{words}, retry in 2s"


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (LinkState("live"), "live"),
        (LinkState("live", polling=True), "live (polling)"),
        (LinkState("stale", silent=2.5), "stale 2s"),
        (LinkState("offline", retry_in=30, brief="login refused"), "offline: login refused, retry in 30s"),
        (
            LinkState("offline", retry_in=30, brief="only its pooler answers"),
            "offline: only its pooler answers, retry in 30s",
        ),
    ],
)
def test_the_header_says_what_is_the_matter_with_the_link(link: LinkState, words: str) -> None:
    session = Session(link=link, heard_at=NOON - timedelta(seconds=2.5))
    session.clock = lambda: NOON  # type: ignore[method-assign]
    assert session.link_words() == words


async def test_a_clock_that_jumps_never_lengthens_the_time_of_writing_and_hurts_nothing(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name, created_at) VALUES ('acme', 'Acme', %s)", [NOON])
    now = NOON
    async with console(database, read_only=True) as (app, pilot):
        app.session.clock = lambda: now
        await command(pilot, "rw 15m look closer")
        await until(pilot, lambda: not app.session.locked)
        for jump, locked in (
            (14, False),
            (-1, True),
            (60 * 24 * 365 * 20, True),
            (-60 * 24 * 365 * 90, True),
            (1, False),
        ):
            now = NOON + timedelta(minutes=jump)
            await pilot.press("r")
            await pilot.pause()
            assert app.session.locked is locked, jump
            assert "Acme" in text(pilot) and "live" in text(pilot)
