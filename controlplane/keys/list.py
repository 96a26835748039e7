"""The lists of keys: all of them, those that are being rotated, those that are too old."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import TYPE_CHECKING

from controlplane.formatting import count, relative, spell
from controlplane.keys.model import ENVS, Key, KeyDirectory, KeyState, Level, Rotation, StaleKey, StalePolicy
from controlplane.keys.refusals import NO_KEY, NO_ROTATION, NO_STALE_KEY
from controlplane.keys.rules import is_late, why
from controlplane.lists import (
    AGE,
    COUNT,
    FLAG,
    MASKED,
    NUMBER,
    TEXTS,
    TIME,
    UNTIL,
    Cell,
    Column,
    Line,
    ListOf,
    Status,
    choice,
    status,
    toned,
)
from controlplane.text import UNKNOWN

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane
    from controlplane.keys.model import StaleListing

STATES: dict[KeyState, Status] = {
    "active": Status("●", "good"),
    "rotating": Status("◐", "warn"),
    "disabled": Status("■", "warn"),
    "expired": Status("◌", "muted"),
    "revoked": Status("✕", "bad"),
}
LEVELS: dict[Level, Status] = {
    "stale": Status("✕", "bad"),
    "warn": Status("◐", "warn", "soon"),
    "fresh": Status("●", "", "young"),
}


def _charts(key: Key | Rotation | StaleKey, now: datetime) -> str:
    from controlplane.telemetry.chartviews import View, render
    from controlplane.telemetry.model import Scope

    return render(View(Scope(key.tenant_id, key_prefix=key.display)))


def _opens(key: Key | Rotation | StaleKey) -> tuple[str, str]:
    return "keys", key.id


KEYS = ListOf(
    "keys",
    Key,
    of=lambda plane: plane.of(KeyDirectory),
    order="-created",
    summary="List API keys, newest first: tenant:acme state:active finds the valid ones of acme.",
    means="API keys, by their first characters. A secret is shown once, when it is made; only its hash is kept.",
    nothing="No keys yet. Press a, then n, to make one.",
    empty="No key matches. Press esc to clear the filter, or a, then n, to make one.",
    missing=NO_KEY,
    label=lambda key: key.display,
    opens=_opens,
    charts=_charts,
    why=lambda key, now: [(key.display, "title"), *why(key, now)],
    columns=(
        Column("display", priority=1, width=14, title="KEY", grow=True, what="the characters that may be shown"),
        Column("state", status(STATES), priority=2, width=10),
        Column("tenant", priority=3, width=12, field="tenant_id", grow=True, sorts=True),
        Column("label", priority=4, width=10, grow=True),
        Column("created", TIME, priority=5, field="created_at", sorts=True, what="time since it was made"),
        Column("used", TIME, priority=6, field="last_used_at",
               what="time since it was last used; unknown meets neither < nor >"),
        Column("expires", UNTIL._replace(none=Cell("never", "muted")), priority=7, field="expires_at",
               sorts=True, what="time until it expires"),
        Column("scope", TEXTS, priority=9, width=12, title="SCOPES", field="scopes", grow=True,
               what="one of its scopes"),
        Column("owner", priority=10, width=16, field="owner_email", cell=lambda key, now: key.owner_email or UNKNOWN,
               unsorted=MASKED, what="the owner's e-mail, as you may see it"),
        Column("project", priority=11, width=10, field="project_id"),
        Column("id", priority=8, width=30, sorts=True),
        Column("env", choice(*ENVS)),
        Column("expired", TIME, field="expires_at", what="time since it expired"),
        Column("left", NUMBER, field="expires_at", what="days until it expires; below 0 it has expired"),
    ),
)  # fmt: skip


def _why_rotation(row: Rotation, now: datetime) -> list[Line]:
    used = "whether the old key was used since then is unknown"
    if row.old_last_at is not None:
        used = f"the old key was last used {relative(row.old_last_at, now)}"
        used += f" from {row.old_last_address}" if row.old_last_address else ""
    lines: list[Line] = [
        (row.display, "title"),
        f"rotated {relative(row.rotated_at, now)}, good until {row.grace_until:%Y-%m-%d %H:%M} UTC",
        f"successor: {row.successor_id or 'none'}",
        used,
        "calls are counted from stored requests that name their key; – where none does",
    ]
    if is_late(row, now):
        lines.append(("half of the grace is over and the old key is still used: press a, then g, to extend it", "bad"))
    return lines


def _left(row: Rotation, now: datetime) -> Cell:
    return Cell(spell(max(0, int((row.grace_until - now).total_seconds()))), "warn" if is_late(row, now) else "")


ROTATIONS = ListOf(
    "rotations",
    Rotation,
    of=lambda plane: plane.of(KeyDirectory).rotations,
    order="left",
    summary="List the keys that are being rotated: who still uses the old one, and how long it stays valid.",
    means="Rotated keys in their grace, the nearest end first, with the calls since then by old and new key.",
    nothing="No key is being rotated. In :keys press a, then r, to rotate one.",
    empty="No rotation matches. Press esc to clear the filter.",
    missing=NO_ROTATION,
    label=lambda row: row.display,
    opens=_opens,
    charts=_charts,
    why=_why_rotation,
    operations=("keys.grace", "keys.disable", "keys.revoke", "keys.leak"),
    record=lambda row, now: dataclasses.asdict(row) | {"late": is_late(row, now)},
    columns=(
        Column("display", filters=False, priority=1, width=13, title="OLD KEY", grow=True),
        Column("old", COUNT, priority=2, width=6, field="old_calls", what="calls with the old key since the rotation",
               cell=lambda row, now: toned(count(row.old_calls), "warn" if row.old_calls else "")),
        Column("new", COUNT, filters=False, priority=2, width=6, field="new_calls"),
        Column("left", COUNT, filters=False, priority=2, width=7, field="grace_until", cell=_left,
               sorts=True),
        Column("late", filters=False, priority=3, width=12, title="WARNING", value=lambda row: None,
               cell=lambda row, now: Cell("! old in use", "bad") if is_late(row, now) else ""),
        Column("tenant", priority=4, width=10, field="tenant_id", grow=True),
        Column("old_last", TIME, filters=False, priority=5, title="OLD LAST", field="old_last_at"),
        Column("address", filters=False, priority=6, width=15, title="FROM", field="old_last_address",
               unsorted=MASKED,
               cell=lambda row, now: row.old_last_address or UNKNOWN),
        Column("successor", filters=False, priority=7, width=13, title="NEW KEY", field="successor_display",
               cell=lambda row, now: row.successor_display or UNKNOWN),
        Column("label", priority=8, width=10, grow=True),
        Column("id"),
        Column("env", choice(*ENVS)),
        Column("rotated", TIME, field="rotated_at", what="time since the rotation"),
    ),
)  # fmt: skip

STALE_DEFAULT = StalePolicy()


def _why_stale(row: StaleKey, now: datetime) -> list[Line]:
    days = {name: spell(value.total_seconds()) for name, value in vars(STALE_DEFAULT).items()}
    rotated = "rotated none" if row.unrotated else "rotated one, or is younger than the window"
    return [
        (row.display, "title"),
        f"it is {spell((now - row.created_at).total_seconds())} old: stale from {days['max_age']} on,"
        f" a warning from {days['warn']} on",
        f"its tenant {row.tenant_id} {rotated} in the last {days['window']}",
        f"last used: {relative(row.last_used_at, now)}",
        "other limits: watchfloor keys stale --max-age 90d --warn 60d --window 90d",
    ]


def _stale(plane: ControlPlane) -> StaleListing:
    return plane.of(KeyDirectory).stale(STALE_DEFAULT)


STALE = ListOf(
    "stale",
    StaleKey,
    of=_stale,
    order="created",
    summary="List live keys that are too old, or whose tenant rotated none in the window; counts are of all live keys.",
    means="Live keys that are too old, or whose tenant rotated none in the window. The counts are of all live keys.",
    nothing="No live key is stale, and every tenant rotated one in time.",
    empty="No stale key matches. Press esc to clear the filter.",
    missing=NO_STALE_KEY,
    name="stale keys",
    label=lambda row: row.display,
    opens=_opens,
    charts=_charts,
    why=_why_stale,
    operations=("keys.rotate", "keys.edit", "keys.disable", "keys.revoke", "keys.leak"),
    columns=(
        Column("display", filters=False, priority=1, width=14, title="KEY", grow=True),
        Column("level", status(LEVELS), priority=2, width=8),
        Column("created", AGE, priority=3, title="AGE", field="created_at", sorts=True),
        Column("used", TIME, priority=4, field="last_used_at"),
        Column("tenant", priority=5, width=12, field="tenant_id", grow=True, sorts=True),
        Column("unrotated", FLAG, priority=6, width=8, title="ROTATED",
               cell=lambda row, now: Cell("none" if row.unrotated else "", "warn"),
               what="its tenant rotated no key in the window"),
        Column("label", priority=7, width=10, grow=True),
        Column("id"),
        Column("env", choice(*ENVS)),
    ),
)  # fmt: skip
