"""Tenants' webhooks and events on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.commands import Cli, url_of
from tests.backends.notices import KEY

HOOK = "https://hooks.acme.example/s3cret-path"
CREATE = ("webhooks", "create", "acme", "--address-from", "env:A_HOOK", "--label", "billing", "--yes")


@pytest.fixture
def hooked(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """A profile with a key, a tenant, and its webhook."""
    url, _ = url_of(cli.database.login("operator"))
    settings = tmp_path / "settings.toml"
    lines = ['home = "t"', "[profiles.t]", f'url = "{url}"', 'environment = "staging"', 'encryption_key = "env:A_KEY"']
    settings.write_text("\n".join(lines))
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(settings))
    monkeypatch.delenv("WATCHFLOOR_HOME")
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("A_HOOK", HOOK)
    cli.sql("INSERT INTO wf.tenants (id, name, plan) VALUES ('acme', 'Acme', 'growth')")
    return cli


def test_a_webhook_is_made_with_its_secret_shown_once_and_its_address_never(hooked: Cli) -> None:
    made = hooked.done(*CREATE, "--events", "plan.changed")
    assert made["secret"].startswith("whsec_") and made["result"]["target"] == "https://hooks.acme.example/•••"
    number = str(made["result"]["id"])
    [item] = hooked.done("webhooks", "list", "tenant:acme")["items"]
    assert (item["state"], item["events"], item["label"]) == ("on", ["plan.changed"], "billing")
    shown = hooked("webhooks", "show", number).out
    assert "billing" in shown and "plan.changed: the tenant has another plan" in shown
    hooked.done("webhooks", "edit", number, "--events", "*", "--yes")
    assert "everything that happens" in hooked("webhooks", "show", number).out
    wrong = hooked("webhooks", "edit", number, "--events", "plan.chnaged", "--yes")
    assert wrong.code == 2 and "plan.changed" in wrong.err
    assert hooked(*CREATE[:3], "--yes").err.count("webhook_address_needed") == 1
    tables = ("webhooks", "audit", "changes", "endpoint_secrets")
    kept = "".join(str(hooked.sql(f"SELECT * FROM wf.{table}")) for table in tables)
    assert "s3cret-path" not in kept and made["secret"] not in kept


def test_what_happened_while_it_was_disabled_is_listed_and_replayed_with_the_number_said(hooked: Cli) -> None:
    number = str(hooked.done(*CREATE)["result"]["id"])
    hooked.done("webhooks", "disable", number, "--reason", "they move", "--yes")
    for plan in ("pro", "starter", "growth"):
        hooked.sql("UPDATE wf.tenants SET plan = %s WHERE id = 'acme'", plan)
    [*_, first] = hooked.done("events", "list", "tenant:acme", "type:plan.changed")["items"]
    assert (first["summary"], first["data"]) == ("growth → pro", {"from": "growth", "to": "pro"})
    assert "growth → pro" in hooked("events", "show", first["id"]).out
    held = hooked.done("deliveries", "list", f"webhook:{number}", "state:held")["items"]
    assert len(held) == 3 and hooked.done("deliveries", "list", "webhook:99")["items"] == []
    assert "plan.changed: growth → pro" in hooked("deliveries", "show", str(held[-1]["id"])).out
    off = hooked("webhooks", "replay", number, "--since", "1h", "--yes")
    assert off.code != 0 and "webhook_idle" in off.err
    hooked.done("webhooks", "enable", number, "--yes")
    assert hooked.done("webhooks", "replay", number, "--since", "1h", "--dry-run")["result"]["replayed"] == 3
    assert "webhook_span" in hooked("webhooks", "replay", number, "--since", "1h", "--until", "2h", "--yes").err
    assert hooked.done("webhooks", "replay", number, "--since", "1h ago", "--yes")["result"]["replayed"] == 3
    assert {row["state"] for row in hooked.done("deliveries", "list", f"webhook:{number}")["items"]} == {"waiting"}
    hooked.done("webhooks", "delete", number, "--reason", "gone", "--yes")
    assert hooked.done("webhooks", "list")["items"] == [] and "no_webhook" in hooked("webhooks", "show", number).err
