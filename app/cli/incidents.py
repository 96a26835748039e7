"""Incidents on the command line: one with its times, and its post-mortem."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Told, text_lines
from app.cli.output import document, jsonable, say, tell
from app.cli.parameters import Parameter
from controlplane.errors import Usage
from controlplane.incidents.model import Incident
from controlplane.incidents.postmortem import markdown
from controlplane.incidents.reading import measures_of, number_of, post_mortem
from controlplane.incidents.refusals import NO_INCIDENT
from controlplane.incidents.words import measure_lines, standing_lines
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_incident(plane: ControlPlane, incident: Incident) -> Told:
    """Show an incident: its state, who does what, and how long things took."""
    now = plane.clock.now()
    measures = await measures_of(plane, incident, now)
    lines = [*standing_lines(incident, now), "", *measure_lines(measures)]
    return Told({"cycles": [dataclasses.asdict(each) for each in measures]}, text_lines(lines))


async def write_post_mortem(
    incident: Annotated[str, Parameter(help="The incident's number: 41 or INC-41.")],
    /,
    *,
    to: Annotated[Path | None, Parameter(help="A folder for INC-41.md and INC-41.json; default: print it.")] = None,
    asked: Reading = READING,
) -> None:
    """Print the post-mortem of an incident, filled from its timeline, as Markdown; with --json as a document."""
    number = number_of(incident)
    if number is None:
        raise NO_INCIDENT.of(clean(incident, 60))
    async with opened(asked) as context:
        found = await post_mortem(context.home, number, context.home.clock.now())
    text = markdown(found)
    if to is not None:
        if not to.is_dir():
            raise Usage("folder_missing", f"There is no folder {clean(to, 400)}.", "Make it first.")
        for ending, body in (("md", text), ("json", as_json(found))):
            (to / f"INC-{number}.{ending}").write_text(body, encoding="utf-8")
        tell(f"written: INC-{number}.md and INC-{number}.json in {clean(to, 400)}")
    elif asked.json:
        document({"item": found})
    else:
        for line in text.splitlines():
            say(line)
    if found["missing"]:
        tell(f"missing: {'; '.join(found['missing'])}")


async def catch_up(
    *,
    since: Annotated[str, Parameter(help="2h ago, or a time; default: since you last used another console.")] = "",
    asked: Reading = READING,
) -> None:
    """Show what happened in the incidents since you left: the state of each, and what was done most."""
    from controlplane.incidents import catchup

    async with opened(asked) as context:
        lines = await catchup.catch_up(context.home, await catchup.left_at(context.home, since, None))
    if asked.json:
        document({"lines": text_lines(lines)})
    else:
        for line in text_lines(lines):
            say(line)


def as_json(found: dict[str, Any]) -> str:
    return json.dumps(jsonable(found), indent=2, ensure_ascii=False) + "\n"
