"""Requests as a Prometheus counted them: implements `SeriesSource`, and `MetricSource` for a team's own detectors.

A step's numbers are increase() over it: an estimate, because Prometheus sees counters only at its scrapes. A step
without a scrape is unknown. Its histograms are coarser than ours; latencies are assumed to be evenly spread within one
of its buckets, as its own histogram_quantile() does.
"""

from __future__ import annotations

import math
import re
from asyncio import to_thread
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backends.prometheus.answers import Answer, bound_of
from backends.prometheus.mapping import MIN_SCRAPES, read_mapping
from controlplane.detectors.model import Measured
from controlplane.errors import Refusal
from controlplane.telemetry.model import (
    GROWTH,
    OVERFLOW,
    SMALLEST_MS,
    Histogram,
    Point,
    Scope,
    Series,
    bucket_of,
    whole_steps,
)
from controlplane.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.prometheus.client import Client
    from controlplane.secrets import Reference, Secret

MAX_LATENCY_MS = 1e9
"""Eleven days: a bound above it counts as infinite, so that the number of our buckets stays small."""
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|[xX]{2})")


class PrometheusSeries:
    """`path` is the mapping file, read at the first query; `secret` resolves a reference in it, and may block;
    `clock` tells the home's time."""

    def __init__(self, path: Path, secret: Callable[[Reference], Secret], clock: Callable[[], datetime]) -> None:
        self.path = path
        self._secret = secret
        self._clock = clock
        self._client: Client | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def series(self, scope: Scope, start: datetime, end: datetime, step: timedelta) -> Series:
        client = self._opened()
        source, as_of = client.source, self._clock()
        seconds = math.ceil(max(step.total_seconds(), MIN_SCRAPES * source.scrape))
        step = timedelta(seconds=seconds)
        start, steps = whole_steps(start, end, step)
        ends = [start + (n + 1) * step for n in range(steps)]  # increase() looks back from each

        async def asked(template: str) -> Answer:
            return await client.range(source.asking(template, scope, seconds), ends[0], ends[-1], seconds)

        counted = await asked(source.requests.query)
        timed = await asked(source.latency.query) if source.latency else Answer()
        unit = 1.0 if source.latency and source.latency.unit == "ms" else 1000.0
        points = await to_thread(points_of, counted, source.requests.status, timed, unit, ends)
        unread = (*unread_statuses(counted, source.requests.status), *unread_bounds(timed))
        notes = tuple(dict.fromkeys((*unread, *counted.notes, *timed.notes)))
        return Series(scope, start, step, points, as_of, "prometheus", notes)

    async def instant(self, query: str) -> Sequence[Measured]:
        """See `MetricSource`: a value that is no finite number is not known."""
        client = self._opened()
        tenant = client.source.labels.get("tenant", "")
        return [
            Measured(
                clean(labels[tenant], 400) if labels.get(tenant) else None,
                {name: value for name, value in labels.items() if name not in (tenant, "__name__")},
                value if math.isfinite(value) else None,
            )
            for labels, value in await client.instant(query)
        ]

    def _opened(self) -> Client:
        if self._client is None:
            from backends.prometheus.client import Client

            source = read_mapping(self.path)
            kept = source.token or source.password
            self._client = Client(source, None if kept is None else lambda: self._secret(kept))
        return self._client


def unread_statuses(counted: Answer, label: str) -> list[str]:
    """What is wrong with the statuses, in words. Raises Refusal `prometheus_labels` when no curve has one."""
    said = [curve.labels.get(label) for curve in counted.curves]
    if said and not any(said):
        raise _unlabelled("requests", label)
    return _odd(label, [text for text in said if text is None or not _STATUS.fullmatch(text)], "counted, not as errors")


def unread_bounds(timed: Answer) -> list[str]:
    """As `unread_statuses`, for the histogram's bounds."""
    said = [curve.labels.get("le") for curve in timed.curves]
    if said and not any(said):
        raise _unlabelled("latency", "le")
    return _odd("le", [text for text in said if bound_of(text or "") is None], "left out")


