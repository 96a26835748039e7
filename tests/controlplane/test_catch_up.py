"""What a person is told who comes back to an incident."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from controlplane.incidents.catchup import LAST, catch_up_lines
from controlplane.runbooks.model import Execution
from tests.controlplane.test_incidents import NOW, event, incident

SINCE = NOW - timedelta(hours=1)


def words(*args: object) -> str:
    lines = catch_up_lines(*args)  # type: ignore[arg-type]
    return "\n".join(line if isinstance(line, str) else line[0] for line in lines)


def test_without_an_incident_it_says_so() -> None:
    assert words([], [], [], SINCE, NOW) == "No incident is open, and none was closed since you left 1 h ago."


def test_each_incident_tells_how_it_stands_and_when_customers_are_told() -> None:
    one = replace(incident(), severity="SEV-1", status="open", commander="ana", update_due=NOW + timedelta(minutes=5))
    said = words([one], [], [], SINCE, NOW)
    assert f"INC-{one.id} SEV-1 open: " in said and "commander: ana; nobody has the conn" in said
    assert "customers were told nothing yet; the next update is due in 5 m" in said
    assert "nothing happened in it" in said
    late = replace(one, told_at=NOW - timedelta(minutes=50), update_due=NOW - timedelta(minutes=30), commander=None)
    said = words([late], [], [], SINCE, NOW)
    assert "commander: nobody;" in said
    assert "customers were told 50 m ago; the next update is overdue since 30 m ago" in said
    over = replace(late, status="resolved")
    assert "customers" not in words([over], [], [], SINCE, NOW)


def test_what_changed_most_is_counted_and_only_the_last_changes_are_told_in_full() -> None:
    one = incident()
    changes = [event(seq, "change", SINCE, f"change {seq}", operation="tenants.suspend") for seq in range(2, 12)]
    turns = [event(1, "severity", SINCE, "SEV-2 → SEV-1"), event(12, "run", NOW, operation="keys.rotate")]
    said = words([one], [*turns[:1], *changes, *turns[1:]], [], SINCE, NOW)
    assert "12 events; most: tenants.suspend × 10, keys.rotate × 1" in said
    assert "SEV-2 → SEV-1" in said, "how it stands changed: that is told however long ago"
    assert sum("change " in line for line in said.splitlines()) == LAST - 1
    assert "change 11" in said and "change 7" not in said
    other = event(1, "note", NOW, "of another", incident_id=99)
    assert "of another" not in words([one], [other], [], SINCE, NOW)


def test_what_is_left_to_do_in_its_runbooks_is_told() -> None:
    one = incident()
    task = Execution(
        id=3, runbook="key-leak", title="A key leaked", sha256="", steps=10, incident=one.id, drill=False,
        started_at=SINCE, started_by="ana", stopped_at=None, stopped_by=None, version=1, state="open", settled=4,
        failed=0, skipped=0, at=5, ended_at=None,
    )  # fmt: skip
    other = replace(task, id=4, incident=99, runbook="worker-down")
    said = words([one], [], [task, other], SINCE, NOW)
    assert "to do: key-leak, 6 steps of 10 left (execution 3, open)" in said and "worker-down" not in said
