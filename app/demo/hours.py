"""Thirty days of requests by the hour, as the roll-up would have left them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from operator import add
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
MAX_POINTS = 40
"""So many requests have latencies of their own; further ones repeat them."""
_int2, _int4 = 21, 23  # the types' numbers in PostgreSQL
_numbers = Struct(">iqiiiiiiii").pack


@dataclass(frozen=True)
class Batch:
    """Some histograms, and rows that have them."""

    shapes: list[bytes]
    cells: list[bytes]


def batches(estate: Estate) -> Iterator[Batch]:
    """The thirty days. It takes a while, and no home: it is made while that is."""
    weather, shapes = Weather(estate), Shapes()
    fleet = Fleet(weather.hours)
    for first in range(0, len(estate.firms), FIRMS_AT_ONCE):
        firms = estate.firms[first : first + FIRMS_AT_ONCE]
        cells = [cell for firm in firms for cell in cells_of(weather, firm, shapes, fleet)]
        yield Batch(shapes.take_new(), cells)
    cells = list(fleet.cells(shapes))
    yield Batch(shapes.take_new(), cells)


def seed(estate: Estate, site: Site, history: Callable[[], Iterable[Batch]]) -> None:
    """Store the `batches`, which `history` waits for."""
    end = int(estate.now.timestamp()) // 3600
    # No triggers: they would note each hour of each batch as due.
    with _connected(site, "session_replication_role=replica") as connection:
        _make_months(connection, estate.now - HISTORY, estate.now)
        for batch in history():
            _store(connection, batch)
        # The last day's cells of all tenants together exactly; for a month that would take too long.
        _put_fleet(connection, end - LAST_DAY // timedelta(hours=1), end)
        # All that readers compare: what nothing is known of is taken for rare. Arrays would take as long as all else.
        connection.execute("ANALYZE wf.request_hours (tenant_id, dim, value, route, hour)")


def catch_up(estate: Estate, site: Site, now: datetime) -> None:
    """The whole hours since the history's end."""
    end = int(estate.now.timestamp()) // 3600
    weather, shapes = Weather(estate, range(end, int(now.timestamp()) // 3600)), Shapes()
    if not weather.hours:
        return
    fleet = Fleet(weather.hours)
    with _connected(site) as connection:
        _make_months(connection, estate.now, now)
        cells = [cell for firm in estate.firms for cell in cells_of(weather, firm, shapes, fleet)]
        _store(connection, Batch(shapes.take_new(), cells))
        _put_fleet(connection, weather.hours.start, weather.hours.stop)


@contextmanager
def _connected(site: Site, *settings: str) -> Iterator[psycopg.Connection]:
    options = " ".join(f"-c {setting}" for setting in ("timezone=UTC", *settings))
    with psycopg.connect(site.owner, autocommit=True, options=options) as connection:
        connection.execute(TABLES)
        yield connection


def _store(connection: psycopg.Connection, batch: Batch) -> None:
    with connection.transaction():
        _copy(connection, "demo_shapes", batch.shapes)
        _copy(connection, "demo_hours", batch.cells)
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
        self.refused = {region: [shape.clients(region, 3600 * hour) for hour in self.hours] for region in REGIONS}

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
    random = weather.estate.random(f"hours of {firm.id} from {weather.hours.start}").random
    slow, wrong, rates = weather.slow[firm.region], weather.failing(firm), weather.demand(firm)
    refused = [firm.client_errors * factor for factor in weather.refused[firm.region]]
    first, alive, number = weather.hours.start, weather.alive(firm), shapes.number
    for route in firm.routes:
        start = pack(">h", 7) + _text(firm.id) + _text(route.path)
        base = _moved(route.median_ms / MIDDLE_MS)
        all_of_them = fleet.of(route.path)
        for n in alive:
            expected = rates[n] * route.share * 3600
            count = _rounded(expected + (expected**0.5 + 0.05 * expected) * (random() - 0.5) * 3.4)
            if count > 0:
                chance = random()
                server = int(count * wrong[n] + chance)
                client = min(count - server, int(count * refused[n] + 1 - chance))
                moved = base + slow[n]
                all_of_them[n].add(count, client, server, moved)
                moment = (3600 * (first + n) - EPOCH) * 1_000_000
                shape_number = number(count, moved + int(chance * 5) - 2)
                yield start + _numbers(8, moment, 4, count, 4, client, 4, server, 4, shape_number)


class Hour:
    """One hour of all tenants together on one route. `medians`: buckets moved by → how many requests."""

    __slots__ = ("client", "medians", "n", "server")

    def __init__(self) -> None:
        self.n = self.client = self.server = 0
        self.medians: dict[int, int] = {}

    def add(self, count: int, client: int, server: int, moved: int) -> None:
        self.n += count
        self.client += client
        self.server += server
        self.medians[moved] = self.medians.get(moved, 0) + count

    def histogram(self) -> list[int]:
        """How many requests are in each bucket."""
        found = [0] * MAX_BUCKETS
        for moved, count in self.medians.items():
            left = count
            for bucket, share in SHARES:
                part = count * share // len(MIDDLE)
                if not part:
                    break  # the others are rarer still
                found[bucket + moved] += part
                left -= part
            found[SHARES[0][0] + moved] += left
        return found


class Fleet:
    """The hours of all tenants together, by their routes: counts as they are, latencies around as many medians as there
    are regions.
    """

    def __init__(self, hours: range) -> None:
        self._hours = hours
        self._routes: dict[str, list[Hour]] = {}

    def of(self, route: str) -> list[Hour]:
        found = self._routes.get(route)
        if found is None:
            found = self._routes[route] = [Hour() for _ in self._hours]
        return found

    def cells(self, shapes: Shapes) -> Iterator[bytes]:
        """The rows of the routes, and of all of them together, before the last day."""
        for n in range(len(self._hours) - LAST_DAY // timedelta(hours=1)):
            moment = (3600 * self._hours[n] - EPOCH) * 1_000_000
            sums, whole = [0, 0, 0], [0] * MAX_BUCKETS
            for route, hours in self._routes.items():
                hour = hours[n]
                if hour.n:
                    counts, histogram = [hour.n, hour.client, hour.server], hour.histogram()
                    sums, whole = list(map(add, sums, counts)), list(map(add, whole, histogram))
                    yield _of_all(route, moment, counts, shapes.put(histogram))
            if sums[0]:
                yield _of_all("", moment, sums, shapes.put(whole))


def _of_all(route: str, moment: int, counts: list[int], shape_number: int) -> bytes:
    n, client, server = counts
    return pack(">h", 7) + _text("") + _text(route) + _numbers(8, moment, 4, n, 4, client, 4, server, 4, shape_number)


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

    def put(self, found: list[int]) -> int:
        """The number of a new histogram, given how many requests are in each bucket."""
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
