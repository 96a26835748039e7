"""Incidents on the command line: what the page shows works, and the post-mortem goes into the evidence."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.app.commands import ROOT, Cli

PAGE = (ROOT / "docs" / "incidents.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_runs_and_its_bundle_verifies(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    shown = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
    assert len(shown) >= 8
    for line in shown:
        words = shlex.split(line, comments=True)[1:]
        changes = words[1] in ("open", "note", "interval")
        answer = cli(*words, *(["--yes"] if changes else []))
        assert answer.code == 0, (line, answer)
    cli.done("incidents", "take", "1")
    cli.done("tenants", "suspend", "acme", "--reason", "too loud", "--yes")
    item = cli.done("incidents", "show", "1")["item"]
    assert item["conn"] == "t_admin" and item["cycles"][0]["detect"] >= 600
    assert "tenants.suspend acme: too loud · undo: " in cli("incidents", "timeline", "incident:1", "kind:change").out
    found = cli.done("incidents", "post-mortem", "INC-1")["item"]
    assert found["said"]["root cause"] == ["the release halved the pool of connections"]
    assert "what went well" in found["missing"] and found["roles"] == {"conn": ["t_admin"]}
    assert cli("incidents", "post-mortem", "9").code != 0 and "no_incident" in cli("incidents", "post-mortem", "x").err
    made = cli.done("evidence", "collect", "incident", "INC-1", "--to", "bundle")["item"]
    assert made["given"] == ["incident/post-mortem.md", "incident/post-mortem.json"]
    assert cli("evidence", "verify", "bundle").code == 0
    kept = json.loads((tmp_path / "bundle" / "incident" / "post-mortem.json").read_text())
    assert kept["timeline"] == found["timeline"]
    assert (tmp_path / "bundle" / "incident" / "post-mortem.md").read_text().startswith("# INC-1: Sign-in is down\n")
