"""What may happen to a tenant and when: pure functions of the row and the time.

The database guards the same rules (a test compares both); these say in words why not, before it is tried.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from controlplane.formatting import relative
from controlplane.tenants.model import Project, Tenant
from controlplane.tenants.refusals import (
    ALREADY_ARCHIVED,
    ALREADY_PENDING_DELETION,
    ALREADY_PROTECTED,
    ALREADY_SUSPENDED,
    NOT_ARCHIVED,
    NOT_DELETED,
    NOT_PROTECTED,
    NOT_SUSPENDED,
    PURGE_NOT_DUE,
    TENANT_ERASED,
    TENANT_PENDING_DELETION,
    TENANT_PROTECTED,
)

RETENTION_DAYS = 30
MAX_RETENTION_DAYS = 3650


def check_exists(tenant: Tenant) -> None:
    """An erased tenant is a tombstone: its id stays taken, and nothing can be done with it."""
    if tenant.status == "erased":
        raise TENANT_ERASED(
            f"{tenant.id} was erased; only its certificate is left.",
            f"watchfloor tenants show {tenant.id} prints the certificate.",
            why=["status: erased"],
        )


def check_open(tenant: Tenant, verb: str) -> None:
    """Nothing but restoring and purging can be done to a tenant that is being deleted."""
    check_exists(tenant)
    if tenant.status == "pending_deletion":
        raise TENANT_PENDING_DELETION(
            f"{tenant.id} cannot be {verb}: it is pending deletion.",
            f"Restore it first: watchfloor tenants restore {tenant.id}",
            why=[f"status: pending_deletion since {tenant.deleted_at}", f"purge after: {tenant.purge_after}"],
        )


def check_not_protected(tenant: Tenant, verb: str) -> None:
    if tenant.protected:
        raise TENANT_PROTECTED(
            f"not {verb}: {tenant.id} is protected.",
            f"An admin can lift that: watchfloor tenants unprotect {tenant.id}",
            why=["protected: yes"],
        )


def check_suspend(tenant: Tenant) -> None:
    check_open(tenant, "suspended")
    if tenant.status == "suspended":
        raise ALREADY_SUSPENDED(
            f"{tenant.id} is suspended already: {tenant.suspension_reason}",
            f"To resume it: watchfloor tenants resume {tenant.id}",
            why=["status: suspended", f"reason: {tenant.suspension_reason}", f"since: {tenant.suspended_at}"],
        )
    check_not_protected(tenant, "suspended")


def check_resume(tenant: Tenant) -> None:
    check_open(tenant, "resumed")
    if tenant.status != "suspended":
        raise NOT_SUSPENDED(f"{tenant.id} is not suspended.", why=[f"status: {tenant.status}"])


def check_delete(tenant: Tenant) -> None:
    check_exists(tenant)
    if tenant.status == "pending_deletion":
        raise ALREADY_PENDING_DELETION(
            f"{tenant.id} is pending deletion already; its data is purged after {tenant.purge_after}.",
            f"To keep it: watchfloor tenants restore {tenant.id}",
            why=["status: pending_deletion", f"purge after: {tenant.purge_after}"],
        )
    check_not_protected(tenant, "deleted")


def purge_instant(now: datetime, retention_days: int) -> datetime:
    return now + timedelta(days=retention_days)


def check_restore(tenant: Tenant) -> None:
    check_exists(tenant)
    if tenant.status != "pending_deletion" or tenant.deleted_from is None:
        raise NOT_DELETED(f"{tenant.id} is not pending deletion.", why=[f"status: {tenant.status}"])


def check_purge(tenant: Tenant, now: datetime) -> None:
    check_exists(tenant)
    if tenant.status != "pending_deletion" or tenant.purge_after is None:
        raise NOT_DELETED(
            f"{tenant.id} is not pending deletion, so there is nothing to purge.",
            f"Delete it first: watchfloor tenants delete {tenant.id}",
            why=[f"status: {tenant.status}"],
        )
    check_not_protected(tenant, "purged")
    if tenant.purge_after > now:
        raise PURGE_NOT_DUE(
            f"not purged: {tenant.id} is kept until {tenant.purge_after:%Y-%m-%d %H:%M} UTC "
            f"({relative(tenant.purge_after, now)}).",
            why=[f"purge after: {tenant.purge_after}", f"now: {now}"],
        )


def check_protect(tenant: Tenant, protected: bool) -> None:
    check_exists(tenant)
    if tenant.protected == protected:
        word = "protected already" if protected else "not protected"
        refused = ALREADY_PROTECTED if protected else NOT_PROTECTED
        raise refused(f"{tenant.id} is {word}.", why=[f"protected: {'yes' if protected else 'no'}"])


def check_archive(project: Project, archived: bool) -> None:
    if (project.status == "archived") == archived:
        word = "archived already" if archived else "not archived"
        refused = ALREADY_ARCHIVED if archived else NOT_ARCHIVED
        raise refused(f"Project {project.key} is {word}.", why=[f"status: {project.status}"])
