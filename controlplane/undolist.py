"""Which changes can be taken back: from rows of the trail, by the operations that undo what they record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controlplane.audit.model import AuditRow
from controlplane.operations import undo_step
from controlplane.registry import operations
from controlplane.undoing import UndoStep


def step_of(row: AuditRow) -> UndoStep | None:
    """What takes back the change that wrote this row; None where nothing does, as after direct SQL."""
    done = operations().get(row.operation)
    return undo_step(done, (row,)) if done is not None and not row.out_of_band else None


def why_no_step(row: AuditRow) -> str:
    return "it was changed by direct SQL" if row.out_of_band else f"{row.operation} cannot be undone"


def still_undoable(rows: Iterable[AuditRow]) -> Iterator[tuple[AuditRow, UndoStep]]:
    """Of rows of the trail, newest first, those that can be taken back now: of each thing only its last change, since
    an undo is refused when the thing was changed again.
    """
    changed = set()
    for row in rows:
        thing = (row.noun, row.thing)
        if thing not in changed and (step := step_of(row)) is not None:
            yield row, step
        changed.add(thing)
