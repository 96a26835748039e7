from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from textual import events
from textual.message import Message

from app import viewstate
from app.settings import Settings
from controlplane.nouns import shown
from screens.terminal import background
from screens.terminal.ascii import wants_ascii
from screens.terminal.background import AnsweringParser, BackgroundTold, is_dark
from tests.postgres import Database
from tests.screens.console import console, quiet, text, until

ANSWER = "\x1b]11;rgb:fafa/fbfb/f9f9\x1b\\"


def keys(messages: list[Message]) -> list[str]:
    return [message.key for message in messages if isinstance(message, events.Key)]


@pytest.mark.parametrize("end", ["\x1b\\", "\x07"])
@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_the_answer_is_never_taken_for_keys_however_it_arrives(cut: int, end: str) -> None:
    answer = ANSWER.replace("\x1b\\", end)
    parser = AnsweringParser()
    AnsweringParser.ask()
    told = [*parser.feed("j" + answer[:cut]), *parser.feed(answer[cut:] + "k")]
    assert keys(told) == ["j", "k"]
    assert [message.dark for message in told if isinstance(message, BackgroundTold)] == [False]


def test_an_answer_that_comes_late_is_swallowed_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    AnsweringParser.ask()
    now = AnsweringParser.asked_at + 1
    monkeypatch.setattr(background.time, "monotonic", lambda: now)
    assert list(AnsweringParser().feed(ANSWER)) == []


def test_the_escape_key_is_only_held_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    AnsweringParser.ask()
    now = AnsweringParser.asked_at + 1
    monkeypatch.setattr(background.time, "monotonic", lambda: now)
    parser = AnsweringParser()
    assert keys(list(parser.feed("\x1b"))) == []
    now += 0.1
    list(parser.tick())
    assert parser._held == ""


@pytest.mark.parametrize(
    ("colour", "dark"),
    [
        ("rgb:0000/0000/0000", True),
        ("rgb:ff/ff/ff", False),
        ("rgb:2828/2c2c/3434", True),
        ("rgba:f/f/e/8", False),
        ("x", None),
    ],
)
def test_dark_is_what_the_eye_calls_dark(colour: str, dark: bool | None) -> None:
    assert is_dark(colour) is dark


@pytest.mark.parametrize(
    ("asked", "light", "theme"), [("auto", True, "day"), ("auto", False, "night"), ("night", True, "night")]
)
async def test_only_the_automatic_theme_follows_the_terminal(
    database: Database, monkeypatch: pytest.MonkeyPatch, asked: str, light: bool, theme: str
) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    async with console(database, settings=Settings(Path("/nowhere"), theme=asked)) as (app, pilot):
        app.post_message(BackgroundTold(dark=not light))
        await quiet(pilot)
        assert app.theme == theme


