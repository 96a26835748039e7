"""The fleet at a glance: the lines of each part of the overview, and their words.

Each part is read by a query of its own, so that one that fails leaves the others. What is not known is shown as
unknown, never as zero and never as good.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from controlplane.formatting import age, milliseconds, percent, rate
from controlplane.listing import Count
from controlplane.overview.model import (
    TRIAL_DAYS,
    Burner,
    Burning,
    Changes,
    GatesDue,
    KeysDue,
    OverviewSource,
    PlansDue,
    Region,
    RunsDue,
    Stray,
    TenantFigures,
    Traffic,
    WorkDue,
)
from controlplane.telemetry.charts import trend_words
from controlplane.text import UNKNOWN

if TYPE_CHECKING:
    from controlplane.alerts.model import OpenAlerts
    from controlplane.incidents.model import Standing

Tone = Literal["", "good", "bad", "warn", "muted", "unknown"]
STALE_AFTER = timedelta(minutes=10)
ERRORS_WARN, ERRORS_BAD = 0.01, 0.05
SLOWER_WARN = 2.0
"""A latency this many times that of a week ago is shown as a warning."""
SAME = 0.05


class Door(NamedTuple):
    """What enter opens: one thing by its key, or a noun's list with a filter and an order."""

    noun: str
    text: str = ""
    sort: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a part. `key` is unique within it; `trend`: the hours of a day, in words `said`; `lines`: what enter
    shows when there is no list to open.
    """

    key: str
    label: str
    value: str
    tone: Tone = ""
    words: str = ""
    trend: Sequence[float | None] | None = None
    door: Door | None = None
    lines: tuple[str, ...] = ()
    said: str = ""


def against(now: float | None, before: float | None, more: str = "more", less: str = "less") -> str:
    """A number compared with that of the week before, in words."""
    if now is None or before is None or not (math.isfinite(now) and math.isfinite(before)):
        return "no data from a week ago"
    if now == before or (before and abs(now / before - 1) <= SAME):
        return "as a week ago"
    if not before:
        return "none a week ago"
    times = now / before
    if times >= 2:
        return f"{rate(times)} × that of a week ago"
    return f"{abs(times - 1) * 100:.0f} % {more if times > 1 else less} than a week ago"


def stale(until: datetime | None, now: datetime) -> bool:
    return until is None or now - until > STALE_AFTER


def error_tone(share: float | None) -> Tone:
    if share is None:
        return "unknown"
    return "bad" if share >= ERRORS_BAD else "warn" if share >= ERRORS_WARN else ""


OPEN_ALERTS = "state:firing,acked,unknown"
NOT_EVALUATED = timedelta(minutes=5)


def alerts_entries(found: OpenAlerts, now: datetime) -> list[Entry]:
    """None open is only known when detectors were evaluated just now."""
    door, more = Door("alerts", OPEN_ALERTS), "+" if found.capped else ""
    parts = ((found.critical, "critical"), (found.acked, "acked"), (found.unknown, "unknown"))
    words = ", ".join(f"{number:,}{more} {word}" for number, word in parts if number)
    if found.evaluated is None or now - found.evaluated > NOT_EVALUATED:
        since = "yet" if found.evaluated is None else f"for {age(found.evaluated, now)}"
        why = f"no detector was evaluated {since}"
        return [Entry("open", "alerts", UNKNOWN, "unknown", why, (), Door("detectors"))]
    if found.firing:
        tone: Tone = "bad" if found.critical else "warn"
        return [Entry("open", "alerts", f"{found.firing:,}{more} firing", tone, words, (), door)]
    value, tone = ("unknown", "unknown") if found.unknown else ("none firing", "")
    return [Entry("open", "alerts", value, tone, words, (), door)]


UNDER_WAY = "status:open,mitigated"
MANY = 10
"""So many incidents under way are read, the most severe first."""


def incidents_entries(standing: Sequence[Standing], now: datetime) -> list[Entry]:
    """How many are under way, and how the most severe stands; no line while there is none."""
    from controlplane.incidents.words import standing_words  # not before the first paint

    if not standing:
        return []
    number = f"{len(standing)}{'+' if len(standing) >= MANY else ''} open"
    tone: Tone = "bad" if standing[0].severity in ("SEV-1", "SEV-2") else "warn"
    return [
        Entry("incidents", "incidents", number, tone, standing_words(standing, now), (), Door("incidents", UNDER_WAY))
    ]


def traffic_entries(traffic: Traffic, now: datetime) -> list[Entry]:
    current, before, day = traffic.now, traffic.before, traffic.day
    slower = current.p95_ms is not None and before.p95_ms and current.p95_ms >= SLOWER_WARN * before.p95_ms
    requests = Entry(
        "requests",
        "requests",
        _known(rate(current.per_minute), "/m"),
        words=against(current.per_minute, before.per_minute),
        trend=[each.per_minute for each in day],
        door=Door("telemetry", "chart:requests"),
        said=_day_words([each.per_minute for each in day], lambda value: rate(value) + "/m"),
    )
    errors = Entry(
        "errors",
        "errors",
        _known(percent(current.error_share), " %"),
        error_tone(current.error_share),
        against(current.error_share, before.error_share),
        [each.error_share for each in day],
        Door("telemetry", "chart:error_share"),
        said=_day_words([each.error_share for each in day], lambda value: percent(value) + "%"),
    )
    p95 = Entry(
        "p95",
        "p95",
        milliseconds(current.p95_ms),
        "warn" if slower else "",
        against(current.p95_ms, before.p95_ms, "slower", "faster"),
        [each.p95_ms for each in day],
        Door("telemetry", "chart:latency"),
        said=_day_words([each.p95_ms for each in day], milliseconds),
    )
    return [_as_current(each, traffic.until, now) for each in (requests, errors, p95)]


def _day_words(day: Sequence[float | None], say: Callable[[float], str]) -> str:
    return f"in 24 hours {trend_words(day, say)}" if any(each is not None for each in day) else ""


def _as_current(entry: Entry, until: datetime | None, now: datetime) -> Entry:
    """It as it is when it is known and current, else with the reason why it is not."""
    old = stale(until, now)
    if entry.value == UNKNOWN:
        return replace(entry, tone="unknown", words=_why_unknown(until, old, now))
    if old:
        return replace(
            entry, value="~" + entry.value, tone="muted", words=f"rolled up {age(until, now)} ago: not current"
        )
    return entry


def _why_unknown(until: datetime | None, old: bool, now: datetime) -> str:
    if until is None:
        return "No data yet. Start a worker: watchfloor worker"
    return f"rolled up {age(until, now)} ago: see workers" if old else "no data for its last hour"


def _known(text: str, unit: str) -> str:
    return text if text == UNKNOWN else text + unit


def failing_entries(rows: Sequence[TenantFigures], now: datetime) -> list[Entry]:
    if not rows:
        return [_nothing_known()]
    failing = [row for row in rows if row.error_share]
    if not failing:
        return [Entry("none", "no tenant with failed requests", "", "muted" if _all_old(rows, now) else "")]
    return [_tenant(row, percent(row.error_share) + " %", error_tone(row.error_share), now) for row in failing]


def slowest_entries(rows: Sequence[TenantFigures], now: datetime) -> list[Entry]:
    return [_tenant(row, milliseconds(row.p95_ms), "", now) for row in rows] or [_nothing_known()]


def _nothing_known() -> Entry:
    return Entry("unknown", "No tenant data", UNKNOWN, "unknown", door=Door("tenants"))


def _all_old(rows: Sequence[TenantFigures], now: datetime) -> bool:
    return all(stale(row.until, now) for row in rows)


def _tenant(row: TenantFigures, value: str, tone: Tone, now: datetime) -> Entry:
    old = stale(row.until, now)
    words = f"{rate(row.per_minute)}/m"
    return Entry(
        row.id, row.id, "~" + value if old else value, "muted" if old else tone, words, door=Door("tenants", key=row.id)
    )


URGENT: tuple[Tone, ...] = ("bad", "warn", "unknown", "muted", "good")


def region_state(region: Region, now: datetime) -> tuple[str, Tone]:
    """A word and its tone. A region without requests is unknown, even where none are expected."""
    share = region.now.error_share
    if share is None:
        return "unknown", "unknown"
    if stale(region.until, now):
        return "stale", "muted"
    return ("failing", "bad") if share >= ERRORS_BAD else ("errors", "warn") if share >= ERRORS_WARN else ("up", "good")


def region_entries(regions: Sequence[Region], now: datetime) -> list[Entry]:
    """The worst first, because a small screen cuts off the last."""
    entries = []
    for region in sorted(regions, key=lambda each: (URGENT.index(region_state(each, now)[1]), each.name)):
        word, tone = region_state(region, now)
        current = region.now
        told = f"{rate(current.per_minute)}/m {percent(current.error_share)} %"
        words = "" if current.per_minute is None else told
        entries.append(Entry(region.name, region.name, word, tone, words, door=_tenants_of(region.name)))
    return entries or [Entry("none", "no region is known", UNKNOWN, "unknown")]


def _tenants_of(region: str) -> Door:
    """The list of a region's tenants; of all, sorted by region, when its name cannot be written in a filter."""
    if '"' in region or not region.isprintable() or not region.strip():
        return Door("tenants", sort="region")
    plain = region.isascii() and region.replace("-", "").replace("_", "").isalnum()
    return Door("tenants", f"region:{region}" if plain else f'region:"{region}"')


