"""What may be done to a tenant in which state, and what is said when it may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controlplane.errors import NotFound, Refusal
from controlplane.tenants import rules
from controlplane.tenants.model import STATUSES, Project, Tenant
from tests.controlplane.tenants import TRANSITIONS

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ACTIVE = Tenant("acme", "Acme", "active", "pro", "eu", [], None, {}, False, 3, NOW, NOW)
SUSPENDED = replace(ACTIVE, status="suspended", suspended_at=NOW, suspension_reason="three chargebacks")
DELETED = replace(ACTIVE, status="pending_deletion", deleted_at=NOW, purge_after=NOW, deleted_from="suspended")
ERASED = replace(ACTIVE, status="erased", erased_at=NOW)
PROJECT = Project("acme", "shop", "Shop", "active", 1, NOW, NOW)
CHECKS = {
    "suspend": rules.check_suspend,
    "resume": rules.check_resume,
    "delete": rules.check_delete,
    "restore": rules.check_restore,
    "purge": lambda tenant: rules.check_purge(tenant, NOW),
    "protect": lambda tenant: rules.check_protect(tenant, True),
    "unprotect": lambda tenant: rules.check_protect(tenant, False),
    "give projects": lambda tenant: rules.check_open(tenant, "given projects"),
}


def allowed(tenant: Tenant) -> dict[str, str]:
    """What can be done, and the code of the refusal for all else."""
    answers = {}
    for name, check in CHECKS.items():
        try:
            check(tenant)
        except (Refusal, NotFound) as refused:
            assert refused.why and "acme" in refused.message
            answers[name] = refused.code
        else:
            answers[name] = "yes"
    return answers


def test_what_can_be_done_with_an_active_tenant() -> None:
    assert allowed(ACTIVE) == {
        **{"suspend": "yes", "resume": "not_suspended", "delete": "yes", "restore": "not_deleted"},
        **{"purge": "not_deleted", "protect": "yes", "unprotect": "not_protected", "give projects": "yes"},
    }


def test_what_can_be_done_with_a_suspended_one() -> None:
    assert allowed(SUSPENDED) == {
        **{"suspend": "already_suspended", "resume": "yes", "delete": "yes", "restore": "not_deleted"},
        **{"purge": "not_deleted", "protect": "yes", "unprotect": "not_protected", "give projects": "yes"},
    }


def test_one_that_is_being_deleted_can_be_restored_and_purged() -> None:
    pending = "tenant_pending_deletion"
    assert allowed(DELETED) == {
        **{"suspend": pending, "resume": pending, "delete": "already_pending_deletion", "restore": "yes"},
        **{"purge": "yes", "protect": "yes", "unprotect": "not_protected", "give projects": pending},
    }


def test_of_an_erased_one_only_the_certificate_is_left() -> None:
    assert set(allowed(ERASED).values()) == {"tenant_erased"}


@pytest.mark.parametrize("tenant", [ACTIVE, DELETED])
def test_protection_keeps_from_all_that_takes_something_away(tenant: Tenant) -> None:
    before, now = allowed(tenant), allowed(replace(tenant, protected=True))
    assert (now["protect"], now["unprotect"]) == ("already_protected", "yes")
    taking = {name for name in ("suspend", "delete", "purge") if before[name] == "yes"}
    assert {name for name in CHECKS if now[name] == "tenant_protected"} == taking != set()


def test_a_tenant_is_purged_when_its_time_has_come_and_not_before() -> None:
    until = rules.purge_instant(NOW, 30)
    assert until == NOW + timedelta(days=30)
    kept = replace(DELETED, purge_after=until)
    rules.check_purge(kept, until)
    with pytest.raises(Refusal, match="2026-05-31 12:00 UTC") as refused:
        rules.check_purge(kept, until - timedelta(seconds=1))
    assert refused.value.code == "purge_not_due"


def test_a_row_without_its_times_is_neither_restored_nor_purged() -> None:
    assert allowed(replace(DELETED, purge_after=None))["purge"] == "not_deleted"
    assert allowed(replace(DELETED, deleted_from=None))["restore"] == "not_deleted"


def test_no_way_leads_from_an_erased_tenant_or_back_to_where_one_is() -> None:
    assert {was for was, _ in TRANSITIONS} == {*STATUSES} - {"erased"}
    assert all(was != becomes for was, becomes in TRANSITIONS)
    assert {was for was, becomes in TRANSITIONS if becomes == "erased"} == {"pending_deletion"}


def test_a_project_is_archived_once_and_brought_back_once() -> None:
    archived = replace(PROJECT, status="archived")
    rules.check_archive(PROJECT, True)
    rules.check_archive(archived, False)
    for project, wanted, code in ((archived, True, "already_archived"), (PROJECT, False, "not_archived")):
        with pytest.raises(Refusal, match="acme/shop") as refused:
            rules.check_archive(project, wanted)
        assert refused.value.code == code
