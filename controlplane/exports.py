"""A list as a file: CSV, JSON, NDJSON or Markdown, with context, filter and time on top."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from controlplane.text import clean

Format = Literal["csv", "json", "ndjson", "markdown"]
FORMATS: tuple[Format, ...] = ("csv", "json", "ndjson", "markdown")
ENDINGS: Mapping[Format, str] = {"csv": "csv", "json": "json", "ndjson": "ndjson", "markdown": "md"}

MAX_CELL_CHARACTERS = 100_000
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_BEFORE_ONE = ("\t", "\r", "\n")


@dataclass(frozen=True)
class Heading:
    """Where an export comes from, for a reader who has only the file. `notes`: what may be missing from it."""

    context: str
    noun: str
    filter: str
    sort: str
    as_of: datetime
    notes: Sequence[str] = ()

    def facts(self) -> dict[str, str]:
        facts = {
            "context": self.context,
            "noun": self.noun,
            "filter": self.filter or "none",
            "sort": self.sort,
            "as_of": self.as_of.isoformat(),
        }
        return facts | ({"notes": "; ".join(self.notes)} if self.notes else {})


def chunks(
    form: Format, heading: Heading, columns: Sequence[str], records: Iterable[Mapping[str, Any]]
) -> Iterable[str]:
    """The file's text in pieces, so that a long list is never in memory as a whole."""
    return {"csv": _csv, "json": _json, "ndjson": _ndjson, "markdown": _markdown}[form](heading, columns, records)


def plain(value: Any) -> Any:
    """A value as JSON has it: times and days as ISO-8601, times in UTC."""
    return value.isoformat() if isinstance(value, date) else value


def _picked(record: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    return {name: plain(record.get(name)) for name in columns}


def _csv(heading: Heading, columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    facts = [f"{name}: {value}" for name, value in heading.facts().items()]
    yield _csv_line([f"# {facts[0]}", *facts[1:]])
    yield _csv_line(columns)
    for record in records:
        yield _csv_line(_picked(record, columns).values())


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(map(_csv_cell, values))
    return line.getvalue()


def _csv_cell(value: Any) -> str:
    """A spreadsheet would run some texts as formulas: a quote in front keeps them text. Controls are made inert."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return _split(json.dumps(value)) if isinstance(value, dict | list) else str(value)
    formula = value.strip()[:1] in _FORMULA or value[:1] in _BEFORE_ONE
    return _split(("'" if formula else "") + clean(value, MAX_CELL_CHARACTERS))


def _split(text: str) -> str:
    """Where the comma is the decimal sign, spreadsheets split cells at semicolons: guard what follows one too."""
    return re.sub(r""";["'\s]*(?=[=+\-@])""", r"\g<0>'", text)


def _json(heading: Heading, columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    yield json.dumps(heading.facts())[:-1] + ', "items": ['
    for number, record in enumerate(records):
        yield (",\n" if number else "\n") + json.dumps(_picked(record, columns))
    yield "\n]}\n"


def _ndjson(heading: Heading, columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    yield json.dumps({"export": heading.facts()}) + "\n"
    for record in records:
        yield json.dumps(_picked(record, columns)) + "\n"


def _markdown(heading: Heading, columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    yield ", ".join(f"{name}: {_markdown_cell(value)}" for name, value in heading.facts().items()) + "\n\n"
    yield "| " + " | ".join(map(_markdown_cell, columns)) + " |\n|" + "---|" * len(columns) + "\n"
    for record in records:
        yield "| " + " | ".join(_markdown_cell(value) for value in _picked(record, columns).values()) + " |\n"


def _markdown_cell(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    escaped = clean(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
    return escaped.replace("[", "\\[").replace("*", "\\*")
