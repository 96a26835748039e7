"""Routes, what routing knows of an alert, and what it decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from controlplane.alerts.model import Severity
from controlplane.contacts.model import Contact
from controlplane.matchers import Matcher, match_all
from controlplane.objectives.model import Maintenance
from controlplane.routes.escalation import Escalation, Run
from controlplane.routes.policy import NO_POLICY, Inhibition, Policy
from controlplane.routes.reasons import Reason
from controlplane.schedules.model import Schedule
from controlplane.silences.model import Silence

Action = Literal["trigger", "acknowledge", "resolve"]
Phase = Literal["firing", "acked", "resolved"]
Hold = Literal[
    "not_matched",
    "unknown",
    "severity_threshold",
    "maintenance",
    "inhibited",
    "silenced",
    "quiet_window",
    "quiet_digest",
    "quiet_drop",
    "quiet_dropped",
    "low_urgency",
]
"""Why an alert is not told on a route now; the first that applies counts."""


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """What routing knows of an alert. `tenant_id` "": the whole estate. `labels`: those of its identity.

    `acked_until` None: until it is resolved. `unknown_since`: its source went silent then. `escalated_at`,
    `escalated_by`: when somebody last asked for the next level of its escalations, and who.
    """

    id: str
    tenant_id: str
    kind: str
    severity: Severity
    fired_at: datetime
    state: Phase = "firing"
    labels: Mapping[str, str] = field(default_factory=dict)
    plan: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    acked_until: datetime | None = None
    unknown_since: datetime | None = None
    resolved_at: datetime | None = None
    escalated_at: datetime | None = None
    escalated_by: str = ""

    @property
    def all_labels(self) -> dict[str, str]:
        """What matchers look at: tenant, kind and severity are labels too, and cannot be taken by others."""
        return {**self.labels, "tenant": self.tenant_id, "kind": self.kind, "severity": self.severity}

    def phase(self, at: datetime) -> Phase:
        """An acknowledgement that has ended counts no more, even if the row does not say so yet."""
        over = self.state == "acked" and self.acked_until is not None and self.acked_until <= at
        return "firing" if over else self.state


@dataclass(frozen=True, slots=True)
class Route:
    """Routes are a tree, as Alertmanager's: among those with the same `parent`, by `position`, the first that matches
    is taken, and with `continues` the next ones are tried too; it is itself meant when none of its children matches.
    Most have no parent: then they are a list.

    `tenant_id` "": of all tenants. `events`: types of events, or "*". `target`: where the channel delivers; "" when
    only the people of the `escalation` are told. `urgency` "low": recorded, and nobody is told.

    `group_by` None: each alert by itself; otherwise those with the same values of these labels are told together.
    `group_wait`: how long the first of a group waits for others. `group_interval`: the least time between two notices
    that only tell of further ones. `repeat_interval` None: told once.
    """

    id: int
    name: str
    channel: str = "webhook"
    target: str = ""
    tenant_id: str = ""
    parent: int | None = None
    position: int = 0
    continues: bool = False
    matchers: tuple[Matcher, ...] = ()
    events: tuple[str, ...] = ("*",)
    min_severity: Severity = "info"
    urgency: Literal["high", "low"] = "high"
    policy: Policy = NO_POLICY
    group_by: tuple[str, ...] | None = None
    group_wait: timedelta = timedelta(0)
    group_interval: timedelta = timedelta(minutes=5)
    repeat_interval: timedelta | None = timedelta(hours=4)
    escalation: Escalation | None = None
    enabled: bool = True

    @property
    def key(self) -> str:
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a decision, in words. `code`: stable; of a stage that holds, a Hold. `until`: when this may change by
    itself.
    """

    name: str
    verdict: Literal["pass", "hold", "wait"]
    words: str
    code: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """As what somebody was told of an alert that fires."""

    severity: Severity
    acked: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """When somebody was told last, and of which alerts they were told that they fire (by id)."""

    at: datetime
    alerts: Mapping[str, Told] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """Why an alert was not told when it was last looked at ("acked": somebody had it), and how severe it was."""

    code: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class GroupState:
    """What is kept of a group between two decisions. `heard`: by person; "" is the route's own target. `number`: how
    many notices were sent. Who decides on the same state twice gets the same notices, with the same keys.
    """

    route: int
    key: str
    number: int = 0
    heard: Mapping[str, Heard] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    run: Run | None = None

    @property
    def alerts(self) -> set[str]:
        """The ids of the alerts that have to be looked at besides those that are not resolved."""
        return {*self.held, *(alert for heard in self.heard.values() for alert in heard.alerts)}

    @property
    def over(self) -> bool:
        """Nothing is owed to anybody any more: it need not be kept."""
        return not self.alerts and self.run is None


