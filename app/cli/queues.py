"""Dead letters on the command line: one message with all that is known of it, and the drill."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Told, text_lines
from app.cli.output import document, say, tell
from app.cli.parameters import Parameter
from app.cli.writing import refuse_read_only
from controlplane.errors import Usage
from controlplane.lists import Line
from controlplane.queues.model import Letter, LetterDirectory
from controlplane.queues.source import DeadMessage
from controlplane.queues.source_words import act_lines, message_facts, said_lines
from controlplane.queues.sources import MessageDirectory
from controlplane.queues.words import attempt_lines, difference_lines, fact_lines, payload_lines
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_letter(plane: ControlPlane, letter: Letter) -> Told:
    """Show a dead message: its attempts, its payload, and how it differs from the last that succeeded."""
    letters, now = plane.of(LetterDirectory), plane.clock.now()
    attempts, message = await letters.attempts(letter.id), await letters.message(letter.id)
    success = await letters.last_success(letter.id)
    lines: list[Line] = [
        *fact_lines(letter, now),
        "",
        "attempts",
        *attempt_lines(attempts),
        "",
        "message",
        *payload_lines(message, letter.payload_bytes),
        "",
        "difference",
        *difference_lines(message, success, now),
    ]
    said = None if message is None else dataclasses.asdict(message) | {"payload": message.payload.hex()}
    return Told({"attempt_list": list(attempts), "message": said}, text_lines(lines))


def _new_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.exists():
        raise Usage("drill_file_exists", f"{clean(path)} is there already.", "Name a new file: --to FILE")
    return path


async def drill(
    *,
    to: Annotated[str, Parameter(help="The file for the evidence; a new one.")] = "dead-letter-drill.json",
    asked: Reading = READING,
) -> int:
    """Let messages die on purpose, replay and discard them, check every count, and write the evidence to a file."""
    from controlplane.queues.drill import run_drill

    path = _new_file(to)
    async with opened(asked) as context:
        await refuse_read_only(context)
        found = await run_drill(context.home)
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(found.record(), file, indent=2)
            file.write("\n")
    except OSError as error:
        raise Usage(
            "drill_unwritable", f"{clean(path)} cannot be written: {error.strerror}.", "Name another."
        ) from None
    if asked.json:
        document(found.record())
    else:
        for step in found.steps:
            say(f"{'passed' if step.passed else 'FAILED':<7} {step.what}: {step.found} of {step.expected}")
    tell(f"{'passed' if found.passed else 'FAILED'}; the evidence is in {clean(path)}")
    return 0 if found.passed else 1


async def show_message(plane: ControlPlane, message: DeadMessage) -> Told:
    """Show a dead message of another system: its error, its payload, and what was done to it from here."""
    messages, now = plane.of(MessageDirectory), plane.clock.now()
    said, acts = await messages.said(message), await messages.acts(message.source, message.name)
    lines: list[Line] = [
        *message_facts(message, now),
        "",
        "message",
        *said_lines(said),
        "",
        "done from here",
        *act_lines(acts, now),
    ]
    record = None if said is None else dataclasses.asdict(said) | {"payload": said.payload.hex()}
    return Told({"message": record, "acts": [dataclasses.asdict(act) for act in acts]}, text_lines(lines))
