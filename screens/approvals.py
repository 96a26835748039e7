"""One request for a second person's approval: what it would change, who said what; one key approves or refuses it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from controlplane.approvals.list import STANDINGS
from controlplane.approvals.model import Approval
from controlplane.approvals.words import fact_lines, needs_lines, standing_words, vote_lines, why_lines
from controlplane.errors import Refusal
from controlplane.formatting import relative
from controlplane.lists import Line, status_cell
from controlplane.text import clean
from screens.actions import choices
from screens.desk import Done, Target
from screens.detail import TENANT, DetailScreen, Related
from screens.panes import Facts, Seen, timeline


def facts(seen: Seen[Approval]) -> list[Line]:
    request, now = seen.thing, seen.now
    return [
        status_cell(STANDINGS, request.standing),
        clean(f"{request.operation} {request.thing}", 200),
        clean(f"{request.asked_by} asked {relative(request.asked_at, now)}: {request.reason}", 400),
        standing_words(request, now),
        *([needs_lines(request)] if request.standing != "waiting" else []),
        *vote_lines(request),
        "",
        ("what it would change", "title"),
        *fact_lines(request.facts),
        (f"sha256 {request.sha256[:16]}", "muted"),
    ]


DECISIONS = {"yes": "approvals.approve", "no": "approvals.refuse", "longer": "approvals.extend"}


class ApprovalScreen(DetailScreen[Approval]):
    noun = "approvals"
    numbered = True
    rows = Approval
    means = (
        "One request: exactly what it would change. y approves it, n refuses it, + adds an hour. Once it is approved,"
        " c carries it out, for the person who asked."
    )
    panes = (
        Facts("request", facts),
        timeline("thing", "approvals"),
    )
    grid, widths, heights = ("request timeline",), "1fr 1fr", "1fr"
    own_hints = (("y", "approve"), ("n", "refuse"), ("+", "1h more"))
    related = (
        TENANT,
        Related("released_run", "Z", "the run that it releases", "run", "runs", of=lambda screen: screen.run_id),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "decide('yes')", "approve it", show=False, id="approval.yes"),
        Binding("n", "decide('no')", "refuse it, with a reason", show=False, id="approval.no"),
        Binding("c", "finish", "carry it out, once it is approved", show=False, id="approval.finish"),
        Binding("plus", "decide('longer')", "add an hour", show=False, id="approval.longer"),
    ]

    def action_decide(self, how: str) -> None:
        """Approve, refuse or give it more time; why not is said at once."""
        from controlplane.registry import named

        name = DECISIONS[how]
        try:
            self.session.require_writing()
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        if self.row is None:
            return
        [*found] = choices([named(name)], self.session, self.row)
        if not found:
            self.say(Done(f"not as {self.session.role}: it takes support or more", "bad"))
        elif found[0][1]:
            self.say(Done(found[0][1], "bad"))
        else:
            target = Target({"id": self.row.id}, self.row.version, self.label, self.row)
            self.run_worker(self.act(found[0][0], [target]), group="act", exclusive=True, exit_on_error=False)

    def action_finish(self) -> None:
        request, plane = self.thing, self.session.plane
        if request is None or plane is None:
            return
        if request.standing != "approved":
            self.say(Done(standing_words(request, self.session.clock()), "warn"))
        elif request.asked_by != plane.actor.name:
            self.say(Done(f"{clean(request.asked_by, 60)} carries it out", "warn"))
        else:
            self.run_worker(self._finish(request), group="act", exclusive=True, exit_on_error=False)

    async def _finish(self, request: Approval) -> None:
        from controlplane.registry import named
        from screens.actions import carry_out_given

        operation = named(request.operation)
        done = await carry_out_given(self.app, self.session, operation, request.fields, request.reason, request.thing)
        self.say(done)
        await self.read_again()

    @property
    def tenant_id(self) -> str | None:
        """The tenant that it is about."""
        return self._thing_of("tenants.purge")

    @property
    def run_id(self) -> str | None:
        return self._thing_of("runs.release")

    def _thing_of(self, operation: str) -> str | None:
        return self.thing.thing if self.thing is not None and self.thing.operation == operation else None

    @property
    def label(self) -> str:
        return f"request {self.thing_id}"

    def why(self, seen: Seen[Approval]) -> list[Line]:
        return why_lines(seen.thing, seen.now)
