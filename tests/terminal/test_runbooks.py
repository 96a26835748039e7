"""A runbook in a real terminal: its console is killed in the middle, and another goes on with it."""

from __future__ import annotations

import signal

import psycopg

from tests.postgres import Database
from tests.terminal.console import console


def test_an_execution_whose_console_was_killed_goes_on_in_another(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    with console(database, "operator", words=("/runbooks/p1-cross-tenant-leak",)) as terminal:
        terminal.see("Find the way that it took")
        terminal.press("a")
        terminal.see("Run a runbook")
        terminal.press("r")
        terminal.see("[steps]")
        terminal.see("12  Tell the tenants and review")
        terminal.press("a")
        terminal.see("Do a step")
        terminal.press("d")
        terminal.see("Say in the incident that you have it.")
        terminal.signal(signal.SIGKILL)
        terminal.wait(30)
    with console(database, "operator", words=("/executions/1",)) as terminal:
        terminal.see("begun")  # the step that the other had begun
        terminal.press("a")
        terminal.see("Do a step")
        terminal.press("d")
        terminal.see("is it done?")
        terminal.press("enter", "enter")
        terminal.see("step 1, Acknowledge: passed")