def _unlabelled(query: str, label: str) -> Refusal:
    return Refusal(
        "prometheus_labels",
        f"Prometheus answered the {query} query without the label {label}, so its series cannot be told apart.",
        f"The query in the mapping file must sum by it: sum by ({label}) (…).",
    )


def _odd(label: str, found: list[str | None], what: str) -> list[str]:
    if not found:
        return []
    first = "no value" if found[0] is None else f'"{clean(found[0], 20)}"'
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [f"{label}: {first}{more} not readable, {what}"]


def points_of(
    counted: Answer, status: str, timed: Answer, unit: float, ends: Sequence[datetime]
) -> tuple[Point | None, ...]:
    """A point for the step that ends at each of `ends`; `unit`: how many ms one unit of the histogram's bounds is."""
    requests = _by_status(counted, status)
    latencies = _cumulative(timed, unit)
    given = [0, 0, 0]
    upto = [0.0, 0.0, 0.0]
    points: list[Point | None] = []
    for end in ends:
        found = requests.get(end.timestamp())
        if found is None:
            points.append(None)
            continue
        # What is rounded off in one step is carried over to a later one.
        upto = [before + more for before, more in zip(upto, found, strict=True)]
        whole = [round(sum_) - before for sum_, before in zip(upto, given, strict=True)]
        given = [before + more for before, more in zip(given, whole, strict=True)]
        other, client, server = whole
        histogram = histogram_of(latencies.get(end.timestamp(), {}))
        points.append(Point(other + client + server, client, server, histogram))
    return tuple(points)


def _by_status(answer: Answer, label: str) -> dict[float, list[float]]:
    """Requests that are neither 4xx nor 5xx, 4xx, and 5xx, by time."""
    found: dict[float, list[float]] = {}
    for curve in answer.curves:
        said = curve.labels.get(label, "")
        place = {"4": 1, "5": 2}.get(said[:1], 0) if _STATUS.fullmatch(said) else 0
        for at, value in curve.values.items():
            found.setdefault(at, [0.0, 0.0, 0.0])[place] += value
    return found


def _cumulative(answer: Answer, unit: float) -> dict[float, dict[float, float]]:
    """How many latencies were up to each bound (in ms), by time."""
    found: dict[float, dict[float, float]] = {}
    for curve in answer.curves:
        bound = bound_of(curve.labels.get("le", ""))
        if bound is None:
            continue
        bound = bound * unit if bound * unit <= MAX_LATENCY_MS else math.inf
        for at, value in curve.values.items():
            below = found.setdefault(at, {})
            below[bound] = below.get(bound, 0.0) + value
    return found


def histogram_of(cumulative: Mapping[float, float]) -> Histogram:
    """Our buckets, from cumulative counts by bound in ms; counts above the last finite bound are the overflow."""
    counts: dict[int, int] = {}
    lower = upto = 0.0
    given = 0
    for bound in sorted(cumulative):
        inside = cumulative[bound] - upto
        if inside > 0:  # counters that were scraped apart from each other can seem to go down
            for bucket, share in _spread(lower, bound):
                more = round(upto + inside * share) - given
                if more > 0:
                    counts[bucket] = counts.get(bucket, 0) + more
                    given += more
            upto += inside
        lower = bound
    ordered = sorted(counts)
    return Histogram(tuple(ordered), tuple(counts[bucket] for bucket in ordered))


def _spread(lower: float, bound: float) -> Iterator[tuple[int, float]]:
    """Our buckets between two bounds, each with the share of that range up to the bucket's end."""
    if math.isinf(bound):
        yield OVERFLOW, 1.0
        return
    last = bucket_of(max(bound, 0.0))
    for bucket in range(bucket_of(max(lower, 0.0)), last):
        end = SMALLEST_MS * GROWTH**bucket
        if end > lower:
            yield bucket, (end - lower) / (bound - lower)
    yield last, 1.0
