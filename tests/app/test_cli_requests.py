"""`watchfloor requests …`: logs from files and streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.asked import Changing
from app.cli.importing import tell_report
from backends.postgres.home import Home
from controlplane.requestlogs.mappings import SHIPPED
from controlplane.requestlogs.model import Format, ImportReport, RequestRow
from tests.app.commands import ROOT, Cli
from tests.postgres import Database


def test_a_log_is_imported_once(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    line = '203.0.113.9 - - [17/May/2015:10:05:0{} +0000] "GET /a HTTP/1.1" 200 12 "-" "x"\n'
    log.write_text("".join(line.format(second) for second in range(5)) + "nonsense\n")
    cli.done("tenants", "create", "acme")
    words = ["requests", "import", str(log), "--format", "combined", "--tenant", "acme"]
    assert cli.done(*words, "--dry-run")["result"]["rows"] == 5
    done = cli.done(*words)
    assert done["result"]["rows"] == 5 and done["result"]["skipped"] == {"unreadable": 1}
    assert len(done["audit_ids"]) == 1
    again = cli(*words)
    assert again.code == 0 and "0 requests stored" in again.out
    assert cli(*words[:-2]).code == 2  # whose requests?
    assert cli("requests", "import", str(log), "--format", "nosuch").code == 2


async def test_what_was_stored_is_told_also_when_the_home_is_away(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(database.login("operator"))
    await home.open()
    await home.close()
    assert await tell_report(home, ImportReport(rows=40, lines=40), Changing(request_id="r-1")) == 0
    said = capsys.readouterr()
    assert "40 requests stored" in said.out
    assert "cannot be read now" in said.err and "watchfloor audit list request:r-1" in said.err


def test_logs_are_read_by_a_mapping_and_tried_first(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, settings = tmp_path / "a.json", tmp_path / "settings.toml"
    lines = [
        {"tenant": tenant, "path": "/a\x1b[31m", "code": 200, "ms": 1500, "when": "2026-01-01T00:00:00Z"}
        for tenant in ("acme", "acme", "nosuch")
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"message": "started"}]))
    settings.write_text(
        "[logs.mine]\nat = 'when'\nstatus = 'code'\nroute = 'path'\nlatency = 'ms'\nlatency_unit = 'us'\n"
        "tenant = 'field:tenant'\n"
    )
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(settings))
    cli.done("tenants", "create", "acme")
    refused = cli("requests", "import", str(log), "--format", "jsonl")
    assert refused.code == 1
    assert "fields that its lines have: tenant, path, code, ms, when, message" in refused.err
    assert "fields that jsonl wants: tenant_id, route, status, at" in refused.err
    words = ["requests", "import", str(log), "--format", "mine"]
    tried = cli(*words, "--dry-run")
    assert tried.code == 0 and "\x1b" not in tried.out
    assert "line 1: acme  2026-01-01T00:00:00+00:00  - /a␛[31m 200  1.500 ms" in tried.out
    assert "line 4: time, status or path is missing" in tried.out and "2 requests would be stored" in tried.out
    assert [line["skipped"] for line in cli.done(*words, "--dry-run")["result"]["first"]] == [None] * 3 + [
        "field_missing"
    ]
    assert cli.done(*words)["result"]["rows"] == 2
    shown = {item["key"]: item["value"] for item in cli.done("settings", "show")["items"]}
    assert shown["logs.mine"] == "at (when), status (code), route (path), tenant (field:tenant)"
    bad = cli("requests", "import", str(log), "--format", "mien")
    assert bad.code == 2 and "nginx-json, aws-alb, mine" in bad.err
    assert cli("requests", "import", str(log), "--format", "caddy", "--tenant-from", "cookie").code == 2


def test_a_log_whose_tenants_are_all_unknown_is_no_success(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    log.write_text('{"tenant_id": "nosuch", "route": "/", "status": 200, "at": "2026-01-01T00:00:00Z"}\n')
    for _ in range(2):
        answer = cli("requests", "import", str(log), "--format", "jsonl")
        assert answer.code == 1 and "--create-tenants creates them" in answer.out
    assert cli("requests", "import", str(log), "--format", "jsonl", "--create-tenants").code == 0
    assert cli("requests", "import", str(log), "--format", "jsonl").code == 0


@pytest.mark.parametrize("as_json", [True, False])
def test_a_stream_is_tried_without_storing(cli: Cli, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    line = '{"tenant_id": "acme", "route": "/", "status": 200, "at": "2026-01-01T00:00:00Z"}\n'
    words = ["requests", "ingest", "--dry-run", *(["--json"] if as_json else [])]
    fed(monkeypatch, line + "what?\n" + line * 20)
    answer = cli(*words)
    assert answer.code == 0
    if as_json:
        assert [line["skipped"] for line in answer.document["result"]["first"]] == [None, "unreadable"] + [None] * 8
    else:
        assert answer.out.count("\n") == 10 and "line 2: not a line of this format: what?" in answer.out
    fed(monkeypatch, line.replace("tenant_id", "tenant"))
    refused = cli(*words)
    assert refused.code == 1
    assert "fields that its lines have: tenant, route, status, at" in refused.out + refused.err
    fed(monkeypatch, "")
    assert "log_empty" in (empty := cli(*words)).out + empty.err


def fed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Standard input is a pipe that holds this."""
    out, into = os.pipe()
    os.write(into, text.encode())
    os.close(into)
    monkeypatch.setattr("sys.stdin", os.fdopen(out))


def test_help_names_the_fields_of_json_lines(cli: Cli) -> None:
    told = cli("requests", "import", "--help").out
    row = set(RequestRow._fields) - {"key_id", "address"}
    assert all(name in told for name in row)
    assert all(name in told for name in (*Format, *SHIPPED))


def test_a_tail_prints_the_newest_and_follows(cli: Cli) -> None:
    insert = (
        "INSERT INTO wf.requests (tenant_id, route, method, status, at, address) SELECT 'acme', '/v1/' || n, 'GET',"
    )
    cli.sql(f"{insert} 200 + n, now() - n * interval '1 min', '203.0.113.7' FROM generate_series(1, 3) n")
    answer = cli("requests", "tail", "--limit", "2", "status>200", "--json")
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert [row["route"] for row in rows] == ["/v1/2", "/v1/1"] and rows[0]["tenant_id"] == "acme"
    assert cli("requests", "tail", "--limit", "9999").code == 2
    line = cli("requests", "tail", "tenant:acme", "--limit", "1").out
    assert line.split()[1:5] == ["acme", "GET", "/v1/1", "201"], line
    assert [item["route"] for item in cli.done("requests", "list", "at<150s")["items"]] == ["/v1/1", "/v1/2"]

    command = [sys.executable, "-m", "app", "requests", "tail", "--follow", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        first = [json.loads(following.stdout.readline())["route"] for _ in range(3)]
        cli.sql(f"{insert} 500, now(), NULL FROM generate_series(7, 7) n")
        assert [*first, json.loads(following.stdout.readline())["route"]] == ["/v1/3", "/v1/2", "/v1/1", "/v1/7"]
        following.send_signal(signal.SIGINT)
        out, err = following.communicate(timeout=30)
        assert (out, err) == ("", "") and following.returncode == 130
