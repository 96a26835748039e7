"""What an operator can do with silences: make one, edit it, end it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.alerts.model import Alert
from controlplane.audit.model import AuditRow, Record
from controlplane.formatting import parse_duration, parse_moment
from controlplane.matchers import parse_matchers
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.silences import rules
from controlplane.silences.directory import KeptSilence, SilenceDirectory, SilenceRow
from controlplane.silences.model import Ends, Silence
from controlplane.silences.ports import SilenceStore
from controlplane.silences.refusals import SILENCE_OVER, SILENCE_UNREADABLE
from controlplane.silences.union import matchers_of
from controlplane.silences.words import end_words, foreseen_words, matchers_text, stored_text
from controlplane.tenants.operations import Version

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.changes import Change, ControlPlane

MATCHERS, UNTIL = 'kind="burn_rate", tenant=~"acme|beta"', "2h from now, or a time; at most 7d"
STARTS, COMMENT = "now, 2h from now, or a time", "why it is silent"
Matchers = Annotated[str, Field(min_length=1, max_length=10_000, description=MATCHERS)]
Time = Annotated[str, Field(min_length=1, max_length=60)]
Comment = Annotated[str, Field(min_length=1, max_length=2000, description=COMMENT)]


class SilenceCreate(Request):
    subject = ()
    makes_a = "silence"
    matchers: Matchers
    until: Annotated[Time, Field(description=UNTIL, json_schema_extra={"also": "for"})]
    comment: Comment
    starts: Annotated[Time, Field(description=STARTS)] = "now"
    ends: Annotated[Ends, Field(description="time, or earlier: once all it hides is resolved, or unmatched")] = "time"
    after: Annotated[
        str, Field(max_length=60, description="for how long that must be so, before it ends early: 15m")
    ] = "15m"


class OneSilence(Request):
    id: Annotated[int, Field(ge=1, description="the silence's number")]
    version: Version


class SilenceEdit(OneSilence):
    matchers: Annotated[Matchers | None, Field(default=None, description=MATCHERS)]
    until: Annotated[Time | None, Field(default=None, description=UNTIL, json_schema_extra={"also": "for"})]
    comment: Annotated[Comment | None, Field(default=None, description=COMMENT)]
    starts: Annotated[Time | None, Field(default=None, description=f"while it is to come: {STARTS}")]


def _alerts(alerts: Sequence[Alert]) -> Record:
    return {"matchers": ", ".join(map(str, matchers_of(alerts)))}


def _as_it_is(silences: Sequence[KeptSilence]) -> Record:
    [silence, *more] = silences
    return {} if more else {"matchers": matchers_text(silence), "comment": silence.comment}


async def foresee(plane: ControlPlane, fields: Record) -> str:
    """Of the matchers as they are typed so far."""
    typed = str(fields.get("matchers") or "").strip()
    if not typed:
        return ""
    return foreseen_words(await plane.of(SilenceDirectory).foresee(parse_matchers(typed)))


def _open(silence: KeptSilence, now: datetime) -> None:
    if rules.state(silence, now) == "expired":
        raise SILENCE_OVER(f"Silence {silence.id} is over; it cannot be changed.", why=[end_words(silence, now)])


def _editable(silence: KeptSilence, now: datetime) -> None:
    _open(silence, now)
    if silence.fault:
        raise SILENCE_UNREADABLE(f"Silence {silence.id} cannot be read: {silence.fault}", why=[silence.fault])


def _again(row: AuditRow) -> Record:
    """A new silence like the one that was ended."""
    was = row.before or {}
    return {
        "matchers": stored_text(was.get("matchers", ())),
        "until": was.get("ends_at"),
        "starts": was.get("starts_at"),
        "comment": was.get("comment"),
        "ends": was.get("ends"),
        "after": f"{was.get('after_seconds')}s",
    }


SILENCE = Subject(
    KeptSilence,
    lambda change, request: change.of(SilenceStore).lock(request.id),
    {SilenceRow: lambda row: row.silence},
)


async def _told(change: Change, silence: KeptSilence) -> Record:
    """The silence, with what it would hide, for the preview."""
    found = await change.of(SilenceStore).foresee(silence.matchers)
    notes = [foreseen_words(found), f"matchers: {matchers_text(silence)}"]
    return {"id": silence.id, "until": silence.until, "version": silence.version, "notes": notes}


@operation(
    "silences.create",
    SilenceCreate,
    role="operator",
    risk=Risk.PREVIEW,
    key="s",
    undo="silences.end",
    begins={Alert: _alerts},
    foresees=foresee,
)
async def create(change: Change, request: SilenceCreate) -> Record:
    """Silence alerts: those that match notify nobody until it ends."""
    now, after = change.now, timedelta(seconds=parse_duration(request.after))
    starts = max(parse_moment(request.starts, now), now)
    matchers, ends_at = parse_matchers(request.matchers), parse_moment(request.until, now)
    wanted = Silence(0, matchers, starts, ends_at, change.actor, request.comment, request.ends, after)
    rules.check(wanted)
    return await _told(change, await change.of(SilenceStore).create(wanted))


@operation(
    "silences.edit",
    SilenceEdit,
    role="operator",
    risk=Risk.PREVIEW,
    key="e",
    on=SILENCE,
    check=_editable,
    begins={KeptSilence: _as_it_is},
    foresees=foresee,
    way_back="Edit it again: what it was is kept.",
)
async def edit(change: Change, request: SilenceEdit, silence: KeptSilence) -> Record:
    """Change a silence; with other matchers, a new one replaces it."""
    now = change.now
    wanted = rules.edit(
        silence,
        now,
        matchers=None if request.matchers is None else parse_matchers(request.matchers),
        starts_at=None if request.starts is None else parse_moment(request.starts, now),
        ends_at=None if request.until is None else parse_moment(request.until, now),
        comment=request.comment,
    )
    return await _told(change, await change.of(SilenceStore).edit(wanted))


@operation(
    "silences.end",
    OneSilence,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    on=SILENCE,
    check=_open,
    undo="silences.create",
    undo_request=_again,
)
async def end(change: Change, request: OneSilence, silence: KeptSilence) -> Record:
    """End a silence: what it hides notifies again from now on."""
    ended = await change.of(SilenceStore).end(silence.id)
    return {"id": ended.id, "ended_at": ended.ended_at, "version": ended.version}
