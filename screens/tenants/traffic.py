"""A tenant's requests over time as a chart: how many per minute, and how many of them the service failed."""

from __future__ import annotations

from controlplane.charts import ChartSpec, Series
from controlplane.telemetry import Series as Requests


def traffic_chart(requests: Requests) -> ChartSpec:
    """Per minute, averaged over each step. A step of which nothing is known is a gap."""
    xs = [time.timestamp() for time in requests.times()]
    minutes = requests.step.total_seconds() / 60
    served = [None if point is None else point.n / minutes for point in requests.points]
    failed = [None if point is None else point.errors_5xx / minutes for point in requests.points]
    return ChartSpec(
        (Series("requests", xs, served, "good"), Series("5xx", xs, failed, "bad")),
        unit="/m",
        x_from=xs[0],
        x_to=(requests.times()[-1] + requests.step).timestamp(),
    )
