"""The list of heartbeats."""

from __future__ import annotations

from datetime import datetime

from controlplane.formatting import spell
from controlplane.heartbeats.model import Heartbeat, HeartbeatDirectory, State
from controlplane.heartbeats.refusals import NO_HEARTBEAT
from controlplane.lists import DURATION, TIME, Cell, Column, Line, ListOf, Status, status
from controlplane.text import clean

STATES: dict[State, Status] = {
    "missing": Status("✕", "bad"),
    "late": Status("~", "warn"),
    "never": Status("?", "unknown"),
    "alive": Status("●", "good"),
    "retired": Status("○", "muted"),
}


def _why(heartbeat: Heartbeat, now: datetime) -> list[Line]:
    last = "never" if heartbeat.beat_at is None else f"{heartbeat.beat_at:%Y-%m-%d %H:%M:%S} UTC"
    words = {
        "alive": "it is alive",
        "never": "no heartbeat yet; the first is not due",
        "late": "a heartbeat is overdue; its grace is not over",
        "missing": "a heartbeat is overdue, and its grace is over: heartbeat_missing fires",
        "retired": "it is no longer expected",
    }
    return [
        (f"{heartbeat.name}: {heartbeat.state}", "title"),
        *([clean(heartbeat.means, 300)] if heartbeat.means else []),
        words[heartbeat.state],
        f"last beat: {last}; expected by {heartbeat.expected_at:%Y-%m-%d %H:%M:%S} UTC",
        f"every {spell(heartbeat.every)}, with a grace of {spell(heartbeat.grace)}; {heartbeat.severity} when missing",
        f"what is watched calls SELECT wf_data.beat('{heartbeat.name}')",
    ]


HEARTBEATS = ListOf(
    "heartbeats",
    Heartbeat,
    of=lambda plane: plane.of(HeartbeatDirectory),
    order="name",
    summary="List heartbeats: signs of life from programs outside. state:missing,late finds those that stay out.",
    means="Signs of life from programs outside. When one stays out, an alert fires: heartbeat_missing.",
    nothing="No heartbeat is expected. Press a, then n, to expect one.",
    empty="None matches. Press esc to clear the filter, or a, then n, to expect one.",
    key=("name",),
    missing=NO_HEARTBEAT,
    why=_why,
    columns=(
        Column("name", priority=1, width=24, title="HEARTBEAT", sorts=True, grow=True),
        Column("state", status(STATES), priority=1, width=11),
        Column("beat", TIME, priority=2, title="LAST", field="beat_at", what="when the last one came"),
        Column("every", DURATION, filters=False, priority=3, width=6, cell=lambda each, now: spell(each.every)),
        Column("grace", DURATION, filters=False, priority=5, width=6, cell=lambda each, now: spell(each.grace)),
        Column("tenant", priority=4, width=14, field="tenant_id", grow=True),
        Column("severity", filters=False, priority=6, width=9),
        Column("means", filters=False, priority=7, width=20, title="", grow=True,
               cell=lambda each, now: Cell(clean(each.means, 200), "muted")),
    ),
)  # fmt: skip
