"""What a chart screen shows, as text: whose requests, which window, compared with what, and which lines are drawn.

`tenant:acme route:/v1/orders compare:week p95>250ms window:7d` is what a person types after `:telemetry` and what a
link holds; `parse_view` reads it, and `render` writes it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from controlplane.errors import Usage
from controlplane.formatting import exact_duration, parse_time, spell
from controlplane.telemetry.model import SOURCES, Scope, Source
from controlplane.text import clean

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WEEK = 7 * DAY
SPANS = (15 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR, 7 * DAY, 30 * DAY, 90 * DAY)
MIN_SPAN, MAX_SPAN = 5 * MINUTE, 400 * DAY
STEPS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, WEEK)
MAX_CHART_POINTS = 180
MAX_TENANTS_COMPARED = 4
"""As many as there are line styles that tell curves apart without colour."""
MINUTES_KEPT = timedelta(hours=47)
"""Minutes are rolled up for two days; older windows have hours, or raw rows, which are read for this long at most:"""
MAX_RAW_SPAN = 6 * HOUR
CHARTS = ("requests", "errors", "error_share", "latency", "saturation", "heat", "top")
LINES = ("requests", "errors", "p50", "p95", "p99")
"""The measures that a line can be drawn for: requests and 5xx per minute, latencies."""
_TOKEN = re.compile(r'\s*([a-z0-9]+)([:>])("(?:[^"\\]|\\.)*(?:"|$)|[^\s"]+)(?=\s|$)')
_BARE = re.compile(r'[^\s"\\#]+')
_HINT = "Write tenant:acme, route:/v1/orders, region:eu-west-1, key:wf_live_ab12, window:7d, compare:week, p95>250ms."


@dataclass(frozen=True)
class Window:
    """A span of time: up to now while `end` is None, else up to that time."""

    span: timedelta = 24 * HOUR
    end: datetime | None = None

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        end = self.end or now
        return end - self.span, end

    def step(self, now: datetime) -> timedelta:
        """The finest step that is kept of that time and gives no more points than a chart has room for."""
        start, _ = self.bounds(now)
        least = HOUR if start < now - MINUTES_KEPT and self.span > MAX_RAW_SPAN else MINUTE
        return next((step for step in STEPS if step >= least and self.span / step <= MAX_CHART_POINTS), STEPS[-1])

    def longer(self, by: int) -> Window:
        """The next of the usual spans, longer or shorter, with the same end."""
        others = [span for span in SPANS if (span > self.span if by > 0 else span < self.span)]
        return self if not others else replace(self, span=others[0] if by > 0 else others[-1])

    def moved(self, by: int, now: datetime) -> Window:
        """Half a window earlier or later; a window that would reach beyond now follows it again."""
        end = (self.end or now) + by * self.span / 2
        return replace(self, end=None if end >= now else end)

    @property
    def words(self) -> str:
        if self.end is None:
            return spell(self.span.total_seconds())
        return f"{_stamp(self.end - self.span)}..{_stamp(self.end)}"


@dataclass(frozen=True)
class View:
    scope: Scope = field(default_factory=Scope)
    window: Window = field(default_factory=Window)
    compare: bool = False
    lines: tuple[tuple[str, float], ...] = ()
    """A measure (of `LINES`) and the value that its line is drawn at."""
    chart: str = CHARTS[0]
    at: datetime | None = None
    """Where the cursor is."""
    source: Source = "home"
    tenants: tuple[str, ...] = ()
    """Several tenants, drawn in one chart; `scope` then names none."""
    linear: bool = False
    """Latencies on an axis of equal steps, not of equal ratios."""

    @property
    def label(self) -> str:
        """Whose requests, in words."""
        among = Scope(" + ".join(self.tenants) or self.scope.tenant_id, self.scope.route, self.scope.key_prefix)
        return replace(among, region=self.scope.region).label


def parse_view(text: str) -> View:
    """Read a view. Raises Usage `view_unreadable`, `window_unreadable`, `duration_unreadable`, `time_unreadable`."""
    view, place, seen = View(), 0, set()
    text = text.strip().removeprefix("/").strip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            _refuse(f'"{clean(text[place:].strip(), 40)}" cannot be read here.')
        name, sign, raw = found.groups()
        if (name, sign) in seen:
            _refuse(f"{name} is there twice.")
        seen.add((name, sign))
        view = _with(view, name, sign, _value(raw))
        place = found.end()
    if view.tenants and view.scope.key_prefix is not None:
        _refuse("A key belongs to one tenant: name only that one.")
    return view


def same_numbers(one: View, other: View) -> bool:
    """Whether both are drawn from the same series; chart, cursor and lines do not change what is read."""
    return (one.scope, one.tenants, one.window, one.source, one.compare) == (
        *(other.scope, other.tenants, other.window, other.source, other.compare),
    )


def parse_window(text: str) -> Window:
    """ "7d", or "2026-11-01..2026-11-07" (whole days, with the last one), or with times: …T03:00..…T05:30, UTC."""
    begin, dots, end = text.partition("..")
    if not dots:
        span = timedelta(seconds=float(exact_duration(text)))
        return Window(_checked(span))
    start, until = parse_time(begin), parse_time(end)
    if "T" not in end:
        until += DAY
    return Window(_checked(until - start), until)


def render(view: View) -> str:
    """The canonical text. The window comes last and needs no quotes: a command line strips quotes at its end."""
    scope = view.scope
    tenant = ",".join(view.tenants) or scope.tenant_id
    named = {"tenant": tenant, "route": scope.route, "key": scope.key_prefix, "region": scope.region}
    words = [f"{name}:{_quoted(value)}" for name, value in named.items() if value is not None]
    words += [f"source:{view.source}"] if view.source != SOURCES[0] else []
    words += [f"{name}>{value:.12g}{'ms' if name.startswith('p') else ''}" for name, value in view.lines]
    words += ["compare:week"] if view.compare else []
    words += ["scale:linear"] if view.linear else []
    words += [f"chart:{view.chart}"] if view.chart != CHARTS[0] else []
    words += [f"at:{_stamp(view.at)}"] if view.at else []
    return " ".join([*words, f"window:{view.window.words.replace(' ', '')}"])


def around(scope: Scope, at: datetime, now: datetime) -> View:
    """The six hours around a time, with the cursor on it."""
    end = at + 3 * HOUR
    return View(scope, Window(6 * HOUR, None if end >= now else end), at=at)


def _with(view: View, name: str, sign: str, value: str) -> View:
    if sign == ">":
        if name not in LINES:
            _refuse(f"No line is drawn for {clean(name, 20)}.", f"Lines: {', '.join(LINES)}.")
        return replace(view, lines=(*view.lines, (name, _line(name, value))))
    match name:
        case "tenant":
            among = tuple(dict.fromkeys(name for name in value.split(",") if name))
            if len(among) > MAX_TENANTS_COMPARED:
                _refuse(f"A chart has room for {MAX_TENANTS_COMPARED} tenants, not for {len(among)}.")
            if len(among) > 1:
                return replace(view, tenants=among)
            return replace(view, scope=replace(view.scope, tenant_id="".join(among) or value))
        case "route":
            return replace(view, scope=replace(view.scope, route=value))
        case "key":
            return replace(view, scope=replace(view.scope, key_prefix=value))
        case "region":
            return replace(view, scope=replace(view.scope, region=value))
        case "window":
            return replace(view, window=parse_window(value))
        case "at":
            return replace(view, at=parse_time(value))
        case "source" if value in SOURCES:
            return replace(view, source=value)
        case "compare" if value == "week":
            return replace(view, compare=True)
        case "scale" if value in ("log", "linear"):
            return replace(view, linear=value == "linear")
        case "chart" if value in CHARTS:
            return replace(view, chart=value)
    _refuse(f"A chart cannot show {name}:{clean(value, 40)}.")


def _line(name: str, value: str) -> float:
    if name.startswith("p"):
        return float(exact_duration(value) * 1000)
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not 0 <= number < 1e12:
        _refuse(f"{name} cannot have a line at {clean(value, 20)}.", f"Write {name}>100: that many per minute.")
    return number


def _value(raw: str) -> str:
    if not raw.startswith('"'):
        return raw
    try:
        return str(json.loads(raw if len(raw) > 1 and raw.endswith('"') else raw + '"'))
    except ValueError:
        _refuse(f"{clean(raw, 40)} is not a quoted value.")


def _quoted(value: str) -> str:
    return value if _BARE.fullmatch(value) else json.dumps(value).replace("#", "\\u0023")


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M}" + (f"{at:%S}".replace("00", "") and f":{at:%S}")


def _checked(span: timedelta) -> timedelta:
    if not MIN_SPAN <= span <= MAX_SPAN:
        raise Usage("window_unreadable", "A window is at least 5 minutes and at most 400 days long.", "window:7d")
    return span


def _refuse(message: str, hint: str = _HINT) -> NoReturn:
    raise Usage("view_unreadable", message, hint)
