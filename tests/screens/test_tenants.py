"""One tenant in the console: what is left of it when it is erased."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from textual.widgets import Input

from controlplane.errors import Refusal, Usage
from controlplane.registry import named
from controlplane.tenants.model import TenantDirectory
from screens.dialogs.form import RequestForm
from tests.postgres import Database
from tests.screens.console import command, console, shown, text, until

DUE = """
INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme');
INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'web', 'Web'), ('acme', 'api', 'API');
ALTER TABLE wf.tenants DISABLE TRIGGER guard;
UPDATE wf.tenants SET status = 'pending_deletion', deleted_at = now(), deleted_from = 'active', purge_after = now()
WHERE id = 'acme';
ALTER TABLE wf.tenants ENABLE TRIGGER guard;
"""


def erase(database: Database) -> str:
    """Erase it; the SHA-256 of the certificate."""
    with psycopg.connect(database.login("admin")) as admin:
        admin.execute("SELECT wf.begin_change('tenants.purge', 'asked for', 'purge-1')")
        row = admin.execute("SELECT (wf.purge_tenant('acme')).sha256").fetchone()
        assert row is not None
        return str(row[0])


@pytest.mark.parametrize("size", [(80, 40), (120, 40)])
async def test_an_erased_tenant_shows_its_certificate(database: Database, size: tuple[int, int]) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute(DUE)
    async with console(database, role="viewer", size=size) as (app, pilot):
        await command(pilot, "test/tenants/acme")
        await until(pilot, lambda: "✕ deleting" in text(pilot))
        assert "certificate" not in text(pilot)
        sha256 = erase(database)
        await until(pilot, lambda: "∅ erased" in text(pilot) and "sha-256" in text(pilot))
        pane = [line[: size[0] * 2 // 5] if size[0] > 110 else line for line in shown(pilot)]
        assert sha256 in "".join(line.strip() for line in pane).replace("sha-256", "").replace(" ", "")
        assert any(line.split()[:2] == ["by", "t_admin"] for line in pane)
        assert any(line.split()[:2] == ["2", "projects"] for line in pane)
        assert "request    purge-1" in text(pilot) and " UTC" in text(pilot)
        assert not any(line.split()[-1:] == ["api_keys"] for line in pane)
        record = app.screen.record()  # type: ignore[attr-defined]
        assert record["certificate"]["sha256"] == sha256 and json.dumps(record["certificate"]["counts"])


async def test_a_certificate_that_cannot_be_read_is_not_passed_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute(DUE)
    erase(database)
    async with console(database, size=(80, 40)) as (app, pilot):
        assert app.session.plane is not None

        async def refused(*asked: Any) -> None:
            raise Refusal("too_slow", "The home took too long.", "")

        monkeypatch.setattr(app.session.plane.of(TenantDirectory), "certificate", refused)
        await command(pilot, "test/tenants/acme")
        await until(pilot, lambda: "The home took too long." in text(pilot) and "∅ erased" in text(pilot))


async def test_an_edit_begins_with_what_is_there_and_changes_only_what_was_changed(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name, plan, region) VALUES ('acme', 'Acme', 'growth', 'eu')")
    async with console(database) as (app, pilot):
        await command(pilot, "tenants id:acme")
        await pilot.press("a", named("tenants.edit").key)
        await until(pilot, lambda: isinstance(app.screen, RequestForm))
        form = app.screen
        assert isinstance(form, RequestForm)
        assert [form.query_one(f"#field-{name}", Input).value for name in ("plan", "region")] == ["growth", "eu"]
        form.query_one("#field-plan", Input).value = "pro"
        fields, _ = form._answers()
        assert {name: fields[name] for name in fields.keys() - {"id", "version"}} == {"plan": "pro"}
        form.query_one("#field-region", Input).value = ""
        with pytest.raises(Usage, match="region"):
            form._answers()  # emptied is not the same as left out
