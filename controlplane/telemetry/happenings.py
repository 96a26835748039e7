"""What happened to a scope, shown as marks on its charts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controlplane.audit.model import AuditRow
    from controlplane.telemetry.charts import Tone

BAD = ("suspend", "revoke", "purge", "erase", "expire", "cancel", "leak")
CHANGED = "▲"
"""The glyph of a change."""
RISES, FALLS = "◢", "◣"
"""The glyphs of a change of the share of errors."""
GOOD = ("resume", "reactivate", "restore", "provision", "create")


@dataclass(frozen=True)
class Happening:
    """`source`: where it is written down, as "audit 41". `glyph`: what marks it on a chart."""

    at: datetime
    words: str
    tone: Tone
    source: str
    glyph: str = CHANGED


def happenings(rows: Iterable[AuditRow]) -> list[Happening]:
    """Changes to the scope, from the trail, in order of time; one change of many things is one of them."""
    found: dict[tuple[str, datetime], list[AuditRow]] = {}
    for row in sorted(rows, key=lambda row: row.seq):
        found.setdefault((row.operation, row.at), []).append(row)
    happened = []
    for (operation, at), same in found.items():
        verb = operation.rpartition(".")[2]
        tone: Tone = "bad" if verb.startswith(BAD) else "good" if verb.startswith(GOOD) else "warn"
        thing = same[0].thing if len(same) == 1 else f"{len(same)} rows"
        reason = f": {same[0].reason}" if same[0].reason else ""
        words = f"{operation} {thing} by {same[0].actor}{reason}"
        happened.append(Happening(at, words, tone, f"audit {same[0].seq}"))
    return happened
