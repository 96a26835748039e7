import csv
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.exports import FORMATS, Heading, chunks

AT = datetime(2026, 11, 21, 5, 33, tzinfo=UTC)
HEADING = Heading("acme-prod", "tenants", "err>1%", "-err", AT)
HOSTILE = "\x1b[2J|`<b>[x](http://e)\n\u202ename"


def written(form: Any, *records: dict[str, Any]) -> str:
    return "".join(chunks(form, HEADING, ["id", "name", "at", "more"], records))


@pytest.mark.parametrize("form", FORMATS)
def test_what_it_is_stands_on_top(form: Any) -> None:
    top = written(form)[:220]
    for word in ("acme-prod", "tenants", "1%", "-err", "2026-11-21T05:33:00+00:00"):
        assert word in top


def test_json_is_one_document_with_every_value_as_it_is() -> None:
    document = json.loads(written("json", {"id": "a", "name": HOSTILE, "at": AT, "more": {"n": [1]}}, {"id": "b"}))
    assert document["items"][0] == {"id": "a", "name": HOSTILE, "at": AT.isoformat(), "more": {"n": [1]}}
    assert document["items"][1] == {"id": "b", "name": None, "at": None, "more": None}


def test_ndjson_is_a_document_a_line() -> None:
    lines = [json.loads(line) for line in written("ndjson", {"id": "a"}, {"id": "b", "name": HOSTILE}).splitlines()]
    assert "export" in lines[0] and [line["id"] for line in lines[1:]] == ["a", "b"] and lines[2]["name"] == HOSTILE


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", "\n=1", " =1+1", "＝1"])
def test_no_cell_of_a_csv_is_a_formula(name: str) -> None:
    comment, *rest = written("csv", {"id": "a", "name": name, "more": -1}).splitlines()
    (row,) = csv.DictReader(rest)
    assert comment.startswith("# ") and row["name"].startswith("'") and row["more"] == "-1"


@pytest.mark.parametrize("form", FORMATS)
def test_a_terminal_that_prints_the_file_obeys_nothing(form: Any) -> None:
    text = written(form, {"id": "a", "name": HOSTILE, "more": {HOSTILE: ["\x7f\x9b", HOSTILE]}})
    assert all(line.isprintable() for line in text.splitlines()) and "\u202e" not in text


def test_markdown_keeps_its_table_whatever_a_cell_holds() -> None:
    lines = written("markdown", {"id": "a", "name": HOSTILE}).splitlines()
    assert len(lines) == 5 and lines[2] == "| id | name | at | more |"
    assert "\\|" in lines[4] and "<b>" not in lines[4] and "[x](" not in lines[4].replace("\\[", "")


def cells(text: str, delimiter: str) -> list[str]:
    return [cell for row in csv.reader(text.splitlines(), delimiter=delimiter) for cell in row]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("place", ["filter", "column", "cell"])
@pytest.mark.parametrize("formula", ["=1+1", "x,=1+1", "x;=1+1", 'x","=1+1', 'x";"=1+1', "x,@y", "x\t=1+1"])
def test_no_cell_anywhere_is_a_formula_whatever_ends_a_cell(formula: str, place: str, delimiter: str) -> None:
    """The heading and the names of the columns are cells as well, and some spreadsheets split at semicolons."""
    heading = Heading("acme", "tenants", formula if place == "filter" else "", "-err", AT, [formula])
    name = formula if place == "column" else "name"
    text = "".join(chunks("csv", heading, [name, "at"], [{name: formula if place == "cell" else "x"}]))
    assert not [cell for cell in cells(text, delimiter) if cell.lstrip()[:1] in ("=", "+", "-", "@")]


def test_markdown_escapes_the_names_of_columns_as_well() -> None:
    text = "".join(chunks("markdown", HEADING, ["a|b", "<c>"], []))
    assert "| a\\|b | &lt;c> |" in text
