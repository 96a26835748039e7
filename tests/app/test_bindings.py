from pathlib import Path

import pytest

from app.bindings import all_bindings, known
from app.keymaps import _HELD_BACK, MAPS, key_lines, keymap_of, resolve
from app.settings import Settings
from controlplane.errors import Usage
from controlplane.operations import Risk
from controlplane.registry import operations
from screens.widgets.lines import Lines
from tests.postgres import Database
from tests.screens.console import console, text, until

ON_PURPOSE = {"app.interrupt", "app.suspend", "app.nothing"}
"""What every terminal program does with them; `:q` leaves as well."""
OVER = (("table", "list", "area", "app"), ("lines", "welcome", "area", "app"), ("lines", "detail", "area", "app"))
"""Scopes that count at the same time; the first one gets the key."""


def settings(**changes: object) -> Settings:
    return Settings(Path("/nowhere/settings.toml"), **changes)  # type: ignore[arg-type]


def test_every_binding_has_an_id_and_its_usual_key_can_be_sent() -> None:
    ids = known()
    assert len(ids) > 50 and all("." in id for id in ids)
    for id, keys in resolve("default", {}, ids).items():
        if id not in ON_PURPOSE:
            assert any(key not in _HELD_BACK and "alt" not in key for key in keys), id


@pytest.mark.parametrize("name", MAPS)
def test_no_key_is_given_twice_where_it_counts(name: str) -> None:
    ids = known()
    keys = resolve(name, {}, ids)  # raises when a scope has one twice
    for scopes in OVER:
        taken: dict[str, str] = {}
        for scope in scopes:
            for id in (id for id in ids if ids[id][0] == scope):
                for key in keys[id]:
                    assert taken.setdefault(key, id) == id, f"{key}: {taken[key]} hides {id}"


def test_every_id_of_a_built_in_map_exists() -> None:
    assert {id for changes in MAPS.values() for id in changes} <= known().keys()


def test_nothing_that_cannot_be_taken_back_is_on_a_bare_key() -> None:
    verbs = {each.verb for each in operations().values() if each.risk is not Risk.SAFE or each.undo is None}
    for binding in all_bindings():
        action = binding.action.replace("(", " ").replace("'", " ")
        # Two open a form first, two the row under the cursor, one closes the prompt; undoing a whole run has no key.
        if binding.id not in ("welcome.create", "area.undo", "prompt.cancel", "glance.open", "table.open"):
            assert not verbs & set(action.replace(".", " ").split()), binding.id


def test_a_conflict_is_said_before_the_screen_starts() -> None:
    with pytest.raises(Usage) as caught:
        keymap_of(settings(keys={"table.mark": ("j",)}))
    assert caught.value.code == "keymap_conflict" and "'table.mark'" in str(caught.value)
    with pytest.raises(Usage, match=r"did you mean 'table\.mark'"):
        keymap_of(settings(keys={"table.marc": ("m",)}))
    assert keymap_of(settings()) == {}


def test_every_binding_is_listed_with_its_keys_of_now() -> None:
    lines = {id: keys for id, keys, _ in key_lines(settings(keymap="vim", keys={"area.act": ("x",)}))}
    assert lines["area.act"] == ("x",) and lines["table.left"] == ("left", "h")
    assert all(words for *_, words in key_lines(settings()))


async def test_the_console_obeys_the_settings_keys_and_its_help_shows_them(database: Database) -> None:
    changed = settings(keys={"area.help": ("f2",), "area.describe": ("D",)})
    async with console(database, settings=changed) as (app, pilot):
        app.run_command("tenants id:default")
        await pilot.pause()
        await pilot.press("question_mark")
        await pilot.press("f2")
        await until(pilot, lambda: "help: tenants" in text(pilot))
        lines = [str(line) for line in app.screen.query_one(Lines).lines]
        assert any("F2         help" in line for line in lines)
        assert any("D          describe" in line for line in lines)
        await pilot.press("escape")
        app.run_command("bindings")
        await until(pilot, lambda: "area.act" in text(pilot))
