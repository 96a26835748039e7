"""Something to read: every field of a thing, the reasons for a refusal, the help."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

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
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "close", show=False, id="viewer.close"),
        Binding("y", "turn", show=False, id="viewer.json"),
        Binding("c", "copy", show=False, id="viewer.copy"),
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
        keys = "y JSON · c copy · esc closes" if self.record is not None else "c copy · esc closes"
        yield text(keys, id="keys", classes="hint")

    def action_turn(self) -> None:
        if self.record is not None:
            self.as_json = not self.as_json
            self.query_one(Lines).show(self._json() if self.as_json else self.lines)

    def _json(self) -> list[Line]:
        return list(json.dumps(self.record, indent=2, default=str, ensure_ascii=False).splitlines())

    async def action_copy(self) -> None:
        shown = self._json() if self.as_json else self.lines
        plain = "\n".join(line if isinstance(line, str) else line[0] for line in shown)
        self.app.notify(await copy(self.app, plain), markup=False)


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
