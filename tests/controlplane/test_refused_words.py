"""What cannot be read is repeated in a refusal only in short, so that what is wrong and what to do are still seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from controlplane.deliveries.targets import address_refused, read_allowed
from controlplane.deliveries.webhook import check_headers
from controlplane.errors import Refusal
from controlplane.filters.grammar import parse
from controlplane.formatting import exact_duration, parse_time
from controlplane.matchers import Matcher, parse_matchers, show
from controlplane.plans.currencies import amount_of, check_currency, money, read_money
from controlplane.routes.matching import mismatch, stage
from controlplane.telemetry.chartviews import parse_view
from controlplane.tenants.list import TENANTS
from controlplane.zones import parse_local, zone_of
from tests.controlplane.alerting import alert, route
from tests.controlplane.texts import HOSTILE, LONG, cuts

NOW = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("read", "lengths"),
    [
        (lambda text: exact_duration(text), [40]),
        (lambda text: parse_time(text), [40]),
        (lambda text: zone_of(text), [40]),
        (lambda text: parse_local(text), [60]),
        (lambda text: parse_matchers(text), [60]),
        (lambda text: parse_matchers(f'a="b" {text}'), [60]),
        (lambda text: Matcher("a", text, "b"), [79, 10]),  # type: ignore[arg-type]
        (lambda text: check_currency(text), [20]),
        (lambda text: read_money(text), [40]),
        (lambda text: amount_of([text], "EUR"), [38]),
        (lambda text: read_allowed([text]), [60]),
        (lambda text: parse_view(text), [40]),
        (lambda text: check_headers({text: "x"}), [60]),
        (lambda text: parse(f"status:{text[:300]}", TENANTS.fields), [60]),
        (lambda text: parse(f"req:{text[:300]}", TENANTS.fields), [60]),
        (lambda text: parse(f'name:{text[:300]}"', TENANTS.fields), [60]),
        (lambda text: parse(f"name:/({text[:150]}/", TENANTS.fields), [59]),
        (lambda text: parse(f"\x1b{text[:300]}", TENANTS.fields), [59]),
    ],
)
def test_what_cannot_be_read_is_repeated_in_short_and_inert(read: Callable[[str], object], lengths: list[int]) -> None:
    with pytest.raises(Refusal) as refused:
        read(LONG)
    assert cuts([refused.value.message]) == lengths
    with pytest.raises(Refusal) as refused:
        read(HOSTILE)
    assert refused.value.message.isprintable()


def test_who_is_at_a_forbidden_address_is_named_in_short() -> None:
    assert cuts([address_refused(LONG, LONG, "private").message]) == [100, 60]


def test_an_unknown_currency_is_named_by_three_characters() -> None:
    assert money(1200, LONG) == "1,200 minor units of жж…" and money(5, None) == "5 minor units"


def test_why_a_route_does_not_take_an_alert_is_said_in_short() -> None:
    shown = [show([Matcher("a", "=", LONG[:400])]), show([])]
    assert cuts(shown) == [397] and shown[1] == "everything"
    others = [
        route(1, name=LONG, tenant_id=LONG),
        route(2, events=(LONG[1:],)),
        route(3, 'team="x"'),
    ]
    told = alert(kind=LONG, labels={"team": LONG})
    words = [mismatch(each, told, told.all_labels) for each in others]
    assert cuts(words) == [60, 200, 60, 60] and cuts([stage(others[0], "").name]) == [60]
    assert mismatch(others[2], alert(), {}).endswith("does not match an alert without that label")
