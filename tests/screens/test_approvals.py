"""Two consoles on one home: what one asks for appears in the other, is approved there, and is carried out here."""

from __future__ import annotations

import psycopg

from screens.approvals import ApprovalScreen
from screens.dialogs.confirm import Confirm
from screens.dialogs.form import ReasonForm, RequestForm
from tests.backends.test_approvals import DUE
from tests.postgres import Database
from tests.screens.console import confirm, console, quiet, text, until


def prepare(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute("UPDATE wf.approval_rules SET active = true")
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        owner.execute(DUE.encode())


async def test_one_asks_another_approves_and_the_first_carries_it_out(database: Database) -> None:
    prepare(database)
    first = console(database, role="admin", link="test/tenants/acme")
    second = console(database, role="operator", link="test/approvals")
    async with first as (mine, here), second as (theirs, there):
        assert "No request yet" in text(there)
        await here.press("a", "p")
        await until(here, lambda: isinstance(mine.screen, RequestForm | ReasonForm))
        await here.press(*"over", "enter")
        await until(here, lambda: isinstance(mine.screen, Confirm))
        assert "Ask for the approval? y/N" in text(here)
        await confirm(here)
        await until(here, lambda: "request 1 waits for an operator" in text(here))

        await until(there, lambda: "1 to approve" in text(there) and "tenants.purge" in text(there))
        await there.press("enter")
        await until(there, lambda: isinstance(theirs.screen, ApprovalScreen) and "tenants acme: changed" in text(there))
        await there.press("y")
        await until(there, lambda: isinstance(theirs.screen, Confirm))
        assert "status: pending_deletion → erased" in text(there), "the preview is in sight"
        await confirm(there)
        await until(there, lambda: "◐ approved" in text(there) and "to approve" not in text(there))

        await until(here, lambda: "1 approved" in text(here))
        await here.press("colon", *"approvals", "enter")
        await until(here, lambda: "◐ approved" in text(here))
        await here.press("enter")
        await until(here, lambda: isinstance(mine.screen, ApprovalScreen) and "◐ approved" in text(here))
        await there.press("c")
        await until(there, lambda: "t_admin carries it out" in text(there))
        await here.press("c")
        await until(here, lambda: isinstance(mine.screen, Confirm))
        await confirm(here, "acme")
        await until(here, lambda: "● done" in text(here))
        await until(there, lambda: "● done" in text(there))
    with psycopg.connect(database.owner) as owner:
        assert owner.execute("SELECT status FROM wf.tenants WHERE id = 'acme'").fetchone() == ("erased",)


async def test_what_is_not_to_be_decided_says_why(database: Database) -> None:
    prepare(database)
    database.login("operator")
    async with console(database, role="admin", link="test/tenants/acme") as (mine, here):
        await here.press("a", "p")
        await until(here, lambda: isinstance(mine.screen, RequestForm | ReasonForm))
        await here.press(*"over", "enter")
        await confirm(here)
        await until(here, lambda: "request 1 waits" in text(here))
        mine.run_command("test/approvals/1")
        await until(here, lambda: isinstance(mine.screen, ApprovalScreen) and "◌ waits" in text(here))
        await here.press("c")
        await until(here, lambda: "waits: it takes an operator" in text(here))
        await here.press("y")
        await until(here, lambda: "You asked for it yourself" in text(here))
        await quiet(here)
        await here.press("plus")
        await until(here, lambda: "extend request 1" in text(here) or isinstance(mine.screen, RequestForm))


async def test_a_role_is_raised_from_the_prompt_and_given_back(database: Database) -> None:
    prepare(database)
    database.login("admin")
    with psycopg.connect(database.owner) as owner:
        owner.execute("UPDATE wf.approval_rules SET active = false")
    async with console(database, role="support") as (app, pilot):
        app.run_command("rw 30m as operator cleaning up")
        await confirm(pilot, "operator")
        await until(pilot, lambda: "operator 30m" in text(pilot))
        assert app.session.role == "operator"
        app.run_command("ro")
        await until(pilot, lambda: app.session.role == "support" and "operator 30m" not in text(pilot))
    with psycopg.connect(database.owner) as owner:
        assert owner.execute("SELECT pg_has_role('t_support', 'wf_operator', 'MEMBER')").fetchone() == (False,)
