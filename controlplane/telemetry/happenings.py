"""Changes to a scope, shown as marks on its charts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from controlplane.audit.model import AuditRow
from controlplane.telemetry.charts import Tone

BAD = ("suspend", "revoke", "purge", "erase", "expire", "cancel", "leak")
GOOD = ("resume", "reactivate", "restore", "provision", "create")


@dataclass(frozen=True)
class Happening:
    """A change to the scope, from the audit trail."""

    at: datetime
    what: str
    actor: str
    reason: str
    thing: str
    seq: int
    tone: Tone

    @property
    def words(self) -> str:
        return f"{self.what} {self.thing} by {self.actor}" + (f": {self.reason}" if self.reason else "")


def happenings(rows: Iterable[AuditRow]) -> list[Happening]:
    """In order of time; one change of many things is one of them."""
    found: dict[tuple[str, datetime], list[AuditRow]] = {}
    for row in sorted(rows, key=lambda row: row.seq):
        found.setdefault((row.operation, row.at), []).append(row)
    happened = []
    for (operation, at), same in found.items():
        verb = operation.rpartition(".")[2]
        tone: Tone = "bad" if verb.startswith(BAD) else "good" if verb.startswith(GOOD) else "warn"
        thing = same[0].thing if len(same) == 1 else f"{len(same)} rows"
        happened.append(Happening(at, operation, same[0].actor, same[0].reason or "", thing, same[0].seq, tone))
    return happened
