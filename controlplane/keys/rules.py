"""What may happen to a key and when: pure functions of the row and the time.

The database guards the same rules (a test compares both); these say in words why not, before it is tried.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from controlplane.formatting import relative
from controlplane.keys.model import Key, KeyState, Rotation
from controlplane.keys.refusals import (
    ALREADY_DISABLED,
    KEY_NOT_ALIVE,
    KEY_NOT_ROTATING,
    KEY_REVOKED,
    KEY_ROTATED_ONCE,
    NOT_DISABLED,
)


def state(key: Key, now: datetime) -> KeyState:
    """The worst state that applies: revoked before disabled before expired. The same as wf.key_state in the home."""
    if key.revoked_at is not None and key.revoked_at <= now:
        return "revoked"
    if key.disabled_at is not None and key.disabled_at <= now:
        return "disabled"
    ends = [end for end in (key.expires_at, key.grace_until) if end is not None]
    if ends and min(ends) <= now:
        return "expired"
    return "rotating" if key.grace_until is not None else "active"


def why(key: Key, now: datetime) -> list[str]:
    """The path that led to its state."""
    lines = [f"state: {state(key, now)}"]
    if key.revoked_at:
        lines.append(f"revoked {relative(key.revoked_at, now)}: {key.revoked_reason}")
    if key.disabled_at:
        lines.append(f"disabled {relative(key.disabled_at, now)}")
    if key.expires_at:
        lines.append(f"expires {key.expires_at:%Y-%m-%d %H:%M} UTC ({relative(key.expires_at, now)})")
    if key.grace_until:
        lines.append(f"rotated {relative(key.rotated_at, now)}, good until {key.grace_until:%Y-%m-%d %H:%M} UTC")
    return lines


def check_not_revoked(key: Key, now: datetime) -> None:
    if key.revoked_at is not None:
        raise KEY_REVOKED(
            f"{key.display} is revoked: {key.revoked_reason}",
            "That cannot be undone. Make another: watchfloor keys create.",
            why(key, now),
        )


def check_rotate(key: Key, now: datetime) -> None:
    """A dead key cannot have a successor, and a rotating one has its successor already."""
    found = state(key, now)
    if found == "rotating":
        raise KEY_ROTATED_ONCE(
            f"{key.display} was rotated already; the new key is {key.rotated_to}.",
            "Rotate the new key, or end the grace of this one: keys grace",
            why(key, now),
        )
    if found != "active":
        raise KEY_NOT_ALIVE(
            f"{key.display} is {found}, so it cannot be rotated.",
            f"Make a new one: watchfloor keys create {key.tenant_id}",
            why(key, now),
        )


def check_grace(key: Key, now: datetime) -> None:
    found = state(key, now)
    if found != "rotating":
        raise KEY_NOT_ROTATING(f"{key.display} is {found}: it has no grace now.", "", why(key, now))


def check_disable(key: Key, now: datetime) -> None:
    check_not_revoked(key, now)
    if key.disabled_at is not None:
        raise ALREADY_DISABLED(f"{key.display} is disabled already.", "To enable it: keys enable", why(key, now))


def check_enable(key: Key, now: datetime) -> None:
    check_not_revoked(key, now)
    if key.disabled_at is None:
        raise NOT_DISABLED(f"{key.display} is not disabled.", "", why(key, now))


def check_leak(key: Key, now: datetime) -> None:
    if state(key, now) not in ("active", "rotating"):
        raise KEY_NOT_ALIVE(
            f"{key.display} is {state(key, now)}: it is refused everywhere already.",
            f"To refuse it for ever: watchfloor keys revoke {key.id}",
            why(key, now),
        )


def grace_end(key: Key, now: datetime, until: datetime) -> datetime:
    """Never before now, and never after the key itself expires."""
    return min(max(now, until), key.expires_at or datetime.max.replace(tzinfo=now.tzinfo))


def successor_expiry(key: Key, now: datetime) -> datetime | None:
    """A successor gets the whole lifetime that the key it replaces was made with."""
    return None if key.expires_at is None else now + (key.expires_at - key.created_at)


def is_late(rotation: Rotation, now: datetime) -> bool:
    """Whether half of the grace is over and the old key was used within the last half grace: somebody still uses it."""
    half: timedelta = (rotation.grace_until - rotation.rotated_at) / 2
    used = rotation.old_last_at
    return now >= rotation.rotated_at + half and used is not None and used >= now - half
