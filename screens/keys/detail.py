"""One key: facts and the chain of its rotations, who uses it, the timeline of all that happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.formatting import count, relative
from controlplane.keys.list import KEYS, STATES
from controlplane.keys.model import Key, KeyCalls, KeyDirectory, KeyLeak
from controlplane.lists import Line, status_cell
from controlplane.plans.currencies import money
from controlplane.subscriptions.model import SubscriptionDirectory
from controlplane.telemetry.anomalies import BASELINE, WINDOW, Limits, UsageReport
from controlplane.telemetry.model import RequestTelemetry, Scope
from controlplane.text import UNKNOWN, clean, fit
from screens.detail import API_KEYS, MAX_TITLE, PLAN, TENANT, DetailScreen
from screens.keys.usage import usage_lines, usage_why
from screens.panes import Facts, Reading, Seen, timeline

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

USES = timedelta(days=30)


@dataclass(frozen=True)
class KeyRead:
    """A key with the chain of its rotations, its leaks, and the currency of its spend cap."""

    key: Key
    chain: Sequence[Key]
    leaks: Sequence[KeyLeak]
    currency: str | None


@dataclass(frozen=True)
class Calls:
    """How it is used by the hour, and who called with it."""

    usage: UsageReport
    uses: Sequence[KeyCalls]


async def read_calls(plane: ControlPlane, read: KeyRead, now: datetime) -> Calls:
    key = read.key
    usage = await plane.of(RequestTelemetry).key_usage(key.tenant_id, WINDOW, BASELINE, Limits(), key.display)
    return Calls(usage, await plane.of(KeyDirectory).calls(key.id, now - USES))


CALLS = Reading(read_calls, every=30.0)
"""It counts a month of requests."""


class KeyScreen(DetailScreen[KeyRead]):
    noun = "keys"
    rows = Key
    means = (
        "One key: its facts and rotations; its use against the week before, and who called with it; all changes. "
        "w shows the numbers behind anything unusual."
    )
    panes = (
        Facts("facts", lambda seen: facts(seen.thing, seen.now)),
        Facts("uses", lambda seen: calls_lines(seen.of(CALLS), seen.now)),
        timeline("thing", "keys"),
    )
    grid = ("facts uses", "facts timeline")
    readings = (CALLS,)
    related = (TENANT, PLAN, API_KEYS)

    async def read(self, plane: ControlPlane) -> KeyRead:
        key = await plane.of(KeyDirectory).get(self.thing_id)
        chain, leaks = await plane.of(KeyDirectory).chain(key.id), await plane.of(KeyDirectory).leaks(key.id)
        return KeyRead(
            key,
            chain,
            leaks,
            None if key.spend_cap is None else await plane.of(SubscriptionDirectory).currency(key.tenant_id),
        )

    def row_of(self, thing: KeyRead) -> Key:
        return thing.key

    @property
    def label(self) -> str:
        return self.row.display if self.row else self.thing_id

    def scope(self) -> Scope | None:
        return None if self.row is None else Scope(self.row.tenant_id, key_prefix=self.row.display)

    def why(self, seen: Seen[KeyRead]) -> list[Line]:
        calls = seen.known(CALLS)
        return [*KEYS.why(seen.thing.key, seen.now), *(["", *usage_why(calls.usage)] if calls else [])]


def facts(read: KeyRead, now: datetime) -> list[Line]:
    """The facts of a key, in reading order; what is unknown is shown as unknown."""
    key = read.key
    lines: list[Line] = [(clean(key.label or key.display, MAX_TITLE), "title"), status_cell(STATES, key.state)]
    if key.revoked_at:
        lines.append((f"  {relative(key.revoked_at, now)}: {key.revoked_reason}", "bad"))
    lines += [(f"  leaked {relative(leak.at, now)}: {leak.reason} ({leak.actor})", "bad") for leak in read.leaks]
    if key.grace_until:
        over = key.grace_until <= now
        words = f"{'was good' if over else 'good'} until {key.grace_until:%Y-%m-%d %H:%M} UTC"
        lines.append((f"  {words} ({relative(key.grace_until, now)})", "muted" if over else "warn"))
    used = relative(key.last_used_at, now)
    rows = {
        "shown": key.display,
        "id": key.id,
        "tenant": f"{key.tenant_id}, {key.env}",
        "project": key.project_id or "all of the tenant",
        "scopes": " ".join(key.scopes) or "none: everything is denied",
        "addresses": " ".join(key.addresses) or "from anywhere",
        "owner": key.owner_email or UNKNOWN,
        "expires": relative(key.expires_at, now) if key.expires_at else "never",
        "spend cap": f"{money(key.spend_cap, read.currency)} a month" if key.spend_cap is not None else "none",
        "used": used + (f" from {key.last_address}" if key.last_address else ""),
        "created": f"{relative(key.created_at, now)} by {key.created_by}",
        "changed": f"{relative(key.updated_at, now)}, version {key.version}",
    }
    lines += ["", *(f"{name:<11}{value}" for name, value in rows.items())]
    if len(read.chain) > 1:
        lines += ["", ("rotations, oldest first", "title")]
        for each in read.chain:
            here = "›" if each.id == key.id else " "
            lines.append(f"{here} {each.display}  {each.state}, made {relative(each.created_at, now)}")
    return lines


def calls_lines(calls: Calls, now: datetime) -> list[Line]:
    """By the hour first, where that is known."""
    parts = [usage_lines(calls.usage), use_lines(calls.uses, now)]
    first, second = parts if calls.usage.rows else reversed(parts)
    return [*first, "", *second]


def use_lines(calls: Sequence[KeyCalls], now: datetime) -> list[Line]:
    if not calls:
        return [
            "No call that names this key is stored in the last 30 days.",
            ("whether it is used is not known", "muted"),
        ]
    lines: list[Line] = [("   calls  from             last       route", "title")]
    for use in calls:
        address, last = fit(use.address or UNKNOWN, 15), fit(relative(use.last_at, now), 9)
        lines.append(f"{count(use.calls):>8}  {address}  {last}  {use.route}")
    if not all(use.whole for use in calls):
        lines.append(("counted: the newest 500,000 calls only", "warn"))
    return lines
