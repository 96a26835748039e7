import tomllib
from pathlib import Path

import psycopg
import pytest

from app.settings import load
from app.settings_text import DEFAULT, put_table, with_table
from controlplane.errors import Refusal
from tests.postgres import Database
from tests.screens.console import console, quiet, shown, text, type_in, until

OWN = """\
# mine
theme = "day"  # at night too

[views.old]
noun = "audit"
# why this one

# about the next
[profiles.acme]
url = "postgresql://ana@db/wf"
environment = "staging"
"""


def content(path: Path) -> str:
    assert path.stat().st_mode & 0o777 == 0o600 or path.read_text() == OWN
    return path.read_text()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(OWN)
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(path))
    return path


async def test_a_view_keeps_filter_order_and_columns_and_no_comment_is_lost(database: Database, file: Path) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name, plan) VALUES ('a', 'Ay', 'growth'), ('b', 'Bee', 'growth')"
        )
    async with console(database, settings=load()) as (app, pilot):
        app.run_command("tenants plan:growth")
        await quiet(pilot)
        app.area.show_as("plan:growth", "-name", ["id", "plan"])  # type: ignore[union-attr]
        app.run_command("view save noisy")
        app.run_command("tenants id:default")
        await quiet(pilot)
        assert "Bee" not in text(pilot) and "plan:growth" not in text(pilot)
        app.run_command("view noisy")
        await until(pilot, lambda: "sort name ↓" in text(pilot) and "growth" in text(pilot))
        lines = text(pilot).splitlines()
        assert "NAME" not in lines[2] and "PLAN" in lines[2]
        assert [line.split()[-2] for line in lines[3:5]] == ["b", "a"]
        assert app.complete_command("view no") == ["view noisy"]
        app.run_command("view list")
        await until(pilot, lambda: "columns id, plan" in text(pilot))
        await pilot.press("escape")
        assert content(file).startswith(OWN)
        app.run_command("view delete noisy")
        assert content(file).rstrip() == OWN.rstrip()
        app.run_command("view noisy")
        await until(pilot, lambda: "There is no view noisy" in text(pilot))


def test_one_table_is_replaced_and_nothing_else() -> None:
    changed = with_table(OWN, ("views", "old"), {"noun": "tenants", "filter": 'a"b'})
    assert tomllib.loads(changed)["views"] == {"old": {"noun": "tenants", "filter": 'a"b'}}
    assert changed.startswith('# mine\ntheme = "day"  # at night too\n\n[views.old]\n')
    assert "# about the next\n[profiles.acme]" in changed
    assert (
        with_table(OWN.replace("\n", "\r\n"), ("views", "new"), {"noun": "audit"}).count("\r\n") == OWN.count("\n") + 3
    )


@pytest.mark.parametrize(
    "text",
    [
        'views = {old = {noun = "audit"}}\n',
        '[views]\nold = {noun = "audit"}\n',
        '[views.old]\nnoun = "audit"\n[views.old.x]\n',
    ],
)
def test_what_is_not_a_table_of_its_own_is_left_to_an_editor(text: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(Refusal) as caught:
        put_table(path, ("views", "old"), {"noun": "tenants"})
    assert caught.value.code == "settings_by_hand" and path.read_text() == text


def test_a_file_that_is_not_there_begins_with_every_option_explained(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.toml"
    put_table(path, ("views", "x"), {"noun": "audit"})
    assert path.read_text().startswith(DEFAULT) and tomllib.loads(path.read_text()) == {
        "views": {"x": {"noun": "audit"}}
    }


def test_behind_a_link_the_file_itself_is_written(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "settings.toml"
    real.write_text(OWN)
    link.symlink_to(real)
    put_table(link, ("views", "old"), None)
    assert link.is_symlink() and "views" not in tomllib.loads(real.read_text())


async def test_chosen_columns_are_kept_for_the_noun_and_taken_back(database: Database, file: Path) -> None:
    async with console(database, settings=load()) as (app, pilot):
        await pilot.press("C")
        await until(pilot, lambda: "columns of tenants" in text(pilot))
        await pilot.press(
            "J", "k", "j", "down", "space", "enter"
        )  # the first goes below the second, the next is hidden
        await until(pilot, lambda: bool(load().columns))
        shown = load().columns["tenants"]
        assert app.area.only == shown  # type: ignore[union-attr]
        assert shown[:2] == ("name", "id") and "status" not in shown
        assert OWN.rstrip() in content(file)
    async with console(database, settings=load()) as (app, pilot):
        assert app.area.only == shown and "STATUS" not in text(pilot)  # type: ignore[union-attr]
        await pilot.press("C", "0")
        await until(pilot, lambda: "STATUS" in text(pilot))
        assert "columns" not in content(file)


async def test_b_lists_the_saved_views_goes_to_one_saves_and_deletes(database: Database, file: Path) -> None:
    async with console(database, settings=load(), link="test/tenants?plan:growth") as (app, pilot):
        await pilot.press("b", "s")
        await type_in(pilot, "noisy")
        await pilot.press("enter")
        await until(pilot, lambda: "noisy" in load().views)
        await pilot.press("9")  # from another list
        await pilot.press("b")
        await until(pilot, lambda: "noisy             tenants /plan:growth, sort name" in text(pilot))
        place = [view.name for view in load().views.values()].index("noisy")
        await pilot.press(*["j"] * place, "enter")
        await until(pilot, lambda: app.area.noun == "tenants" and "/plan:growth" in text(pilot))  # type: ignore[union-attr]
        await pilot.press("b", *["j"] * place, "d")
        await until(pilot, lambda: "view delete noisy" in shown(pilot)[-1])
        await pilot.press("enter")
        await until(pilot, lambda: "noisy" not in load().views)
