"""Thirty days of requests by the hour, as the roll-up would have left them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from statistics import fmean
from struct import Struct, pack
from typing import Any, LiteralString

import psycopg

from app.demo import month, shape
from app.demo.estate import HISTORY, REGIONS, Estate, Firm
from app.demo.site import Site
from backends.postgres.copying import HEADER, TRAILER
from controlplane.telemetry.model import GROWTH, bucket_of, value_of

# A histogram is parsed once, not once for each of the hours that have it: parsing takes most of the time.
TABLES = """
CREATE TEMP TABLE demo_shapes (
  shape integer PRIMARY KEY, total float8, largest real, buckets smallint[], counts integer[]);
CREATE TEMP TABLE demo_hours (
  tenant_id text, route text, hour timestamptz, n integer, errors_4xx integer, errors_5xx integer, shape integer)
"""
FILL = """
INSERT INTO wf.request_hours
SELECT tenant_id, route, hour, n, errors_4xx, errors_5xx, total, largest, buckets, counts
FROM demo_hours JOIN demo_shapes USING (shape);
TRUNCATE demo_hours
"""
FIRMS_AT_ONCE = 20
LAST_DAY = timedelta(hours=25)
EPOCH = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
MIDDLE_MS = 100.0
MIDDLE = tuple(bucket_of(MIDDLE_MS * factor) for factor in shape.SPREAD)
"""The buckets of a thousand requests with a median of 100 ms; other medians only move them."""
SHARES = sorted(Counter(MIDDLE).items(), key=lambda each: -each[1])
MAX_BUCKETS = 500
VALUES = tuple(map(value_of, range(MAX_BUCKETS)))
MAX_POINTS = 80
"""So many requests have latencies of their own; further ones repeat them."""
_int2, _int4 = 21, 23  # the types' numbers in PostgreSQL
_numbers = Struct(">iqiiiiiiii").pack


def seed(estate: Estate, site: Site) -> None:
    weather, shapes, fleet = Weather(estate), Shapes(), Fleet()
    with _connected(site) as connection:
        _make_months(connection, estate.now - HISTORY, estate.now)
        stored: Future[None] = Future()
        stored.set_result(None)
        with ThreadPoolExecutor(1) as storing:  # while the next ones are being made
            for first in range(0, len(estate.firms), FIRMS_AT_ONCE):
                firms = estate.firms[first : first + FIRMS_AT_ONCE]
                cells = [cell for firm in firms for cell in cells_of(weather, firm, shapes, fleet)]
                stored.result()
                stored = storing.submit(_store, connection, shapes.take_new(), cells)
            stored.result()
            cells = list(fleet.cells(weather, shapes))
            _store(connection, shapes.take_new(), cells)
        # The last day's cells of all tenants together exactly; for a month that would take too long.
        _put_fleet(connection, weather.hours.stop - LAST_DAY // timedelta(hours=1), weather.hours.stop)
        # All that readers compare: what nothing is known of is taken for rare. Arrays would take as long as all else.
        connection.execute("ANALYZE wf.request_hours (tenant_id, dim, value, route, hour)")


def catch_up(estate: Estate, site: Site, now: datetime) -> None:
    """The whole hours since the history's end."""
    end = int(estate.now.timestamp()) // 3600
    weather, shapes, fleet = Weather(estate, range(end, int(now.timestamp()) // 3600)), Shapes(), Fleet()
    if not weather.hours:
        return
    with _connected(site) as connection:
        _make_months(connection, estate.now, now)
        cells = [cell for firm in estate.firms for cell in cells_of(weather, firm, shapes, fleet)]
        _store(connection, shapes.take_new(), cells)
        _put_fleet(connection, weather.hours.start, weather.hours.stop)


@contextmanager
def _connected(site: Site) -> Iterator[psycopg.Connection]:
    with psycopg.connect(site.owner, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute(TABLES)
        yield connection


def _store(connection: psycopg.Connection, shapes: list[bytes], cells: list[bytes]) -> None:
    with connection.transaction():
        _copy(connection, "demo_shapes", shapes)
        _copy(connection, "demo_hours", cells)
        connection.execute(FILL)


def _put_fleet(connection: psycopg.Connection, first: int, until: int) -> None:
    hours = [datetime.fromtimestamp(3600 * hour, UTC) for hour in (first, until)]
    connection.execute("SELECT wf.put_fleet('request_hours', 'hour', %s, %s)", hours)


def _copy(connection: psycopg.Connection, table: LiteralString, rows: list[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
        copy.write(HEADER)
        copy.write(b"".join(rows))
        copy.write(TRAILER)


def _make_months(connection: psycopg.Connection, since: datetime, until: datetime) -> None:
    connection.execute(
        "SELECT wf.make_partition('request_hours', 'hour', to_char(m, 'YYYYMM'), m, m + interval '1 month')"
        " FROM generate_series(date_trunc('month', %s::timestamptz), %s, interval '1 month') m",
        [since, until],
    )


class Weather:
    """What the hours of history were like in each region. `slow`: how many buckets the latencies moved by."""

    def __init__(self, estate: Estate, hours: range | None = None) -> None:
        """`hours`, numbered from 1970; None: the thirty days before the hour of the estate's `now`."""
        self.estate = estate
        end = int(estate.now.timestamp()) // 3600
        self.hours = hours if hours is not None else range(end - int(HISTORY.total_seconds()) // 3600, end)
        self.away = month.absences(estate)
        self.at = [shape.samples(hour) for hour in self.hours]
        self.slow = {region: list(map(_moved, self.means(shape.slowness, region))) for region in REGIONS}
        self.busy = {region: [fmean(map(partial(shape.daily, region), at)) for at in self.at] for region in REGIONS}

    def means(self, of: Callable[[Estate, Any, float], float], what: Any) -> list[float]:
        return [fmean([of(self.estate, what, moment) for moment in at]) for at in self.at]

    def alive(self, firm: Firm) -> list[int]:
        """The hours, counted from the first, in which a tenant was there and not suspended."""
        born = math.ceil(firm.created_at.timestamp() / 3600)
        gone = int(firm.suspended_at.timestamp() / 3600) if firm.suspended_at else self.hours.stop
        away = self.away.get(firm.id, ())
        there = (n for n, hour in enumerate(self.hours) if born <= hour < gone)
        return [n for n in there if not any(since <= 3600 * self.hours[n] < until for since, until in away)]

    def failing(self, firm: Firm) -> list[float]:
        if firm.id != self.estate.failing and firm.region != self.estate.outage.region:
            return [firm.server_errors] * len(self.hours)
        return self.means(shape.failing, firm)

    def demand(self, firm: Firm) -> list[float]:
        if firm.id == self.estate.noisy:
            return self.means(shape.demand, firm)
        return [firm.rate * factor for factor in self.busy[firm.region]]


def cells_of(weather: Weather, firm: Firm, shapes: Shapes, fleet: Fleet) -> Iterator[bytes]:
    """The rows of a tenant's routes, encoded."""
    rng = weather.estate.random(f"hours of {firm.id} from {weather.hours.start}")
    slow, wrong, rates = weather.slow[firm.region], weather.failing(firm), weather.demand(firm)
    alive = weather.alive(firm)
    for route in firm.routes:
        start = pack(">h", 7) + _text(firm.id) + _text(route.path)
        base = _moved(route.median_ms / MIDDLE_MS)
        for n in alive:
            expected = rates[n] * route.share * 3600
            count = _rounded(expected + (expected**0.5 + 0.05 * expected) * (rng.random() - 0.5) * 3.4)
            if count > 0:
                chance = rng.random()
                server = int(count * wrong[n] + chance)
                client = min(count - server, int(count * shape.refused(firm, 3600 * weather.hours[n]) + 1 - chance))
                moved = base + slow[n] + int(chance * 5) - 2
                shape_number = shapes.number(count, moved)
                fleet.add(route.path, n, count, client, server, moved)
                moment = (3600 * weather.hours[n] - EPOCH) * 1_000_000
                yield start + _numbers(8, moment, 4, count, 4, client, 4, server, 4, shape_number)


class Fleet:
    """The hours of all tenants together, by their routes: counts as they are, latencies as many as there are of each
    median.
    """

    def __init__(self) -> None:
        self._hours: dict[tuple[str, int], tuple[list[int], dict[int, int]]] = {}

    def add(self, route: str, hour: int, count: int, client: int, server: int, moved: int) -> None:
        for name in (route, ""):
            found = self._hours.get((name, hour))
            if found is None:
                found = self._hours[name, hour] = ([0, 0, 0], {})
            sums, medians = found
            sums[0] += count
            sums[1] += client
            sums[2] += server
            medians[moved] = medians.get(moved, 0) + count

    def cells(self, weather: Weather, shapes: Shapes) -> Iterator[bytes]:
        last = len(weather.hours) - LAST_DAY // timedelta(hours=1)
        for (route, hour), (sums, medians) in self._hours.items():
            if hour < last:
                moment = (3600 * weather.hours[hour] - EPOCH) * 1_000_000
                numbers = _numbers(8, moment, 4, sums[0], 4, sums[1], 4, sums[2], 4, shapes.put(medians))
                yield pack(">h", 7) + _text("") + _text(route) + numbers


def _rounded(count: float) -> int:
    """Rounded to about two and a half digits, so that the same few numbers come again and again."""
    whole = int(count + 0.5)
    return whole if whole <= 64 else whole - whole % (1 << (whole.bit_length() - 6))


def _moved(factor: float) -> int:
    """By how many buckets latencies move when they are multiplied by `factor`."""
    return round(math.log(factor) / math.log(GROWTH))


class Shapes:
    """Histograms, numbered in the order of their first use."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        self._new: list[bytes] = []

    def number(self, count: int, moved: int) -> int:
        """The number of the histogram of `count` requests, `moved` buckets from those with a median of 100 ms."""
        found = self._numbers.get((count, moved))
        if found is None:
            found = self._numbers[count, moved] = len(self._numbers)
            self._new.append(pack(">hii", 5, 4, found) + _latencies(count, moved))
        return found

    def put(self, medians: dict[int, int]) -> int:
        """The number of a new histogram of several medians; `medians`: buckets moved by → how many requests."""
        found = [0] * MAX_BUCKETS
        for moved, count in medians.items():
            left = count
            for bucket, share in SHARES:
                part = count * share // len(MIDDLE)
                if not part:
                    break  # the others are rarer still
                found[bucket + moved] += part
                left -= part
            found[SHARES[0][0] + moved] += left
        buckets = [bucket for bucket, count in enumerate(found) if count]
        total = sum(VALUES[bucket] * found[bucket] for bucket in buckets)
        arrays = _array("h", _int2, buckets) + _array("i", _int4, [found[bucket] for bucket in buckets])
        number = self._numbers[0, len(self._numbers)] = len(self._numbers)
        self._new.append(pack(">hiiidif", 5, 4, number, 8, total, 4, value_of(buckets[-1])) + arrays)
        return number

    def take_new(self) -> list[bytes]:
        """The rows of the histograms that were added since the last call."""
        new, self._new = self._new, []
        return new


def _latencies(count: int, moved: int) -> bytes:
    """Sum, largest, buckets, counts."""
    buckets, counts, total = _unmoved(count)
    largest = value_of(buckets[-1] + moved)
    moved_buckets = _array("h", _int2, [bucket + moved for bucket in buckets])
    return pack(">idif", 8, total * GROWTH**moved, 4, largest) + moved_buckets + counts


@cache
def _unmoved(count: int) -> tuple[list[int], bytes, float]:
    """The buckets, the column of counts, and the sum of so many latencies with a median of 100 ms."""
    points = min(count, MAX_POINTS)
    found = Counter(MIDDLE[int((n + 0.5) * len(MIDDLE) / points)] for n in range(points))
    buckets = sorted(found)
    counts = [found[bucket] * count // points for bucket in buckets]
    counts[counts.index(max(counts))] += count - sum(counts)
    total = sum(value_of(bucket) * seen for bucket, seen in zip(buckets, counts, strict=True))
    return buckets, _array("i", _int4, counts), total


def _array(kind: str, oid: int, values: list[int]) -> bytes:
    size = 2 if kind == "h" else 4
    flat = [part for value in values for part in (size, value)]
    body = pack(f">iiiii{f'i{kind}' * len(values)}", 1, 0, oid, len(values), 1, *flat)
    return pack(">i", len(body)) + body


def _text(value: str) -> bytes:
    encoded = value.encode()
    return pack(">i", len(encoded)) + encoded