def keys_entries(due: KeysDue, now: datetime) -> list[Entry]:
    return [
        _counted("late", "old keys still in use", due.late, "bad", Door("rotations")),
        _counted("stale", "stale keys", due.stale, "warn", Door("stale", "level:stale")),
    ]


def plans_entries(due: PlansDue, now: datetime) -> list[Entry]:
    quotas = tuple(f"{each.tenant_id}  {each.metric} {each.used:,} of {each.hard:,}" for each in due.first_quotas)
    if due.quotas is None or due.quotas_at is None:
        near = Entry("quotas", "quotas near their limit", UNKNOWN, "unknown", lines=("No worker has looked yet.",))
    else:
        looked = f"A worker looked {age(due.quotas_at, now)} ago."
        near = _counted("quotas", "quotas near their limit", due.quotas, "warn", None, (looked, "", *quotas))
        if now - due.quotas_at > 2 * STALE_AFTER:
            near = Entry("quotas", near.label, "~" + near.value, "muted", lines=near.lines)
    ending = Door("subscriptions", f"trial<{TRIAL_DAYS}d", "trial")
    return [_counted("trials", "trials ending", due.trials, "warn", ending), near]


START_A_WORKER = "watchfloor worker"
"""The command, for a home that waits for somebody to run one."""


