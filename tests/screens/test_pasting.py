from __future__ import annotations

import psycopg
import pytest
from textual import events
from textual.message import Message

from screens.terminal.background import AnsweringParser
from screens.terminal.sequences import END, MAX_PASTED, START, PastedTooMuch
from screens.widgets.prompt import Prompt
from tests.postgres import Database
from tests.screens.console import command, console, text, until

HOSTILE = "a\x1b" + "y" * 40 + "\x1b[A\x1b]52;c;eA==\x07\x1bOP\x1b[<0;1;1M\x1b[I\n\x1b\x1b"


def what(messages: list[Message]) -> list[str]:
    return [
        m.text if isinstance(m, events.Paste) else m.key if isinstance(m, events.Key) else repr(m) for m in messages
    ]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 1000])
def test_a_paste_is_text_and_no_key_however_it_arrives(step: int) -> None:
    sent = f"j{START}{HOSTILE}{END}k{START}{END}{START}b{END}"
    parser = AnsweringParser()
    told = [m for at in range(0, len(sent), step) for m in parser.feed(sent[at : at + step])]
    assert what(told) == ["j", HOSTILE, "k", "", "b"]


def test_keys_of_several_bytes_are_still_keys() -> None:
    parser = AnsweringParser()
    assert what([m for byte in "\x1b[2~\x1b[20~\x1b[A" for m in parser.feed(byte)]) == ["insert", "f9", "up"]


def test_what_is_too_long_for_any_field_is_counted_and_left_out() -> None:
    parser = AnsweringParser()
    told = list(parser.feed(START + "x" * (MAX_PASTED + 1)))
    told += parser.feed("x" * MAX_PASTED + END + "k")
    assert isinstance(told[0], PastedTooMuch) and told[0].length == 2 * MAX_PASTED + 1
    assert what(told[1:]) == ["k"]


async def test_a_paste_where_no_field_is_is_looked_for_and_a_link_is_shown(database: Database) -> None:
    async with console(database, link="test/audit") as (app, pilot):
        app.screen.post_message(events.Paste(HOSTILE))
        await until(pilot, lambda: app.screen.query_one(Prompt).value.startswith("find a"))
        assert "\x1b" not in app.screen.query_one(Prompt).value
        await pilot.press("escape")
        app.screen.post_message(events.Paste("watchfloor 'test/keys?state:active'\n"))
        await until(pilot, lambda: app.area.noun == "keys" and "/state:active" in text(pilot))  # type: ignore[union-attr]
        for other in ("prod/keys", "test/nosuch", "test", "  "):
            app.screen.post_message(events.Paste(other))
            await pilot.pause()
            assert app.area.noun == "keys"  # type: ignore[union-attr]
            assert app.screen.query_one(Prompt).value in (f"find {other.strip()}", "find test"), other
            if other.strip():
                await pilot.press("escape")
        app.screen.post_message(events.Paste("wf_live_" + "Zq7" * 14))
        await until(pilot, lambda: "a secret was pasted and is not shown" in text(pilot))
        assert "Zq7Zq7" not in text(pilot)


async def test_what_was_found_is_acted_on_where_it_stands(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    async with console(database, link="test/audit") as (_, pilot):
        await command(pilot, "find acme")
        await pilot.press("a")
        await until(pilot, lambda: "s  suspend" in text(pilot) and "· acme" in text(pilot))
        await pilot.press("escape", "d")
        await until(pilot, lambda: "kind" in text(pilot))  # the result itself is described, not the thing
