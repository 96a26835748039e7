"""Whether the home is empty: then the welcome is shown in place of an overview of nothing."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from textual.widgets import Input

from controlplane.errors import Refusal
from controlplane.nouns import FIRST

if TYPE_CHECKING:
    from app.console import Watchfloor

TYPING_SECONDS = 0.5


async def look(app: Watchfloor) -> None:
    """Ask the home that was reached, before anything of it is shown."""
    from controlplane.overview.model import OverviewSource

    assert app.context is not None
    app.session.vacant = False
    with suppress(Refusal):
        app.session.vacant = await app.context.home.of(OverviewSource).empty()


def greet(app: Watchfloor) -> None:
    area = app.area
    if not app.session.vacant or area is None or area.noun != FIRST:
        return
    if isinstance(app.focused, Input):  # another screen would take what is being typed
        app.set_timer(TYPING_SECONDS, partial(greet, app))
    elif len(app.screen_stack) == 2:
        app.go(FIRST)
