"""What one listener is told of a group of alerts, when, and why.

Nothing is told because something happened, but because what a listener was told last is not what is true now. So five
acknowledgements are one message, a resolve finds everybody who heard the trigger, and what came and went before anybody
was told stays silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from controlplane.routes.holds import View
from controlplane.routes.model import Action, GroupState, Heard, Route, Told
from controlplane.routes.policy import rank
from controlplane.routes.reasons import Reason

DEDUPED: frozenset[Reason] = frozenset({"first_notification", "new_alerts_in_group", "repeat_interval_elapsed"})
"""What `dedupe` may hold back. Whatever a person waits for (a resolve, an acknowledgement, something that got worse,
the end of a silence) is never held back.
"""
_ENDED: dict[str, Reason] = {
    "acked": "ack_expired",
    "silenced": "silence_expired",
    "maintenance": "maintenance_ended",
    "quiet_window": "quiet_window_ended",
    "quiet_digest": "quiet_window_ended",
    "inhibited": "inhibition_ended",
}
"""Why an alert is told that was held back before. One that was inhibited is told only to who was not told before: what
inhibits comes and goes by itself, and need not be heard each time.
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something to tell, and when it is due."""

    reason: Reason
    action: Action
    due: datetime
    stage: str = "told"


@dataclass(frozen=True, slots=True)
class Group:
    """A group at a time. `views`: of its alerts, by id."""

    route: Route
    state: GroupState
    views: Mapping[str, View]
    at: datetime

    @property
    def active(self) -> list[View]:
        """Those that fire, that nobody has, and that nothing holds back."""
        return [view for view in self.views.values() if view.active]

    def ended(self, view: View, told: bool) -> Reason | None:
        """Why an active alert is told now that was held back when it was last looked at; None: it was not."""
        held = self.state.held.get(view.alert.id)
        reason = _ENDED.get(held.code) if held else None
        if held is None or reason is None or (told and reason == "inhibition_ended"):
            return None
        return "severity_raised" if rank(view.severity) > rank(held.severity) else reason

    @property
    def waits_until(self) -> datetime:
        """When the first of the active alerts (there is one) has waited long enough for others."""
        return min(view.alert.fired_at for view in self.active) + self.route.group_wait

    def missed(self, name: str) -> bool:
        """Whether an alert is resolved that the route's target has yet to hear of in a digest."""
        held, heard = self.state.held.get(name), self.state.heard.get("")
        digests = held is not None and held.code == "quiet_digest" and bool(self.route.target)
        return digests and self.views[name].phase == "resolved" and not (heard and name in heard.alerts)

    @property
    def digest(self) -> list[str]:
        """The ids of alerts that came and went in a quiet window that ends with a digest, and is over."""
        return [name for name, view in self.views.items() if not view.hold and self.missed(name)]


def candidates(group: Group, heard: Heard | None, *, person: bool = False) -> Iterator[Candidate]:
    """What a listener could be told, the most important first. A person is told of further alerts, and again, by the
    escalation alone.
    """
    told = heard.alerts if heard else {}
    known = [(each, group.views[name]) for name, each in told.items() if name in group.views]
    open_ = [(each, view) for each, view in known if view.phase != "resolved"]
    active = group.active
    fresh = [view for view in active if view.alert.id not in told]
    at = group.at
    if any(not view.hold and rank(view.severity) > rank(each.severity) for each, view in open_):
        yield Candidate("severity_raised", "trigger", at)
    if not person:
        for view in active:
            if reason := group.ended(view, view.alert.id in told):
                yield Candidate(reason, "trigger", at)
                break
    if fresh and not open_ and not person:
        yield Candidate("first_notification", "trigger", max(at, group.waits_until), "group wait")
    if known and not open_ and (person or not active):
        yield Candidate("all_alerts_resolved", "resolve", at)
    if open_ and all(view.phase == "acked" for _, view in open_) and not all(each.acked for each, _ in open_):
        yield Candidate("acknowledged", "acknowledge", at)
    if person:
        return
    if group.digest:
        yield Candidate("quiet_window_ended", "trigger" if active or open_ else "resolve", at)
    if heard is None:
        return
    further = max(at, heard.at + group.route.group_interval)
    if fresh and open_:
        yield Candidate("new_alerts_in_group", "trigger", further, "group interval")
    if len(open_) < len(known) and (open_ or active):
        yield Candidate("new_resolved_alerts", "trigger", further, "group interval")
    if group.route.repeat_interval is not None and len(fresh) < len(active):
        yield Candidate("repeat_interval_elapsed", "trigger", max(at, heard.at + group.route.repeat_interval), "repeat")


def after(group: Group, heard: Heard | None, candidate: Candidate) -> Heard:
    """What a listener knows when it was told."""
    told = heard.alerts if heard else {}
    knows = {view.alert.id: Told(view.severity) for view in group.active} if candidate.action == "trigger" else {}
    for name, each in told.items():
        view = group.views.get(name)
        if name not in knows and view and view.phase != "resolved":
            severity = each.severity if view.hold else view.severity
            knows[name] = Told(severity, view.phase == "acked" or (bool(view.hold) and each.acked))
    return Heard(group.at, knows)
