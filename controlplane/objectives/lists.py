"""An objective as a row of a list: what filters meet, where it stands in each order, and what `--json` has of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controlplane.filters.grammar import Term, matches
from controlplane.listing import Position
from controlplane.objectives.model import STATES, Standing

BELOW_ALL = -1e300
"""Unknown sorts below every number, as in every list."""


@dataclass(frozen=True)
class Placed:
    standing: Standing

    @property
    def record(self) -> dict[str, Any]:
        """Field → value, for filters."""
        objective = self.standing.objective
        texts = {name: getattr(objective, name) or "" for name in ("name", "plan", "route", "kind")}
        return texts | {
            "": [objective.name, objective.scope],
            "id": objective.key,
            "tenant": objective.tenant_id or "",
            "state": self.standing.state.partition(" ")[0],
            "target": objective.target,
            "budget": self.standing.remaining,
            "burn": self.standing.burn,
        }

    def position(self, sort: str) -> Position:
        standing = self.standing
        value: Any = {
            "budget": standing.remaining,
            "burn": standing.burn,
            "target": standing.objective.target,
            "state": STATES.index(standing.state),
            "name": standing.objective.name,
        }[sort]
        return (BELOW_ALL if value is None else value, standing.objective.id)


def shown(standings: Iterable[Standing], terms: Sequence[Term], now: datetime) -> list[Standing]:
    """What a filter leaves. Retired ones are only there when it names them."""
    retired = any(t.field == "state" and "retired" in t.values and not t.negated for t in terms)
    among = [each for each in standings if retired or each.state != "retired"]
    return [each for each in among if matches(terms, placed(each).record, now)]


def placed(standing: Standing) -> Placed:
    return Placed(standing)


def as_record(standing: Standing) -> dict[str, Any]:
    """Every field, flat, for `d`, exports and `--json`."""
    record = dataclasses.asdict(standing.objective) | {"scope": standing.objective.scope}
    record |= {
        name: getattr(standing, name)
        for name in ("state", "remaining", "remaining_raw", "remaining_contractual", "burn", "newest", "as_of")
    }
    record |= {"why": list(standing.why), "window_start": standing.start, "window_end": standing.end}
    record |= {"empties_in_seconds": standing.empties_in}
    for name, counts in (("raw", standing.raw), ("adjusted", standing.adjusted)):
        record |= {f"{name}_good": counts.good, f"{name}_total": counts.total}
    return record
