"""The real logs charted: what the charts say against numbers counted from the files by other means."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

from backends.postgres.home import Home
from backends.postgres.requests import LogImport, import_log
from controlplane.requestlogs.model import Format
from controlplane.telemetry.chartviews import View, Window
from controlplane.telemetry.measures import Measured, errors_chart, gaps, latency_chart, requests_chart
from controlplane.telemetry.model import RequestTelemetry, Scope, Series
from screens.widgets.plot import draw
from tests.backends.request_logs import real_log
from tests.postgres import Database

HOUR = timedelta(hours=1)


async def read(database: Database, scope: Scope, start: datetime, end: datetime, step: timedelta) -> Measured:
    home = Home(database.login("viewer"))
    await home.open()
    series: Series = await home.of(RequestTelemetry).series(scope, start, end, step)
    await home.close()
    return Measured(View(scope, Window(end - start, end)), series)


async def test_four_days_of_a_web_site_by_the_hour(database: Database) -> None:
    log = real_log("apache-combined-10k.log")
    hits, client, server = Counter[datetime](), Counter[datetime](), Counter[datetime]()
    for line in log.read_text(errors="replace").splitlines():
        found = re.search(r'\[([^\]:]+:\d\d):\d\d:\d\d ([+-]\d{4})\] "(?:[^"\\]|\\.)*" (\d{3}) ', line)
        assert found is not None
        hour = datetime.strptime(f"{found[1]} {found[2]}", "%d/%b/%Y:%H %z").astimezone(UTC)
        hits[hour] += 1
        client[hour] += found[3].startswith("4")
        server[hour] += found[3].startswith("5")
    import_log(
        database.login("operator"), LogImport(log, Format.COMBINED, tenant_id="web", create_tenants=True), None, None
    )
    start, end = min(hits), max(hits) + HOUR
    for scope in (Scope("web"), Scope()):
        measured = await read(database, scope, start, end, HOUR)
        xs = [start + n * HOUR for n in range((end - start) // HOUR)]
        drawn = requests_chart(measured).series[0]
        # A minute's rate over what is known of a step: the log begins within its first hour.
        known = [measured.series.known_for(n) / timedelta(minutes=1) for n in range(len(xs))]
        assert known[0] < 60 and set(known[1:-1]) == {60}
        counts = [None if y is None else round(y * m) for y, m in zip(drawn.ys, known, strict=True)]
        assert counts == [hits.get(x) for x in xs]
        for series, counted in zip(errors_chart(measured).series, (server, client), strict=True):
            counts = [None if y is None else round(y * m) for y, m in zip(series.ys, known, strict=True)]
            assert counts == [counted[x] if x in hits else None for x in xs]
        assert latency_chart(measured).series[0].ys == [None] * len(xs), "the log has no latency, so there is none"
        assert "no data from" in "".join(text for runs in draw(latency_chart(measured), 80, 18) for text, _ in runs)
        missed = {begin for begin, _ in gaps(measured.series)}
        assert missed == {x for x in xs if x not in hits and x - HOUR in hits}


async def test_a_cloud_s_latencies_by_the_minute(database: Database) -> None:
    log, counted = real_log("openstack-nova-2k.log"), defaultdict[datetime, list[float]](list)
    for line in log.read_text().splitlines():
        found = re.search(
            r"\S+ (\S+ \d\d:\d\d):\d\d\.\d+ .* (54fad[0-9a-f]{27}) - .* status: \d+ .* time: ([\d.]+)$", line
        )
        if found is not None:
            minute = datetime.strptime(f"{found[1]} +0000", "%Y-%m-%d %H:%M %z").astimezone(UTC)
            counted[minute].append(float(found[3]) * 1000)
            tenant = found[2]
    import_log(database.login("operator"), LogImport(log, Format.OPENSTACK_NOVA, create_tenants=True), None, None)
    start, end = min(counted), max(counted) + timedelta(minutes=1)
    measured = await read(database, Scope(tenant), start, end, timedelta(minutes=1))
    assert [None if y is None else round(y) for y in requests_chart(measured).series[0].ys] == [
        len(counted[at]) or None for at in measured.series.times()
    ]
    p95, p50, p99 = latency_chart(measured).series
    for series, share in ((p95, 0.95), (p50, 0.5)):
        for at, drawn in zip(measured.series.times(), series.ys, strict=True):
            ordered = sorted(counted[at])
            exact = ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
            assert (drawn is None) == (exact is None)
            assert drawn is None or exact is None or abs(drawn - exact) <= 0.02 * exact + 1e-6
    assert [y is not None for y in p99.ys] == [len(counted[at]) >= 100 for at in measured.series.times()]
