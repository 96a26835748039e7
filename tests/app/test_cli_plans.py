"""Plans on the command line: the catalogue, and money in the places of its currency."""

from __future__ import annotations

from pathlib import Path

from tests.app.commands import Cli

SPEC = """
- code: basic
  name: Basic
  currency: EUR
  month_price: 900
  year_price: 9000
  billing: arrears
  entitlements:
    seats: {seats}
    api_calls: {{soft: 80, hard: 100, period: day}}
"""


def test_the_catalogue_with_its_tenants(cli: Cli) -> None:
    cli.done("tenants", "create", "acme", "--plan", "starter")
    listed = cli.done("plans", "list")
    assert {item["code"]: item["tenants"] for item in listed["items"]}["starter"] == 1
    assert [item["code"] for item in cli.done("plans", "list", "month>9000", "--sort", "-month")["items"]] == [
        "enterprise",
        "pro",
        "growth",
    ]
    shown = cli("plans", "show", "growth")
    assert "1,000,000 a month, soft 800,000" in shown.out and "99.00 EUR" in shown.out
    assert cli.done("plans", "show", "growth")["item"]["versions"][0]["tenants"] == 0
    assert cli("plans", "show", "nothing").code == 4


def test_a_file_makes_new_versions_and_its_faults_have_a_line(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "plans.yaml"
    file.write_text(SPEC.format(seats=2))
    preview = cli("plans", "apply", str(file), "--dry-run")
    assert "plans basic/1: new" in preview.out and cli("plans", "show", "basic").code == 4
    assert cli.done("plans", "apply", str(file), "--yes")["result"]["created"] == 1
    file.write_text(SPEC.format(seats=3))
    assert cli.done("plans", "apply", str(file), "--yes")["result"]["new_versions"] == 1
    file.write_text(SPEC.format(seats=0))
    fault = cli("plans", "apply", str(file), "--yes")
    assert fault.code == 2 and "plans.yaml:8: " in fault.err and "seats is neither a limit" in fault.err
    assert cli.done("plans", "show", "basic")["item"]["version"] == 2


FRANCS = """
- {code: dakar, name: Dakar, currency: XOF, month_price: 15000, year_price: "150,000 XOF", billing: arrears,
   entitlements: {}}
- {code: kuwait, name: Kuwait, currency: KWD, month_price: 4.500 KWD, year_price: 45000, billing: arrears,
   entitlements: {}}
"""


def test_money_has_the_places_of_its_currency_wherever_it_is_shown(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "plans.yaml"
    file.write_text(FRANCS)
    preview = cli("plans", "apply", str(file), "--dry-run")
    assert "month_price: 15,000 XOF" in preview.out and "month_price: 4.500 KWD" in preview.out
    cli.done("plans", "apply", str(file), "--yes")
    listed = cli("plans", "list", "currency:XOF")
    assert "15,000 XOF" in listed.out and "150,000 XOF" in listed.out and "150.00" not in listed.out
    assert "4.500 KWD" in cli("plans", "show", "kuwait").out
    item = cli.done("plans", "show", "dakar")["item"]
    assert (item["month_price"], item["year_price"]) == (15_000, 150_000), "programs get minor units"
    cli.done("tenants", "create", "acme", "--plan", "dakar")
    cli.sql("UPDATE wf.tenants SET created_at = now() - interval '3 days'")
    file.write_text(FRANCS.replace("15000", "30000"))
    cli.done("plans", "apply", str(file), "--yes")
    change = cli("subscriptions", "change", "acme", "--plan", "dakar", "--reason", "dearer", "--dry-run")
    assert "30,000 XOF" in change.out and '"amount"' not in change.out, change


def test_a_price_that_could_be_misread_or_a_currency_that_is_none_is_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "plans.yaml"
    for wrong, words in (
        ("currency: ZZZ", "not a currency of ISO 4217"),
        ("month_price: 9.00", "neither an integer"),
        ("month_price: '9.00'", "Write it with its currency"),
        ("month_price: 9.00 USD", "in USD, not in EUR"),
    ):
        name = wrong.partition(":")[0]
        lines = [f"  {wrong}" if line.strip().startswith(name) else line for line in SPEC.format(seats=2).split("\n")]
        file.write_text("\n".join(lines))
        fault = cli("plans", "apply", str(file), "--yes")
        assert fault.code == 2 and words in fault.err and "plans.yaml:" in fault.err, fault


def test_a_keys_cap_is_in_the_currency_of_its_tenant(cli: Cli) -> None:
    cli.done("tenants", "create", "acme", "--plan", "starter")
    made = cli.done("keys", "create", "acme", "--spend-cap", "50.00 EUR")
    key = made["result"]["id"]
    assert cli.done("keys", "show", key)["item"]["spend_cap"] == 5000
    assert "50.00 EUR a month" in cli("keys", "show", key).out
    assert "in USD, not in EUR" in cli("keys", "edit", key, "--spend-cap", "1.00 USD", "--yes").err
    cli.done("keys", "edit", key, "--spend-cap", "7000", "--yes")
    assert "70.00 EUR a month" in cli("keys", "show", key).out
    cli.done("keys", "edit", key, "--spend-cap", "none", "--yes")
    assert cli.done("keys", "show", key)["item"]["spend_cap"] is None