@pytest.mark.parametrize(
    ("glyphs", "environ", "ascii_only"),
    [
        ("ascii", {"LANG": "C.UTF-8"}, True),
        ("unicode", {"LC_ALL": "C"}, False),
        ("auto", {}, False),
        ("auto", {"LANG": "de_DE.utf8"}, False),
        ("auto", {"LANG": "de_DE.UTF-8@euro"}, False),
        ("auto", {"LANG": "de_DE.ISO-8859-1"}, True),
        ("auto", {"LC_ALL": "C", "LANG": "C.UTF-8"}, True),
        ("auto", {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ("auto", {"LC_CTYPE": "UTF-8"}, False),
    ],
)
def test_the_locale_decides_on_glyphs(glyphs: str, environ: dict[str, str], ascii_only: bool) -> None:
    assert wants_ascii(glyphs, environ) is ascii_only


async def test_with_ascii_no_other_character_is_drawn_anywhere(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name) SELECT 't' || i, 'Ünï • ' || i FROM generate_series(1, 60) i"
        )
    async with console(database, settings=Settings(Path("/nowhere"), glyphs="ascii")) as (_, pilot):
        await until(pilot, lambda: "active" in text(pilot))
        await pilot.press("space")
        await until(pilot, lambda: "1 marked" in text(pilot))
        for pressed in ("a", "escape", "question_mark", "escape", "e", "escape", "d"):
            await pilot.press(pressed)
            await quiet(pilot)
            assert text(pilot).isascii(), text(pilot)
        await pilot.press("escape")
        assert "* active" in text(pilot)


async def test_with_ascii_every_screen_is_drawn_in_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole walk as LANG=C has it: each noun's list, its help, and the charts."""
    monkeypatch.setenv("LC_ALL", "C")
    lists = [noun.name for noun in shown() if noun.name != "telemetry"]
    async with console(database) as (app, pilot):
        for name in lists:
            app.run_command(name)
            await quiet(pilot)
            assert text(pilot).isascii(), (name, text(pilot))
        for name in ("telemetry", "telemetry chart:heat", "keys"):
            app.run_command(name)
            await quiet(pilot)
            await pilot.press("question_mark")
            await quiet(pilot)
            assert text(pilot).isascii(), (name, text(pilot))
            await pilot.press("escape")


async def test_accessible_reads_the_row_out_and_puts_the_terminals_cursor_on_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('zed', 'Zed')")
    async with console(database, accessible=True) as (app, pilot):
        await until(pilot, lambda: "Acme" in text(pilot))
        said: list[str] = []  # the footer's line may be taken by the next word before it is looked at
        area = app.area
        assert area is not None
        say = area.say
        monkeypatch.setattr(area, "say", lambda done: (said.append(done.words), say(done)))
        await pilot.press("G")
        await until(pilot, lambda: any(words.startswith("tenant zed; name Zed; status ● active") for words in said))
        line = next(n for n, line in enumerate(text(pilot).splitlines()) if " zed " in line)
        assert app.cursor_position == (0, line)
        with psycopg.connect(database.owner) as connection:
            connection.execute("UPDATE wf.tenants SET name = 'Changed' WHERE id = 'acme'")
        app._hint()
        await until(pilot, lambda: "something changed" in text(pilot))
        assert "Changed" not in text(pilot)
        await pilot.press("r")
        await until(pilot, lambda: "Changed" in text(pilot))
        row = app.cursor_position
        await pilot.press("a")
        await quiet(pilot)
        assert "+---" not in text(pilot)
        title = next(n for n, line in enumerate(text(pilot).splitlines()) if "| zed" in line)
        assert app.cursor_position.y == title
        await pilot.press("escape")
        await until(pilot, lambda: app.cursor_position == row)


async def test_after_a_hangup_the_view_is_shown_again_once(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('zed', 'Zed')")
    async with console(database) as (app, pilot):
        app.run_command("tenants id:zed")
        await quiet(pilot)
        app.area.show_as("id:zed", "-plan", ())  # type: ignore[union-attr]
        app.on_hangup()
    assert viewstate.path().stat().st_mode & 0o777 == 0o600
    async with console(database, link="test/audit") as (_, pilot):
        await until(pilot, lambda: "audit" in text(pilot).splitlines()[1])
    async with console(database, link="") as (_, pilot):
        await until(pilot, lambda: "/id:zed" in text(pilot) and "Zed" in text(pilot))
        assert "sort plan ↓" in text(pilot) and "Acme" not in text(pilot) and "was cut" in text(pilot)
    async with console(database, link="") as (_, pilot):
        await until(pilot, lambda: "FAILING MOST" in text(pilot))


OF_ANOTHER_HOME = json.dumps({"context": "test", "home": "/elsewhere/test", "noun": "audit", "path": "audit"})


async def test_a_demonstration_that_is_cut_off_leaves_no_view_to_the_next(database: Database) -> None:
    async with console(database, environment="demo") as (app, _):
        app.on_hangup()
    assert not viewstate.path().exists()


async def test_the_view_that_is_shown_again_may_be_of_a_list_that_was_not_built_yet(database: Database) -> None:
    async with console(database) as (app, pilot):
        app.run_command("audit")
        await quiet(pilot)
        app.area.show_as("noun:tenants", "-at", ("at", "thing"))  # type: ignore[union-attr]
        app.on_hangup()
    async with console(database, link="") as (_, pilot):
        await until(pilot, lambda: "/noun:tenants" in text(pilot) and "was cut" in text(pilot))
        assert "WHEN" in text(pilot) and "WHO" not in text(pilot)


@pytest.mark.parametrize(
    "kept", ["", "[]", '{"context": "test"}', json.dumps({"context": "other", "link": "other/audit"}), OF_ANOTHER_HOME]
)
async def test_what_was_kept_of_another_context_or_cannot_be_read_is_not_shown(database: Database, kept: str) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    viewstate.path().parent.mkdir(parents=True, exist_ok=True)
    viewstate.path().write_text(kept)
    async with console(database, link="") as (_, pilot):
        await until(pilot, lambda: "FAILING MOST" in text(pilot))
