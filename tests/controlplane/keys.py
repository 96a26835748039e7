"""Keys and rotations without a home."""

from __future__ import annotations

from datetime import datetime

from controlplane.keys.model import Key, Rotation


def a_key(now: datetime, **instead: object) -> Key:
    fields: dict[str, object] = {
        **dict.fromkeys(("project_id", "owner_email", "expires_at", "spend_cap", "rotated_from", "rotated_to")),
        **dict.fromkeys(("rotated_at", "grace_until", "disabled_at", "revoked_at", "revoked_reason")),
        **{"id": "key_1", "tenant_id": "acme", "env": "live", "display": "wf_live_abcd", "label": "", "scopes": []},
        **{"addresses": [], "state": "active", "version": 1, "created_at": now, "updated_at": now, "created_by": "ana"},
    }
    return Key(**(fields | instead))  # type: ignore[arg-type]


def a_rotation(rotated: datetime, until: datetime, used: datetime | None) -> Rotation:
    return Rotation(
        *("key_1", "acme", "live", "wf_live_abcd", "", rotated, until, "key_2", "wf_live_efgh"),  # type: ignore[arg-type]
        old_calls=1 if used else None,
        new_calls=1,
        old_last_at=used,
        old_last_address=None,
        version=1,
    )
