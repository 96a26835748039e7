"""A program with nothing but one widget, and what its screen shows."""

from __future__ import annotations

from contextlib import suppress

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget
from textual.worker import WorkerCancelled

from controlplane.errors import Refusal
from screens.widgets.table import WindowTable


class Desk(App[None]):
    """`said` collects what the table tells."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget
        self.said: list[object] = []

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_window_table_opened(self, event: WindowTable.Opened) -> None:
        self.said.append(("opened", event.row.key))

    def on_window_table_highlighted(self, event: WindowTable.Highlighted) -> None:
        self.said.append(("highlighted", event.row.key if event.row else None))

    def on_window_table_marked(self, event: WindowTable.Marked) -> None:
        self.said.append(("marked", event.count))

    def on_window_table_mark_all(self, event: WindowTable.MarkAll) -> None:
        self.said.append(("mark all", event.query))

    def on_window_table_failed(self, event: WindowTable.Failed) -> None:
        self.said.append(("failed", event.error.code if isinstance(event.error, Refusal) else str(event.error)))

    def on_window_table_loaded(self, event: WindowTable.Loaded) -> None:
        self.said.append(("loaded", event.as_of.year))


def strips(widget: Widget) -> list[Strip]:
    return [widget.render_line(y) for y in range(widget.size.height)]


def texts(widget: Widget) -> list[str]:
    return [strip.text for strip in strips(widget)]


async def settled(pilot: Pilot[None], widget: Widget) -> None:
    """Until everything asked for was read and painted."""
    while workers := [worker for worker in pilot.app.workers if worker.node is widget and not worker.is_finished]:
        for worker in workers:
            with suppress(WorkerCancelled):
                await worker.wait()
    await pilot.pause()
