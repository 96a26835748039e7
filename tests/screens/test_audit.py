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
from tests.postgres import Database
from tests.screens.console import console, quiet, shown, text, until


async def test_what_is_chained_and_signed_is_said_and_what_is_not(database: Database, tmp_path: Path) -> None:
    notary = Notary(database.login("worker"), CheckpointFolder(tmp_path), SigningKey(bytes(32)))
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('one', 'one')")
        async with console(database, link="test/audit", size=(120, 40)) as (app, pilot):
            audit = app.screen
            assert isinstance(audit, AuditScreen)
            title = shown(pilot)[1]
            assert "chained to 0, no checkpoint yet · sort at ▼" in title
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
