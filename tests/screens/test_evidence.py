"""Evidence in the console: recorded, published and canceled with keys, and from a control to what shows it."""

from __future__ import annotations

import psycopg

from screens.evidence import EvidenceScreen, PublicationScreen
from tests.postgres import Database
from tests.screens.console import command, confirm, console, shown, text, type_in, until

BUNDLE = "urn:watchfloor:evidence-bundle:v1"


async def test_from_a_control_to_its_evidence_which_is_published_and_canceled(database: Database) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO wf.evidence (sha256, bytes, name, kind, subject, environment, at, signature, signer)"
            " VALUES (repeat('ab', 32), 9, 'b', %s, '2.4.0', 'production', now(), 'good', 'k')",
            [BUNDLE],
        )
    async with console(database, role="operator", size=(120, 40)) as (app, pilot):
        await command(pilot, "coverage A.8.15")
        await until(pilot, lambda: "● fresh" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "It needs evidence from the last 8d" in text(pilot))
        await pilot.press("escape", "enter")
        await until(pilot, lambda: "2.4.0" in text(pilot) and f"/kind:{BUNDLE}" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, EvidenceScreen) and "published nowhere yet" in text(pilot))
        await pilot.press("a", "p")
        await until(pilot, lambda: "target" in text(pilot))
        await type_in(pilot, "s3://acme-evidence/production")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, lambda: "◐ waiting" in text(pilot))
        await command(pilot, "publications")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PublicationScreen) and "nothing was read back" in text(pilot))
        await pilot.press("a", "c")
        await confirm(pilot)
        await until(pilot, lambda: "state        canceled" in text(pilot))
        assert "cancel publication" in shown(pilot)[-1]
        await command(pilot, "targets")
        await until(pilot, lambda: "? unknown" in text(pilot))
        await pilot.press("a", "l")
        await until(pilot, lambda: "priority" in text(pilot))
        await pilot.press("escape")
        await pilot.press("a", "s")
        await until(pilot, lambda: "remove" in text(pilot))
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, lambda: "sweep s3://acme-evidence/production · audit" in shown(pilot)[-1])
