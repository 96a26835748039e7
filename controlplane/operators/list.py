"""The list of operators: who may log in, and with which role."""

from __future__ import annotations

from typing import get_args

from controlplane.lists import TIME, Column, ListOf, Status, choice, status
from controlplane.operators.model import Operator, OperatorDirectory
from controlplane.operators.refusals import NO_OPERATOR
from controlplane.operators.roles import LoginRole

STATES = {"active": Status("●", "good"), "removed": Status("◌", "muted")}

OPERATORS = ListOf(
    "operators",
    Operator,
    of=lambda plane: plane.of(OperatorDirectory),
    order="name",
    summary="List who may log in, and with which role.",
    means="Who may log in, and with which role. Enter shows in the audit trail what somebody did.",
    nothing="Nobody may log in yet. Press a, then a again, to add somebody.",
    key=("name",),
    missing=NO_OPERATOR,
    opens=lambda operator: ("audit", f"?actor:{operator.name}"),
    search=lambda operator: (operator.name,),
    few=True,
    columns=(
        Column("name", priority=1, width=20, title="OPERATOR", grow=True, sorts=True),
        Column("role", choice(*get_args(LoginRole)), priority=2, width=9, sorts=True),
        Column("state", status(STATES), priority=3, width=10),
        Column("added", TIME, priority=4, field="added_at", sorts=True),
        Column("changed", TIME, priority=5, field="changed_at"),
    ),
)
