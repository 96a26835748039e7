"""Schedules on the command line: made from a file, shown at a time, proved."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.app.commands import Cli

WEEK = """
- name: week
  people: [ana, ben, cho]
  starts: 2026-01-05 09:00
  zone: Europe/Berlin
"""
OFFICE = """
rotations:
  - {name: day, people: [dan], starts: 2026-01-05, shift: 1d, zone: America/New_York, only: [mon-fri 09:00-17:00]}
"""


@pytest.fixture
def files(cli: Cli, tmp_path: Path) -> Cli:
    (tmp_path / "week.yaml").write_text(WEEK)
    (tmp_path / "office.yaml").write_text(OFFICE)
    cli.log_in("operator")
    cli.monkeypatch.chdir(tmp_path)
    return cli


def test_a_schedule_is_made_from_a_file_and_shown_at_a_time(files: Cli) -> None:
    made = files("schedules", "create", "primary", "--rotations", "week.yaml")
    assert made.code == 0 and "somebody is on call in every minute of the next 12 months" in made.out
    shown = files("schedules", "show", "primary", "--at", "2026-03-29 02:30 Europe/Berlin").out
    assert "on call: cho (week)" in shown and "Sun 29: the clocks change, the day has 23 hours" in shown
    assert "cho          │" in shown and "▼" in shown
    item = files.done("schedules", "show", "primary", "--at", "2026-01-05T08:30")["item"]
    assert (item["now"]["person"], item["next"]["person"], item["state"]) == ("ana", "ben", "covered")
    assert item["at"] == "2026-01-05T08:30:00+00:00" and item["rotations"][0]["shift"] == "1w"
    before = files.done("schedules", "show", "primary", "--at", "2026-01-01")["item"]
    assert (before["now"], before["next"]["person"]) == (None, "ana")
    [row] = files.done("schedules", "list")["items"]
    assert row["now"]["person"] in ("ana", "ben", "cho") and row["zone"] == "Europe/Berlin"
    assert files("schedules", "show", "nobody").code == 4


def test_what_is_shown_as_json_can_be_edited_and_given_back(files: Cli, tmp_path: Path) -> None:
    files.done("schedules", "create", "primary", "--rotations", "week.yaml")
    item = files.done("schedules", "show", "primary")["item"]
    (tmp_path / "back.json").write_text(json.dumps(item["rotations"]))
    same = files("schedules", "edit", "primary", "--rotations", "back.json", "--dry-run")
    assert same.code == 0 and "new" not in same.out and "changed" not in same.out
    files.done("schedules", "edit", "primary", "--people", "ana", "--people", "ben", "--shift", "1d")
    assert files.done("schedules", "show", "primary")["item"]["people"] == ["ana", "ben"]


def test_every_uncovered_minute_is_proved(files: Cli) -> None:
    files.done("schedules", "create", "primary", "--rotations", "week.yaml")
    files.done("schedules", "create", "office", "--rotations", "office.yaml")
    covered = files("schedules", "prove", "primary")
    assert covered.code == 0 and "in every minute" in covered.err
    proved = files("schedules", "prove", "office")
    assert proved.code == 1 and "nobody is on call 26" in proved.err
    assert "NOBODY FROM (America/New_York)" in proved.out and "17:00  " in proved.out
    found = files("schedules", "prove", "office", "--json")
    assert found.code == 1 and found.document["total"] == len(found.document["items"]) > 200
    assert {"start", "end", "seconds"} == {*found.document["items"][0]}
    files.done("schedules", "override", "office", "--person", "eve", "--add", "--for", "91d")
    assert len(files("schedules", "prove", "office", "--json").document["items"]) < found.document["total"] - 60


def test_a_fault_in_a_file_is_told_with_its_line(files: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(WEEK + "- people: [dan]\n  starts: soon\n")
    bad = files("schedules", "create", "primary", "--rotations", "bad.yaml")
    assert bad.code == 2 and "bad.yaml:7: rotations.1.starts: not a time" in bad.err
    assert files("schedules", "create", "primary", "--rotations", "none.yaml").code == 2
    assert files.done("schedules", "list")["items"] == []


def test_an_override_is_made_and_ended(files: Cli) -> None:
    files.done("schedules", "create", "primary", "--rotations", "week.yaml")
    made = files.done("schedules", "override", "primary", "--person", "zoe", "--until", "8h")
    assert "override 1: zoe for whoever is on call" in files("schedules", "show", "primary").out
    files.done("undo", str(made["audit_ids"][0]), "--yes")
    assert "override 1: zoe" not in files("schedules", "show", "primary").out
    assert files("schedules", "retire", "primary", "--yes").code == 2, "a reason is needed"
    files.done("schedules", "retire", "primary", "--yes", "--reason", "another team has it")
    assert files("schedules", "override", "primary", "--person", "zoe", "--until", "8h").code == 1
    files.done("schedules", "restore", "primary", "--yes")


READS = ("list", "show", "prove")


def test_every_command_of_the_page_runs(cli: Cli, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "on-call.md").read_text(encoding="utf-8")
    [rotations] = re.findall(r"^```yaml\n(.*?)^```", page, re.S | re.M)
    (tmp_path / "support.yaml").write_text(rotations)
    cli.monkeypatch.chdir(tmp_path)
    lines = "".join(re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M)).splitlines()
    assert len(lines) > 12
    for line in lines:
        words = shlex.split(line)[1:]
        done = cli(*words, *([] if words[1] in READS else ["--yes"]))
        assert done.code == 0, f"{line}\n{done.out}{done.err}"
