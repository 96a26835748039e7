"""A tenant's subscription in the console."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg

from controlplane.subscriptions.model import Usage
from screens.subscriptions.detail import bar_of, usage_line
from tests.postgres import Database
from tests.screens.console import command, console, quiet, shown, text, type_in, until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ESTATE = """
INSERT INTO wf.tenants (id, name, plan) VALUES
  ('acme', 'Acme', 'starter'), ('odd', 'Odd', 'mystery'), ('new', 'N', 'trial');
INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason)
  VALUES ('acme', 'seats', '9', 'incident', now() + interval '2 days', E'[red]INC-4\\u001b[31m');
SELECT wf_data.admit('acme', 'api_calls', 90000);
"""


def fill(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute(ESTATE)


async def test_a_subscription_with_its_usage_and_what_lost(database: Database) -> None:
    fill(database)
    async with console(database) as (_, pilot):
        await command(pilot, "plan acme")
        await until(pilot, lambda: "starter v1" in text(pilot))
        shown = text(pilot)
        assert "● active" in shown and "29.00 EUR a month in arrears" in shown
        assert "██████████▁▁  90% 90,000 of 100,000 a month, over soft" in shown
        assert "resets in" in shown
        await pilot.press("tab")
        assert "seats" in text(pilot) and "incident 1, 1 d left" in text(pilot)
        await pilot.press("w")
        await until(pilot, lambda: "overridden" in text(pilot) or "more lines" in text(pilot))
        await pilot.press("G")
        await until(pilot, lambda: "what can be done" in text(pilot))
        for _ in range(30):
            if "applies     incident 1: 9" in text(pilot):
                break
            await pilot.press("k")
        assert "[red]INC-4" in text(pilot) and "overridden  plan: 5" in text(pilot)
        assert "\x1b" not in text(pilot)


async def test_unknown_limits_and_a_trials_clock_are_said(database: Database) -> None:
    fill(database)
    async with console(database, role="viewer") as (_, pilot):
        await command(pilot, "plan odd")
        await until(pilot, lambda: "not in the catalogue: its limits are unknown" in text(pilot))
        assert "price –" in text(pilot) and "no quotas are known" in text(pilot)
        await command(pilot, "plan new")
        await until(pilot, lambda: "◔ trial" in text(pilot))
        assert "trial of trial v1, ends" in text(pilot) and "extended 0 of 3 times; then expired" in text(pilot)
        await pilot.press("tab")
        assert text(pilot).count(" trial\n") > 10 and "left" not in text(pilot)
        await command(pilot, "plan nobody")
        await until(pilot, lambda: "There is no subscription of nobody" in text(pilot))


async def test_a_limit_is_raised_with_a_reason_and_taken_back(database: Database) -> None:
    fill(database)
    async with console(database) as (_, pilot):
        await command(pilot, "plan acme")
        await until(pilot, lambda: "starter v1" in text(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "Raise a tenant's limit" in text(pilot))
        assert "expire-trials" not in text(pilot) and "Apply the plan changes" not in text(pilot)
        await pilot.press("r")
        await until(pilot, lambda: "the new hard limit" in text(pilot))
        for words in ("projects", "77", "7d", "launch"):
            await type_in(pilot, words)
            await pilot.press("enter")
        await until(pilot, lambda: "subscriptions acme/projects/(new): new" in text(pilot))
        await quiet(pilot)


async def test_whose_trial_ends_is_found_and_opened(database: Database) -> None:
    fill(database)
    async with console(database, size=(120, 24)) as (_, pilot):
        await command(pilot, "test/subscriptions")
        await until(pilot, lambda: "4" in shown(pilot)[1])
        rows = {line.strip("› ").split()[0]: line for line in shown(pilot)[3:7]}
        assert "? mystery" in rows["odd"] and "v1" not in rows["odd"]
        assert "◔ trial" in rows["new"] and "in 13d" in rows["new"] and " in " not in rows["acme"]
        await type_in(pilot, "/trial")
        await pilot.press("less_than_sign")
        await type_in(pilot, "30d")
        await pilot.press("enter")
        await until(pilot, lambda: "1 of 4" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "new: trial" in text(pilot) and "trial of trial v1, ends" in text(pilot))
        await until(pilot, lambda: "extend-trial: yes" in text(pilot))
        await pilot.press("escape", "a", "e")
        await until(pilot, lambda: "extend-trial new" in text(pilot) and "from its end, or from now" in text(pilot))
        await pilot.press("escape", "enter")
        await until(pilot, lambda: "extended 0 of 3 times" in text(pilot))


async def test_of_many_it_is_said_at_once_that_it_cannot_be_done(database: Database) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        await command(pilot, "subscriptions")
        await until(pilot, lambda: "◔ trial" in text(pilot))
        await pilot.press("space", "space", "a", "s")
        await until(pilot, lambda: "subscriptions.state cannot be done to many things at once" in text(pilot))
        assert app.screen is app.area  # nothing was asked for nothing


async def test_its_link_opens_it_and_escape_leads_back(database: Database) -> None:
    fill(database)
    async with console(database) as (_, pilot):
        await command(pilot, "plan acme")
        await until(pilot, lambda: "starter v1" in text(pilot))
        link = pilot.app.area.view_link()  # type: ignore[attr-defined]
        assert link == "test/subscriptions/acme"
        await command(pilot, "plans")
        await until(pilot, lambda: "enterprise" in text(pilot))
        await command(pilot, "plan acme")
        await until(pilot, lambda: "starter v1" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "enterprise" in text(pilot))
        await command(pilot, link)
        await until(pilot, lambda: "29.00 EUR a month" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "? mystery" in text(pilot))
        await command(pilot, "test/nothing")
        await until(pilot, lambda: "of which there is no list" in text(pilot))


def test_a_bar_is_full_only_when_nothing_is_left() -> None:
    assert [bar_of(used, 100).count("█") for used in (0, 1, 99, 100, 150)] == [0, 0, 11, 12, 12]
    quota = {"soft": 80, "hard": 100, "period": "day"}
    tones = []
    for used in (None, 0, 81, 100):
        line = usage_line(Usage("calls", quota, "plan", NOW + timedelta(hours=1), used, None), NOW)
        assert not isinstance(line, str)
        tones.append(line[1])
        assert ("?" in line[0]) is (used is None) and "resets in 1 h" in line[0]
    assert tones == ["muted", "", "warn", "bad"]
    assert "unlimited" in usage_line(Usage("calls", quota | {"hard": -1}, "plan", NOW, 5, None), NOW)[0]
