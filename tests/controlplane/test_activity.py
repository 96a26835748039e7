from datetime import UTC, datetime, timedelta

from controlplane.tenants.activity import Activity, activity
from controlplane.tenants.model import Tenant

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def tenant(until: datetime | None, per_minute: float | None = 12.7, p95_ms: float | None = 422) -> Tenant:
    return Tenant(
        "acme", "Acme", "active", "pro", "eu", [], None, {}, False, 1, NOW, NOW,
        per_minute=per_minute, error_share=0.0, p95_ms=p95_ms, until=until,
    )  # fmt: skip


def test_numbers_of_now_stand_as_they_are() -> None:
    assert activity(tenant(NOW - timedelta(minutes=9)), NOW) == Activity("13", "0.00", "422ms", stale=False)


def test_old_numbers_are_marked_as_old() -> None:
    assert activity(tenant(NOW - timedelta(days=3000)), NOW) == Activity("~13", "~0.00", "~422ms", stale=True)


def test_what_is_unknown_is_neither_old_nor_zero() -> None:
    assert activity(tenant(NOW - timedelta(days=3000), p95_ms=None), NOW).p95 == "–"
    assert activity(tenant(None, per_minute=None), NOW).requests == "–"


def test_after_ten_minutes_a_number_is_old() -> None:
    ten = NOW - timedelta(minutes=10)
    assert not activity(tenant(ten), NOW).stale and activity(tenant(ten - timedelta(seconds=1)), NOW).stale
