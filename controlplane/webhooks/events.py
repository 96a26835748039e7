"""What tenants' webhooks can be told of. The home notes each in the transaction in which it happens."""

from __future__ import annotations

from collections.abc import Mapping

EVENTS: Mapping[str, str] = {
    "plan.changed": "the tenant has another plan",
    "trial.expiring": "its trial ends within 7 days, 3 days, 1 day",
    "trial.expired": "its trial is over",
    "quota.near": "most of a quota is used",
    "quota.exceeded": "a use was refused because a quota is used up; once in each of the quota's periods",
    "key.created": "a key was made",
    "key.rotated": "a key was rotated",
    "key.disabled": "a key was disabled",
    "key.enabled": "a key was enabled again",
    "key.revoked": "a key was revoked",
    "key.expiring": "a key expires within 7 days, 1 day",
    "tenant.suspended": "the tenant was suspended",
    "tenant.resumed": "the tenant is no longer suspended",
    "tenant.deleted": "the tenant was deleted; its data is kept until the purge",
    "tenant.restored": "the tenant was restored before the purge",
}
"""Each type, and when it is told."""
ALL = "*"
