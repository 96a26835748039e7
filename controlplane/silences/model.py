"""Silences as they are read, and what they look at in an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from controlplane.alerts.model import Severity
from controlplane.matchers import Matcher

Ends = Literal["time", "resolved", "unmatched"]
"""When a silence ends: at its end; before it, once all alerts that it hid are resolved, or it has nothing to hide."""
ENDS: tuple[Ends, ...] = ("time", "resolved", "unmatched")
State = Literal["pending", "active", "expired"]
STATES: tuple[State, ...] = ("pending", "active", "expired")
DEFAULT_QUIET = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Silence:
    """Every matcher has to match. `ended_at`: when it was ended before `ends_at`, by a person or by how it `ends`.
    `after`: how long there must have been nothing to hide before it ends by that. `replaces`: the silence of which this
    is the edited form.
    """

    id: int
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    ends: Ends = "time"
    after: timedelta = DEFAULT_QUIET
    ended_at: datetime | None = None
    replaces: int | None = None

    @property
    def key(self) -> str:
        return str(self.id)

    @property
    def until(self) -> datetime:
        return self.ends_at if self.ended_at is None else min(self.ends_at, self.ended_at)


class Matched(Protocol):
    """What a silence looks at in an alert. `resolved_at` None: it fires, or its source is silent."""

    @property
    def all_labels(self) -> Mapping[str, str]:
        """With tenant, kind and severity."""
        ...

    @property
    def severity(self) -> Severity: ...

    @property
    def fired_at(self) -> datetime: ...

    @property
    def resolved_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Hidden:
    """How many alerts a silence would hide that fire now, and would have hidden in the last 7 days; `worst`: how many
    of those are critical.
    """

    now: int
    week: int
    worst: int


@dataclass(frozen=True, slots=True)
class Edit:
    """What an edit of a silence does: `kept` is the row as it then is, `added` the one that takes its place, if any."""

    kept: Silence
    added: Silence | None = None
