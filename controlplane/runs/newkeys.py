"""The keys that a run will make. Their secrets are made before it starts, so that whoever carries it needs none.

The secrets go to a file of the person's own before the run's start is committed. The home gets what it may hold of a
key, and keeps it until the key's item has its verdict: the secret of an item that is refused never becomes good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from controlplane.audit.model import Record
from controlplane.keys.operations import draw_key
from controlplane.runs.model import NewKey, Replaced, RunStore

if TYPE_CHECKING:
    from controlplane.changes import Change

BITE = 2_000
"""So many are made at once: for 100,000 the screen would stand still, and the home would wait for too long."""


async def prepare(change: Change, run_id: int, total: int) -> list[tuple[Record, str]]:
    """Give each of a run's items the key that it will make. The secrets, each with what is told of its key."""
    store, secrets = change.of(RunStore), list[tuple[Record, str]]()
    for first in range(1, total + 1, BITE):
        replaced = await store.replaced(run_id, first, first + BITE - 1)
        drawn = await asyncio.to_thread(_draw, change, replaced)
        await store.prepare_keys(run_id, [new for new, _ in drawn])
        secrets += [(_told(old, new), value) for old, (new, value) in zip(replaced, drawn, strict=True)]
    return secrets


def _draw(change: Change, replaced: Sequence[Replaced]) -> list[tuple[NewKey, str]]:
    made = ((old, *draw_key(change, old.env)) for old in replaced)
    return [(NewKey(old.ordinal, **columns), value) for old, columns, value in made]


def _told(old: Replaced, new: NewKey) -> Record:
    return {
        "id": new.id,
        "tenant_id": old.tenant_id,
        "env": old.env,
        "display": new.display,
        "rotated_from": old.id,
    }
