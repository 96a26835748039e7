"""A command of one's own on the rows that are marked: recorded in the trail, run, and what it writes shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from controlplane.errors import Refusal
from controlplane.nouns import list_named, noun_named
from controlplane.operators.roles import Role, allows
from controlplane.owncommands import OwnCommand, argv, note
from screens.desk import Desk, Done, Target
from screens.session import Session

if TYPE_CHECKING:
    from textual.app import App

    from controlplane.lists import ListOf

LEAST_ROLE: Role = "support"
MAX_ROWS = 100
"""Rows that it is run on at once."""


def own_commands(desk: Desk, noun: str, row: Any) -> Sequence[OwnCommand]:
    """Those that can be run on a row."""
    found = desk.own_commands(noun)
    line = noun_named(noun)
    fits = bool(found) and line is not None and bool(line.list) and isinstance(row, list_named(noun).row)
    return found if fits and allows(desk.session.role, LEAST_ROLE) else ()


async def run(
    app: App[None], session: Session, command: OwnCommand, targets: Sequence[Target], hidden: int
) -> Done | None:
    """Run it on each row in turn, after asking when there are several; wait until its output was looked at.

    When one row's fields are refused, it is run on none. `hidden`: marked rows that the filter hides, and that are left
    alone. None: the person declined.
    """
    from screens.dialogs.output import Output

    if len(targets) > MAX_ROWS:
        return Done(f"{command.name} runs on at most {MAX_ROWS} rows at once, and {len(targets):,} are marked", "warn")
    declared, desk = list_named(command.noun), cast(Desk, app)
    try:
        session.require_writing()
        lines = [_argv(command, declared, each.row, session) for each in targets]
    except Refusal as refusal:
        return Done(str(refusal), "bad")
    if len(targets) > 1 and not await _agreed(app, session, command, targets, hidden):
        return None

    async def job(take: Callable[[str], None]) -> str:
        ends: Counter[str] = Counter()
        for target, words in zip(targets, lines, strict=True):
            if len(targets) > 1:
                take(f"\n{target.label}:\n" if ends else f"{target.label}:\n")
            try:
                await note(session.require_writing(), command, target.row.key)
            except Refusal as refusal:
                return f"stopped after {sum(ends.values())} of {len(targets)}: {refusal}"
            ends[await desk.run_own(words, command.seconds, take)] += 1
        return ", ".join(f"{number} {end}" if len(targets) > 1 else end for end, number in ends.items())

    label = targets[0].label if len(targets) == 1 else f"{len(targets)} {command.noun}"
    shown = Output(session, command, label, job)
    await app.push_screen_wait(shown)
    return Done(f"{command.name}: {shown.ended or 'ended'}", "muted")


def _argv(command: OwnCommand, declared: ListOf[Any], row: Any, session: Session) -> list[str]:
    record = {column.attribute: column.value_of(row) for column in declared.columns}
    return argv(command, record | declared.record(row, session.clock()))


async def _agreed(
    app: App[None], session: Session, command: OwnCommand, targets: Sequence[Target], hidden: int
) -> bool:
    """What it does is not known here, so the number of rows is typed, as for any change of many."""
    from controlplane.operations import Risk
    from screens.dialogs.confirm import Confirm, Question

    named = ", ".join(each.label for each in targets[:5]) + (", …" if len(targets) > 5 else "")
    question = Question(
        title=f"{command.name} on {len(targets)} {command.noun}",
        who="",
        how_many=f"{len(targets)} rows{f', {hidden:,} more are hidden by the filter' if hidden else ''}",
        preview=[command.words, f"one after the other: {named}"],
        way_back="What the command does cannot be undone here.",
        command="",
        risk=Risk.TYPED,
        name=str(len(targets)),
    )
    agreed: bool | None = await app.push_screen_wait(Confirm(session, question))
    return bool(agreed)
