"""A command of one's own on a row: recorded in the trail, run, and what it writes shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from controlplane.errors import Refusal
from controlplane.nouns import list_named, noun_named
from controlplane.operators.roles import Role, allows
from controlplane.owncommands import OwnCommand, argv, note
from screens.desk import Desk, Done
from screens.session import Session

if TYPE_CHECKING:
    from textual.app import App

LEAST_ROLE: Role = "support"


def own_commands(desk: Desk, noun: str, row: Any) -> Sequence[OwnCommand]:
    """Those that can be run on a row."""
    found = desk.own_commands(noun)
    line = noun_named(noun)
    fits = bool(found) and line is not None and bool(line.list) and isinstance(row, list_named(noun).row)
    return found if fits and allows(desk.session.role, LEAST_ROLE) else ()


async def run(app: App[None], session: Session, command: OwnCommand, row: Any, label: str) -> Done | None:
    """Waits until its output was looked at."""
    from screens.dialogs.output import Output

    declared, desk = list_named(command.noun), cast(Desk, app)
    record = {column.attribute: column.value_of(row) for column in declared.columns}
    try:
        words = argv(command, record | declared.record(row, session.clock()))
        await note(session.require_writing(), command, row.key)
    except Refusal as refusal:
        return Done(str(refusal), "bad")
    shown = Output(session, command, label, lambda take: desk.run_own(words, command.seconds, take))
    await app.push_screen_wait(shown)
    return Done(f"{command.name}: {shown.ended or 'ended'}", "muted")
