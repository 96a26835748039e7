"""Which status of a tenant may follow which, for the tests that ask the home and the rules."""

from __future__ import annotations

from controlplane.tenants.model import Status

TRANSITIONS: frozenset[tuple[Status, Status]] = frozenset(
    {
        ("active", "suspended"),
        ("suspended", "active"),
        ("active", "pending_deletion"),
        ("suspended", "pending_deletion"),
        ("pending_deletion", "active"),
        ("pending_deletion", "suspended"),
        ("pending_deletion", "erased"),
    }
)
