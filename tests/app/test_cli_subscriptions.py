"""Subscriptions on the command line: what holds, what is used, and what a change costs."""

from __future__ import annotations

from tests.app.commands import Cli


def test_what_holds_with_what_lost_and_until_when(cli: Cli) -> None:
    cli.done("tenants", "create", "acme", "--plan", "starter")
    raised = ("subscriptions", "raise", "acme", "--name", "seats", "--to", "9", "--until", "7d", "--yes")
    assert cli(*raised).code == 2, "a reason is needed"
    done = cli.done(*raised, "--reason", "launch")
    item = next(each for each in cli.done("subscriptions", "effective", "acme")["items"] if each["name"] == "seats")
    assert (item["value"], item["source"], item["words"]) == (9, "override", "launch (t_admin)")
    assert [(each["source"], each["value"]) for each in item["losers"]] == [("plan", 5)]
    assert "overridden" not in cli("subscriptions", "effective", "acme").out
    assert "overridden" in cli("subscriptions", "effective", "acme", "--why").out
    cli.done("undo", str(done["audit_ids"][0]), "--yes")
    item = next(each for each in cli.done("subscriptions", "effective", "acme")["items"] if each["name"] == "seats")
    assert (item["value"], item["losers"]) == (5, [])


def test_unknown_is_neither_zero_nor_unlimited(cli: Cli) -> None:
    cli.done("tenants", "create", "acme", "--plan", "starter")
    cli.done("tenants", "create", "odd", "--plan", "mystery")
    [usage] = cli.done("subscriptions", "usage", "acme")["items"]
    assert (usage["used"], usage["left"], usage["hard"]) == (None, None, 100_000)
    assert "–" in cli("subscriptions", "usage", "acme").out
    odd = cli("subscriptions", "effective", "odd")
    assert "its limits are unknown" in odd.err and "unlimited" not in odd.out


def test_a_change_shows_what_it_costs_and_keeps_to_it(cli: Cli) -> None:
    cli.done("tenants", "create", "acme", "--plan", "starter")
    change = ("subscriptions", "change", "acme", "--plan", "growth", "--reason", "grows")
    preview = cli.done(*change, "--dry-run")["result"]
    assert preview["direction"] == "upgrade" and preview["lines"][0]["amount"] == 9900
    assert "99.00 EUR" in cli(*change, "--dry-run").out
    assert cli(*change, "--preview-hash", "other", "--yes").code == 5
    done = cli.done(*change, "--preview-hash", preview["preview_hash"], "--yes")
    assert done["undo"]["request"]["plan"] == "starter"
    subscription = cli.done("subscriptions", "show", "acme")["item"]
    assert (subscription["plan"], subscription["state_now"], subscription["pending"]) == ("growth", "active", None)


def test_they_are_listed_with_the_state_as_it_is_and_what_ends(cli: Cli) -> None:
    cli.done("tenants", "create", "acme", "--plan", "starter")
    cli.done("tenants", "create", "new", "--plan", "trial")
    cli.done("tenants", "create", "odd", "--plan", "mystery")
    [found] = cli.done("subscriptions", "list", "trial<30d")["items"]
    assert (found["tenant_id"], found["state_now"], found["plan"]) == ("new", "trial", "trial")
    assert found["trial_end"] > found["trial_start"] and found["period_end"] > found["period_start"]
    lines = cli("subscriptions", "list", "unknown:yes").out.splitlines()
    assert lines[0].split()[:3] == ["TENANT", "PLAN", "STATE"] and lines[1].split()[:4] == [
        "odd",
        "?",
        "mystery",
        "active",
    ]
    assert len(lines) == 2
