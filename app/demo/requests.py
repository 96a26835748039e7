"""Raw requests: the last hour at once, and more while the demonstration runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import psycopg

from app.demo import keys, shape, subscriptions
from app.demo.estate import Estate, Firm
from app.demo.site import WORKER, Site
from backends.postgres.copying import COPY, HEADER, TRAILER, Encoder
from controlplane.requestlogs.model import RequestRow

CLIENT_ERRORS = (400, 401, 403, 404, 404, 409, 422, 429)
SERVER_ERRORS = (500, 502, 503, 503, 504)
HOUR = timedelta(hours=1)
PARTS = 4
ROLLED = """
UPDATE wf.request_marks SET before = txid_snapshot_xmin(txid_current_snapshot()), minutes_from = %s,
  minutes_until = %s, hours_until = %s, rolled_at = clock_timestamp()
"""


def last_hour(estate: Estate, site: Site, now: datetime, callers: keys.Callers, quiet: Collection[str]) -> None:
    """Store the hour before `now` and roll it up by the minute: each part while the next ones are stored."""
    end, encode = int(now.timestamp()), Encoder()
    since = (now - HOUR).replace(second=0, microsecond=0)
    spans = [(since + part * HOUR / PARTS, since + (part + 1) * HOUR / PARTS) for part in range(PARTS)]
    stored = end - 3600
    with psycopg.connect(site.logins[WORKER], autocommit=True) as connection, ThreadPoolExecutor(2) as both:
        connection.execute(
            "SELECT wf.ensure_request_days(%s, %s)", [(now - HOUR).date(), (now + timedelta(days=1)).date()]
        )
        rolled = []
        for span in spans:
            until = end if span is spans[-1] else int(span[1].timestamp())
            made = b"".join(map(encode, rows(estate, stored, until, callers, quiet)))
            with connection.transaction(), connection.cursor() as cursor, cursor.copy(COPY) as copy:
                copy.write(HEADER + made + TRAILER)
            stored = until
            rolled.append(both.submit(_roll_up, site, *span))
        for each in rolled:
            each.result()
    with psycopg.connect(site.owner) as connection:
        connection.execute(ROLLED, [since, since + HOUR, (since + HOUR).replace(minute=0)])
        connection.execute("SELECT wf.refresh_activity()")


def _roll_up(site: Site, since: datetime, until: datetime) -> None:
    """Many minutes in one statement, where a worker takes each as it comes."""
    with psycopg.connect(site.owner, options="-c work_mem=64MB") as connection:
        connection.execute("SELECT wf.make_cell_partition('request_minutes', 'minute', %s)", [since])
        connection.execute("SELECT wf.make_cell_partition('request_minutes', 'minute', %s)", [until])
        cells = "SELECT wf.put_cells('request_minutes', 'minute', format("
        cells += "'SELECT * FROM wf.raw_cells(%%L, %%L, ''1 minute'')', %s::timestamptz, %s::timestamptz))"
        connection.execute(cells, [since, until])
        connection.execute("SELECT wf.put_fleet('request_minutes', 'minute', %s, %s)", [since, until])


def suspended(estate: Estate) -> frozenset[str]:
    """The tenants that are not served, for whatever reason."""
    return frozenset(firm.id for firm in estate.firms if firm.suspended_at).union(subscriptions.refused(estate))


def rows(
    estate: Estate, start: int, end: int, callers: keys.Callers, quiet: Collection[str] = ()
) -> Iterator[RequestRow]:
    """The requests of the seconds from `start` up to and without `end`; those in `quiet` make none."""
    firms = [firm for firm in estate.firms if firm.id not in quiet]
    weights: list[float] = []
    for second in range(start, end):
        if second % 60 == 0 or not weights:
            weights = list(accumulate(shape.demand(estate, firm, second - second % 60) for firm in firms))
        rng = estate.random(second)
        total = weights[-1]
        for firm in rng.choices(firms, cum_weights=weights, k=max(0, round(rng.gauss(total, total**0.5)))):
            yield _row(estate, callers, firm, second, rng.random(), rng.random(), rng.random())


def _row(
    estate: Estate, callers: keys.Callers, firm: Firm, second: int, one: float, two: float, three: float
) -> RequestRow:
    """A request decided by three random numbers from 0 to 1: parts of each decide different things."""
    share, route = one, firm.routes[0]
    for route in firm.routes:
        if share < route.share:
            break
        share -= route.share
    latency = route.median_ms * shape.slowness(estate, firm.region, second) * shape.SPREAD[int(two * 1000)]
    key_prefix, key_id, address, refused = callers.pick(firm.id, second, two * 7919 % 1)
    server = shape.failing(estate, firm, second)
    if refused:
        status = 401
    elif three < server:
        status = SERVER_ERRORS[int(one * 997) % len(SERVER_ERRORS)]
    elif three < server + shape.refused(firm, second):
        status = CLIENT_ERRORS[int(one * 997) % len(CLIENT_ERRORS)]
    else:
        status = 201 if route.method == "POST" else 200
    project = firm.projects[int(two * 9973) % len(firm.projects)]
    return RequestRow(
        tenant_id=firm.id,
        project_id=project.id,
        route=route.path,
        method=route.method,
        status=status,
        latency_ms=latency,
        key_prefix=key_prefix,
        region=firm.region,
        request_id=None,
        at=datetime.fromtimestamp(second + three, UTC),
        bytes=200 + int(two * 99991) % 20_000,
        key_id=key_id,
        address=address,
    )
