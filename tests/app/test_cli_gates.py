"""Gates on the command line: what docs/gates.md shows is true, and CI gets the exit codes and files that it reads."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.__main__ import _guarded
from controlplane.gates.document import schema
from controlplane.gates.shipped.texts import text
from tests.app.commands import Cli

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs/gates.md").read_text(encoding="utf-8")
RUNS = {"checkout": [30, 0], "consistency": [30, 30]}
"""The exit codes of the runs of the page, in their order."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)


@pytest.fixture
def shop(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A folder as a newcomer has it."""
    monkeypatch.chdir(tmp_path)
    example, *_ = blocks("yaml")
    Path("gates.yaml").write_text(example)
    Path("report.xml").write_text('<testsuite><testcase name="pays"/></testsuite>')
    Path("smoke.sh").write_text("#!/bin/sh\nexit 0\n")
    Path("smoke.sh").chmod(0o755)
    return cli


def test_every_command_of_the_page_runs(shop: Cli) -> None:
    runs = {gate: list(codes) for gate, codes in RUNS.items()}
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) > 15
    for line in lines:
        words, _, file = line.partition(" > ")
        asked = shlex.split(words, comments=True)[1:]
        answer = shop(*asked)
        if file:
            Path(file).write_text(answer.out)
        code = runs[asked[2]].pop(0) if asked[:2] == ["gates", "run"] else 0
        assert answer.code == code, (line, answer)
    assert not any(runs.values())
    assert ElementTree.parse("gates.xml").getroot().get("tests") == "5"
    assert json.loads(Path("gates.sarif").read_text())["runs"][0]["properties"]["verdict"] == "GO"
    assert "5 of 5 checks recorded" in shop("decisions", "show", "2").out
    assert "✕" not in shop("gates", "show", "checkout", "staging").out


def test_the_published_schema_is_that_of_the_program(cli: Cli) -> None:
    published = json.loads((CHECKOUT / "docs/gates.schema.json").read_text(encoding="utf-8"))
    assert published == schema() == json.loads(cli("gates", "schema").out)
    assert cli("gates", "shipped").out == text()
    assert cli("gates", "shipped", "nope").code == 2


def test_the_shipped_gates_are_kept_as_they_come_through_a_pipe(cli: Cli) -> None:
    shipped = cli("gates", "shipped").out.encode()
    cli.monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(shipped)))
    assert cli.done("gates", "apply", "-", "--yes")["result"]["created"] == 7
    assert cli("gates", "apply", "--yse", "x.yaml").code == 2, "what is no option is not taken for a file"
    assert cli.done("gates", "list")["total"] == 7


def test_a_fault_is_told_with_its_line_and_nothing_is_kept(shop: Cli) -> None:
    example = Path("gates.yaml").read_text()
    kind, misspelt = "        kind: junit\n", "        fresh: 1d"
    line = example.split("\n").index("        freshness: 1d                   # an older report counts as stale") + 1
    for wrong, place, words in (
        (example.replace("        freshness: 1d  ", misspelt, 1), line, "there is no such field"),
        (example.replace("name: smoke", "name: tests"), 17, "the check tests is there twice"),
        (example.replace(kind, "        kind: jnuit\n"), 13, "kind is jnuit, and not one of sql, http,"),
        (example + example.removeprefix("gates:\n"), 25, "the gate checkout is there twice"),
        ("gates: [" * 200, 1, "nested deeper"),
    ):
        Path("wrong.yaml").write_text(wrong)
        answer = shop("gates", "apply", "wrong.yaml", "--yes")
        assert answer.code == 2 and f"wrong.yaml:{place}: " in answer.err and words in answer.err, answer
    assert shop.done("gates", "list")["items"] == []


def test_ci_decides_from_the_summary_with_no_connection(shop: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """cosign #4454: a verification that is offline still fetched."""
    shop("gates", "apply", "gates.yaml", "--yes")
    shutil.copy("report.xml", "good.xml")
    Path("report.xml").write_text('<testsuite><testcase name="pays"><error/></testcase></testsuite>')
    answer = shop("gates", "run", "checkout", "--environment", "staging", "--json", "--junit", "out.xml")
    assert answer.code == 20
    document = answer.document
    assert document["verdict"] == "NO_GO" and document["kind"] == "watchfloor.gate-summary/1"
    found = {each["name"]: (each["state"], each["value"], each["threshold"], each["unit"])
             for each in document["checks"]}  # fmt: skip
    assert found["tests"] == ("fail", 1.0, "at most 0", "tests")
    assert found["smoke"][0] == "inconclusive", "a program runs only where --commands lets it"
    suite = ElementTree.parse("out.xml").getroot()
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("1", "1", "1")

    def opened(*given: object, **more: object) -> None:
        raise AssertionError("a connection was opened")

    Path("summary.json").write_text(answer.out)
    Path("claims.json").write_text(answer.out.replace('"verdict": "NO_GO"', '"verdict": "GO"'))
    with monkeypatch.context() as cut:
        cut.setattr(socket, "socket", opened)
        cut.setattr("psycopg.AsyncConnection.connect", opened)
        assert _guarded(["gates", "decide", "summary.json"]) == 20
        assert _guarded(["gates", "decide", "claims.json"]) == 1
        assert _guarded(["gates", "decide", "gates.yaml"]) == 2
    assert shop("gates", "run", "nope", "--environment", "staging").code == 4
    assert shop("gates", "run", "checkout", "--environment", "prod").code == 2
    shop.log_in("viewer")
    assert shop("gates", "run", "checkout", "--environment", "staging").code == 3
