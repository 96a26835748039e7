"""The list of toys."""

from __future__ import annotations

from controlplane.lists import COUNT, TIME, Column, ListOf, Status, status
from tests.toy.model import Toy, ToyDirectory
from tests.toy.refusals import NO_TOY

STATES = {"whole": Status("●", "good"), "broken": Status("✕", "bad")}

TOYS = ListOf(
    "toys",
    Toy,
    of=lambda plane: plane.of(ToyDirectory),
    order="-created",
    summary="List toys, newest first.",
    means="The toys of this home.",
    nothing="No toys yet.",
    missing=NO_TOY,
    opens=lambda toy: ("toys", toy.id),
    why=lambda toy, now: [(toy.id, "title"), f"it is {toy.state}"],
    columns=(
        Column("id", priority=1, width=10, title="TOY", grow=True),
        Column("state", status(STATES), priority=2, width=8),
        Column("label", priority=3, width=12, grow=True),
        Column("pieces", COUNT, priority=4, width=7, sorts=True),
        Column("created", TIME, priority=5, field="created_at", sorts=True),
    ),
)
