"""Every place that shows foreign text, in the real program: no byte of it commands the terminal, no markup acts."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.app.commands import Cli
from tests.postgres import LOGIN_PASSWORD, Database
from tests.terminal import hostile
from tests.terminal.console import CHECKOUT, PROGRAM
from tests.terminal.driver import Terminal
from tests.terminal.hostile import NEVER, PAYLOADS
from tests.terminal.wire import foreign_controls

DEAD_TIME = 0.4
"""A dialog takes no confirming key in its first 300 ms."""
PASTED = " ".join(PAYLOADS.values()) + "\x00 " + "e" + "\u0301" * 300
"""What a person may paste without having looked at it."""
HOSTILE = "".join(PAYLOADS.values()) + "\udc9b\udcff"
"""As an argument: the last two are bytes that are no UTF-8, as Python reads them."""


@pytest.fixture
def home(database: Database) -> Database:
    hostile.fill(database)
    return database


def open_console(database: Database, *words: str, **more: Any) -> Terminal:
    """As the hostile login, with its mouse on."""
    own = {name: value for name, value in os.environ.items() if name.startswith(("XDG_", "HOME", "TEXTUAL_"))}
    own |= {"PGPASSWORD": LOGIN_PASSWORD, "PYTHONPATH": str(CHECKOUT)} | more.pop("env", {})
    return Terminal([*PROGRAM, "--home", hostile.url_of_actor(database), *words], env=own, **more)


def assert_inert(terminal: Terminal, *allowed: bytes) -> None:
    assert not foreign_controls(terminal.raw)
    assert not [sequence for sequence in NEVER if sequence in terminal.raw]


def click(terminal: Terminal, words: str) -> int:
    """Press and release the left button in the middle of where the words stand; each place that they stand in. Returns
    how many there are.
    """
    places = [(y, line.index(words)) for y, line in enumerate(terminal.screen()) if words in line]
    for y, x in places:
        place = f"\x1b[<0;{x + len(words) // 2 + 1};{y + 1}"
        terminal.send(f"{place}M{place}m".encode())
    return len(places)


def close(terminal: Terminal) -> None:
    """Close the dialog: the header, which it covered, is there again."""
    terminal.press("esc")
    terminal.see(re.compile(r"› .* live *$"))


def read(terminal: Terminal, key: str, title: str) -> None:
    """Open a dialog that is read, go to its end, and close it."""
    terminal.press(key)
    terminal.see(title)
    if key == "d":
        terminal.press("y")
        terminal.see('"')
    for _ in range(3):
        terminal.press("pagedown")
    terminal.press("G")
    terminal.settle(0.1)
    close(terminal)


@pytest.mark.parametrize(("columns", "lines", "shadow"), [(80, 24, "on"), (120, 40, "off")])
def test_no_screen_lets_it_through(home: Database, columns: int, lines: int, shadow: str) -> None:
    with open_console(home, columns=columns, lines=lines, env={"WATCHFLOOR_SHADOW": shadow}) as t:
        t.see("in the last hour")
        t.press("1")
        t.see("click")
        assert click(t, "@click")
        type_and_paste(t, home.name)
        t.type(f":{home.name}/tenants/click\r")
        t.see("› click")
        clicked = 0
        for pane in range(4):
            t.settle(0.1)
            clicked += click(t, "CLICKME")
            if pane < 2:
                read(t, "d", "· describe")
            t.press("tab")
        assert clicked
        read(t, "w", "· why")
        change(t)
        for noun, row in (("projects", "closing"), ("audit", "wf_owner"), ("runs", "◐ paused")):
            t.type(f":{noun}\r")
            t.see(row)
            read(t, "d", "· describe")
            read(t, "w", "· why")
        t.press("enter")
        t.see("items  14")
        read(t, "d", "· describe")
        leave(t)
        assert_inert(t)


def type_and_paste(t: Terminal, context: str) -> None:
    """Filter, command line, palette: what is typed there is shown, and comes back in what is said of it."""
    for key, words in (("/", "field"), (":", "no command")):
        t.press(key)
        t.paste(PASTED)
        t.press("enter")
        t.settle(0.1)
        t.press("esc") if key == "/" else t.see(words)
    t.type(f":{context}/\u202e[@click=app.quit]a\r")
    t.see("leads to")
    t.press("ctrl+p")
    t.see("esc closes")
    t.paste("OWNED")
    t.see("tenants/title")
    t.paste(PASTED)
    t.see("nothing matches")
    close(t)


def change(t: Terminal) -> None:
    """Act menu with its refusals, form, preview, question, result line, and the way back."""
    t.press("a")
    t.see("click is suspended already")
    t.press("e")
    t.see("enter next")
    t.paste('{"x": "' + "A\u202e" * 20 + '"}')
    t.press("enter")
    t.settle(0.1)
    close(t)
    t.press("a")
    t.see("Reveal one masked")
    t.press("v")
    t.see("kept in the audit trail")
    t.paste(PASTED)
    t.press("enter")
    t.see("CLICKME[/]@x")
    t.press("a")
    t.see("Resume a suspended")
    t.press("u")
    t.see("Do it? y/N")
    t.paste("\x1b" + "y" * 40)
    t.settle(DEAD_TIME)
    t.see("Do it? y/N")
    t.press("y")
    t.see("audit")


def leave(t: Terminal) -> None:
    t.press("ctrl+c", "ctrl+c")
    assert t.wait() == 0
    assert t.restored()


def test_no_form_context_or_file_name_lets_it_through(home: Database, tmp_path: Path) -> None:
    """Names of files, of profiles, of contexts; what a link on the command line says; the terminal's title."""
    folder = tmp_path / "x\x1b]0;OWNED\x07\u202e[@click=app.quit]CLICKME"
    folder.mkdir()
    (folder / "log").write_bytes(b"\xff\xfe not a log\x1b[2J")
    settings = tmp_path / "settings.toml"
    settings.write_text(
        "".join(
            f'[profiles.{name}]\nurl = "postgresql://{quote(hostile)}@127.0.0.1:1/{quote(hostile)}"\n'
            'environment = "staging"\n'
            for name, hostile in PAYLOADS.items()
        )
    )
    link = f"{home.name}/tenants?name:{PAYLOADS['click']}"
    with open_console(home, link, env={"WATCHFLOOR_SETTINGS": str(settings)}, cwd=str(folder), columns=100) as t:
        t.see("/name:[@click")
        assert click(t, "@click")
        t.press("e")
        t.see("export")
        t.paste("c")
        t.press("enter", "enter")
        t.press("ctrl+u")
        t.paste(str(folder) + "/\x9b2Jout")
        t.press("enter")
        t.see("rows in")
        t.type(":import\r")
        t.see("request log")
        t.paste(PASTED)
        t.press("enter", "enter", "enter", "enter")
        t.see("not a file")
        close(t)
        t.type(":context\r")
        t.see("PASSWORD FROM")
        read(t, "w", "· why")
        t.type(":context title\r")
        t.see("cannot be reached")
        t.type(":context A\x9b2J\r")
        t.see("There is no context")
        leave(t)
        assert_inert(t)


