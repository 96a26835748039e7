"""Dead letters on the command line: what the pages show is true, and a drill leaves its evidence."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import psycopg
import pytest

from tests.app.commands import Cli
from tests.backends.letters import die

CHECKOUT = Path(__file__).parents[2]
READS = ("list", "letters", "show", "drill")


def commands(page: str) -> list[list[str]]:
    """Without those on other systems: tests/app/test_cli_sources.py has them."""
    text = (CHECKOUT / page).read_text(encoding="utf-8").partition("## Other systems")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)
    return [shlex.split(line, comments=True)[1:] for block in blocks for line in block.splitlines()]


@pytest.fixture
def dead(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    with psycopg.connect(cli.database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        die(owner, 3, kind="invoice.send", payload={"user": {"id": 42}})
        die(owner, 37, kind="report", error="out of memory")
        die(owner, 1, kind="invoice.send", payload={"user": {"id": 42}})
    return cli


def cause_of(cli: Cli, handler: str) -> str:
    [item] = cli.done("queues", "list", f"handler:{handler}")["items"]
    return str(item["id"])


@pytest.mark.parametrize("page", ["docs/queues.md", "runbooks/dead-letter-replay.md"])
def test_every_command_of_the_page_runs(dead: Cli, page: str) -> None:
    cause = cause_of(dead, "invoice.send")
    shown = [[word.replace("0123456789abcdef", cause) for word in words] for words in commands(page)]
    assert len(shown) >= 8
    for words in shown:
        if words[1] == "discard" and "--filter" in words:  # what failed again after the replay
            with psycopg.connect(dead.database.owner, autocommit=True) as owner:
                die(owner, kind="invoice.send")
        answer = dead(*words, *([] if words[1] in READS else ["--yes"]))
        assert answer.code == 0, (words, answer)


def test_two_drills_give_the_same_evidence_but_for_ids_and_times(dead: Cli, tmp_path: Path) -> None:
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for file in files:
        answer = dead("queues", "drill", "--to", str(file))
        assert answer.code == 0 and "passed  still waiting: 0 of 0" in answer.out, answer
    records = [json.loads(file.read_text()) for file in files]
    assert records[0]["ids"] != records[1]["ids"]
    assert {k: v for k, v in records[0].items() if k not in ("ids", "times")} == {
        k: v for k, v in records[1].items() if k not in ("ids", "times")
    }
    assert records[0]["verdict"] == "passed" and len(records[0]["steps"]) == 9
    assert dead("queues", "drill", "--to", str(files[0]), "--json").document["error"]["code"] == "drill_file_exists"
    left = dead.done("queues", "letters", "state:dead,quarantined")["total"]
    assert left == 41  # only its own messages were touched


def test_a_dry_run_counts_by_verdict_and_writes_nothing(dead: Cli) -> None:
    dead.done("queues", "quarantine", "1", "--reason", "poison", "--yes")
    before = dead.sql("SELECT count(*), max(seq) FROM wf.audit")
    words = ("queues", "replay", "--filter", f"cause:{cause_of(dead, 'invoice.send')}", "--dry-run")
    result = dead.done(*words)["result"]
    assert (result["total"], result["refused"]) == (4, {"letter_quarantined": 1})
    assert dead.sql("SELECT count(*), max(seq) FROM wf.audit") == before
    assert (
        dead("queues", "replay", "--filter", "", "--dry-run", "--json").document["error"]["code"] == "run_filter_empty"
    )


def test_one_message_is_shown_with_all_that_is_known(dead: Cli) -> None:
    item = dead.done("letters", "show", "1")["item"]
    assert item["message"]["json"] == '{\n    "user": {\n        "id": 42\n    }\n}' and item["obstacle"] is None
    said = dead("letters", "show", "1").out
    assert '"id": 42' in said and "verdict: replay" in said and "No message of this handler succeeded" in said
    assert dead("letters", "show", "999", "--json").document["error"]["code"] == "no_letter"
    assert dead("queues", "show", "ffff", "--json").document["error"]["code"] == "no_cause"