@dataclass(frozen=True, slots=True)
class Notice:
    """What one listener is to be told: `person`, or with "" the route's own target. `contact`: the person's own address
    for it; 0: they have none for the route's channel, so that its target is told for them. `alerts` fire, `resolved`
    do not any more (both ids). `dedupe_key`: of a trigger to the target; "" without a `dedupe` in the policy. `number`:
    of the group's notices, from 1. `level`: of the escalation, from 1; 0 when it is no page. `by`: who escalated it.
    """

    route: int
    group: str
    number: int
    person: str
    action: Action
    reason: Reason
    severity: Severity
    alerts: tuple[str, ...]
    resolved: tuple[str, ...] = ()
    dedupe_key: str = ""
    level: int = 0
    contact: int = 0
    by: str = ""

    @property
    def key(self) -> str:
        """The same for the same notice, whoever decides it, and however often."""
        return f"{self.group}:{self.number}"


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """What becomes of one group. `stages` are of the alert that was asked about, then of the group."""

    route: Route
    stages: tuple[Stage, ...]
    notices: tuple[Notice, ...]
    state: GroupState
    next_action_at: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """`tried`: every route with its verdict, in the order in which it was tried. `shared`: whether a maintenance is on
    and a silence hides it, on whatever route.
    """

    alert: str
    at: datetime
    tried: tuple[Stage, ...]
    routes: tuple[RouteDecision, ...]
    shared: tuple[Stage, ...] = ()

    @property
    def notices(self) -> tuple[Notice, ...]:
        return tuple(notice for route in self.routes for notice in route.notices)

    @property
    def next_action_at(self) -> datetime | None:
        times = [route.next_action_at for route in self.routes if route.next_action_at is not None]
        return min(times, default=None)


@dataclass(frozen=True)
class Facts:
    """All that a decision needs besides the alert.

    `contacts`: the addresses of people, by person and channel. `firing`: alerts that are not resolved and may inhibit.
    `groups`: the kept states, by key, of the alert's groups and of those that told of it before. `members`: the alerts
    of each group that are not resolved, and those in its state's `alerts`. `sent`: when a notice with a dedupe key was
    last sent on a route, and has not failed for good.
    """

    routes: Sequence[Route] = ()
    silences: Sequence[Silence] = ()
    maintenance: Sequence[Maintenance] = ()
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    contacts: Mapping[tuple[str, str], Contact] = field(default_factory=dict)
    firing: Sequence[AlertFacts] = ()
    groups: Mapping[str, GroupState] = field(default_factory=dict)
    members: Mapping[str, Sequence[AlertFacts]] = field(default_factory=dict)
    sent: Mapping[tuple[int, str], datetime] = field(default_factory=dict)

    def inhibitor(self, rule: Inhibition, alert: str, labels: Mapping[str, str]) -> AlertFacts | None:
        """The first alert that fires and inhibits the one with these labels by a rule."""
        if rule not in self._sources:
            found: dict[tuple[str, ...], list[AlertFacts]] = {}
            for each in self.firing:
                if each.state != "resolved" and match_all(rule.matchers[0], each.all_labels):
                    found.setdefault(rule.equals(each.all_labels), []).append(each)
            self._sources[rule] = found
        sources = self._sources[rule].get(rule.equals(labels), ())
        return next((each for each in sources if each.id != alert and rule.holds(each.all_labels, labels)), None)

    @cached_property
    def _sources(self) -> dict[Inhibition, dict[tuple[str, ...], list[AlertFacts]]]:
        """By rule and by the values of its equal labels, so that it need not be looked for among all that fire."""
        return {}
