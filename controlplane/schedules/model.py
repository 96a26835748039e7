"""On-call schedules as they are read: rotations, their hours, and overrides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from controlplane.errors import Usage
from controlplane.text import clean
from controlplane.weekly import Hours
from controlplane.zones import zone_of

DAILY, WEEKLY = 24, 168
"""Hours of a shift."""
MAX_PEOPLE, MAX_ROTATIONS, MAX_HOURS, MAX_OVERRIDES = 100, 20, 20, 1_000
MAX_SHIFT = 24 * 366
NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Rotation:
    """People who take turns. `starts`: the first hand-off, by the clocks of `zone` (so without a zone itself);
    before it nobody is on call. `shift`: its length in hours by the clocks, so that hand-offs stay at their time of day
    when the clocks change. `only`: the hours of the week in which there is anybody; none: always. A shift that has none
    of these hours is nobody's turn.

    A hand-off that the clocks jump over is at the moment of that jump; of one that they show twice, the first counts.
    """

    name: str
    people: tuple[str, ...]
    starts: datetime
    shift: int = WEEKLY
    zone: str = "UTC"
    only: tuple[Hours, ...] = ()

    def __post_init__(self) -> None:
        zone_of(self.zone)
        faults = {
            f"people: a rotation has 1 to {MAX_PEOPLE}, each with a name": not 0 < len(self.people) <= MAX_PEOPLE
            or not all(self.people),
            "starts: the clocks of the rotation's zone count, so leave the offset out": self.starts.tzinfo is not None,
            f"shift: 1 to {MAX_SHIFT:,} hours": not 1 <= self.shift <= MAX_SHIFT,
            f"only: at most {MAX_HOURS} windows": len(self.only) > MAX_HOURS,
        }
        _refuse(f"The rotation {clean(self.name, 60)}", faults)


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody else for a while. "replace": whoever is on call, or only `instead_of`, in their shifts; gaps stay gaps.
    "add": for the whole time, whether or not anybody would be on call.
    """

    id: int
    person: str
    starts_at: datetime
    ends_at: datetime
    kind: Literal["replace", "add"] = "replace"
    instead_of: str = ""

    def __post_init__(self) -> None:
        faults = {
            "person: an override needs somebody": not self.person,
            "ends_at: it ends after it starts": self.ends_at <= self.starts_at,
            "instead_of: only of the kind replace": self.kind == "add" and bool(self.instead_of),
        }
        _refuse(f"Override {self.id}", faults)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Of the rotations, the first counts that has somebody at a time. Overrides then apply in the order in which they
    were made (of their ids), each to what those before it left.
    """

    name: str
    rotations: tuple[Rotation, ...] = ()
    overrides: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        names = [rotation.name for rotation in self.rotations]
        numbers = [override.id for override in self.overrides]
        faults = {
            "name: lower-case letters, digits, '.', '_' and '-'": not NAME.fullmatch(self.name),
            f"rotations: at most {MAX_ROTATIONS}, no two with one name": len({*names}) < len(names)
            or len(names) > MAX_ROTATIONS,
            f"overrides: at most {MAX_OVERRIDES:,}, no two with one id": len({*numbers}) < len(numbers)
            or len(numbers) > MAX_OVERRIDES,
        }
        _refuse(f"The schedule {clean(self.name, 60)}", faults)
        object.__setattr__(self, "overrides", tuple(sorted(self.overrides, key=lambda override: override.id)))


@dataclass(frozen=True, slots=True)
class Duty:
    """Who is on call, and by what: `shift` is the number of the rotation's shift, from 0; `override` the last that
    changed it.
    """

    person: str
    rotation: str = ""
    shift: int | None = None
    override: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A period with the same duty throughout, its end not included. None: nobody is on call."""

    start: datetime
    end: datetime
    duty: Duty | None


def _refuse(what: str, faults: dict[str, bool]) -> None:
    """Raises Usage `schedule_invalid`, which names each field that cannot be so."""
    if found := [words for words, wrong in faults.items() if wrong]:
        raise Usage("schedule_invalid", f"{what} cannot be so: {'; '.join(found)}.", why=found)
