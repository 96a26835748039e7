"""Lists for a person: filter, order, pages, hostile text, and the table where there is no screen."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from app.cli.linked import words_of
from app.cli.tree import reads
from app.links import read as read_link
from app.start import Start, read
from controlplane.nouns import NOUNS, Noun, list_named
from tests.app.commands import ROOT, Cli, program
from tests.backends.keys import make_calls, make_keys

HOSTILE = "\x1b]0;owned\x07\x1b[2J‮evil​\r\n[red]x[/red]"


def fill(cli: Cli) -> None:
    cli.sql(
        "INSERT INTO wf.tenants (id, name, plan) SELECT 'acme-' || i, 'Acme ' || i, "
        "CASE WHEN i % 2 = 0 THEN 'growth' ELSE 'trial' END FROM generate_series(1, 9) i"
    )


def ids(document: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["id"] for item in document["items"]]


def test_words_after_list_are_the_filter(cli: Cli) -> None:
    fill(cli)
    assert ids(cli.done("tenants", "list", "plan:growth", "-acme-2")) == ["acme-4", "acme-6", "acme-8"]
    assert ids(cli.done("tenants", "list", "/id:acme-1,acme-3")) == ["acme-1", "acme-3"]
    assert ids(cli.done("tenants", "list", "id:acme-1", "--limit", "3", "created<1d")) == ["acme-1"]


def test_a_field_alone_says_its_values(cli: Cli) -> None:
    fill(cli)
    answer = cli("tenants", "list", "acme", "plan:")
    assert answer.code == 2 and "plan is trial (5), growth (4)" in answer.err and "Fields: id, name," in answer.err


def test_sort_and_pages(cli: Cli) -> None:
    fill(cli)
    down = cli.done("tenants", "list", "acme", "--sort", "-id", "--limit", "4")
    assert ids(down) == ["acme-9", "acme-8", "acme-7", "acme-6"] and down["total"] == 9
    rest = cli.done("tenants", "list", "acme", "--sort", "id", "--desc", "--after", down["next"])
    assert ids(rest) == ["acme-5", "acme-4", "acme-3", "acme-2", "acme-1"] and rest["next"] is None
    other = cli("tenants", "list", "acme", "--sort", "name", "--after", down["next"])
    assert other.code == 2 and "[cursor_of_another_list]" in other.err


def test_a_person_sees_an_aligned_table_and_how_many_of_all(cli: Cli) -> None:
    fill(cli)
    answer = cli("tenants", "list", "plan:growth", "--limit", "2")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["TENANT", "NAME", "STATUS", "PLAN", "REGION", "REQ/m", "ERR%", "P95"]
    assert [line.split()[0] for line in lines[1:]] == ["acme-2", "acme-4"]
    assert lines[0].index("STATUS") == lines[1].index("active")
    assert lines[1].split()[-3:] == ["–", "–", "–"]  # unknown, never 0
    assert "2 of 4 tenants that match, 10 in total" in answer.err and "--after" in answer.err
    assert cli("tenants", "list").err == "10 of 10 tenants\n"


def test_hostile_text_is_inert(cli: Cli) -> None:
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('bad', %s)", HOSTILE)
    listed, shown = cli("tenants", "list"), cli("tenants", "show", "bad")
    traced = cli("audit", "show", "1")
    dry = cli("tenants", "rename", "bad", "--name", "good", "--dry-run")
    for answer in (listed, shown, traced, dry):
        assert answer.code == 0
        assert all(line.isprintable() for line in answer.out.splitlines() + answer.err.splitlines()), answer
        assert "[red]x[/red]" in answer.out, answer
    assert len(listed.out.splitlines()) == 3
    answer = cli("tenants", "list", "bad", "--json")
    assert answer.document["items"][0]["name"] == HOSTILE and "\x1b" not in answer.out
    refused = cli("tenants", "show", HOSTILE)
    assert refused.code == 4 and all(line.isprintable() for line in refused.err.splitlines())


def test_personal_data_is_masked_for_those_who_may_not_see_it(cli: Cli) -> None:
    cli.done("tenants", "create", "acme", "--owner-email", "ana@acme.example")
    assert cli.done("tenants", "show", "acme")["item"]["owner_email"] == "ana@acme.example"
    cli.log_in("support")
    assert cli.done("tenants", "show", "acme")["item"]["owner_email"] == "a•••@acme.example"
    revealed = cli("tenants", "reveal", "acme", "--reason", "they called")
    assert "owner_email: ana@acme.example" in revealed.out
    assert cli.done("tenants", "reveal", "acme", "--reason", "again")["result"]["value"] == "ana@acme.example"


def test_without_a_screen_the_console_is_a_table(cli: Cli) -> None:
    fill(cli)
    for words in ([], ["--plain"]):
        answer = program(*words)
        assert answer.code == 0 and "acme-1" in answer.out and "\x1b" not in answer.out + answer.err


def test_what_stands_before_a_command_is_the_commands() -> None:
    assert read(["--home", "h", "--json", "tenants", "list", "x"]).words == (
        *("tenants", "list", "--home", "h", "--json", "x"),
    )
    assert read(["--home=h"]) == Start(home="h")
    assert read(["--home", "h", "home/tenants?plan:x#acme"]) == Start(home="h", link="home/tenants?plan:x#acme")
    assert read(["tenants", "list", "id:/a/"]).words == ("tenants", "list", "id:/a/")
    assert read(["--accessible", "demo"]).words == ("demo", "--accessible")


def test_a_reader_that_goes_away_is_quiet(cli: Cli) -> None:
    cli.sql("INSERT INTO wf.tenants (id, name) SELECT 't' || i, repeat('x', 60) FROM generate_series(1, 4000) i")
    words = "-m app tenants list --limit 4000 --json"
    done = subprocess.run(
        ["sh", "-c", f'"$0" {words} | head -c 10', sys.executable], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == '{"items": ' and done.stderr == ""


@pytest.mark.parametrize("words", ["tenants list", "audit list"])
def test_a_list_loads_nothing_that_only_changes_need(cli: Cli, words: str) -> None:
    code = (
        "import sys\nfrom app.__main__ import _guarded\n"
        f"assert _guarded({words.split()!r}) == 0\n"
        "print(*[m for m in ('pydantic', 'textual', 'httpx', 'keyring', 'pyrage', 'rich', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "", done


def test_an_interrupt_is_130_without_a_word_of_python(cli: Cli) -> None:
    """While it waits for a lock that somebody else holds."""
    import signal

    import psycopg

    with psycopg.connect(cli.database.owner) as connection:
        connection.execute("LOCK TABLE wf.tenants IN ACCESS EXCLUSIVE MODE")
        running = subprocess.Popen(
            [sys.executable, "-m", "app", "tenants", "list"], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        with psycopg.connect(cli.database.owner, autocommit=True) as other:
            while not other.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone():
                assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=20)
    assert (running.returncode, said) == (130, "")


def test_a_page_as_csv_ndjson_or_markdown_for_another_program(cli: Cli) -> None:
    fill(cli)
    words = ("tenants", "list", "plan:growth", "--sort", "-id", "--limit", "2", "--format")
    comment, header, *rows = cli(*words, "csv").out.splitlines()
    assert "filter: plan:growth" in comment and "sort: -id" in comment and header.startswith("id,name,")
    assert [row.split(",")[0] for row in rows] == ["acme-8", "acme-6"]
    lines = cli(*words, "ndjson").out.splitlines()
    assert [json.loads(line)["id"] for line in lines[1:]] == ["acme-8", "acme-6"]
    assert "| acme-8 |" in cli(*words, "markdown").out


@pytest.mark.parametrize(
    "noun", [noun for noun in NOUNS if noun.list and "show" not in noun.commands], ids=lambda n: n.name
)
def test_every_list_shows_one_by_its_key_and_says_when_there_is_none(cli: Cli, noun: Noun) -> None:
    declared = list_named(noun.name)
    key = ["9" for _ in declared.key]
    answer = cli(noun.name, "show", *key, "--json")
    assert answer.code == 4 and answer.document["error"]["code"] == declared.missing.code != "no_row", answer


def test_one_thing_has_the_formats_of_its_list(cli: Cli) -> None:
    fill(cli)
    words = ("tenants", "show", "acme-1", "--format")
    comment, header, row = cli(*words, "csv").out.splitlines()
    assert "filter: acme-1" in comment and header.startswith("id,name,") and row.startswith("acme-1,Acme 1,")
    item = json.loads(cli(*words, "ndjson").out.splitlines()[1])
    assert item["id"] == "acme-1" and item == cli.done("tenants", "show", "acme-1")["item"]
    assert "| acme-1 |" in cli(*words, "markdown").out
    assert cli("tenants", "show", "acme-1").out.splitlines()[0].split() == ["id", "acme-1"]


def test_what_a_noun_adds_is_in_every_format(cli: Cli) -> None:
    cli.done("tenants", "create", "acme")
    [key] = make_keys(cli.database.owner, 1)
    make_calls(cli.database.owner, key, 3)
    item = cli.done("keys", "show", key)["item"]
    assert json.loads(cli("keys", "show", key, "--format", "ndjson").out.splitlines()[1]) == item
    assert item["calls"][0]["calls"] == 3


def test_a_list_with_days_has_every_format(cli: Cli) -> None:
    fill(cli)
    for form in ("csv", "ndjson", "markdown"):
        answer = cli("subscriptions", "list", "--format", form)
        assert answer.code == 0 and "acme-1" in answer.out, answer


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("home/stale?env:live", "keys stale env:live"),
        ("home/tenants#acme", "tenants show acme"),
        ("home/projects/acme/web", "projects show acme web"),
        ("home/objectives/3", "objectives show 3"),
    ],
)
def test_a_link_where_no_screen_can_be_drawn_is_its_command(link: str, words: str) -> None:
    found = words_of(read_link(link))
    assert found == words.split() and " ".join(found[:2]) in reads()