def work_entries(due: WorkDue, now: datetime) -> list[Entry]:
    none = not due.alive and not due.late_workers
    words = [f"{due.alive} alive"] + [
        f"{number} {word}" for number, word in ((due.late_workers, "late"), (due.gone, "gone")) if number
    ]
    tone: Tone = "bad" if none else "warn" if due.late_workers or due.gone else "good"
    value = "none alive" if none else ", ".join(words)
    start = "" if not none else "starts by itself" if due.by_itself else START_A_WORKER
    return [
        Entry("workers", "workers", value, tone, start, door=Door("workers")),
        _counted("dead", f"dead letters{' here' if due.elsewhere else ''}", due.dead, "bad", Door("queues")),
        _counted("late", "jobs late", due.late, "warn", Door("jobs", "state:waiting")),
    ]


def runs_entries(due: RunsDue, now: datetime) -> list[Entry]:
    waiting = _counted("waiting", "runs that wait", due.paused, "warn", Door("runs", "state:paused"))
    if due.running.number and not due.paused.number:
        waiting = Entry(
            "waiting", waiting.label, f"0, {due.running} running", "", door=Door("runs", "state:running,paused")
        )
    return [waiting, _counted("refused", "runs with refusals", due.refused, "bad", Door("runs", "refused>0"))]


GATES_CLOSED = "verdict:NO_GO,INCONCLUSIVE"


def gates_entries(due: GatesDue, now: datetime) -> list[Entry]:
    """A gate of which nothing is known is closed too, and is no good news."""
    door = Door("gates", GATES_CLOSED)
    if not due.gates:
        return [Entry("gates", "gates", UNKNOWN, "unknown", "no run yet", (), Door("gates"))]
    words = ", ".join(due.names)
    if due.closed:
        unknown = f"{due.unknown} not known: " if due.unknown else ""
        return [Entry("gates", "gates", f"{due.closed} closed", "bad", unknown + words, (), door)]
    if due.unknown:
        return [Entry("gates", "gates", f"{due.unknown} unknown", "unknown", words, (), door)]
    waived = f"{due.conditions} with conditions" if due.conditions else ""
    return [Entry("gates", "gates", "none closed", "warn" if due.conditions else "", waived, (), Door("gates"))]


