"""Silences as a context keeps and lists them, and what it can tell of what they hide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from controlplane.alerts.model import Severity
from controlplane.listing import Listing
from controlplane.matchers import Matcher
from controlplane.silences.model import Hidden, Silence

Standing = Literal["active", "unreadable", "pending", "expired"]
STANDINGS: tuple[Standing, ...] = ("active", "unreadable", "pending", "expired")
"""In the order of the list."""


@dataclass(frozen=True, slots=True)
class KeptSilence(Silence):
    """`ended_by` None although it was ended: it ended by how it `ends`. `fault`: why it cannot be read ("": it can);
    it then has no matchers, and hides nothing.
    """

    created_at: datetime | None = None
    ended_by: str | None = None
    version: int = 1
    fault: str = ""


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """A silence as it stands. `hides`: how many open alerts it hides now (`more`: at least so many); None: none could
    be looked at, or it is not active.
    """

    silence: KeptSilence
    standing: Standing
    hides: int | None = None
    more: bool = False

    @property
    def key(self) -> str:
        return self.silence.key

    @property
    def version(self) -> int:
        return self.silence.version


@dataclass(frozen=True, slots=True)
class RecentAlert:
    """What a silence looks at in an alert (`Matched`). `tenant_id` None: the whole estate."""

    id: int
    kind: str
    tenant_id: str | None
    severity: Severity
    summary: str
    fired_at: datetime
    resolved_at: datetime | None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_labels(self) -> dict[str, str]:
        """As routing sees them: tenant, kind and severity are labels too."""
        return {**self.labels, "tenant": self.tenant_id or "", "kind": self.kind, "severity": self.severity}


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What matchers would hide. `more`: there are more alerts than were looked at, so these are the least numbers.
    `evaluated`: whether any detector ever was; without, no alert says nothing.
    """

    hidden: Hidden
    more: bool
    evaluated: bool


class SilenceDirectory(Listing[SilenceRow], Protocol):
    """The capability to show silences. Its list has those that are not over, and the newest 500 that are."""

    async def live(self, at: datetime) -> Sequence[Silence]:
        """All that are active or pending at a time: one statement, by an index. One that cannot be read hides nothing,
        and is left out.
        """
        ...

    async def foresee(self, matchers: Sequence[Matcher]) -> Foreseen:
        """What they would hide now, and would have hidden in the last 7 days: one statement over the alerts of that
        time, of at most 2,000 that are open and 2,000 that are resolved.
        """
        ...

    async def hidden(self, silence: Silence, at: datetime) -> tuple[Sequence[RecentAlert], bool]:
        """The open alerts that it hides at a time, newest first, and whether there may be more."""
        ...
