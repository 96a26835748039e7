"""The lists of requests for approval, of the rules that ask for them, and of raised roles."""

from __future__ import annotations

from datetime import datetime

from controlplane.approvals.model import Approval, ApprovalDirectory, Raise, RaiseDirectory, Rule, RuleDirectory
from controlplane.approvals.refusals import NO_APPROVAL, NO_RAISE, NO_RULE
from controlplane.approvals.words import needs_words, why_lines
from controlplane.formatting import relative
from controlplane.lists import COUNT, ID, TIME, UNTIL, Cell, Column, Line, ListOf, Status, choice, status
from controlplane.operators.roles import ROLES
from controlplane.text import clean

STANDINGS = {
    "waiting": Status("◌", "warn", "waits"),
    "approved": Status("◐", "good"),
    "done": Status("●", "good"),
    "refused": Status("✕", "bad"),
    "withdrawn": Status("○", "muted"),
    "expired": Status("○", "muted"),
    "void": Status("✕", "warn"),
}
RULE_STANDINGS = {
    "on": Status("●", "good"),
    "nobody else": Status("?", "unknown"),
    "off": Status("○", "muted"),
}
RAISE_STANDINGS = {
    "open": Status("◐", "warn"),
    "given back": Status("●", "good"),
    "over": Status("○", "muted"),
}


def _approved(row: Approval, now: datetime) -> Cell:
    return Cell(f"{len(row.approvers)}/{len(row.roles)}")


APPROVALS: ListOf[Approval] = ListOf(
    "approvals",
    Approval,
    of=lambda plane: plane.of(ApprovalDirectory),
    order="-asked",
    summary="List requests for approval: those that wait, and what became of earlier ones, newest first.",
    means="What needs a second person. Enter shows what it would change; there y approves and n refuses.",
    nothing="No request yet. :approval-rules lists what needs a second person.",
    missing=NO_APPROVAL,
    label=lambda row: f"request {row.id}",
    opens=lambda row: ("approvals", row.key),
    why=why_lines,
    columns=(
        Column("id", ID, filters=False, priority=1, width=5, title="NO", sorts=True),
        Column("state", status(STANDINGS), priority=1, width=11, field="standing"),
        Column("operation", priority=1, width=15),
        Column("thing", priority=2, width=12, grow=True, title="ON"),
        Column("by", priority=2, width=10, field="asked_by", what="who asked"),
        Column("approved", filters=False, priority=4, width=8, cell=_approved, value=lambda row: len(row.approvers),
               what="how many have approved, of how many"),
        Column("needs", filters=False, priority=5, width=14, value=lambda row: needs_words(row.roles),
               what="whose approval it needs"),
        Column("ends", UNTIL, priority=3, field="expires_at"),
        Column("reason", filters=False, priority=6, width=14, title="WHY", grow=True,
               cell=lambda row, now: clean(row.reason, 300)),
        Column("asked", TIME, priority=7, field="asked_at", sorts=True),
    ),
)  # fmt: skip


def _rule_why(row: Rule, now: datetime) -> list[Line]:
    when = f"for more than {row.above:,} things" if row.above is not None else "always"
    lines: list[Line] = [
        (f"{row.operation} needs a second person", "title"),
        f"{when}; it takes {needs_words(row.roles)} or a higher role; a request is open for {row.minutes:,} min",
    ]
    if row.standing == "nobody else":
        lines.append(("nobody else here could approve, so the rule waits until somebody can", "unknown"))
    return lines


RULES: ListOf[Rule] = ListOf(
    "approval-rules",
    Rule,
    of=lambda plane: plane.of(RuleDirectory),
    order="operation",
    summary="List which operations need a second person, and of which role.",
    means="Which operations need a second person. a, then r, changes a rule; that needs one too.",
    nothing="Nothing needs a second person here.",
    key=("operation",),
    missing=NO_RULE,
    why=_rule_why,
    search=lambda row: (row.operation,),
    operations=("approvals.rule",),
    few=True,
    columns=(
        Column("operation", priority=1, width=18, grow=True, sorts=True),
        Column("state", status(RULE_STANDINGS), priority=1, width=13, field="standing",
               what="nobody else: too few others here could approve"),
        Column("above", COUNT, priority=2, width=8, what="only for more things than this"),
        Column("roles", priority=2, width=18, filters=False, value=lambda row: ", ".join(row.roles),
               what="one approval for each, from at least this role"),
        Column("minutes", COUNT, priority=3, width=8, what="how long a request is open"),
    ),
)  # fmt: skip


def _raise_why(row: Raise, now: datetime) -> list[Line]:
    return [
        (f"{clean(row.login, 60)} as {row.role}, otherwise {row.was}", "title"),
        f"{row.standing}; from {row.starts_at:%Y-%m-%d %H:%M:%S} to {row.ends_at:%H:%M:%S} UTC at most",
        *([f"ended {relative(row.ended_at, now)} by {clean(row.ended_by, 60)}"] if row.ended_at else []),
        f"reason: {clean(row.reason, 300)}; used to write {row.uses:,} times",
    ]


RAISES: ListOf[Raise] = ListOf(
    "raises",
    Raise,
    of=lambda plane: plane.of(RaiseDirectory),
    order="-starts",
    summary="List whose role is raised for a while, or was, newest first.",
    means="Whose role is raised for a while, until when and why. It ends by the home's clock.",
    nothing="Nobody's role was raised yet: watchfloor operators raise ROLE --reason …",
    missing=NO_RAISE,
    label=lambda row: f"{row.login} as {row.role}",
    why=_raise_why,
    search=lambda row: (row.login, row.reason),
    operations=("operators.raise", "operators.give-back"),
    few=True,
    columns=(
        Column("id", ID, filters=False, priority=5, width=5, title="NO"),
        Column("login", priority=1, width=14, grow=True),
        Column("state", status(RAISE_STANDINGS), priority=1, width=12, field="standing"),
        Column("role", choice(*ROLES), priority=1, width=9),
        Column("was", choice(*ROLES), priority=3, width=9, what="the role otherwise"),
        Column("ends", UNTIL, priority=2, field="ends_at"),
        Column("uses", COUNT, priority=4, width=6, what="how often it was used to write"),
        Column("reason", filters=False, priority=5, width=14, title="WHY", grow=True,
               cell=lambda row, now: clean(row.reason, 300)),
        Column("starts", TIME, priority=6, field="starts_at", sorts=True),
    ),
)  # fmt: skip
