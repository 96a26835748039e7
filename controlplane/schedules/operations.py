"""What an operator can do with schedules, and with the overrides that put somebody else on call for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator, model_validator

from controlplane.audit.model import Record
from controlplane.formatting import parse_moment
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.schedules.calendar import turns, zones_of
from controlplane.schedules.directory import KeptSchedule, ScheduleDirectory, ScheduleRow
from controlplane.schedules.document import ALWAYS, ROTATIONS, Person, kept_form, schedule_of
from controlplane.schedules.model import Override, Schedule
from controlplane.schedules.ports import ScheduleStore
from controlplane.schedules.refusals import (
    OVERRIDE_INSTEAD_OF,
    OVERRIDE_TIMES,
    SCHEDULE_NOT_RETIRED,
    SCHEDULE_RETIRED,
    SCHEDULE_SEVERAL,
)
from controlplane.schedules.rules import uncovered
from controlplane.schedules.words import now_words, proof_words
from controlplane.tenants.operations import Version, readable

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", description="the schedule's name: primary, ops …")]
People = Annotated[list[Person] | None, Field(default=None, description="who takes turns, in order: ana, ben")]
Text = Annotated[str, Field(min_length=1, max_length=60)]
STARTS = "the first hand-off by the zone's clocks: 2026-01-05 09:00"
SHIFT, ZONE = "how long a turn is: 12h, 1d, 1w", "Europe/Berlin …"
ONLY = f"when there is anybody: mon-fri 09:00-17:00; {ALWAYS}"
FILE = "the rotations in full, from a file, instead of people and what follows"
SIMPLE = ("people", "starts", "shift", "zone", "only")
"""The fields of a schedule with one rotation, which a form can ask for."""


class ScheduleCreate(Request):
    subject = ("name",)
    makes = ("name",)
    name: Name
    people: People
    starts: Annotated[Text | None, Field(default=None, description=STARTS)]
    shift: Annotated[Text, Field(default="1w", description=SHIFT)]
    zone: Annotated[Text, Field(default="UTC", description=ZONE)]
    only: Annotated[list[Text] | None, Field(default=None, description=ONLY)]
    rotations: Annotated[ROTATIONS | None, Field(default=None, description=FILE)]

    @model_validator(mode="after")
    def _one_way(self) -> ScheduleCreate:
        if (self.people is None) == (self.rotations is None):
            raise ValueError("say who takes turns, or give the rotations in a file")
        if self.people is not None and self.starts is None:
            raise ValueError(f"starts: {STARTS}")
        return self


class OneSchedule(Request):
    """A schedule, at the version that was seen."""

    subject = ("name",)
    name: Name
    version: Version


class ScheduleEdit(OneSchedule):
    people: People
    starts: Annotated[Text | None, Field(default=None, description=STARTS)]
    shift: Annotated[Text | None, Field(default=None, description=SHIFT)]
    zone: Annotated[Text | None, Field(default=None, description=ZONE)]
    only: Annotated[list[Text] | None, Field(default=None, description=ONLY)]
    rotations: Annotated[ROTATIONS | None, Field(default=None, description=FILE)]

    def given(self) -> Record:
        return self.model_dump(include={*SIMPLE}, exclude_none=True)

    @model_validator(mode="after")
    def _one_way(self) -> ScheduleEdit:
        if bool(self.given()) == (self.rotations is not None):
            raise ValueError("say what changes of its one rotation, or give all rotations in a file")
        return self


class ScheduleOverride(Request):
    subject = ("name",)
    name: Name
    person: Annotated[Person, Field(description="who is on call instead")]
    until: Annotated[Text, Field(description="8h from now, or a time", json_schema_extra={"also": "for"})]
    starts: Annotated[Text, Field(description="now, 2h from now, or a time: 2026-12-24 18:00 Europe/Berlin")] = "now"
    instead_of: Annotated[
        str, Field(default="", max_length=100, description="only in this person's shifts; empty: whoever is on call")
    ]
    add: Annotated[bool, Field(default=False, description="also when nobody would be on call")]

    _readable = field_validator("person", "instead_of")(readable)


class OneOverride(Request):
    subject = ("number",)
    number: Annotated[int, Field(ge=1, description="the override's number")]


def _as_it_is(schedules: Sequence[KeptSchedule]) -> Record:
    """The fields of its one rotation, which a form can ask for. Raises Refusal `schedule_several`."""
    kept = schedules[0]
    [rotation] = kept_form(kept.name, wanted(kept, {}))
    lists = {name: ", ".join(rotation.get(name) or []) for name in ("people", "only")}
    return {name: lists.get(name, rotation.get(name)) for name in SIMPLE}


def _live(kept: KeptSchedule, now: datetime) -> None:
    if kept.retired_at is not None:
        raise SCHEDULE_RETIRED(
            f"{kept.name} is retired.", f"To bring it back: watchfloor schedules restore {kept.name}"
        )


def _retired(kept: KeptSchedule, now: datetime) -> None:
    if kept.retired_at is None:
        raise SCHEDULE_NOT_RETIRED(f"{kept.name} is not retired.")


def _one_rotation(fields: Record) -> list[Record]:
    """The document of a schedule of one rotation."""
    return [{name: fields[name] for name in SIMPLE if fields.get(name) is not None} | {"name": "main"}]


def wanted(kept: KeptSchedule, given: Record) -> list[Record]:
    """The document in which the one rotation has other fields. Raises Refusal `schedule_several`."""
    if kept.schedule is None or len(kept.rotations) != 1:
        words = "has several rotations" if kept.schedule else "cannot be read"
        hint = f"Edit it in a file: watchfloor schedules edit {kept.name} --rotations FILE"
        raise SCHEDULE_SEVERAL(f"{kept.name} {words}.", hint)
    return [kept.rotations[0] | given]


def sound(name: str, rotations: Sequence[Record], overrides: Sequence[Override] = ()) -> tuple[Schedule, list[Record]]:
    """The schedule, and its document as it is kept. Raises Usage `schedule_invalid`."""
    document = kept_form(name, rotations)
    return schedule_of(name, document, overrides), document


async def notes(schedule: Schedule, now: datetime) -> list[str]:
    """Who is on call by it, and when nobody is: for the preview, and while a form is filled in."""
    proof = await asyncio.to_thread(uncovered, schedule, now)  # slow
    return [now_words(turns(schedule, now), zones_of(schedule)), proof_words(proof)]


async def foresee(plane: ControlPlane, fields: Record) -> str:
    given: dict[str, Any] = {name: str(fields.get(name) or "").strip() for name in SIMPLE}
    given = {name: value for name, value in given.items() if value}
    for name in ("people", "only"):
        if name in given:
            given[name] = [part.strip() for part in given[name].split(",") if part.strip()]
    if not {"people", "starts"} <= given.keys():
        return ""
    name, now = str(fields.get("name") or "new"), plane.clock.now()
    overrides: tuple[Override, ...] = ()
    document = _one_rotation(given)
    if "version" in fields:
        row = await plane.of(ScheduleDirectory).get(name)
        document, now = wanted(row.kept, given), row.at
        overrides = row.kept.schedule.overrides if row.kept.schedule else ()
    schedule, _ = sound(name, document, overrides)
    return "; ".join(await notes(schedule, now))


SCHEDULE = Subject(
    KeptSchedule,
    lambda change, request: change.of(ScheduleStore).lock(request.name),
    {ScheduleRow: lambda row: row.kept},
)


@operation(
    "schedules.create",
    ScheduleCreate,
    role="operator",
    risk=Risk.PREVIEW,
    key="n",
    undo="schedules.retire",
    foresees=foresee,
)
async def create(change: Change, request: ScheduleCreate) -> Record:
    """Create a schedule: people take turns at being on call."""
    given = request.model_dump()
    schedule, document = sound(request.name, given["rotations"] or _one_rotation(given))
    await change.of(ScheduleStore).create(request.name, document)
    return {"name": request.name, "notes": await notes(schedule, change.now)}


@operation(
    "schedules.edit",
    ScheduleEdit,
    role="operator",
    risk=Risk.PREVIEW,
    key="e",
    undo="schedules.edit",
    on=SCHEDULE,
    check=_live,
    begins={KeptSchedule: _as_it_is},
    foresees=foresee,
)
async def edit(change: Change, request: ScheduleEdit, kept: KeptSchedule) -> Record:
    """Change who takes turns, and when."""
    rotations = request.model_dump()["rotations"] or wanted(kept, request.given())
    overrides = [made for each in kept.overrides if (made := each.made())]
    schedule, document = sound(kept.name, rotations, overrides)
    await change.of(ScheduleStore).update(kept.name, {"rotations": document})
    return {"name": kept.name, "notes": await notes(schedule, change.now)}


@operation(
    "schedules.retire",
    OneSchedule,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    undo="schedules.restore",
    on=SCHEDULE,
    check=_live,
)
async def retire(change: Change, request: OneSchedule, kept: KeptSchedule) -> Record:
    """Retire a schedule: nobody is on call by it."""
    await change.of(ScheduleStore).update(kept.name, {"retired_at": change.now})
    return {"name": kept.name}


@operation(
    "schedules.restore",
    OneSchedule,
    role="operator",
    risk=Risk.CONFIRM,
    key="t",
    undo="schedules.retire",
    on=SCHEDULE,
    check=_retired,
)
async def restore(change: Change, request: OneSchedule, kept: KeptSchedule) -> Record:
    """Restore a retired schedule."""
    await change.of(ScheduleStore).update(kept.name, {"retired_at": None})
    return {"name": kept.name}


@operation(
    "schedules.override",
    ScheduleOverride,
    role="operator",
    risk=Risk.PREVIEW,
    key="o",
    undo="schedules.end-override",
    on=SCHEDULE,
    check=_live,
    writes="overrides",
)
async def override(change: Change, request: ScheduleOverride, kept: KeptSchedule) -> Record:
    """Put somebody else on call for a while."""
    now = change.now
    starts, ends = max(parse_moment(request.starts, now), now), parse_moment(request.until, now)
    if ends <= starts:
        raise OVERRIDE_TIMES()
    if request.add and request.instead_of:
        raise OVERRIDE_INSTEAD_OF()
    columns = {"schedule": kept.name, "person": request.person, "starts_at": starts, "ends_at": ends}
    columns |= {"kind": "add" if request.add else "replace", "instead_of": request.instead_of}
    made = await change.of(ScheduleStore).override(columns)
    return {"number": made.id, "schedule": kept.name, "starts_at": made.starts_at, "ends_at": made.ends_at}


@operation(
    "schedules.end-override",
    OneOverride,
    role="operator",
    risk=Risk.CONFIRM,
    key="z",
    writes="overrides",
    way_back="Make another.",
)
async def end_override(change: Change, request: OneOverride) -> Record:
    """End an override: whoever would be on call is on call again."""
    ended = await change.of(ScheduleStore).end_override(request.number)
    return {"number": ended.id, "schedule": ended.schedule, "ended_at": ended.ended_at}
