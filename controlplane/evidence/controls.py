"""Controls, as auditors count them, and whether fresh evidence shows that each is kept. Data, not code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from controlplane.errors import Usage
from controlplane.formatting import parse_duration, relative, spell
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.evidence.model import Evidence

State = Literal["missing", "stale", "unmapped", "fresh"]
STATES: tuple[State, ...] = ("missing", "stale", "unmapped", "fresh")
SHIPPED = Path(__file__).with_name("controls.toml")
MAX_FILE_BYTES = 1_000_000
_ID, _ENVIRONMENT, _KIND = (
    re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
    re.compile(r"[a-z][a-z0-9_.-]{0,63}"),
    re.compile(r"[!-~]{1,200}"),
)


@dataclass(frozen=True, slots=True)
class Control:
    """`evidence`: the kinds that show it, all of which are needed; `fresh`: how long one counts. `environment`: whose;
    "": any. `signed`: only evidence whose signature was verified counts.
    """

    id: str
    framework: str
    title: str
    evidence: tuple[str, ...]
    fresh: timedelta
    environment: str = ""
    signed: bool = False

    @property
    def key(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class Found:
    """The newest evidence of a kind for a control; None: there is none."""

    kind: str
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A control, and what shows now that it is kept."""

    control: Control
    state: State
    found: tuple[Found, ...]

    @property
    def key(self) -> str:
        return self.control.id

    @property
    def oldest(self) -> datetime | None:
        """The time of the oldest of what is needed; None when something is missing."""
        times = [each.evidence.at for each in self.found if each.evidence is not None]
        return min(times) if times and len(times) == len(self.found) else None

    @property
    def due(self) -> datetime | None:
        """When it is no longer fresh."""
        return None if self.oldest is None else self.oldest + self.control.fresh

    @property
    def lacking(self) -> tuple[str, ...]:
        return tuple(each.kind for each in self.found if each.evidence is None)


def standing(control: Control, recorded: Iterable[Evidence], now: datetime) -> Standing:
    """Hold a control against what was recorded. What nobody can show is not fresh: a control without kinds neither."""
    mine = [
        each
        for each in recorded
        if each.withdrawn_at is None
        and control.environment in ("", each.environment)
        and (each.signature == "good" or not control.signed)
    ]
    found = tuple(
        Found(
            kind, max((each for each in mine if each.kind == kind), key=lambda each: (each.at, each.id), default=None)
        )
        for kind in control.evidence
    )
    made = Standing(control, "fresh", found)
    state: State = "fresh"
    if not control.evidence:
        state = "unmapped"
    elif made.lacking:
        state = "missing"
    elif made.due is None or made.due <= now:
        state = "stale"
    return Standing(control, state, found)


def why(each: Standing, now: datetime) -> list[str]:
    """What it takes, and what there is of it."""
    control = each.control
    whose = f" of {control.environment}" if control.environment else ""
    signed = ", with a signature that was verified" if control.signed else ""
    lines = [f"{control.framework} {control.id}: {each.state}"]
    if not control.evidence:
        return [*lines, "No kind of evidence is named for it: in the file of controls, put some under evidence."]
    lines.append(f"It needs evidence{whose} from the last {spell(control.fresh.total_seconds())}{signed}:")
    for found in each.found:
        if found.evidence is None:
            lines.append(f"✕ {found.kind}: none")
        else:
            old = found.evidence.at + control.fresh <= now
            what = f"number {found.evidence.id}, {relative(found.evidence.at, now)}"
            lines.append(f"{'~' if old else '●'} {found.kind}: {what}{', too old' if old else ''}")
    return lines


def read(text: str, name: str) -> tuple[Control, ...]:
    """The controls of a file. Raises Usage `controls_unreadable`, which names every fault."""
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(name, [f"it cannot be read as TOML: {clean(error, 200)}"]) from None
    found: list[Control] = []
    faults = [f"{key}: there is no such table; controls are under [[control]]" for key in given if key != "control"]
    tables = given.get("control", [])
    if not isinstance(tables, list):
        faults.append("control: expected tables, [[control]]")
        tables = []
    for number, table in enumerate(tables, 1):
        try:
            found.append(_control(table))
        except (ValueError, Usage) as error:
            faults.append(f"control {number}: {clean(error, 300)}")
    ids = [each.id for each in found]
    faults += [f"{each} is there twice" for each in sorted({each for each in ids if ids.count(each) > 1})]
    if faults:
        raise _unreadable(name, faults)
    return tuple(found)


def _unreadable(name: str, faults: Sequence[str]) -> Usage:
    message = "\n  ".join([f"The file of controls {clean(name, 400)} is not used:", *faults])
    return Usage("controls_unreadable", message, "docs/evidence.md shows how it is written.", faults)


_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "id": lambda value: isinstance(value, str) and _ID.fullmatch(value) is not None,
    "framework": lambda value: isinstance(value, str) and 0 < len(value) <= 60,
    "title": lambda value: isinstance(value, str) and 0 < len(value) <= 200,
    "evidence": lambda value: (
        isinstance(value, list) and all(isinstance(each, str) and _KIND.fullmatch(each) for each in value)
    ),
    "fresh": lambda value: isinstance(value, str),
    "environment": lambda value: isinstance(value, str) and (not value or _ENVIRONMENT.fullmatch(value) is not None),
    "signed": lambda value: isinstance(value, bool),
}


def _control(table: Any) -> Control:
    if not isinstance(table, dict):
        raise ValueError("expected a table, [[control]]")
    if unknown := sorted(set(table) - set(_FIELDS)):
        raise ValueError(f"there is no field {unknown[0]}")
    for name in ("id", "framework", "title", "evidence", "fresh"):
        if name not in table:
            raise ValueError(f"{name} is missing")
    if wrong := [name for name, value in table.items() if not _FIELDS[name](value)]:
        raise ValueError(f"{wrong[0]} cannot be {clean(table[wrong[0]], 60)}")
    seconds = parse_duration(table["fresh"])
    if not 60 <= seconds <= 10 * 366 * 86400:
        raise ValueError("fresh is between a minute and ten years, such as 30d")
    return Control(
        **{**table, "evidence": tuple(dict.fromkeys(table["evidence"])), "fresh": timedelta(seconds=seconds)}
    )


@cache
def shipped() -> tuple[Control, ...]:
    return read(SHIPPED.read_text("utf-8"), SHIPPED.name)
