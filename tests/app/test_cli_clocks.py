"""Commands on a machine whose clock is a day off: every age and window is the home's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.app.commands import Cli
from tests.clocks import OFF, put_off
from tests.postgres import Database


@pytest.fixture(params=OFF.values(), ids=OFF)
def words(request: pytest.FixtureRequest, cli: Cli, fleet: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    """How far this machine's clock is off; of the fleet's home the command line is an admin."""
    cli.database = fleet
    cli.log_in("admin")
    by, said = request.param
    put_off(monkeypatch, by)
    return str(said)


def test_ages_in_lists_are_the_homes(cli: Cli, words: str) -> None:
    cli.done("tenants", "create", "fresh", "--name", "Fresh")
    assert [row["id"] for row in cli.done("tenants", "list", "created<1h")["items"]] == ["default", "fresh"]
    assert [row["id"] for row in cli.done("tenants", "list", "created>1h")["items"]] == [
        "acme",
        "globex",
        "initech",
        "umbrella",
    ]
    assert cli.done("tenants", "list", "created>1h")["total"] == 4
    assert {row["thing"] for row in cli.done("audit", "list", "at<1h", "operation:tenants.create")["items"]} == {
        "fresh"
    }
    assert cli.done("audit", "list", "at>1h", "operation:tenants.create")["items"] == []
    line = next(line for line in cli("tenants", "list", "globex").out.splitlines() if "globex" in line)
    assert "88" in line and "~" not in line, "it is of now"
    ages = [line.split()[3] for line in cli("keys", "stale").out.splitlines() if "key_" in line]
    assert ages == ["60d", "40d"]


def test_what_a_list_says_it_is_of_is_the_homes_time(cli: Cli, words: str) -> None:
    for command in (["tenants", "list"], ["tenants", "list", "nobody"], ["find", "acme"], ["overview"]):
        as_of = datetime.fromisoformat(cli.done(*command)["as_of"])
        assert abs(as_of - datetime.now(UTC)) < timedelta(hours=1), command


def test_rotations_are_judged_by_the_homes_time(cli: Cli, words: str) -> None:
    rows = cli.done("keys", "rotations")["items"]
    assert [row["late"] for row in rows].count(True) == 1
    answer = cli("keys", "rotations")
    assert answer.out.count("old in use") == 1 and answer.out.count(" 23h 5") == 2, answer.out


def test_windows_end_at_the_homes_now(cli: Cli, words: str) -> None:
    items = cli.done("telemetry", "series", "--window", "30m", "--step", "10m")["items"]
    assert sum(item["n"] or 0 for item in items) >= 80
    assert sum(float(line.split(",")[5] or 0) for line in _cells(cli)) >= 80
    top = cli.done("telemetry", "top", "--window", "1h")
    assert [row["tenant_id"] for row in top["items"]] == ["acme"]
    assert cli.done("telemetry", "verify", "--window", "1h")["item"]["cells"] > 0


def _cells(cli: Cli) -> list[str]:
    lines = cli("telemetry", "export", "--window", "30m", "--step", "10m").out.splitlines()
    return [line for line in lines if line.startswith("20")]


def test_the_overview_is_of_now(cli: Cli, words: str) -> None:
    answer = cli("overview")
    assert "25.00 %" in answer.out and "rolled up" not in answer.out and "~" not in answer.out


def test_a_clock_that_is_off_is_said_once_and_beside_the_document(cli: Cli, words: str) -> None:
    said = f"This machine's clock is {words} of the home's; ages and windows are by the home's.\n"
    answer = cli("telemetry", "series", "--window", "30m", "--json")
    assert answer.document and answer.err == said
    assert cli("tenants", "list").err.count(said) == 1


def test_a_bulk_run_means_the_homes_ages(cli: Cli, words: str) -> None:
    cli.done("tenants", "create", "fresh", "--name", "Fresh")
    answer = cli("tenants", "suspend", "--filter", "created<1h -default", "--reason", "late", "--dry-run", "--json")
    assert answer.code == 0 and answer.document["result"]["total"] == 1, answer


def test_a_clock_that_is_right_is_not_spoken_of(cli: Cli) -> None:
    assert "clock" not in cli("tenants", "list").err


def test_a_trail_that_was_just_chained_is_not_late(cli: Cli, words: str) -> None:
    cli.sql("SELECT wf.chain_audit()")
    item = cli.done("audit", "status")["item"]
    assert item["late"] is False
