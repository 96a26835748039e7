"""What is said about what is no longer kept, and the list that a chart leads to."""

from __future__ import annotations

from datetime import datetime

from controlplane.filters.grammar import Term, render
from controlplane.listing import View
from controlplane.requests.list import REQUESTS
from controlplane.telemetry.chartviews import View as ChartView


def kept_words(asked_from: datetime | None, kept_from: datetime | None) -> str:
    """ "" when all that is asked for is kept; `asked_from` None: no time was asked for."""
    if asked_from is None or kept_from is None or asked_from >= kept_from:
        return ""
    return f"Single requests before {kept_from:%Y-%m-%d %H:%M} UTC are no longer kept; the charts go further back."


def view_from(charts: ChartView) -> View:
    """The list of the requests that a chart counts, from its cursor on, oldest first; without a cursor the newest."""
    scope = charts.scope
    named = {"tenant": charts.tenants or scope.tenant_id, "route": scope.route, "key": scope.key_prefix}
    terms = [
        Term("is", value if isinstance(value, tuple) else (value,), name)
        for name, value in (named | {"region": scope.region}).items()
        if value
    ]
    if charts.at is not None:
        terms.append(Term("above", (charts.at.isoformat(),), "at", negated=True))  # not before it
    text = render(terms, REQUESTS.fields)
    path = f"requests?{text}" if text else "requests"
    return View("requests", path, filter=text, sort="at" if charts.at is not None else "-at")
