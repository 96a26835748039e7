"""A tenant's requests over time as a chart: how many per minute, and how many of them the service failed."""

from __future__ import annotations

from controlplane.telemetry.charts import ChartSpec, Series
from controlplane.telemetry.measures import rates
from controlplane.telemetry.model import Series as Requests


def traffic_chart(requests: Requests) -> ChartSpec:
    """Per minute, averaged over each step. A step of which nothing is known is a gap."""
    xs = [time.timestamp() for time in requests.times()]
    served = rates(requests, lambda point: point.n)
    failed = rates(requests, lambda point: point.errors_5xx)
    return ChartSpec(
        (Series("requests", xs, served, "good"), Series("5xx", xs, failed, "bad")),
        unit="/m",
        x_from=xs[0],
        x_to=(requests.times()[-1] + requests.step).timestamp(),
    )
