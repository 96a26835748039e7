"""Request ids that the home gives: nobody takes one before it, or passes for a run with one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.backends.psql import Psql, logins, one, refused
from tests.postgres import Database

SUSPEND = "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x' WHERE id = '{}'"
# Which ids their callers choose, and they look at.
OF_CALLERS = {"begin_change", "provision"}
# What makes ids of runs, after looking at who drives the run.
OF_RUNS = {"end_carrying", "carry_item", "carry_letters", "open_act_change"}


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute(
            "INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('beta', 'Beta'), ('zed', 'Z')"
        )
        yield connect


def test_all_that_opens_changes_is_known_here(psql: Psql) -> None:
    """So that no later function takes its caller's id, or makes one that a caller could have taken."""
    found = psql("owner").execute(
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace IN ('wf'::regnamespace, 'wf_data'::regnamespace)"
        " AND prosrc ~ 'wf[.]open_change[(]|INSERT INTO wf[.]changes'"
    )
    opening = dict(found.fetchall())
    assert opening.keys() == {"open_change", "open_home_change", *OF_CALLERS, *OF_RUNS}
    for name in OF_CALLERS:
        assert re.search(r"PERFORM wf\.check_request_id\((provision\.)?request_id\);\s", opening[name])
    assert "'home-' || name" in opening["open_home_change"]
    for name in OF_RUNS:
        assert "format('run-%s-" in opening[name]


@pytest.mark.parametrize(
    "taken",
    ["home-raise-1-end", "home-", "run-1-done-10", "run-1-complete", "run-1-act-x", "run-12-", "run-1-2-3",
     "run-1234567890123456789-1", "run-1-1234567890"],
)  # fmt: skip
def test_a_caller_takes_none_of_the_homes_ids(psql: Psql, taken: str) -> None:
    for role in ("support", "operator", "admin"):
        refused(psql(role), "request_id_home", f"SELECT wf.begin_change('tenants.reveal', 'x', '{taken}')")
    refused(
        psql("service"),
        "request_id_home",
        f"SELECT wf_data.provision('{taken}', 'n', 'N', 'a@b.example', NULL, 'eu', 'p', 'x', '\\x00', 'x', '{{}}')",
    )


def test_nobody_changes_under_the_name_of_a_run_what_an_incident_affects(psql: Psql) -> None:
    operator = psql("operator")
    operator.execute("INSERT INTO wf.incidents (title, severity, tenants) VALUES ('Down', 'SEV-1', '{acme,beta,zed}')")
    for tenant, request in (("acme", "run-7-1-preview"), ("beta", "run 7"), ("zed", "runs-7-1")):
        with operator.transaction():
            operator.execute("SELECT wf.begin_change('tenants.suspend', 'x', %s)", [request])
            operator.execute(SUSPEND.format(tenant))
    told = "SELECT words, source FROM wf.incident_events WHERE kind IN ('change', 'run') ORDER BY seq"
    assert psql("owner").execute(told).fetchall() == [
        (f"tenants.suspend {tenant}: x", None) for tenant in ("acme", "beta", "zed")
    ]


def test_of_what_a_run_does_only_its_own_operation_is_told_as_the_runs(psql: Psql) -> None:
    operator = psql("operator")
    operator.execute("INSERT INTO wf.incidents (title, severity, tenants) VALUES ('Down', 'SEV-1', '{acme,beta}')")
    with operator.transaction():
        (run,) = one(
            operator,
            "INSERT INTO wf.runs (operation, reason, per_second, breaker_share) VALUES ('tenants.suspend', 'x', 1, 1)"
            " RETURNING id",
        )
        operator.execute(
            "INSERT INTO wf.run_items (run_id, ordinal, thing, subject) VALUES (%s, 1, 'acme', '{}')", [run]
        )
    operator.execute("SELECT wf.hold_run(%s, 'mine')", [run])
    with operator.transaction():
        operator.execute("SELECT wf.begin_change('tenants.suspend', 'x', %s)", [f"run-{run}-1"])
        operator.execute(SUSPEND.format("acme"))
        operator.execute("UPDATE wf.tenants SET name = 'Renamed' WHERE id = 'beta'")
    told = "SELECT kind, words FROM wf.incident_events WHERE kind IN ('change', 'run') ORDER BY seq"
    assert psql("owner").execute(told).fetchall() == [
        ("run", f"run {run} of tenants.suspend reaches what is affected"),
        ("change", "sql.update tenants beta, by no operation"),
    ]