def stray_entries(due: Stray, now: datetime) -> list[Entry]:
    counts = (due.raw, due.minutes, due.hours)
    every = Count(sum(each.number for each in counts), any(each.capped for each in counts))
    lines = (
        "Rows of telemetry without a partition for their day: retention does not drop them.",
        "",
        *(f"{name:<9}{number}" for name, number in zip(("raw", "minutes", "hours"), counts, strict=True)),
    )
    return [_counted("stray", "rows without a partition", every, "warn", None, lines)]


BURNING: dict[str, Tone] = {"page": "bad", "ticket": "warn"}
"""The states that fire, the most urgent first, and their tones."""


def burning_entries(burning: Burning, now: datetime) -> list[Entry]:
    """Those that fire, then the number of unknown ones, then the others by how fast they burn."""
    if not burning.objectives.number:
        return [Entry("none", "no objectives are set", "", "muted", door=Door("objectives"))]
    places = list(BURNING)
    fastest = sorted(burning.fastest, key=lambda each: -each.burn)
    firing = sorted((each for each in fastest if each.state in BURNING), key=lambda each: places.index(each.state))
    unknown = Door("objectives", "state:unknown,insufficient")
    entries = [_burner(each) for each in firing]
    if burning.unknown.number:
        entries.append(Entry("unknown", "objectives not known", str(burning.unknown), "unknown", door=unknown))
    entries += [_burner(each) for each in fastest if each.state not in BURNING]
    return entries or [Entry("quiet", "no budget burns", "", door=Door("objectives"))]


def _burner(each: Burner) -> Entry:
    from controlplane.objectives.words import burn_words, spent_words  # not before the first paint

    tone = BURNING.get(each.state, "warn" if each.state == "exhausted" else "")
    words = "" if each.remaining is None else spent_words(each.remaining, short=True)
    return Entry(
        str(each.id), each.label, f"{burn_words(each.burn)} ×", tone, words, door=Door("objectives", key=str(each.id))
    )


def changes_entries(changes: Changes, now: datetime) -> list[Entry]:
    first = Entry("number", "in the last hour", str(changes.number), door=Door("audit", "at<1h"))
    refused = Entry(
        "trail", "trail not signed", "refused", "bad", changes.trouble or "", door=Door("jobs", "kind:audit")
    )
    return [
        *([refused] if changes.trouble else []),
        first,
        *(
            Entry(
                str(each.seq),
                f"{each.operation} {each.thing}",
                f"{each.actor} {each.at:%H:%M}Z",
                "warn" if each.out_of_band else "",
                door=Door("audit", key=str(each.seq)),
            )
            for each in changes.newest
        ),
    ]


def _counted(key: str, label: str, number: Count, tone: Tone, door: Door | None, lines: tuple[str, ...] = ()) -> Entry:
    return Entry(key, label, str(number), tone if number.number else "", door=door, lines=lines)


@dataclass(frozen=True)
class Part:
    """`read` queries the data; `entries` makes its lines. `loads`: reading it loads the modules of another noun."""

    name: str
    title: str
    read: Callable[[OverviewSource], Awaitable[Any]]
    entries: Callable[[Any, datetime], list[Entry]]
    loads: bool = False


PARTS: tuple[Part, ...] = (
    Part("incidents", "incidents", lambda glance: glance.incidents(), incidents_entries, loads=True),
    Part("alerts", "alerts", lambda glance: glance.alerts(), alerts_entries, loads=True),
    Part("gates", "gates", lambda glance: glance.gates(), gates_entries, loads=True),
    Part("traffic", "requests", lambda glance: glance.traffic(), traffic_entries),
    Part("failing", "failing most", lambda glance: glance.failing(), failing_entries),
    Part("slowest", "slowest p95", lambda glance: glance.slowest(), slowest_entries),
    Part("keys", "keys", lambda glance: glance.keys(), keys_entries),
    Part("plans", "plans", lambda glance: glance.plans(), plans_entries),
    Part("stray", "telemetry", lambda glance: glance.stray(), stray_entries),
    Part("work", "work", lambda glance: glance.work(), work_entries),
    Part("runs", "runs", lambda glance: glance.runs(), runs_entries),
    Part("regions", "regions", lambda glance: glance.regions(), region_entries),
    Part("burning", "budgets", lambda glance: glance.burning(), burning_entries, loads=True),
    Part("changes", "changed", lambda glance: glance.changes(), changes_entries, loads=True),
)
"""The parts, each with its query. A noun that has one adds it here."""
