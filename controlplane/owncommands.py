"""Commands of one's own: programs that the settings allow to be run on a row, with its fields as arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from controlplane.errors import Usage
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "fish", "busybox")
INTERPRETERS = re.compile(r"(python|perl|ruby|node|php|lua)[0-9.]*")
FIELD = re.compile(r"\{([a-z_]*)\}")
MAX_ARGUMENT = 4_000
"""Characters of one argument."""


@dataclass(frozen=True)
class OwnCommand:
    """`run`: the program and its arguments; {field} in one is that field of the row. `key`: its letter in the menu of
    actions of `noun`. `what`: what it does, in words. `seconds`: after that it is killed.
    """

    name: str
    noun: str
    key: str
    run: tuple[str, ...]
    what: str = ""
    seconds: float = 30.0

    @property
    def words(self) -> str:
        return self.what or " ".join(self.run)

    @property
    def fields(self) -> list[str]:
        return [name for argument in self.run for name in FIELD.findall(argument)]


def argv(command: OwnCommand, record: Mapping[str, Any]) -> list[str]:
    """The program and its arguments for a row. Each field stays within its argument, and none becomes an option.

    Raises Usage `command_argument`.
    """
    made = [command.run[0]]
    for written in command.run[1:]:
        argument = FIELD.sub(lambda found: _value(record.get(found[1])), written)
        if argument.startswith("-") and not written.startswith("-"):
            why = f'"{clean(argument, 60)}" would be taken for an option.'
            raise _refused(command, why, f'Write "--name={written}".')
        if "\0" in argument or len(argument) > MAX_ARGUMENT:
            raise _refused(command, f"{written} is too long, or holds a NUL.", "")
        made.append(argument)
    return made


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _refused(command: OwnCommand, why: str, hint: str) -> Usage:
    return Usage("command_argument", f"{command.name} is not run: {why}", hint)


def faults(
    commands: Sequence[OwnCommand],
    taken: Callable[[str], Mapping[str, str]],
    fields: Callable[[str], Sequence[str] | None],
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with them: the command's name, the setting, and words. `taken`: noun → letter → the action that has
    it; `fields`: noun → the fields of its rows, None when there is no such list.
    """
    owners: dict[tuple[str, str], str] = {}
    for each in commands:
        known = fields(each.noun)
        if known is None:
            yield each.name, "noun", f"there is no list of {clean(each.noun, 40)}"
            continue
        for name in each.fields:
            if name not in known:
                yield each.name, "run", f"{each.noun} have no field {{{clean(name, 40)}}}; they have {', '.join(known)}"
        if FIELD.search(each.run[0]):
            yield each.name, "run", "the program itself is never a field of the row"
        if script := _in_script(each.run):
            yield each.name, "run", f'{script} within a script: write it as an argument of its own, as "$1"'
        other = taken(each.noun).get(each.key) or owners.setdefault((each.noun, each.key), each.name)
        if other != each.name:
            yield each.name, "key", f"{each.key} is {other} in the menu of {each.noun} already; choose another letter"


def _in_script(run: Sequence[str]) -> str:
    """A field in what a shell or an interpreter would read as its script, also behind env or sudo; "": none."""
    for place, argument in enumerate(run):
        name = argument.rpartition("/")[2]
        flags = "c" if name in SHELLS else "ceEr" if INTERPRETERS.fullmatch(name) else ""
        for option, script in pairwise(run[place + 1 :]):
            if not flags or not option.startswith("-"):
                break
            if re.fullmatch(f"-[a-zA-Z]*[{flags}]", option) and (found := FIELD.search(script)):
                return found[0]
    return ""


async def note(plane: ControlPlane, command: OwnCommand, key: str) -> None:
    """Record who runs which command on which row, before it runs. Raises Refusal; then it is not run."""
    from controlplane.operations import Call, execute
    from controlplane.ownrun import RUN, CommandRun

    await execute(plane, RUN, CommandRun(command=command.name, noun=command.noun, key=key[:400]), Call())
