"""Objectives on the command line: the list, one, what holds for a tenant, and what another target would have fired."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import psycopg
import pytest

from tests.app.commands import Cli
from tests.backends.traffic import ESTATE, roll_up, send

CREATE = ("objectives", "create", "api", "--target", "99.9%", "--yes")


@pytest.fixture
def busy(cli: Cli) -> Cli:
    """Three days of traffic; the last hour fails one in fifty."""
    with psycopg.connect(cli.database.owner, autocommit=True) as owner:
        owner.execute(ESTATE)
        send(owner, "acme", "/orders", "3 days", "1 hour", step="1 minute", key="k_1")
        roll_up(owner)
        send(owner, "acme", "/orders", "1 hour", "0", every=50, key="k_1")
    return cli


def test_the_list_has_a_sign_and_says_unknown(busy: Cli) -> None:
    busy.done(*CREATE)
    busy.done("objectives", "create", "quiet", "--target", "0.99", "--tenant-id", "beta", "--yes")
    listed = busy.done("objectives", "list")
    assert [(item["name"], item["state"]) for item in listed["items"]] == [("api", "page"), ("quiet", "unknown")]
    assert listed["items"][1]["remaining"] is None and listed["items"][0]["remaining"] < 0
    shown = busy("objectives", "list").out.splitlines()
    assert "unknown" in shown[2] and "–" in shown[2] and "beta" in shown[2]
    assert "page" in shown[1] and "%  " in shown[1] and " -" in shown[1] and "exhausted" in shown[1]
    assert [item["name"] for item in busy.done("objectives", "list", "budget<0%")["items"]] == ["api"]
    assert busy.done("objectives", "list", "state:ok")["items"] == []


def test_one_objective_with_its_windows_and_who_burned_it(busy: Cli) -> None:
    number = str(busy.done(*CREATE, "--contractual", "99%")["result"]["id"])
    shown = busy("objectives", "show", number).out
    assert "99.9% answered without 5xx, rolling 30 days; promised: 99%" in shown
    assert "FIRES: page" in shown and "1h/5m" in shown and "14.4" in shown
    assert "of what was promised" in shown and "acme" in shown and "/orders" in shown and "k_1" in shown
    assert "burned by release: not known" in shown
    item = busy.done("objectives", "show", number)["item"]
    assert [each["factor"] for each in item["windows"]] == pytest.approx([14.4, 6, 3, 1])
    assert item["attribution"]["releases"] is None and item["attribution"]["tenants"][0]["who"] == "acme"
    assert busy("objectives", "show", "99").code == 4


def test_what_holds_for_a_tenant_with_what_lost(busy: Cli) -> None:
    busy.done(*CREATE)
    busy.done("objectives", "create", "api", "--target", "99%", "--plan", "growth", "--yes")
    [item] = busy.done("objectives", "budget", "acme")["items"]
    assert item["plan"] == "growth" and [each["target"] for each in item["losers"]] == [0.999]
    assert "overridden" not in busy("objectives", "budget", "acme").out
    assert "overridden" in busy("objectives", "budget", "acme", "--why").out
    assert busy("objectives", "budget", "nobody").code == 4


def test_what_another_target_would_have_fired(busy: Cli) -> None:
    number = str(busy.done(*CREATE)["result"]["id"])
    found = busy.done("objectives", "what-if", number, "--target", "90%")["item"]
    assert [each["severity"] for each in found["now"]["episodes"]].count("page") == 1
    assert found["what_if"]["episodes"] == [] and found["what_if"]["remaining"] > 0.5
    shown = busy("objectives", "what-if", number, "--target", "90%")
    assert "1 page" in shown.out and "0 pages, 0 tickets" in shown.out and "can never fire" in shown.err
    assert busy("objectives", "what-if", number, "--target", "100%").code == 2
    assert busy("objectives", "what-if", number, "--period", "3d").code == 2
    wide = busy.done("objectives", "what-if", number, "--period", "7d")["item"]
    assert wide["what_if"]["period"] == "7d"


def test_a_preview_says_it_before_it_is_saved(busy: Cli) -> None:
    preview = busy("objectives", "create", "api", "--target", "90%", "--dry-run")
    assert "page over 1h/5m can never fire" in preview.out and "would have fired" in preview.out
    assert busy.done("objectives", "list")["items"] == []


def test_maintenance_is_planned_and_ended(busy: Cli) -> None:
    number = str(busy.done(*CREATE)["result"]["id"])
    plan = ("objectives", "maintenance", "--starts", "1h", "--lasts", "30m", "--yes")
    assert busy(*plan).code == 2, "a reason is needed"
    planned = busy.done(*plan, "--reason", "new disks")["result"]
    assert f"new disks (t_admin, number {planned['number']})" in busy("objectives", "show", number).out
    busy.done("objectives", "end-maintenance", str(planned["number"]), "--yes")
    past = busy(
        "objectives", "maintenance", "--starts", "2020-01-01T00:00:00Z", "--lasts", "1h", "--yes", "--reason", "x"
    )
    assert past.code == 1 and "maintenance_past" in past.err


READS = ("list", "show", "budget", "what-if")


def test_every_command_of_the_page_runs(busy: Cli) -> None:
    page = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M)).splitlines()
    assert len(lines) > 10
    for line in lines:
        words = shlex.split(line)[1:]
        done = busy(*words, *([] if words[1] in READS else ["--yes"]))
        assert done.code == 0, f"{line}\n{done.out}{done.err}"


def test_retired_objectives_are_listed_when_they_are_asked_for(busy: Cli) -> None:
    number = str(busy.done(*CREATE)["result"]["id"])
    busy.done("objectives", "retire", number, "--reason", "replaced", "--yes")
    assert busy.done("objectives", "list")["items"] == []
    [item] = busy.done("objectives", "list", "state:retired")["items"]
    assert (item["state"], item["remaining"], item["raw_total"]) == ("retired", None, 0)
    busy.done("objectives", "restore", number, "--yes")
    assert [each["state"] for each in busy.done("objectives", "list")["items"]] == ["page"]
