"""The catalogue of plans."""

from __future__ import annotations

from collections.abc import Sequence

from textual import work

from controlplane.formatting import count
from controlplane.lists import Line
from controlplane.plans.list import PLANS
from controlplane.plans.model import Plan, PlanDirectory
from controlplane.plans.words import price_words, value_words
from screens.lists import ListScreen


class PlansScreen(ListScreen[Plan]):
    declared = PLANS

    def open_row(self, row: Plan) -> None:
        self.show_versions(row.code)

    @work(exit_on_error=False, group="act", exclusive=True)
    async def show_versions(self, code: str) -> None:
        from controlplane.errors import Refusal
        from screens.desk import Done
        from screens.dialogs.viewer import Viewer

        try:
            versions = await self.session.require_plane().of(PlanDirectory).versions(code)
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        self.app.push_screen(Viewer(self.session, f"plan {code}", plan_lines(versions)))


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
