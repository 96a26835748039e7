"""Whether the home is empty: then the welcome is shown in place of an overview of nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from controlplane.errors import Refusal
from controlplane.nouns import FIRST

if TYPE_CHECKING:
    from app.console import Watchfloor
    from app.homes import HomeChoice


async def expect(app: Watchfloor) -> None:
    """An embedded home that is about to be made is empty: say how to begin while it is made."""
    if app.choice is not None and await asyncio.to_thread(_to_be_made, app.choice):
        app.session.vacant = True
        greet(app)


async def look(app: Watchfloor) -> None:
    """Ask the home that was reached, before anything of it is shown."""
    from controlplane.overview.model import OverviewSource

    assert app.context is not None
    app.session.vacant = False
    with suppress(Refusal):
        app.session.vacant = await app.context.home.of(OverviewSource).empty()


def greet(app: Watchfloor) -> None:
    area = app.area
    if app.session.vacant and area is not None and area.noun == FIRST and len(app.screen_stack) == 2:
        app.go(FIRST)


def _to_be_made(choice: HomeChoice) -> bool:
    from app.embedded import folder_of

    return choice.kind == "folder" and not (folder_of(choice) / "data").exists()
