"""Keys in the order they were pressed, each done before the next one is looked at.

Over a slow link keys come in bursts. Textual hands each to the widget that has the focus at that moment, and runs
its binding later: `/acme` would open the filter only after `a`, `c` and `m` had gone to the table. A paste is one key.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message_pump import MessagePump

PATIENCE = 0.25
"""Seconds that a widget may take for a key before the next one is handed out anyway."""
AT_ONCE = ("ctrl+c",)

Pressed = events.Key | events.Paste


class OrderedKeys(App[None]):
    """An App that hands out one key at a time. `hold_keys` keeps what is typed for a dialog that is about to open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting_keys: list[Pressed] = []
        self._key_under_way = False
        self._holding_keys = False
        self._key_tasks: set[asyncio.Task[None]] = set()

    def hold_keys(self) -> None:
        """Keep the keys that are typed from now on for a dialog that is about to open."""
        self._holding_keys = True

    def release_keys(self, *, replay: bool) -> None:
        """Hand out the keys that were kept (`replay`), or drop them: they were typed before the dialog was seen."""
        self._holding_keys = False
        if not replay:
            self._waiting_keys.clear()
        self.call_later(self._next_key)

    async def on_event(self, event: events.Event) -> None:
        pressed = isinstance(event, events.Paste) or (isinstance(event, events.Key) and event.key not in AT_ONCE)
        if not pressed or event.is_forwarded:
            await super().on_event(event)
        elif self._key_under_way or self._holding_keys:
            self._waiting_keys.append(cast(Pressed, event))
        else:
            await self._hand_out(cast(Pressed, event))

    def key_pressed(self) -> None:
        """A key is about to be handed out."""

    async def _hand_out(self, event: Pressed) -> None:
        self._key_under_way = True
        self.key_pressed()
        way: list[DOMNode] = list((self.focused or self.screen).ancestors_with_self)[:-1]  # all but the App
        await super().on_event(event)
        task = asyncio.create_task(self._follow(way))
        self._key_tasks.add(task)
        task.add_done_callback(self._key_tasks.discard)

    async def _follow(self, way: list[DOMNode]) -> None:
        """A key bubbles from the focused widget to the App; a message that follows it tells when it is done."""
        for node in way:
            await _drained(node)
        self.call_later(self._key_done)

    async def _key_done(self) -> None:
        self._key_under_way = False
        await self._next_key()

    async def _next_key(self) -> None:
        if self._waiting_keys and not self._key_under_way and not self._holding_keys:
            await self._hand_out(self._waiting_keys.pop(0))


async def _drained(node: MessagePump) -> None:
    done = asyncio.Event()
    if node.call_later(done.set):
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), PATIENCE)
