"""The runs that nobody drives. Apart from the engine, so that a console that does nothing in bulk does not load it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.runs.model import Run, RunDirectory

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

LEFT = 100
"""How many are looked at together."""


def is_lent(plane: ControlPlane) -> bool:
    """Whether items are done with the rights of the person who started the run, not with those of the login."""
    return plane.actor.role == "worker"


async def left_runs(plane: ControlPlane) -> list[Run]:
    """The runs that are not finished and that nobody drives, the oldest first: those of this login, or for a worker's
    login all.
    """
    left, me = Term("is", ("waiting", "interrupted"), "state"), plane.actor.name
    if is_lent(plane):
        return list((await plane.of(RunDirectory).page(Query((left,)), limit=LEFT)).rows)
    page = await plane.of(RunDirectory).page(Query((left, Term("is", (me,), "actor"))), limit=LEFT)
    return [run for run in page.rows if run.actor == me]  # the filter ignores case
