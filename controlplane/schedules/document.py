"""What people write for a schedule, and the home keeps: its rotations as YAML or JSON has them. Only this reads them.

- name: week
  people: [ana, ben, cho]
  starts: 2026-01-05 09:00
  shift: 1w
  zone: Europe/Berlin
  only: [mon-fri 09:00-17:00]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from controlplane.errors import Refusal, Usage
from controlplane.schedules.model import MAX_PEOPLE, MAX_ROTATIONS, Override, Rotation, Schedule
from controlplane.schedules.texts import hours_of, hours_text, shift_of, shift_text
from controlplane.text import clean, showable

ALWAYS = "always"
MAX_PERSON = 100
MAX_WINDOWS, MAX_HANDOFFS = 20, 48
"""Of all rotations of a schedule together: its calendar of a year is then worked out within seconds."""
_SHOWN_FAULTS = 10


Person = Annotated[str, Field(min_length=1, max_length=MAX_PERSON)]


class RotationSpec(BaseModel):
    """One rotation as it is written; as a model it is what is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
    name: Annotated[str, Field(min_length=1, max_length=64)] = "main"
    people: Annotated[list[Person], Field(min_length=1, max_length=MAX_PEOPLE)]
    starts: str
    shift: str = "1w"
    zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    only: list[str] = []

    @field_validator("starts", mode="before")
    @classmethod
    def _starts(cls, value: Any) -> str:
        """YAML reads a time as such; the zone's clocks count."""
        try:
            at = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise ValueError("not a time: write 2026-01-05 09:00, by the clocks of the zone") from None
        if at.tzinfo is not None:
            raise ValueError("the clocks of the zone count, so leave the offset out")
        if not 2000 <= at.year < 2100:
            raise ValueError("between the years 2000 and 2099")
        return at.isoformat(" ", "minutes")

    @field_validator("shift", mode="before")
    @classmethod
    def _shift(cls, value: Any) -> str:
        return shift_text(shift_of(value))

    @field_validator("only")
    @classmethod
    def _only(cls, value: list[str]) -> list[str]:
        return [hours_text(hours_of(each)) for each in value if each.strip().lower() != ALWAYS]

    @field_validator("people")
    @classmethod
    def _people(cls, value: list[str]) -> list[str]:
        if not all(map(showable, value)):
            raise ValueError("a name holds characters that cannot be shown")
        return value

    @model_validator(mode="after")
    def _sound(self) -> RotationSpec:
        try:
            self.made()
        except Refusal as fault:
            raise ValueError(fault.message.rstrip(".")) from None
        return self

    def made(self) -> Rotation:
        only = tuple(map(hours_of, self.only))
        return Rotation(
            self.name, tuple(self.people), datetime.fromisoformat(self.starts), shift_of(self.shift), self.zone, only
        )


ROTATIONS = Annotated[list[RotationSpec], Field(min_length=1, max_length=MAX_ROTATIONS)]
_READER: TypeAdapter[list[RotationSpec]] = TypeAdapter(ROTATIONS)


def kept_form(name: str, rotations: Any) -> list[dict[str, Any]]:
    """The document as it is kept, with every field. Raises Usage `schedule_invalid`."""
    return [spec.model_dump() for spec in _read(name, rotations)]


def schedule_of(name: str, rotations: Any, overrides: Sequence[Override] = ()) -> Schedule:
    """Raises Usage `schedule_invalid`, which names each field that cannot be so."""
    rotations = tuple(spec.made() for spec in _read(name, rotations))
    windows, handoffs = sum(len(each.only) for each in rotations), sum(24 / each.shift for each in rotations)
    if windows > MAX_WINDOWS or handoffs > MAX_HANDOFFS:
        words = f"a schedule has at most {MAX_WINDOWS} windows in total, and {MAX_HANDOFFS} hand-offs a day"
        raise Usage("schedule_invalid", f"The schedule {clean(name, 60)} cannot be so: {words}.", why=[words])
    return Schedule(name, rotations, tuple(overrides))


def _read(name: str, rotations: Any) -> list[RotationSpec]:
    try:
        return _READER.validate_python(rotations)
    except ValidationError as error:
        faults = [clean(_words(fault), 200) for fault in error.errors()[:_SHOWN_FAULTS]]
        raise Usage(
            "schedule_invalid", f"The schedule {clean(name, 60)} cannot be so: {'; '.join(faults)}.", why=faults
        ) from None


def _words(fault: Mapping[str, Any]) -> str:
    place = ".".join(map(str, fault["loc"]))
    return f"{place or 'rotations'}: {str(fault['msg']).removeprefix('Value error, ').rstrip('.')}"
