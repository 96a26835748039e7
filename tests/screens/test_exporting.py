import csv
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from controlplane.tenants.model import Tenant
from screens.longwork import WorkScreen
from tests.postgres import Database, Server
from tests.screens.console import console, quiet, text, until

MANY = "INSERT INTO wf.tenants (id, name, plan) SELECT 't' || i, 'Name ' || i, 'growth' FROM generate_series(1, 2500) i"


@pytest.fixture(scope="module")
def template_database(postgres_server: Server, template_database: str) -> Iterator[str]:
    with postgres_server.database(template_database) as many:
        with psycopg.connect(many.owner) as connection:
            connection.execute(MANY.encode())
            connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('sum', '=1+1')")
        yield many.name


@pytest.fixture
def many(database: Database) -> Database:
    return database


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def export(app, pilot, path: Path, *keys: str) -> None:
    """Press e, answer the form with `keys`, then the path."""
    await pilot.press("e")
    await until(pilot, lambda: app.screen.query("#ask-path"))
    app.screen.query_one("#ask-path").value = str(path)
    await pilot.press(*keys, "enter")


async def test_all_that_matches_is_written_in_its_order_for_you_alone(many: Database, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    async with console(many) as (app, pilot):
        app.run_command("tenants plan:growth")
        await quiet(pilot)
        await export(app, pilot, path, "enter", "enter")
        await until(pilot, lambda: app.session.works and app.session.works[0].state == "done")
        await until(pilot, lambda: "2,500 rows in" in text(pilot))
    comment, *lines = path.read_text().splitlines()
    assert "context: test" in comment and "filter: plan:growth" in comment and "sort: name" in comment
    rows = list(csv.DictReader(lines))
    assert list(rows[0]) == [field.name for field in dataclasses.fields(Tenant)] and rows[0]["plan"] == "growth"
    names = [row["name"] for row in rows]
    assert len(names) == 2500 and names == sorted(names)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_the_columns_of_the_list_are_written_whatever_the_screen_has_room_for(
    many: Database, tmp_path: Path
) -> None:
    async with console(many, size=(60, 20)) as (app, pilot):
        app.run_command("tenants id:sum")
        await quiet(pilot)
        await export(app, pilot, tmp_path / "out.csv", "enter", "l", "enter")
        await until(pilot, lambda: app.session.works and app.session.works[0].state == "done")
    heading = (tmp_path / "out.csv").read_text().splitlines()[1].split(",")
    assert {"plan", "region", "owner_email"} <= set(heading) and "metadata" not in heading


async def test_all_columns_as_json_and_a_formula_stays_text(many: Database, tmp_path: Path) -> None:
    async with console(many) as (app, pilot):
        app.run_command("tenants id:sum")
        await quiet(pilot)
        await export(app, pilot, tmp_path / "one.csv", "j", "enter", "a", "enter")
        await until(pilot, lambda: app.session.works and app.session.works[0].state == "done")
        (item,) = json.loads((tmp_path / "one.json").read_text())["items"]
        assert item["id"] == "sum" and item["protected"] is False and item["metadata"] == {}
        await export(app, pilot, tmp_path / "one.csv", "enter", "enter")
        await until(pilot, lambda: len(app.session.works) == 2 and app.session.works[1].state == "done")
        assert "'=1+1" in (tmp_path / "one.csv").read_text()


async def test_a_file_is_replaced_only_after_a_yes(many: Database, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    async with console(many) as (app, pilot):
        await export(app, pilot, path, "enter", "enter")
        await until(pilot, lambda: "What is in it now is lost" in text(pilot))
        await pilot.pause(0.35)  # the dialog takes no key before
        await pilot.press("n")
        assert path.read_text() == "mine" and not app.session.works
        await export(app, pilot, path, "enter", "enter")
        await until(pilot, lambda: "What is in it now is lost" in text(pilot))
        await pilot.pause(0.35)
        await pilot.press("y")
        await until(pilot, lambda: app.session.works and app.session.works[0].state == "done")
        assert "sum" in path.read_text() and names(tmp_path) == ["out.csv"]


async def test_a_folder_that_is_not_there_is_said_in_the_form(many: Database, tmp_path: Path) -> None:
    async with console(many) as (app, pilot):
        await export(app, pilot, tmp_path / "no" / "out.csv", "enter", "enter")
        await until(pilot, lambda: "There is no folder" in text(pilot))
        await pilot.press("escape")
        assert not app.session.works and not isinstance(app.screen, WorkScreen)


async def test_the_audit_trail_and_projects_export_too(many: Database, tmp_path: Path) -> None:
    async with console(many) as (app, pilot):
        for noun, word in (("audit", '"operation"'), ("projects", '"export"')):
            app.run_command(noun)
            await quiet(pilot)
            await export(app, pilot, tmp_path / noun, "n", "enter", "a", "enter")
            await until(pilot, lambda: app.session.works and app.session.works[-1].state == "done")
            assert word in (tmp_path / f"{noun}.ndjson").read_text()
