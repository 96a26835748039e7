"""When somebody may act for a tenant, until when, and what a sign-up may look like."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controlplane.errors import NotFound, NotPermitted, Refusal, Usage
from controlplane.impersonations import rules
from controlplane.impersonations.model import Impersonation
from controlplane.registry import named
from controlplane.tenants.model import Tenant
from tests.backends.signup import sign_up_fault

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TENANT = Tenant("acme", "Acme", "active", "pro", "eu", [], None, {}, False, 1, NOW, NOW)
RUNNING = Impersonation(
    *(7, "acme", "ana", "a broken invoice", "T-1", "read", NOW, NOW + timedelta(minutes=30)),
    ended_at=None, approved_by=None, approved_at=None, state="open",
)  # fmt: skip


def test_nobody_acts_for_a_tenant_that_is_protected_or_gone() -> None:
    rules.check_impersonate(TENANT)
    rules.check_impersonate(replace(TENANT, status="suspended"))
    for fields, code in (
        ({"protected": True}, "impersonation_protected"),
        ({"status": "pending_deletion"}, "tenant_pending_deletion"),
        ({"status": "erased"}, "tenant_erased"),
    ):
        with pytest.raises((Refusal, NotFound)) as refused:
            rules.check_impersonate(replace(TENANT, **fields))  # type: ignore[arg-type]
        assert refused.value.code == code


def test_it_is_over_at_its_hard_stop_or_when_it_was_ended() -> None:
    last = RUNNING.ends_at - timedelta(microseconds=1)
    rules.check_running(RUNNING, last)
    with pytest.raises(Refusal, match="ended at 12:30 UTC") as stopped:
        rules.check_running(RUNNING, RUNNING.ends_at)
    assert stopped.value.code == "impersonation_over" and "ended: by itself" in stopped.value.why
    ended = replace(RUNNING, ended_at=NOW + timedelta(seconds=5))
    with pytest.raises(Refusal, match="was ended at 12:00:05 UTC"):
        rules.check_running(ended, last)


def test_writing_is_approved_once_and_by_another_person() -> None:
    rules.check_approve(RUNNING, NOW)
    rules.check_not_own(RUNNING, "bob")
    with pytest.raises(NotPermitted) as own:
        rules.check_not_own(RUNNING, "ana")
    assert own.value.code == "impersonation_own"
    with pytest.raises(Refusal, match="bob approved it") as already:
        rules.check_approve(replace(RUNNING, mode="write", approved_by="bob"), NOW)
    assert already.value.code == "already_writing"
    with pytest.raises(Refusal) as over:
        rules.check_approve(RUNNING, RUNNING.ends_at)
    assert over.value.code == "impersonation_over"


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(0, 30), (1, 30), (60, 29), (1740, 1), (1799, 1), (1800, 0), (1801, 0), (9999, 0)]
)
def test_a_minute_that_has_begun_counts(seconds: int, minutes: int) -> None:
    assert rules.minutes_left(RUNNING, NOW + timedelta(seconds=seconds)) == minutes


def test_an_hour_of_which_a_second_is_over_still_has_sixty_minutes() -> None:
    hour = replace(RUNNING, ends_at=NOW + timedelta(hours=1))
    assert rules.minutes_left(hour, NOW + timedelta(seconds=1)) == 60


def test_it_lasts_half_an_hour_unless_something_else_is_asked_for_and_an_hour_at_most() -> None:
    asked = {"id": "acme", "ticket": "T-1"}
    impersonate = named("tenants.impersonate").parse
    assert impersonate(asked).minutes == 30 and impersonate({**asked, "minutes": 60}).minutes == 60
    for minutes in (0, 61):
        with pytest.raises(Usage):
            impersonate({**asked, "minutes": minutes})


def test_what_was_ended_counts_for_nothing() -> None:
    assert rules.minutes_left(replace(RUNNING, ended_at=NOW), NOW) == 0


@pytest.mark.parametrize("email", ["a@b.de", "ann.lee+x@mail.example.org", "a" * 246 + "@b.co.uk", "ö@ä.de"])
def test_addresses_that_can_be(email: str) -> None:
    assert sign_up_fault(email, "Ann") is None


@pytest.mark.parametrize(
    "email",
    [
        *(
            "",
            "a",
            "a@",
            "@b.de",
            "a@b",
            "a@@b.de",
            "a@b@c.de",
            "a@.de",
            "a@b.",
            "a b@c.de",
            "a@b.de\n",
            "a@b\u3000.de",
        ),
        "a" * 247 + "@b.co.uk",
    ],
)
def test_addresses_that_cannot(email: str) -> None:
    assert sign_up_fault(email, "Ann") == "invalid_email"


@pytest.mark.parametrize("name", ["Ann", "表表表", "a" * 64, "O'Neil & Söhne"])
def test_names_that_can_be(name: str) -> None:
    assert sign_up_fault("a@b.de", name) is None


@pytest.mark.parametrize("name", ["", "Al", "a" * 65, "a/b/c", "a\\bc", "ab\x1b[2J", "ab\x85c"])
def test_names_that_cannot(name: str) -> None:
    assert sign_up_fault("a@b.de", name) == "invalid_name"
