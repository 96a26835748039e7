"""A war room: two real consoles in two real terminals carry one incident from an alert to its post-mortem."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import psycopg

from tests.postgres import LOGIN_PASSWORD, Database
from tests.terminal.console import CHECKOUT, PROGRAM, console, url

DEAD_TIME = 0.4
"""A dialog takes no confirming key in its first 300 ms."""
ALERT = """
INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme');
INSERT INTO wf.alerts (kind, tenant_id, severity, summary) VALUES ('errors', 'acme', 'critical', 'half of it fails');
"""


def test_two_consoles_carry_an_incident(database: Database, tmp_path: Path) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute(ALERT)
    ana = console(database, "operator", words=("/alerts",))
    ben = console(database, "admin", words=("/incidents",))
    with ana, ben:
        ana.see("half of it fails")
        ben.see("No incident yet")
        ana.press("I")
        ana.see("alerts/1")  # the form is filled in
        ana.press(*["enter"] * 4)  # summary, tenants, regions, routes: as they are
        ana.see("Do it? y/N")
        ana.settle(DEAD_TIME)
        ana.press("y")
        ben.see("half of it fails")  # without a key
        ben.press("enter")
        ben.see("INC-1")
        ben.press("tab")
        ben.see("opened at SEV-1: half of it fails")
        ana.press("7")
        ana.see("SEV-1")
        ana.press("a")
        ana.see("Accept a role")
        ana.press("t")
        ana.see("role")
        ana.press("enter")
        ben.see("t_operator has the conn")
        ben.see("takes the conn")
        ben.press("a")
        ben.see("Add a note to the timeline")
        ben.press("n")
        ben.see("what happened")
        ben.type("It is the network.")
        ben.press("enter")
        ben.see("It is the network.")
        ana.press("enter")
        ana.see("[incident]")
        ana.press("tab")
        ana.see("It is the network.")
        # The conn goes over, with the situation.
        ana.press("a", "f")
        ana.see("whom: the login's name")
        ana.type("t_admin")
        ana.press(*["enter"] * 4)
        ana.see("Do it? y/N")
        ana.settle(DEAD_TIME)
        ana.press("y")
        ben.see("the conn is offered to you")
        ben.press("a")
        ben.see("Accept a role")
        ben.press("y", "enter")
        ana.see("t_admin has the conn")
        # What one looks at is posted, and the other opens it from the timeline.
        ben.type(":tenants /acme")
        ben.press("enter")
        ben.see("tenants  1 of")
        ben.press(">")
        ben.see("in your words")
        ben.type("acme alone")
        ben.press("enter")
        ben.see("posted to INC-1 as event")
        ana.see("view of tenants /acme: acme alone")
        ana.press("g", "enter")
        ana.see("tenants  1 of")
        ana.see("/acme")
        # It is mitigated by one and resolved by the other.
        for one, other, key, status in ((ben, ana, "m", "mitigated"), (ana, ben, "r", "resolved")):
            one.press("7")
            one.see("half of it fails")
            one.press("a", key)
            one.see("Do it? y/N")
            one.settle(DEAD_TIME)
            one.press("y")
            one.see(f"{status}")
            other.press("7")
            other.see(f"{status}")
    write = ["incidents", "post-mortem", "1", "--to", str(tmp_path)]
    assert "missing: root cause" in run(database, tmp_path, *write).stderr
    told = json.loads((tmp_path / "INC-1.json").read_text())
    assert [each["kind"] for each in told["timeline"]] == [
        "origin", "opened", "affected", "role", "note", "offer", "role", "view", "status", "status"
    ]  # fmt: skip
    text = (tmp_path / "INC-1.md").read_text()
    assert "## Timeline" in text and "root cause" in text.partition("## Timeline")[0]
    made = json.loads(
        run(database, tmp_path, "evidence", "collect", "incident", "INC-1", "--to", "bundle", "--json").stdout
    )
    assert (
        json.loads((tmp_path / "bundle" / "incident" / "post-mortem.json").read_text())["timeline"] == told["timeline"]
    )
    kept = json.loads(run(database, tmp_path, "evidence", "list", "--json").stdout)
    assert made["item"]["sha256"] in {each["sha256"] for each in kept["items"]}


def run(database: Database, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PGPASSWORD": LOGIN_PASSWORD, "PYTHONPATH": str(CHECKOUT)}
    command = [*PROGRAM, "--home", url(database, "admin"), *words]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done
