"""A noun that is added by its own files and one line in the table of nouns gets everything that a noun has."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import psycopg
import pytest

from app.cli.completion import script
from app.cli.tree import described
from backends.postgres import refusals
from controlplane import nouns
from controlplane.nouns import Noun
from controlplane.operations import REGISTRY
from controlplane.registry import operations
from screens.dialogs.confirm import Confirm
from tests.app.commands import Cli
from tests.postgres import Database
from tests.screens.console import command, confirm, console, quiet, text, type_in, until

LINE = Noun(
    "toys",
    "Toys, for a test.",
    list="tests.toy.list:TOYS",
    detail="tests.toy.detail:ToyScreen",
    operations=("tests.toy.operations",),
    readers=("tests.toy.store:Toys",),
    writers=("tests.toy.store:ToyWriter",),
    refusals="tests.toy.refusals",
)


@pytest.fixture
def toys(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A home with the noun's SQL, and the program with its line."""
    with psycopg.connect(database.owner) as owner:
        owner.execute(files("tests.toy").joinpath("toys.sql").read_bytes())
    monkeypatch.setattr(nouns, "NOUNS", (*nouns.NOUNS, LINE))
    refusals.words.cache_clear()  # an earlier test may have read them without the noun's
    yield database
    refusals.words.cache_clear()
    for name in [name for name in REGISTRY if name.startswith("toys.")]:
        del REGISTRY[name]  # the module stays loaded, so its operations would not come back
    import sys

    del sys.modules["tests.toy.operations"]


@pytest.fixture
def cli(toys: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    made = Cli(toys, monkeypatch, capsys)
    made.log_in("operator")
    return made


def fill(cli: Cli) -> None:
    for id, label, pieces in (("ball", "Red ball", "1"), ("blocks", "Blocks", "40"), ("car", "Small car", "12")):
        cli.done("toys", "create", id, "--label", label, "--pieces", pieces)
    cli.done("toys", "smash", "car", "--yes")


def test_it_has_a_list_with_filters_orders_and_formats(cli: Cli) -> None:
    fill(cli)
    answer = cli("toys", "list", "--sort", "-pieces")
    assert answer.out.splitlines()[0].split() == ["TOY", "STATE", "LABEL", "PIECES", "CREATED"]
    assert [line.split()[0] for line in answer.out.splitlines()[1:]] == ["blocks", "car", "ball"]
    assert [row["id"] for row in cli.done("toys", "list", "state:whole", "pieces>5")["items"]] == ["blocks"]
    assert [row["id"] for row in cli.done("toys", "list", "small")["items"]] == ["car"], "a word finds the label"
    page = cli.done("toys", "list", "--limit", "2")
    assert [row["id"] for row in page["items"]] == ["car", "blocks"], "the newest first"
    assert [row["id"] for row in cli.done("toys", "list", "--after", page["next"])["items"]] == ["ball"]
    assert cli("toys", "list", "--format", "csv").out.splitlines()[1].startswith("id,label,state")
    assert cli.done("toys", "show", "car")["item"]["state"] == "broken"
    assert cli("toys", "show", "car", "--format", "csv").out.splitlines()[2].startswith("car,Small car,broken")
    assert "There is no toy bike." in cli("toys", "show", "bike").err
    assert "Fields: id, state, label, pieces, created." in cli("toys", "list", "colour:red").err


def test_it_has_commands_with_preview_undo_audit_and_words(cli: Cli) -> None:
    fill(cli)
    dry = cli.done("toys", "rename", "ball", "--label", "Blue ball", "--dry-run")
    assert dry["changes"][0]["changed"] == {"label": ["Red ball", "Blue ball"]}
    done = cli.done("toys", "rename", "ball", "--label", "Blue ball", "--yes")
    [row] = cli.done("audit", "list", "noun:toys", "operation:toys.rename")["items"]
    assert (row["thing"], row["actor"], row["out_of_band"]) == ("ball", row["actor"], False)
    assert cli.done("undo", str(done["audit_ids"][0]), "--yes")["result"]["label"] == "Red ball"
    broken = cli("toys", "rename", "car", "--label", "x", "--yes", "--json")
    assert broken.document["error"]["code"] == "toy_broken" and broken.document["error"]["why"] == ["state: broken"]
    assert cli("toys", "smash", "nothing", "--yes", "--json").document["error"]["code"] == "no_toy"
    assert cli("toys", "create", "ball", "--label", "x", "--json").document["error"]["code"] == "toys_pkey"
    stale = cli("toys", "rename", "ball", "--label", "x", "--version", "1", "--yes", "--json")
    assert stale.document["error"]["code"] == "stale_version"
    completion = script("bash", list(described()))
    assert "toys" in completion and "smash" in completion
    assert "Toys, for a test." in cli("--help").out


def test_roles_are_checked_by_the_program_and_by_the_home(cli: Cli) -> None:
    cli.log_in("viewer")
    assert cli("toys", "create", "ball", "--label", "x", "--json").document["error"]["code"] == "role_too_low"
    with psycopg.connect(cli.database.login("viewer")) as viewer, pytest.raises(psycopg.errors.InsufficientPrivilege):
        viewer.execute("INSERT INTO wf.toys (id, label) VALUES ('ball', 'x')")
    with psycopg.connect(cli.database.login("operator")) as operator:
        operator.execute("INSERT INTO wf.toys (id, label) VALUES ('ball', 'x')")
    [row] = cli.done("audit", "list", "noun:toys")["items"]
    assert row["out_of_band"], "written past the operations"


async def test_it_has_a_table_a_menu_a_detail_and_a_way_back(cli: Cli) -> None:
    for id, label in (("ball", "Red ball"), ("car", "Small car")):
        cli.sql("INSERT INTO wf.toys (id, label, pieces) VALUES (%s, %s, 3)", id, label)
    cli.sql("UPDATE wf.toys SET state = 'broken' WHERE id = 'car'")
    async with console(cli.database, role="operator", link="test/toys?state:whole") as (app, pilot):
        await until(pilot, lambda: "ball" in text(pilot) and "● whole" in text(pilot))
        assert "car" not in text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "✕ broken" in text(pilot))
        await pilot.press("question_mark")
        await until(pilot, lambda: "The toys of this home." in text(pilot))
        await pilot.press("escape")
        await command(pilot, "toys id:ball")
        await until(pilot, lambda: "1 of 2" in text(pilot))
        await pilot.press("a", "r")
        await quiet(pilot)
        await type_in(pilot, "Blue")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm) and "Blue" in text(pilot))
        await confirm(pilot)
        await until(pilot, lambda: "rename ball · audit" in text(pilot) and "u: undo" in text(pilot))
        await pilot.press("enter", "tab")
        await until(pilot, lambda: "toys.rename" in text(pilot))
        await pilot.press("escape")
        await command(pilot, "toys id:car")
        await until(pilot, lambda: "✕ broken" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "rename: car is broken." in text(pilot))


def test_nothing_else_names_it(toys: Database) -> None:
    found: dict[str, Any] = {name: each for name, each in operations().items() if name.startswith("toys.")}
    assert set(found) == {"toys.create", "toys.rename", "toys.smash"}
    assert nouns.noun_named("toys") is LINE and LINE in nouns.shown()
