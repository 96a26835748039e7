"""Routes and deliveries on the command line: made with an address that is no argument, explained, simulated."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.app.commands import Cli, url_of
from tests.backends.notices import KEY, fire

HOOK = "https://hooks.slack.com/services/T0/s3cret-path"
CREATE = ("routes", "create", "ops", "--channel", "slack", "--address-from", "env:A_HOOK", "--yes")


@pytest.fixture
def routed(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """A profile with a key, a route, and an alert."""
    url, _ = url_of(cli.database.login("operator"))
    settings = tmp_path / "settings.toml"
    lines = ['home = "t"', "[profiles.t]", f'url = "{url}"', 'environment = "staging"', 'encryption_key = "env:A_KEY"']
    settings.write_text("\n".join(lines))
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(settings))
    monkeypatch.delenv("WATCHFLOOR_HOME")
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("A_HOOK", HOOK)
    with psycopg.connect(cli.database.owner, autocommit=True) as owner:
        fire(owner)
    cli.done(*CREATE)
    return cli


def test_a_route_is_made_shown_edited_and_its_address_is_nowhere(routed: Cli) -> None:
    shown = routed("routes", "show", "ops").out
    assert "slack https://hooks.slack.com/•••" in shown and "s3cret-path" not in shown
    [item] = routed.done("routes", "list")["items"]
    assert (item["name"], item["state"], item["target"]) == ("ops", "on", "https://hooks.slack.com/•••")
    routed.done("routes", "edit", "1", "--group-by", "kind", "--repeat", "never", "--yes")
    item = routed.done("routes", "show", "1")["item"]
    assert ",ops," in routed("routes", "show", "ops", "--format", "csv").out
    assert (item["group_by"], item["repeat_seconds"]) == (["kind"], None)
    wrong = routed("routes", "edit", "1", "--policy", '{"quiet_windows": [{"start": "25:00"}]}', "--yes")
    assert wrong.code == 2 and "quiet_windows.0" in wrong.err and "start" in wrong.err
    assert "s3cret-path" not in "".join(
        str(routed.sql(f"SELECT * FROM wf.{t}")) for t in ("routes", "audit", "changes")
    )


def test_without_a_key_or_an_address_no_route_is_made(routed: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = routed("routes", "create", "more", "--channel", "slack", "--yes")
    assert answer.code == 2 and "route_address_needed" in answer.err
    monkeypatch.delenv("A_KEY")
    answer = routed(*CREATE[:2], "more", *CREATE[3:])
    assert answer.code != 0 and "A_KEY" in answer.err and "s3cret-path" not in answer.err


def test_alerts_are_explained_simulated_and_replayed(routed: Cli, tmp_path: Path) -> None:
    explained = routed("alerts", "explain", "1").out
    assert "route 1 ops: matches" in explained and "nobody was told" in explained
    item = routed.done("alerts", "explain", "1")["item"]
    assert item["routes"][0]["notices"][0]["reason"] == "first_notification"
    policy = {"quiet_windows": [{"start": "02:00", "end": "03:00", "timezone": "America/New_York"}]}
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy))
    routed.done("routes", "edit", "1", "--policy", json.dumps(policy), "--yes")
    night = "2026-03-08 02:30 America/New_York"
    simulated = routed("alerts", "simulate", "--labels", "kind=jobs_dead", "--severity", "error", "--at", night).out
    assert "never show 02:30 that day" in simulated and "who would be told" in simulated
    noon = routed.done("alerts", "simulate", "--severity", "error", "--at", "2026-03-09T06:30")["item"]
    assert noon["routes"][0]["notices"] == [], "02:30 there, in the window"
    file.write_text("{}")
    replayed = routed("alerts", "replay-policy", str(file), "--route", "ops", "--days", "7").out
    assert "1 alert of 7 days" in replayed
    file.write_text('{"dedupe": {"ttl_seconds": 5}}')
    wrong = routed("alerts", "replay-policy", str(file), "--route", "ops")
    assert wrong.code == 2 and "ttl_seconds" in wrong.err
