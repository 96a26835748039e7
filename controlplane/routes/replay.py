"""What would have been told: a route's change tried on stored alerts, and an alert that never was.

Both run the production's decision over time, and look again whenever it says so.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controlplane.alerts.model import Severity
from controlplane.routes import matching
from controlplane.routes.decide import decide, decide_group
from controlplane.routes.model import AlertFacts, Decision, Facts, GroupState, Notice, Route, RouteDecision

TICK = timedelta(seconds=1)
FOLLOWED = timedelta(days=1)
"""How long a simulated alert fires unless somebody says otherwise."""
SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Story:
    """A stored alert as it was over time: each version holds from its time on."""

    versions: tuple[tuple[datetime, AlertFacts], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """`listener`: the person, or the route's channel and target."""

    at: datetime
    listener: str
    notice: Notice


@dataclass(frozen=True, slots=True)
class Simulation:
    """`decision`: at once, with every stage. `sent`: what is told then and later, while nobody does anything."""

    decision: Decision
    sent: tuple[Sent, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What one listener would have heard more, less, and at another time (before, after)."""

    added: tuple[Sent, ...] = ()
    removed: tuple[Sent, ...] = ()
    moved: tuple[tuple[Sent, Sent], ...] = ()


def simulate(
    labels: Mapping[str, str], severity: Severity, at: datetime, facts: Facts, length: timedelta = FOLLOWED
) -> Simulation:
    """As if an alert fired at a time with these labels, of which `tenant` and `kind` are its own."""
    own = {name: value for name, value in labels.items() if name not in ("tenant", "kind")}
    alert = AlertFacts(SIMULATED, labels.get("tenant", ""), labels.get("kind", ""), severity, at, labels=own)
    decision = decide(alert, replace(facts, groups={}, members={}), at)
    return Simulation(decision, tuple(play([Story(((at, alert),))], facts, at + length)))


def replay_policy(
    before: Sequence[Route], after: Sequence[Route], stories: Sequence[Story], facts: Facts, until: datetime
) -> dict[str, Difference]:
    """By listener, in order, what changed routes would have changed for stored alerts; who hears the same is left out.
    Two notices are the same when they say the same of the same alerts.
    """
    found: dict[str, list[dict[tuple[object, ...], list[Sent]]]] = defaultdict(
        lambda: [defaultdict(list), defaultdict(list)]
    )
    for which, routes in enumerate((before, after)):
        for sent in play(stories, replace(facts, routes=routes), until):
            said = (sent.notice.action, sent.notice.alerts, sent.notice.resolved)
            found[sent.listener][which][said].append(sent)
    differences = {listener: _difference(*sides) for listener, sides in sorted(found.items())}
    return {listener: each for listener, each in differences.items() if each != Difference()}


def _difference(
    before: Mapping[tuple[object, ...], list[Sent]], after: Mapping[tuple[object, ...], list[Sent]]
) -> Difference:
    added: list[Sent] = []
    removed: list[Sent] = []
    moved: list[tuple[Sent, Sent]] = []
    for said in [*before, *(said for said in after if said not in before)]:
        olds, news = before.get(said, []), after.get(said, [])
        same = {each.at for each in olds} & {each.at for each in news}
        olds = [each for each in olds if each.at not in same]
        news = [each for each in news if each.at not in same]
        pairs = min(len(olds), len(news))
        moved += zip(olds[:pairs], news[:pairs], strict=True)
        removed += olds[pairs:]
        added += news[pairs:]
    return Difference(_in_order(added), _in_order(removed), tuple(moved))


def _in_order(sent: Iterable[Sent]) -> tuple[Sent, ...]:
    return tuple(sorted(sent, key=lambda each: each.at))


def play(stories: Iterable[Story], facts: Facts, until: datetime) -> list[Sent]:
    """All that is told while the alerts do what they did, in order. `facts.firing` are others, which only inhibit."""
    player = _Player(facts)
    for story in stories:
        for at, alert in story.versions:
            player.push(at, 0, alert)
    while player.queue and player.queue[0][0] <= until:
        player.turn()
    return player.sent


@dataclass
class _Player:
    """`queue`: what happens (0) and whom to look at again (1), by time. `where`: the groups that know of an alert."""

    facts: Facts
    queue: list[tuple[datetime, int, int, AlertFacts | str]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    alerts: dict[str, AlertFacts] = field(default_factory=dict)
    states: dict[str, GroupState] = field(default_factory=dict)
    members: dict[str, dict[str, None]] = field(default_factory=dict)
    where: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    due: dict[str, datetime] = field(default_factory=dict)
    told: dict[tuple[int, str], datetime] = field(default_factory=dict)
    pushed: int = 0

    def __post_init__(self) -> None:
        self.routes = {route.id: route for route in self.facts.routes}
        self.inhibits = any(route.policy.inhibit for route in self.facts.routes)

    def push(self, at: datetime, kind: int, what: AlertFacts | str) -> None:
        self.pushed += 1
        heapq.heappush(self.queue, (at, kind, self.pushed, what))

    def turn(self) -> None:
        at, _, _, what = heapq.heappop(self.queue)
        if isinstance(what, AlertFacts):
            self.happened(what, at)
        elif self.due.get(what) == at:
            self.look(what, at)

    def happened(self, alert: AlertFacts, at: datetime) -> None:
        self.alerts[alert.id] = alert
        takes = {matching.group_key(route, alert) for route in matching.matched(self.facts.routes, alert)}
        groups = {key: self.states[key] for key in sorted(takes | self.where[alert.id]) if key in self.states}
        for decided in decide(alert, self.now(groups), at).routes:
            self.keep(decided, at)
            self.members.setdefault(decided.state.key, {})[alert.id] = None
            self.where[alert.id].add(decided.state.key)
        if self.inhibits and alert.state == "resolved":
            for key, state in list(self.states.items()):
                if any(held.code == "inhibited" for held in state.held.values()):
                    self.look(key, at)

    def look(self, key: str, at: datetime) -> None:
        state = self.states[key]
        self.keep(decide_group(self.routes[state.route], state, self.of(key), self.now({}), at), at)

    def of(self, key: str) -> list[AlertFacts]:
        return [self.alerts[name] for name in self.members.get(key, ())]

    def now(self, groups: Mapping[str, GroupState]) -> Facts:
        firing = [each for each in self.alerts.values() if each.state != "resolved"] if self.inhibits else []
        return replace(
            self.facts,
            groups=groups,
            members={key: self.of(key) for key in groups},
            firing=[*self.facts.firing, *firing],
            sent=self.told,
        )

    def keep(self, decided: RouteDecision, at: datetime) -> None:
        key = decided.state.key
        self.states[key] = decided.state
        for notice in decided.notices:
            route = decided.route
            self.sent.append(Sent(at, notice.person or f"{route.channel} {route.target}", notice))
            if notice.dedupe_key:
                self.told[route.id, notice.dedupe_key] = at
        self.due.pop(key, None)
        if decided.next_action_at is not None:
            self.due[key] = max(decided.next_action_at, at + TICK)
            self.push(self.due[key], 1, key)
