"""What holds on every screen: `q` and back lead to where one was, with cursor and filter; `?` begins with its keys."""

from __future__ import annotations

import psycopg
import pytest
from textual.pilot import Pilot

from controlplane.nouns import NOUNS, shown
from screens.area import AreaScreen
from screens.dialogs.confirm import Confirm
from screens.dialogs.help import help_lines
from screens.dialogs.viewer import Viewer
from screens.lists import ListScreen
from tests.postgres import Database
from tests.screens.console import console, quiet, text, type_in, until
from tests.screens.console import shown as on_screen

LISTS = [noun.name for noun in shown()]
THINGS = [noun.name for noun in NOUNS if noun.detail or noun.within]
ORDER = ("Keys here", "Commands here", "Filter", "Keys of every screen", "Commands:", "Nouns")


@pytest.fixture
def filled(database: Database) -> Database:
    with psycopg.connect(database.owner) as owner:
        owner.execute(
            "INSERT INTO wf.tenants (id, name) SELECT 'acme-' || n, 'Acme ' || n FROM generate_series(1, 5) n"
        )
    return database


def place(app: object) -> tuple[str, str, str]:
    area = app.area  # type: ignore[attr-defined]
    assert isinstance(area, AreaScreen)
    return area.noun, getattr(area, "filter_text", ""), getattr(area.current(), "key", "")


async def begin(pilot: Pilot[None]) -> tuple[str, str, str]:
    """Stand on the third of some tenants."""
    app = pilot.app
    app.go("tenants", "acme")  # type: ignore[attr-defined]
    await quiet(pilot)
    await pilot.press("g", "j", "j")
    here = place(app)
    assert here == ("tenants", "acme", "acme-3")
    return here


async def test_back_and_q_lead_to_where_one_was_whatever_led_away(filled: Database) -> None:
    async with console(filled) as (app, pilot):
        here = await begin(pilot)
        ways = ["escape", "backspace", "left_square_bracket", "q"]
        for number, name in enumerate(name for name in LISTS if name != "tenants"):
            digit = next(noun.digit for noun in shown() if noun.name == name)
            if digit:
                await pilot.press(digit)
            elif number % 2:
                app.run_command(f"test/{name}")  # a link
            else:
                app.run_command(name)
            await quiet(pilot)
            area = app.area
            assert area is not None and area.noun == name
            if isinstance(area, ListScreen):
                area.filter_entered("zzz")
                await pilot.press("1")  # away from a list with a filter, and back to it
                await pilot.press("left_square_bracket")
                assert place(app)[:2] == (name, "zzz"), name
                area.filter_entered("")
                await quiet(pilot)
            await pilot.press(ways[number % len(ways)])
            await quiet(pilot)
            assert place(app) == here, (name, ways[number % len(ways)])
        for number, name in enumerate(THINGS):
            app.open_thing(name, "1")
            await quiet(pilot)
            assert app.area is not None and app.area is not app.screen_stack[1], name
            await pilot.press(ways[number % len(ways)])
            await quiet(pilot)
            assert place(app) == here, name


async def test_q_on_the_first_screen_asks(filled: Database) -> None:
    async with console(filled) as (app, pilot):
        for name in ("overview", *LISTS[:3]):
            app.forget_screens()
            app._show_list(next(noun for noun in shown() if noun.name == name))
            await quiet(pilot)
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            await pilot.press("escape")


async def test_the_help_of_every_screen_has_its_own_keys_first_and_can_be_searched(filled: Database) -> None:
    async with console(filled) as (app, pilot):
        for name in [*LISTS, *(f"{name}/1" for name in THINGS)]:
            noun, _, key = name.partition("/")
            app.go(noun) if not key else app.open_thing(noun, key)
            await quiet(pilot)
            area = app.area
            assert isinstance(area, AreaScreen)
            lines = help_lines(area)
            titles = [line[0] for line in lines if isinstance(line, tuple)]
            order = [n for title in titles for n, each in enumerate(ORDER) if title.startswith(each)]
            assert order == sorted(order) and order[0] == 0 and {3, 4, 5} <= {*order}, (name, titles)
            keys = lines[lines.index(("Keys here", "title")) + 1]
            assert isinstance(keys, str) and keys.strip(), name
            if key:
                await pilot.press("escape")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Viewer))
        top = text(pilot)
        await pilot.press("pagedown")
        assert text(pilot) != top, "it scrolls"
        await pilot.press("slash")
        await type_in(pilot, "saved views")
        await until(pilot, lambda: "b          saved views" in text(pilot))
        assert len([line for line in on_screen(pilot) if "saved" in line]) < 5
