"""Raw requests: the last hour at once, and more while the demonstration runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
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


def seed(estate: Estate, site: Site) -> None:
    site.report("requests: the last hour")
    end = int(estate.now.timestamp())
    encode, quiet, callers = Encoder(), suspended(estate), keys.callers(estate)
    with psycopg.connect(site.logins[WORKER], autocommit=True) as connection:
        connection.execute(
            "SELECT wf.ensure_request_days(%s, %s)",
            [(estate.now - timedelta(hours=1)).date(), (estate.now + timedelta(days=1)).date()],
        )
        with connection.transaction(), connection.cursor() as cursor, cursor.copy(COPY) as copy:
            copy.write(HEADER)
            for minute in range(end - 3600, end, 60):
                copy.write(b"".join(map(encode, rows(estate, minute, minute + 60, callers, quiet))))
            copy.write(TRAILER)
        connection.execute("SELECT wf.roll_up_hours(%s, %s)", [estate.now.replace(minute=0, second=0), estate.now])
        connection.execute("SELECT wf.refresh_activity()")


def roll_up(estate: Estate, site: Site) -> None:
    """Roll up the last hour by the minute: else the first screen would lack it for an hour."""
    site.report("telemetry: the last hour by the minute")
    since = (estate.now - timedelta(hours=1)).replace(second=0, microsecond=0)
    with psycopg.connect(site.owner) as connection:
        connection.execute("UPDATE wf.request_marks SET minutes_from = %s, minutes_until = %s", [since, since])
        connection.execute("SELECT wf.roll_up_requests(most_hours => 0)")  # those are the history's


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
    server = shape.failing(estate, firm, second)
    if three < server:
        status = SERVER_ERRORS[int(one * 997) % len(SERVER_ERRORS)]
    elif three < server + firm.client_errors:
        status = CLIENT_ERRORS[int(one * 997) % len(CLIENT_ERRORS)]
    else:
        status = 201 if route.method == "POST" else 200
    project = firm.projects[int(two * 9973) % len(firm.projects)]
    key_prefix, key_id, address = callers.pick(firm.id, second, two * 7919 % 1)
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
