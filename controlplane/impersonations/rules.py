"""When somebody may act for a tenant, and what a sign-up may look like: pure functions.

The database guards the same rules (tests compare both); these say in words why not, before it is tried.
"""

from __future__ import annotations

import math
import re
from datetime import datetime

from controlplane.errors import Refusal
from controlplane.impersonations.model import Impersonation
from controlplane.impersonations.refusals import IMPERSONATION_OVER, IMPERSONATION_OWN, IMPERSONATION_PROTECTED
from controlplane.tenants.model import Tenant
from controlplane.tenants.rules import check_open

MAX_MINUTES = 60
DEFAULT_MINUTES = 30

ATTEMPTS_PER_HOUR = 5
MAX_EMAIL_CHARACTERS = 254
_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_NOT_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")


def check_impersonate(tenant: Tenant) -> None:
    check_open(tenant, "impersonated")
    if tenant.protected:
        raise IMPERSONATION_PROTECTED(
            f"{tenant.id} is protected: nobody may act for it.",
            f"An admin can lift that: watchfloor tenants unprotect {tenant.id}",
            why=["protected: yes"],
        )


def check_running(found: Impersonation, now: datetime) -> None:
    if found.ended_at is not None or found.ends_at <= now:
        ended = (
            f"was ended at {found.ended_at:%H:%M:%S} UTC" if found.ended_at else f"ended at {found.ends_at:%H:%M} UTC"
        )
        raise IMPERSONATION_OVER(
            f"Impersonation {found.id} of {found.tenant_id} {ended}.",
            why=[
                f"started: {found.started_at}",
                f"hard stop: {found.ends_at}",
                f"ended: {found.ended_at or 'by itself'}",
            ],
        )


def check_approve(found: Impersonation, now: datetime) -> None:
    check_running(found, now)
    if found.mode == "write":
        raise Refusal(
            "already_writing", f"Impersonation {found.id} may write already: {found.approved_by} approved it."
        )


def check_not_own(found: Impersonation, approver: str) -> None:
    if approver == found.actor:
        raise IMPERSONATION_OWN(why=[f"actor: {found.actor}"])


def minutes_left(found: Impersonation, now: datetime) -> int:
    """Minutes until the hard stop, rounded up; 0: it is over."""
    if found.ended_at is not None:
        return 0
    return max(0, math.ceil((found.ends_at - now).total_seconds() / 60))


def sign_up_fault(email: str, name: str) -> str | None:
    """`invalid_email`, `invalid_name`, or None: what `wf_data.sign_up` answers, apart from its limit of attempts."""
    local, _, domain = email.partition("@")
    if (
        len(email) > MAX_EMAIL_CHARACTERS
        or _UNSEEN.search(email)
        or not local
        or "@" in domain
        or "." not in domain
        or domain.startswith(".")
        or domain.endswith(".")
    ):
        return "invalid_email"
    if not 3 <= len(name) <= 64 or _NOT_IN_NAMES.search(name):
        return "invalid_name"
    return None
