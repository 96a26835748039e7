"""A pause of Textual's pilot, by what the program has still to do and not by how busy this machine is.

Textual sleeps for 20 ms, again and again until this process takes less than 1 ms of them: four times for each key.
"""

from __future__ import annotations

import asyncio
from typing import Any

import textual._wait
import textual.app
import textual.pilot
from textual._context import active_app
from textual.app import App
from textual.screen import Screen
from textual.timer import Timer

IN_A_ROW = 3
"""So many looks must find nothing to do: an answer that just came needs one to be read, and one to be drawn."""
A_MOMENT = 0.05
"""Seconds. Textual puts off by as much what may come several times, like a resize."""


async def nothing_to_do(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Until no callback is ready, nothing is put off for a moment, and nothing is to be drawn; for at most `max_sleep`
    seconds. Longer timers and the home's answers are not waited for.
    """
    loop, still = asyncio.get_running_loop(), 0
    end = loop.time() + max_sleep
    while still < IN_A_ROW and loop.time() < end:
        await asyncio.sleep(0.0005 if still else 0)
        app = active_app.get(None)
        screen = app.screen if app is not None and app._screen_stack else None
        if loop._ready or (app is not None and soon(app, A_MOMENT)):  # type: ignore[attr-defined]
            still = 0
        elif screen is not None and screen.is_current and _to_draw(screen):
            screen._on_timer_update()
            still = 0
        else:
            still += 1


def soon(app: App[Any], seconds: float) -> list[Timer]:
    """Timers of the program and its screen that do something once, in less than so many seconds."""
    timers = [*app._timers, *(app.screen._timers if app._screen_stack else ())]
    running = [timer for timer in timers if timer._task is not None and not timer._task.done()]
    return [timer for timer in running if timer._repeat == 0 and timer._interval < seconds]


def _to_draw(screen: Screen[Any]) -> bool:
    return bool(
        screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )


for module in (textual._wait, textual.app, textual.pilot):
    module.wait_for_idle = nothing_to_do  # type: ignore[attr-defined]
