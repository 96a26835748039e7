"""Alerts, detectors and thresholds on the command line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import psycopg
import pytest

from tests.app.commands import Cli
from tests.backends.alerts import dead, evaluate, settle

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"


@pytest.fixture
def firing(cli: Cli) -> Cli:
    """Two alerts: acme's is critical; the estate's has fired before."""
    with psycopg.connect(cli.database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        dead(owner)
        evaluate(owner)
        settle(owner)
        evaluate(owner)
        dead(owner)
        dead(owner, "publish", 120, tenant="acme")
        evaluate(owner)
    return cli


def test_every_command_of_the_page_runs(firing: Cli) -> None:
    lines = "".join(re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)).splitlines()
    assert len(lines) >= 7
    for line in lines:
        done = firing(*shlex.split(line)[1:])
        assert done.code == 0, f"{line}\n{done.out}{done.err}"


def test_the_page_names_every_detector_and_threshold_rule(cli: Cli) -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = "".join(re.findall(r"^\| (`[^|]*`) \|", page, re.M))
    listed = {item["name"] for item in cli.done("detectors", "list")["items"]}
    assert {*re.findall(r"`(\w+)`", rows)} >= listed


def test_the_list_begins_with_what_is_critical_and_one_tells_all(firing: Cli) -> None:
    listed = firing.done("alerts", "list")["items"]
    assert [(each["severity"], each["standing"]) for each in listed] == [
        ("critical", "firing"),
        ("error", "firing"),
        ("error", "resolved"),
    ]
    lines = firing("alerts", "list", "state:firing").out.splitlines()
    assert lines[0].split()[:4] == ["NO", "SEVERITY", "AGE", "TENANT"] and "120 dead publish jobs" in lines[1]
    number = str(listed[1]["id"])
    item = firing.done("alerts", "show", number)["item"]
    assert [event["kind"] for event in item["events"]] == ["fired"]
    assert [each["id"] for each in item["similar"]] == [listed[2]["id"]] == [item["previous_id"]]
    said = firing("alerts", "show", number).out
    assert "firing: nobody has it" in said and "1 job against a threshold of 1 job, from: default" in said
    assert "ended by itself: it is no longer found" in said
    assert firing("alerts", "show", "9999", "--json").document["error"]["code"] == "no_alert"


def test_an_alert_is_taken_handed_over_and_resolved(firing: Cli) -> None:
    number = str(firing.done("alerts", "list", "severity:critical")["items"][0]["id"])
    dry = firing.done("alerts", "ack", number, "--comment", "looking", "--until", "2h", "--dry-run")
    assert dry["changes"][0]["changed"]["state"] == ["firing", "acked"]
    done = firing.done("alerts", "ack", number, "--comment", "looking", "--until", "2h")
    assert done["result"]["holder"] == "t_admin"
    firing.database.login("operator")
    assert firing.done("alerts", "hand-over", number, "--to", "t_operator")["result"]["holder"] == "t_operator"
    assert firing("alerts", "ack", number, "--comment", "x", "--json").document["error"]["code"] == "alert_acked"
    firing.done("alerts", "unack", number, "--yes")
    firing.done("alerts", "resolve", number, "--reason", "the receiver is back", "--yes")
    assert firing("alerts", "resolve", number, "--reason", "x", "--yes", "--json").document["error"]["code"] == (
        "alert_resolved"
    )
    events = firing.done("alerts", "show", number)["item"]["events"]
    assert [each["kind"] for each in events] == ["fired", "acked", "handed_over", "unacked", "resolved"]
    assert "the receiver is back" in firing("alerts", "show", number).out


def test_a_dry_run_is_printed_and_does_nothing(firing: Cli) -> None:
    with psycopg.connect(firing.database.owner, autocommit=True) as owner:
        settle(owner, "publish")
        dead(owner, "index", tenant="acme")
    dry = firing("detectors", "evaluate", "jobs_dead", "--dry-run")
    assert "1 would fire, 1 would resolve, 1 would stay the same" in dry.out
    assert "fire: a new alert, error, acme: 1 dead index job (1 job)" in dry.out
    assert len(firing.done("alerts", "list")["items"]) == 3
    shown = firing("detectors", "show", "jobs_dead").out
    assert "jobs_dead: ok" in shown and "jobs_dead.critical_age" in shown
    item = firing.done("detectors", "show", "jobs_dead")["item"]
    assert item["found"] == 2 and {each["parameter"] for each in item["thresholds"]} == {
        "jobs_dead.number",
        "jobs_dead.critical",
        "jobs_dead.critical_age",
    }
    assert firing("detectors", "evaluate", "nothing", "--json").document["error"]["code"] == "no_detector"


def test_the_value_that_holds_is_shown_with_those_that_lost(firing: Cli) -> None:
    for scope, value in (("all", "5"), ("tenant:acme", "3")):
        firing.done("thresholds", "set", "jobs_dead.number", scope, "--value", value, "--reason", "noise", "--yes")
    lines = firing("thresholds", "show", "jobs_dead.number", "--tenant", "acme").out.splitlines()
    assert lines[0].startswith("applies     tenant:acme: 3") and lines[1].startswith("overridden  all: 5")
    assert lines[2] == "overridden  default: 1"
    assert firing.done("thresholds", "show", "jobs_dead.number")["item"]["sources"][0]["source"] == "all"
    assert firing("thresholds", "show", "nothing.x", "--json").document["error"]["code"] == "no_threshold"
