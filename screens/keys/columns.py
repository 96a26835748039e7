"""What the lists of keys show of a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controlplane.formatting import count, show, spell
from controlplane.keys.model import Key, Rotation, StaleKey
from controlplane.keys.rules import is_late
from controlplane.text import UNKNOWN
from screens.session import Session
from screens.widgets.columns import Cell, Column, Tone

STATE: dict[str, tuple[str, str, Tone]] = {
    "active": ("●", "active", "good"),
    "rotating": ("◐", "rotating", "warn"),
    "disabled": ("■", "disabled", "warn"),
    "expired": ("◌", "expired", "muted"),
    "revoked": ("✕", "revoked", "bad"),
}
LEVEL: dict[str, tuple[str, Tone]] = {
    "stale": ("✕ stale", "bad"),
    "warn": ("◐ soon", "warn"),
    "fresh": ("● young", ""),
}


def state_cell(state: str) -> Cell:
    glyph, word, tone = STATE.get(state, ("?", "unknown", "unknown"))
    return Cell(f"{glyph} {word}", tone)


def time_cell(at: datetime | None, session: Session) -> Cell:
    return Cell(UNKNOWN, "unknown") if at is None else Cell(show(at, session.clock(), session.time_form))


def calls_cell(calls: int | None, tone: Tone = "") -> Cell:
    return Cell(count(calls), "unknown" if calls is None else tone)


def key_columns(session: Session) -> Sequence[Column[Key]]:
    times = session.time_cells

    def expiry(key: Key) -> Cell:
        return Cell("never", "muted") if key.expires_at is None else time_cell(key.expires_at, session)

    return (
        Column("display", "KEY", 14, 1, lambda k: Cell(k.display), grow=True),
        Column("state", "STATE", 10, 2, lambda k: state_cell(k.state)),
        Column("tenant", "TENANT", 12, 3, lambda k: Cell(k.tenant_id), grow=True, field="tenant_id"),
        Column("label", "LABEL", 10, 4, lambda k: Cell(k.label), grow=True),
        Column("created", "CREATED", times("CREATED"), 5, lambda k: time_cell(k.created_at, session), "right",
               field="created_at"),
        Column("used", "USED", times("USED"), 6, lambda k: time_cell(k.last_used_at, session), "right",
               field="last_used_at"),
        Column("expires", "EXPIRES", times("EXPIRES"), 7, expiry, "right", field="expires_at"),
        Column("scopes", "SCOPES", 12, 9, lambda k: Cell(" ".join(k.scopes)), grow=True),
        Column("owner", "OWNER", 16, 10, lambda k: Cell(k.owner_email or UNKNOWN), field="owner_email"),
        Column("project", "PROJECT", 10, 11, lambda k: Cell(k.project_id or ""), field="project_id"),
        Column("id", "ID", 30, 8, lambda k: Cell(k.id)),
    )  # fmt: skip


def rotation_columns(session: Session) -> Sequence[Column[Rotation]]:
    def old(row: Rotation) -> Cell:
        return calls_cell(row.old_calls, "warn" if row.old_calls else "")

    def left(row: Rotation) -> Cell:
        words = spell(max(0, int((row.grace_until - session.clock()).total_seconds())))
        return Cell(words, "warn" if is_late(row, session.clock()) else "")

    def warning(row: Rotation) -> Cell:
        return Cell("! old in use", "bad") if is_late(row, session.clock()) else Cell("")

    return (
        Column("display", "OLD KEY", 13, 1, lambda r: Cell(r.display), grow=True),
        Column("old_calls", "OLD", 6, 2, old, "right"),
        Column("new_calls", "NEW", 6, 2, lambda r: calls_cell(r.new_calls), "right"),
        Column("left", "LEFT", 7, 2, left, "right", field="grace_until"),
        Column("late", "WARNING", 12, 3, warning),
        Column("tenant", "TENANT", 10, 4, lambda r: Cell(r.tenant_id), grow=True, field="tenant_id"),
        Column("old_last_at", "OLD LAST", session.time_cells("OLD LAST"), 5,
               lambda r: time_cell(r.old_last_at, session), "right"),
        Column("address", "FROM", 15, 6, lambda r: Cell(r.old_last_address or UNKNOWN), field="old_last_address"),
        Column("successor", "NEW KEY", 13, 7, lambda r: Cell(r.successor_display or UNKNOWN),
               field="successor_display"),
        Column("label", "LABEL", 10, 8, lambda r: Cell(r.label), grow=True),
    )  # fmt: skip


def stale_columns(session: Session) -> Sequence[Column[StaleKey]]:
    times = session.time_cells
    return (
        Column("display", "KEY", 14, 1, lambda k: Cell(k.display), grow=True),
        Column("level", "LEVEL", 8, 2, lambda k: Cell(*LEVEL.get(k.level, ("? unknown", "unknown")))),
        Column("created", "AGE", times("AGE"), 3, lambda k: time_cell(k.created_at, session), "right",
               field="created_at"),
        Column("used", "USED", times("USED"), 4, lambda k: time_cell(k.last_used_at, session), "right",
               field="last_used_at"),
        Column("tenant", "TENANT", 12, 5, lambda k: Cell(k.tenant_id), grow=True, field="tenant_id"),
        Column("unrotated", "ROTATED", 8, 6, lambda k: Cell("none" if k.unrotated else "", "warn")),
        Column("label", "LABEL", 10, 7, lambda k: Cell(k.label), grow=True),
    )  # fmt: skip
