"""One silence for some alerts: its matchers match each of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.alerts.model import Alert
from controlplane.errors import Usage
from controlplane.matchers import match_all, parse_matchers
from controlplane.operations import REGISTRY
from controlplane.registry import offered, operations
from controlplane.silences.union import matchers_of
from controlplane.silences.words import stored_text

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
EMPTY: dict[str, Any] = dict.fromkeys(Alert.__dataclass_fields__)
VALUES = st.text(alphabet='ab"\\ .|()*+?[]{}^$-_,\nü', max_size=6)
LABELS = st.dictionaries(st.sampled_from(["objective", "job", "route"]), VALUES, max_size=3)


def alert(kind: str = "burn_rate", tenant: str | None = "acme", **labels: str) -> Alert:
    given = {"id": 1, "kind": kind, "tenant_id": tenant, "labels": labels, "severity": "error", "fired_at": NOW}
    return Alert(**EMPTY | given)


def all_labels(of: Alert) -> dict[str, str]:
    return {**of.labels, "tenant": of.tenant_id or "", "kind": of.kind, "severity": of.severity}


def identity(of: Alert, named: set[str]) -> tuple[object, ...]:
    return of.kind, of.tenant_id or "", *(of.labels.get(name, "") for name in sorted(named))


ALERTS = st.builds(
    lambda kind, tenant, labels: alert(kind, tenant, **labels),
    st.sampled_from(["burn_rate", "jobs_dead"]),
    st.sampled_from(["acme", "beta", None]),
    LABELS,
)


@given(st.lists(ALERTS, min_size=1, max_size=5), ALERTS)
def test_it_hides_just_these_and_can_be_typed(alerts: list[Alert], other: Alert) -> None:
    try:
        matchers = matchers_of(alerts)
    except Usage as refusal:
        assert refusal.code == "silence_alerts"
        return
    typed = parse_matchers(", ".join(map(str, matchers)))
    assert typed == matchers
    assert all(match_all(typed, all_labels(each)) for each in alerts)
    named = {name for each in alerts for name in each.labels}
    if len(alerts) > 1 and other.labels.keys() <= named:  # of a kind, all have the same labels
        assert match_all(typed, all_labels(other)) == (
            identity(other, named) in [identity(each, named) for each in alerts]
        )
    document = [{"label": each.label, "op": each.op, "value": each.value} for each in matchers]
    assert parse_matchers(stored_text(document)) == matchers


def test_one_alert_is_named_by_all_its_labels_and_several_by_all_their_values() -> None:
    assert ", ".join(map(str, matchers_of([alert(objective="3")]))) == 'kind="burn_rate", tenant="acme", objective="3"'
    both = matchers_of([alert(objective="3"), alert(tenant="beta", objective="3")])
    assert ", ".join(map(str, both)) == 'kind="burn_rate", tenant=~"acme|beta", objective="3"'
    assert not match_all(both, all_labels(alert("jobs_dead")))
    estate = matchers_of([alert("worker_missing", None, host="box-7")])
    assert match_all(estate, all_labels(alert("worker_missing", None, host="box-7")))
    assert not match_all(estate, all_labels(alert("worker_missing", None, host="box-8")))


def test_alerts_that_no_silence_hides_alone_are_refused() -> None:
    with pytest.raises(Usage, match="too long") as refused:
        matchers_of([alert(tenant=f"tenant-{n}") for n in range(40)])
    assert refused.value.code == "silence_alerts"
    with pytest.raises(Usage, match='also hide those with kind="burn_rate", tenant="acme", objective="4"') as refused:
        matchers_of([alert(objective="3"), alert(tenant="beta", objective="4")])
    assert refused.value.code == "silence_alerts"


def test_a_form_begins_with_rows_of_one_class() -> None:
    operations()
    create = REGISTRY["silences.create"]
    assert create in offered("alerts", Alert) and create in offered("silences", type(None))
    assert create.begun([alert()]) == {"matchers": 'kind="burn_rate", tenant="acme"'}
    assert create.begun([]) == create.begun([NOW]) == create.begun([alert(), NOW]) == {}
