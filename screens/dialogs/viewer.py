"""Something to read: every field of a thing, the reasons for a refusal, the help."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from controlplane.lists import Line
from controlplane.previews import value_words
from screens.dialogs.dialog import Dialog, text
from screens.session import Session
from screens.terminal.clipboard import copy
from screens.widgets.lines import Lines


class Viewer(Dialog[None]):
    """Lines to read. With a `record`, `y` turns them to JSON and back; `c` copies what is shown."""

    DEFAULT_CSS = """
    Viewer > Vertical { width: 100%; height: 100%; }
    Viewer Lines { height: 1fr; }
    Viewer Input { display: none; height: 1; border: none; padding: 0; }
    Viewer.searching Input { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "close", show=False, id="viewer.close"),
        Binding("y", "turn", show=False, id="viewer.json"),
        Binding("c", "copy", show=False, id="viewer.copy"),
        Binding("slash", "search", show=False, id="viewer.search"),
    ]

    def __init__(
        self, session: Session, title: str, lines: Sequence[Line] = (), record: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(session, title)
        self.record = record
        self.lines = list(lines) if record is None else described(record)
        self.as_json = False

    def parts(self) -> ComposeResult:
        yield Lines(self.lines)
        yield Input(placeholder="search: enter keeps only the lines found, esc shows all", id="sought")
        keys = "/ search · c copy · esc closes"
        yield text(f"y JSON · {keys}" if self.record is not None else keys, id="keys", classes="hint")

    def on_mount(self) -> None:
        self.query_one(Lines).focus()

    def action_turn(self) -> None:
        if self.record is not None:
            self.as_json = not self.as_json
            self._show()

    def action_search(self) -> None:
        self.add_class("searching")
        self.query_one(Input).focus()

    def action_close(self) -> None:
        """First the search ends, then the dialog."""
        if self.has_class("searching"):
            self.remove_class("searching")
            self.query_one(Input).value = ""
            self.query_one(Lines).focus()
        else:
            super().action_close()

    @on(Input.Changed)
    def _show(self) -> None:
        lines, sought = self._json() if self.as_json else self.lines, self.query_one(Input).value.casefold()
        self.query_one(Lines).show(found_in(lines, sought) if sought else lines)

    @on(Input.Submitted)
    def _keep(self) -> None:
        self.query_one(Lines).focus()

    def _json(self) -> list[Line]:
        return list(json.dumps(self.record, indent=2, default=str, ensure_ascii=False).splitlines())

    async def action_copy(self) -> None:
        shown = self._json() if self.as_json else self.lines
        plain = "\n".join(line if isinstance(line, str) else line[0] for line in shown)
        self.app.notify(await copy(self.app, plain), markup=False)


def found_in(lines: Sequence[Line], sought: str) -> list[Line]:
    """The lines with this text, each group under its title."""
    found: list[Line] = []
    title: Line | None = None
    for line in lines:
        words, tone = (line, "") if isinstance(line, str) else line
        if tone == "title":
            title = line
        if sought in words.casefold():
            found += [line] if title is None or title is line else [title, line]
            title = None
    return found or [(f"No match for {sought}", "muted")]


def described(record: Mapping[str, Any]) -> list[Line]:
    """A line per field, names in one column; what has structure is spread over lines of its own."""
    widest = max((len(name) for name in record), default=0)
    lines: list[Line] = []
    for name, value in record.items():
        label = name.replace("_", " ").ljust(widest)
        if isinstance(value, dict | list) and value:
            lines.append(f"{label}")
            lines += [f"  {line}" for line in json.dumps(value, indent=2, default=str, ensure_ascii=False).splitlines()]
        else:
            lines.append(f"{label}  {value_words(value)}")
    return lines
