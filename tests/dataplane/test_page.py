"""docs/data-plane.md is true: its functions are those of the home, its commands and its code run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.app.commands import Cli
from tests.dataplane.clients import EXAMPLES, NODE, url
from tests.postgres import Database

PAGE = (EXAMPLES.parent / "data-plane.md").read_text(encoding="utf-8")
FUNCTIONS = """
SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid), prosrc,
       ARRAY(SELECT n FROM unnest(proargnames, proargmodes) AS a(n, m) WHERE m IN ('o', 't'))
FROM pg_proc WHERE pronamespace = 'wf_data'::regnamespace
"""


def rows() -> Iterator[list[str]]:
    for line in re.findall(r"^\| `.*\|$", PAGE, re.M):
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def block(language: str) -> str:
    [code] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)
    assert isinstance(code, str)
    return code


def arguments(text: str) -> list[str]:
    """ "a text, b text = now()" as the page and the home write it."""
    given = re.sub(r",? ?OUT .*", "", text.replace(" DEFAULT ", " = "))
    return [
        re.sub(r"::[a-z ]+(\[\])?", "", one.strip()).replace("timestamp with time zone", "timestamptz")
        for one in given.split(",")
    ]


def test_the_functions_of_the_page_are_those_of_the_home(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        found = connection.execute(FUNCTIONS).fetchall()
    shown = []
    for cells in rows():
        if named := re.fullmatch(r"`(\w+)\((.*)\)`", cells[0]):
            shown.append((named[1], arguments(named[2]), cells[1]))
    assert sorted(shown) == sorted(
        (name, arguments(given), f"`{', '.join(columns)}`" if columns else result)
        for name, given, result, _, columns in found
    )


def source_of(database: Database, function: str) -> str:
    with psycopg.connect(database.owner) as connection:
        row = connection.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", [function]
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_the_refusals_of_the_page_are_those_of_the_home(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        source = {name: body for name, _, _, body, _ in connection.execute(FUNCTIONS).fetchall()}
    source["sign_up"] += source_of(database, "sign_up_fault")
    source["provision"] += source_of(database, "check_request_id")
    [table] = re.findall(r"^\| asked \|.*?\n\n", PAGE, re.S | re.M)
    shown = {name: set(re.findall(r"`(\w+)`", codes)) for name, codes in re.findall(r"^\| `(\w+)`(.*)$", table, re.M)}
    assert set(shown) == {"authenticate", "admit", "impersonation", "sign_up", "provision"}
    for name, codes in shown.items():
        written = set(re.findall(r"(?:THEN|ELSE|:=|false,|CONSTRAINT =) '(\w+)'", source[name]))
        if name == "admit":
            written |= {f"subscription_{state}" for state in ("suspended", "expired", "canceled")}
        assert codes - {"refusal", "reason", "code"} == written - {"quota", "rate", "subscription_", "live", "test"}, (
            name
        )


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_code_of_the_page_serves_a_caller(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    cli = Cli(database, monkeypatch, capsys)
    cli.log_in("admin")
    [command, *_] = re.findall(r"^    watchfloor (.*)$", PAGE, re.M)
    password = cli.done(*command.split(), "--yes")["result"]["password"]
    cli.done("tenants", "create", "acme", "--plan", "growth")
    create = ("keys", "create", "acme", "--addresses", "192.0.2.0/24", "--scopes")
    secrets = [cli.done(*create, scope)["secret"] for scope in ("orders:read", "orders:write")]
    home = url(make_conninfo(database.owner, user="shop", password=password))
    calls = [
        (secrets[0], "::ffff:192.0.2.7"),
        (secrets[0], "198.51.100.1"),
        (secrets[1], "192.0.2.7"),
        ("x", "192.0.2.7"),
    ]
    said = ["200 hello acme", "401 address_not_allowed", "403 scope", "401 key_unknown"]
    assert _served(language, home, calls) == said
    cli.done("tenants", "suspend", "acme", "--reason", "unpaid", "--yes")
    assert _served(language, home, calls[:1]) == ["401 tenant_suspended"]
    cli.done("operators", "remove", "shop", "--reason", "gone", "--yes")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(home)


def _served(language: str, home: str, calls: list[tuple[str, str]]) -> list[str]:
    given = json.dumps(calls)
    if language == "python":
        code = block("python") + f"\nimport json\nprint(json.dumps([answer(*one) for one in {given}]))\nkeys.close()\n"
        command = [sys.executable, "-c", code]
    else:
        ask = f"const said = []\nfor (const one of {given}) said.push(await answer(...one))\n"
        code = block("js") + ask + "console.log(JSON.stringify(said))\nawait keys.close()\nawait link.end()\n"
        command = [str(NODE), "--input-type=module", "--eval", code]
    environment = os.environ | {"SHOP_HOME": home, "PYTHONPATH": str(EXAMPLES)}
    done = subprocess.run(command, cwd=EXAMPLES, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    said = json.loads(done.stdout)
    assert isinstance(said, list)
    return said


def test_every_link_of_the_page_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (EXAMPLES.parent / target).exists(), target
    assert Path(NODE).exists()
