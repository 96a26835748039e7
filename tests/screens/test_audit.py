"""The audit screen says how far the trail is chained and signed, and of each row whether it is."""

from __future__ import annotations

from pathlib import Path

import psycopg

from backends.checkpoint_folder import CheckpointFolder
from backends.postgres.notary import Notary
from controlplane.audit.checkpoints import SigningKey
from controlplane.audit.model import AuditDirectory
from controlplane.errors import Refusal
from screens.audit import AuditScreen
from screens.dialogs.form import ReasonForm
from tests.postgres import Database
from tests.screens.console import command, confirm, console, quiet, shown, text, until


async def test_what_is_chained_and_signed_is_said_and_what_is_not(database: Database, tmp_path: Path) -> None:
    notary = Notary(database.login("worker"), CheckpointFolder(tmp_path), SigningKey(bytes(32)))
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('one', 'one')")
        async with console(database, link="test/audit", size=(120, 40)) as (app, pilot):
            audit = app.screen
            assert isinstance(audit, AuditScreen)
            title = shown(pilot)[1]
            assert "chained to 0, no checkpoint yet · sort at ↓" in title
            assert [line.split()[-1] for line in shown(pilot) if " one " in line] == ["…1"]

            signed = await notary.sign()
            assert signed is not None and signed.checkpoint.size == 1
            owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('two', 'two')")
            audit.action_reload()
            await until(pilot, lambda: "chained to 1, checkpoint " in shown(pilot)[1])
            await until(pilot, lambda: " two " in text(pilot))
            numbers = [line.split()[-1] for line in shown(pilot) if " two " in line or " one " in line]
            assert numbers == ["…2", "1"]

            await pilot.press("w")
            await until(pilot, lambda: "number 1 of the chain, signed by a checkpoint" in text(pilot))
            await pilot.press("escape", "up", "w")
            await until(pilot, lambda: "not chained yet" in text(pilot))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is audit)

            plane = app.session.require_plane()

            async def unknown() -> None:
                raise Refusal("too_slow", "The home took too long.")

            plane.of(AuditDirectory).chain_status = unknown  # type: ignore[method-assign,assignment]
            audit.action_reload()
            await until(pilot, lambda: "chain ? not known" in shown(pilot)[1])
            await quiet(pilot)
            assert [line.split()[-1] for line in shown(pilot) if " one " in line] == ["?1"]


async def test_my_changes_are_listed_and_taken_back(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('zed', 'Zed')")
    with psycopg.connect(database.login("admin"), autocommit=True) as admin:
        for number, (id, name) in enumerate((("acme", "B"), ("zed", "Y"), ("acme", "C"))):
            with admin.transaction():
                admin.execute(f"SELECT wf.begin_change('tenants.rename', NULL, 'undo-{number}', 'none')")
                admin.execute("UPDATE wf.tenants SET name = %s WHERE id = %s", [name, id])
    async with console(database) as (app, pilot):
        await pilot.press("U")
        await until(pilot, lambda: "my changes that can be undone" in text(pilot))
        listed = [line for line in shown(pilot) if "tenants.rename" in line]
        assert len(listed) == 2 and "› " in listed[0] and "acme: name" in listed[0] and "zed: name" in listed[1]
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, ReasonForm))
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, lambda: "Zed" in text(pilot))
        await command(pilot, "audit thing:zed operation:tenants.rename")
        await pilot.press("u")  # of the undo itself: the row under the cursor offers its own
        await until(pilot, lambda: isinstance(app.screen, ReasonForm))
        await pilot.press("escape")
        await command(pilot, "audit thing:zed operation:sql.insert")
        await pilot.press("u")
        await until(pilot, lambda: "has no undo: it was changed by direct SQL" in text(pilot))
