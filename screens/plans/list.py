"""The catalogue of plans."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from textual import on, work

from controlplane.formatting import count, show
from controlplane.listing import Listing
from controlplane.plans.model import PLAN_FIELDS, PLAN_SORTS, Plan
from controlplane.plans.rules import value_words
from controlplane.plans.words import price_words, tenants_words
from screens.actions import Target
from screens.lists import ListScreen
from screens.session import Session
from screens.widgets.columns import Cell, Column
from screens.widgets.lines import Line
from screens.widgets.table import WindowTable

OF_ALL_TENANTS = ("subscriptions.expire-trials", "subscriptions.apply-due")


def plan_columns(session: Session) -> Sequence[Column[Plan]]:
    return (
        Column("code", "PLAN", 14, 1, lambda p: Cell(p.code), grow=True),
        Column("name", "NAME", 12, 4, lambda p: Cell(p.name), grow=True),
        Column("version", "VERSION", 7, 3, lambda p: Cell(str(p.version)), "right"),
        Column("tenants", "TENANTS", 8, 2, lambda p: Cell(tenants_words(p)), "right"),
        Column("month", "MONTH", 12, 5, lambda p: Cell(price_words(p, "month")), "right", field="month_price"),
        Column("year", "YEAR", 14, 6, lambda p: Cell(price_words(p, "year")), "right", field="year_price"),
        Column("billing", "BILLING", 8, 8, lambda p: Cell(p.billing)),
        Column("trial", "TRIAL", 5, 7, lambda p: Cell(f"{p.trial_days}d" if p.trial_days else ""), "right"),
        Column(
            "created",
            "MADE",
            session.time_cells("MADE"),
            9,
            lambda p: Cell(show(p.created_at, session.clock(), session.time_form)),
            "right",
            field="created_at",
        ),
    )


class PlansScreen(ListScreen[Plan]):
    noun = "plans"
    means = "The plans, each in its latest version. enter shows one; :plan TENANT shows a tenant's subscription."
    fields, sorts, sort = PLAN_FIELDS, PLAN_SORTS, "code"
    empty = "No plan matches. esc clears the filter."
    nothing = "No plans. watchfloor plans apply FILE makes them."

    def columns(self) -> Sequence[Column[Plan]]:
        return plan_columns(self.session)

    def listing(self) -> Listing[Plan]:
        return self.session.require_plane().plans

    def target_of(self, row: Plan) -> Target:
        return Target({}, None, row.code)

    def operations(self) -> list[Any]:
        """What is done to all subscriptions at once; a catalogue is read from a file."""
        from controlplane.registry import named

        return [named(name) for name in OF_ALL_TENANTS]

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        self.show_versions(event.row.key)

    @work(exit_on_error=False, group="act", exclusive=True)
    async def show_versions(self, code: str) -> None:
        from controlplane.errors import Refusal
        from screens.actions import Done
        from screens.dialogs.viewer import Viewer

        try:
            versions = await self.session.require_plane().plans.versions(code)
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        self.app.push_screen(Viewer(self.session, f"plan {code}", plan_lines(versions)))

    def why_lines(self) -> list[Line]:
        row = self.current()
        if row is None:
            return []
        return [
            (row.label, "title"),
            f"made {row.created_at:%Y-%m-%d %H:%M} UTC by {row.created_by}; a version never changes",
            "tenants: those with this plan in any version; enter shows how many have which",
        ]

    def record_of(self, row: Plan) -> dict[str, Any]:
        return dataclasses.asdict(row)


def plan_lines(versions: Sequence[tuple[Plan, int]]) -> list[Line]:
    """A plan as it is sold now, then its versions."""
    latest = versions[0][0]
    trial = f", {latest.trial_days} trial days" if latest.trial_days else ""
    lines: list[Line] = [
        (f"{latest.name} ({latest.label})", "title"),
        f"{price_words(latest, 'month')} a month, {price_words(latest, 'year')} a year, in {latest.billing}{trial}",
        "",
    ]
    lines += [f"  {name:<20} {value_words(value)}" for name, value in sorted(latest.entitlements.items())]
    lines += ["", ("versions", "title")]
    for plan, tenants in versions:
        lines.append(
            f"  {plan.label:<16} {count(tenants):>8} tenants   {plan.created_at:%Y-%m-%d} by {plan.created_by}"
        )
    return lines
