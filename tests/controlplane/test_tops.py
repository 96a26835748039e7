"""What can be ranked within what, and what a row of a top list says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.telemetry.model import Histogram, Scope
from controlplane.telemetry.tops import TopRow, bys_of, narrowed


@pytest.mark.parametrize(
    ("scope", "bys"),
    [
        (Scope(), ("tenant", "route", "key")),
        (Scope("acme"), ("route", "key")),
        (Scope("acme", "/orders"), ("key",)),
        (Scope("acme", None, "wf_live_ab"), ("route",)),
        (Scope(None, "/orders"), ("tenant", "key")),
        (Scope(region="eu"), ("tenant",)),
    ],
)
def test_only_what_makes_several_rows_is_ranked(scope: Scope, bys: tuple[str, ...]) -> None:
    assert bys_of(scope) == bys


def row(**fields: Any) -> TopRow:
    known: dict[str, Any] = {"tenant_id": None, "route": None, "key_prefix": None, "n": 200, "errors_4xx": 0}
    return TopRow(**{**known, "errors_5xx": 50, "latency": Histogram(), "before": None, **fields})


def test_a_row_says_shares_and_growth_and_nothing_of_what_is_not_known() -> None:
    assert (row().error_share, row().growth, row().p95, row().p99) == (0.25, None, None, None)
    assert row(before=80).growth == 2.5 and row(before=0).growth is None


def test_the_slowest_of_a_hundred_is_the_first_that_can_be_called_a_p99() -> None:
    slow = [1.0] * 94 + [1000.0] * 6
    assert row(latency=Histogram.of(slow)).p95 == pytest.approx(1000, rel=0.02)
    assert row(latency=Histogram.of(slow)).p99 == pytest.approx(1000, rel=0.02)
    assert row(latency=Histogram.of(slow[1:])).p99 is None


def test_a_row_is_looked_at_within_what_it_was_ranked_in() -> None:
    assert narrowed(Scope("acme", region="eu"), row(route="/a")) == Scope("acme", "/a", region="eu")
    assert narrowed(Scope("acme", "/a"), row(key_prefix="wf_live_ab")) == Scope("acme", "/a", "wf_live_ab")
    assert narrowed(Scope(), row(tenant_id="acme")) == Scope("acme")
    assert narrowed(Scope("old", "/b", "k"), row(tenant_id="new", route="/c", key_prefix="l")) == Scope(
        "new", "/c", "l"
    )
