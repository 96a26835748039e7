"""What every screen knows of the program: the context that it drives, the link, and how things are shown."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from controlplane.clock import machine_now
from controlplane.errors import HomeUnreachable, Refusal
from controlplane.formatting import age
from controlplane.live import LinkState
from controlplane.text import UNKNOWN, cells, fit

if TYPE_CHECKING:
    from controlplane.alerts.model import OpenAlerts
    from controlplane.approvals.model import Desk
    from controlplane.changes import ControlPlane
    from controlplane.impersonations.model import Impersonation
    from controlplane.incidents.model import Standing
    from controlplane.undoing import UndoStep
    from screens.work import Work

TimeForm = Literal["age", "utc", "local"]
TIME_FORMS: tuple[TimeForm, ...] = ("age", "utc", "local")
PRODUCTION = "production"
MAX_TENANT_CELLS = 24
"""Cells of a tenant's id in the header, cut so that there is always room for whom the person acts for."""


@dataclass(frozen=True)
class Pending:
    """A change that the home has not answered yet."""

    what: str
    request_id: str


@dataclass
class Session:
    """One context as this console sees it. `writable_until`: when writing to a read-only context ends."""

    context: str = "home"
    environment: str = "development"
    plane: ControlPlane | None = None
    read_only: bool = False
    writable_until: datetime | None = None
    writable_since: datetime | None = None
    """When writing was opened: a clock that is set back before this instant must not lengthen it."""
    link: LinkState = field(default_factory=lambda: LinkState("connecting"))
    heard_at: datetime | None = None
    time_form: TimeForm = "age"
    undo: UndoStep | None = None
    pending: Pending | None = None
    acting: Impersonation | None = None
    """The impersonation that the person has open here."""
    open_alerts: OpenAlerts | None = None
    """None: not read yet."""
    dead_letters: int | None = None
    incidents: Sequence[Standing] = ()
    """Those under way, the most severe first."""
    waiting: Desk | None = None
    """The requests for approval that wait for this person, and a role that is raised."""
    dead_elsewhere: bool = False
    works: list[Work] = field(default_factory=list)
    following: str = ""
    """The person whose console this one follows."""
    served: bool = False
    """The console is in a browser: nothing is written on, read from, or opened by the machine that serves it."""
    vacant: bool = False
    """The home is empty: the welcome stands in place of the tenants."""
    ticks: Callable[[], float] = time.monotonic
    """Seconds that only go forward."""

    def clock(self) -> datetime:
        """The home's time; this machine's until a home has answered."""
        return machine_now() if self.plane is None else self.plane.clock.now()

    @property
    def production(self) -> bool:
        return self.environment == PRODUCTION

    @property
    def locked(self) -> bool:
        """Whether the context is read-only and not open for writing."""
        if not self.read_only:
            return False
        if self.writable_until is None:
            return True
        now = self.clock()
        return now >= self.writable_until or (self.writable_since is not None and now < self.writable_since)

    @property
    def role(self) -> str:
        return self.plane.actor.role if self.plane else ""

    def require_plane(self) -> ControlPlane:
        """The context, for reading. Raises HomeUnreachable before it was first reached."""
        if self.plane is None:
            words = self.link.words or "The home has not been reached yet."
            raise HomeUnreachable("home_unreachable", words, "R: try again now.")
        return self.plane

    def require_writing(self) -> ControlPlane:
        """The context, for changing it. Raises Refusal when that must not be tried now, with the reason."""
        plane = self.require_plane()
        if self.link.state != "live":
            why = f" ({self.link.brief})" if self.link.brief else ""
            raise HomeUnreachable(
                "link_stale",
                f"The link is down{why}, so nothing can be changed.",
                "R: try again now; data shown is old.",
            )
        if self.locked:
            raise Refusal("read_only", f"{self.context} is open read-only.", ":rw 15m REASON opens it for a while.")
        return plane

    async def read_standing(self) -> None:
        """Read what the header says besides: incidents, open alerts, dead letters, whom the person acts for now. While
        the link is down, the last answers stay.
        """
        from controlplane.alerts.model import AlertDirectory
        from controlplane.approvals.model import ApprovalDirectory
        from controlplane.impersonations.model import ImpersonationDirectory
        from controlplane.incidents.model import IncidentDirectory
        from controlplane.queues.model import CauseDirectory
        from controlplane.queues.sources import SourceDirectory

        if self.plane is None:
            return
        with suppress(Refusal):
            self.open_alerts = await self.plane.of(AlertDirectory).open_alerts()
            self.dead_letters = await self.plane.of(CauseDirectory).waiting()
            self.incidents = await self.plane.of(IncidentDirectory).under_way()
            self.waiting = await self.plane.of(ApprovalDirectory).desk()
            self.dead_elsewhere = self.plane.of(SourceDirectory).elsewhere
            if self.role != "viewer":
                self.acting = await self.plane.of(ImpersonationDirectory).mine()

    def link_words(self) -> str:
        """The header's right end. It stands still while all is well, so that an idle console sends nothing."""
        if self.link.state == "live":
            return "live (polling)" if self.link.polling else "live"
        if self.link.state == "refused":
            return "offline: refused"
        now = self.clock()
        silence = age(min(self.heard_at or now, now), now)  # also when the clock was set back
        if self.link.state == "offline":
            why = (
                f"offline: {self.link.brief}" if self.link.brief else f"offline {silence if self.heard_at else UNKNOWN}"
            )
            return f"{why}, retry in {self.link.retry_in:.0f}s"
        doing = f"{self.link.words} " if self.link.state == "connecting" and self.link.words else ""
        return doing + ("connecting" if self.heard_at is None else f"stale {silence}")

    def attention(self) -> list[str]:
        """What the header says besides: that this machine's clock is off, whom it follows, whom the person acts for,
        how long writing stays open, the incident and who has its conn, the open alerts, the dead letters, the work that
        runs."""
        words = []
        if self.plane is not None and self.plane.clock.off:
            words.append(f"local clock {self.plane.clock.off}")
        if self.following:
            words.append(f"following {self.following}")
        if self.acting is not None and (left := (self.acting.ends_at - self.clock()).total_seconds()) > 0:
            tenant = self.acting.tenant_id
            named = fit(tenant, min(cells(tenant), MAX_TENANT_CELLS), cut="middle")
            words.append(f"as {named}{' writing' if self.acting.mode == 'write' else ''} {math.ceil(left / 60)}m")
        if self.read_only and not self.locked and self.writable_until is not None:
            minutes = math.ceil((self.writable_until - self.clock()).total_seconds() / 60)
            words.append(f"writing {minutes}m")
        if self.incidents:
            from controlplane.incidents.words import header_words

            words += header_words(self.incidents, self.clock(), self.plane.actor.name if self.plane else "")
        if self.waiting is not None:
            from controlplane.approvals.words import desk_words

            words += desk_words(self.waiting, self.clock())
        if self.open_alerts is not None:
            from controlplane.alerts.words import open_words

            words += filter(None, [open_words(self.open_alerts)])
        if self.dead_letters:
            words.append(f"{self.dead_letters:,} dead{' here' if self.dead_elsewhere else ''}")
        running = [work.brief() for work in self.works if work.state == "running"]
        return words + running

    def environment_word(self) -> str:
        short = {"production": "PROD", "development": "DEV"}
        return short.get(self.environment, self.environment.upper())
