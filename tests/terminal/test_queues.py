"""Dead letters in the real program and real terminals: few keys to a running replay, and two consoles on one run."""

from __future__ import annotations

import psycopg

from tests.backends.keys import asked
from tests.backends.letters import die
from tests.postgres import Database
from tests.terminal.console import console
from tests.terminal.test_runs import DEAD_TIME

LETTERS = 60
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.per_second := 1; RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON wf.runs FOR EACH ROW EXECUTE FUNCTION slow();
"""
"""A run that lasts until somebody changes its rate, however slow this machine is."""


def test_six_keys_replay_a_cause_and_another_console_pauses_it_changes_its_rate_and_resumes_it(
    database: Database,
) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        die(owner, LETTERS)
        die(owner, kind="report", error="out of memory")
        owner.execute(SLOW)
    with (
        console(database, words=("/runs",), columns=120, lines=40) as other,
        console(database, words=(), columns=120, lines=40, role="operator") as one,
    ):
        other.see("No run yet")
        one.see(f"{LETTERS + 1} dead")
        pressed = 0

        def press(*keys: str) -> None:
            nonlocal pressed
            pressed += len(keys)
            one.press(*keys)

        press("5")
        one.see("http_503")
        press("a")
        one.see("Replay a dead message")
        press("r")
        one.see(f"Type {LETTERS}")
        one.settle(DEAD_TIME)
        press(*str(LETTERS), "enter")
        one.see(f"of {LETTERS}")
        assert pressed <= 6
        other.see("queues.replay")
        other.press("a")
        other.see("Pause a run")
        other.press("p")
        other.see("paused")
        one.see("paused")
        [(done,)] = asked(database.owner, "SELECT done FROM wf.run_progress")
        assert 0 < done < LETTERS
        other.press("a")
        other.see("Change a run's rate")
        other.press("s")
        other.see("how many to begin a second")
        other.press("ctrl+u")
        other.type("500")
        other.press("enter")
        other.see("audit")
        other.press("a")
        other.see("Resume a paused run")
        other.press("r")
        other.see(f"{LETTERS}/{LETTERS}")
        one.type(":runs")
        one.press("enter")
        one.see(f"{LETTERS}/{LETTERS}")
    assert asked(database.owner, "SELECT state, per_second::int FROM wf.runs") == [("done", 500)]
    who = asked(database.owner, "SELECT operation, actor FROM wf.audit WHERE noun = 'runs' ORDER BY seq")
    assert who[:4] == [("runs.start", "t_operator"), ("runs.pause", "t_admin"), ("runs.rate", "t_admin"),
                       ("runs.resume", "t_admin")]  # fmt: skip
    waiting = asked(database.owner, "SELECT kind, count(*)::int FROM wf.jobs WHERE state = 'waiting' GROUP BY 1")
    assert waiting == [("deliver", LETTERS)]
