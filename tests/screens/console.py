"""The whole console on a real database, in this process."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.worker import WorkerCancelled, WorkerFailed

from app.console import Watchfloor
from app.contexts import Context
from app.settings import Settings
from backends.postgres.home import Home
from screens.dialogs.confirm import Confirm
from tests.postgres import Database
from tests.screens.pausing import soon

LONG = ("link", "read", "work-follow")
"""Groups of workers that run as long as the program."""
PREVIEW_SECONDS = 3.0
"""How long a dialog may take to open once an act was begun."""
BRIEF_SECONDS = 0.5
"""What is put off for less waits until no more is typed, or no more news comes."""


@asynccontextmanager
async def console(
    database: Database,
    *,
    role: str = "admin",
    environment: str = "development",
    read_only: bool = False,
    settings: Settings | None = None,
    link: str = "test/tenants",
    accessible: bool = False,
    embedded: bool = False,
    size: tuple[int, int] = (80, 24),
) -> AsyncIterator[tuple[Watchfloor, Pilot[None]]]:
    """The program when it has read what `link` leads to; without a link, the overview or the welcome."""

    async def open_context(report: Callable[[str], None]) -> Context:
        home = Home(database.login(role))
        await home.open()
        return Context(home, "test", environment, read_only, "the test", embedded)

    app = Watchfloor(settings or Settings(Path("/nowhere/settings.toml")), open_context, link, accessible=accessible)
    try:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.session.plane is not None)
            await quiet(pilot)
            yield app, pilot
    finally:  # an open pool would never let the loop end
        if app.context is not None:
            await app.context.close()


async def quiet(pilot: Pilot[None]) -> None:
    """Until everything that was asked for is done, but for listening, long work, and what waits for an answer."""
    await pilot.pause()
    deadline = time.monotonic() + PREVIEW_SECONDS
    while True:
        waiting = [w for w in pilot.app.workers if w.group not in ("link", "work") and not w.is_finished]
        asks = any(worker.group == "act" for worker in waiting)
        # The home is asked for a preview.
        opens = asks and not pilot.app.screen.is_modal and time.monotonic() < deadline
        if (asks or not waiting) and not opens and not soon(pilot.app, BRIEF_SECONDS):
            break
        for worker in () if asks else waiting:
            with suppress(WorkerCancelled, WorkerFailed):
                await worker.wait()
        await pilot.pause()
    await pilot.pause()


async def until(pilot: Pilot[None], holds: Callable[[], Any], seconds: float = 30) -> None:
    """Until it holds; what never does fails with the screen's text."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "\n".join(shown(pilot))
        await pilot.pause(0.01)
    await pilot.pause()


def shown(pilot: Pilot[None]) -> list[str]:
    """The lines of the screen as they are now."""
    app = pilot.app
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return [strip.text[:width].rstrip() for strip in lines[:height]]


def text(pilot: Pilot[None]) -> str:
    return "\n".join(shown(pilot))


async def type_in(pilot: Pilot[None], words: str) -> None:
    names = {" ": "space", "/": "slash", ":": "colon", ".": "full_stop", "-": "minus", "_": "underscore"}
    await pilot.press(*(names.get(letter, letter) for letter in words))


async def command(pilot: Pilot[None], words: str) -> None:
    """`:` and a command; it is typed in one go."""
    pilot.app.run_command(words)  # type: ignore[attr-defined]
    await quiet(pilot)


async def confirm(pilot: Pilot[None], word: str = "y") -> None:
    """Answer the question on the screen, once its dead time is over."""
    await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
    dialog = pilot.app.screen
    assert isinstance(dialog, Confirm)
    dialog.opened, dialog.last_key = float("-inf"), ("", float("-inf"))  # nor is it a repeat of the key before
    await type_in(pilot, word)
    if word != "y":
        await pilot.press("enter")
    await until(pilot, lambda: pilot.app.screen is not dialog)