def test_no_setting_lets_it_through_before_there_is_a_screen(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    quoted = ['"' + "".join(f"\\U{ord(char):08x}" for char in each) + '"' for each in PAYLOADS.values()]
    lines = [f"{each} = {each}\n" for each in quoted]
    settings.write_text("".join([*lines, *(f"[profiles.{line.partition(' =')[0]}]\nurl = 'x'\n" for line in lines)]))
    own = {"WATCHFLOOR_SETTINGS": str(settings), "PYTHONPATH": str(CHECKOUT)}
    with Terminal(PROGRAM, env=own, columns=500) as t:
        assert t.wait() == 2
        assert any("CLICKME" in line for line in t.screen())
        assert_inert(t)


COMMANDS = (
    ("tenants", "list"),
    ("tenants", "list", "--sort", HOSTILE),
    ("tenants", "list", HOSTILE),
    ("tenants", "list", f"status:{PAYLOADS['title']}"),
    ("tenants", "show", "title"),
    ("tenants", "show", HOSTILE),
    ("tenants", "rename", "title", HOSTILE, "--dry-run"),
    ("tenants", "suspend", "title", "--reason", HOSTILE, "--yes"),
    ("tenants", "reveal", "title", "--reason", HOSTILE, "--yes"),
    ("tenants", HOSTILE),
    (HOSTILE,),
    (f"--{HOSTILE}",),
    *(
        (noun, "list", "--format", form)
        for noun in ("tenants", "audit", "runs")
        for form in ("csv", "ndjson", "markdown")
    ),
    ("projects", "list"),
    ("audit", "list"),
    ("audit", "list", "--limit", HOSTILE),
    ("runs", "list"),
    ("runs", "show", "2"),
    ("runs", "show", HOSTILE),
    ("requests", "import", HOSTILE, "--format", "combined"),
    ("requests", "import", "x", "--format", HOSTILE),
    ("tenants", "apply", HOSTILE),
    ("undo", HOSTILE),
    ("tenants", "list", "--home", f"postgresql://a@127.0.0.1:1/{quote(PAYLOADS['title'])}"),
    ("tenants", "list", "--home", HOSTILE),
    ("contexts", HOSTILE),
    ("settings", "show"),
    ("home", "status"),
)


@pytest.fixture
def cli(home: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.setenv("WATCHFLOOR_HOME", hostile.url_of_actor(home))
    monkeypatch.setenv("PGPASSWORD", LOGIN_PASSWORD)
    return Cli(home, monkeypatch, capsys)


def test_no_command_prints_it(cli: Cli) -> None:
    """Nor its JSON: what a person reads with `--json` goes to the same terminal."""
    seen = ""
    for words in COMMANDS:
        for more in ((),) if "--format" in words else ((), ("--json",)):
            answer = cli(*words, *more)
            assert answer.code in range(8), (words, answer)
            printed = (answer.out + answer.err).replace("\n", "\r\n").encode()
            assert not foreign_controls(printed), words
            assert not [sequence for sequence in NEVER if sequence in printed], words
            seen += answer.out + answer.err
    assert all(f"{name} " in seen for name in PAYLOADS)


def test_a_spreadsheet_takes_none_of_it_for_a_formula(cli: Cli) -> None:
    for noun in ("tenants", "projects", "audit", "runs"):
        answer = cli(noun, "list", "--format", "csv")
        rows = list(csv.reader(io.StringIO(answer.out)))
        assert any("=1+1" in cell for row in rows for cell in row)
        assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@")]
