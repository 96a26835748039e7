"""Gates of the snapshots: one that is closed in production, the same open in staging by a waiver that ends tonight, and
one that was never run; the same at every run.
"""

from __future__ import annotations

from typing import Any

import psycopg

from controlplane.gates.document import GateSpec, canonical, sha256, whole, written
from controlplane.gates.judging import judge

SPEC: dict[str, Any] = {
    "name": "release",
    "owner": "release manager",
    "checks": [
        {"name": "smoke", "kind": "http", "url": "https://shop.example/health", "within_ms": 500, "owner": "shop",
         "means": "the shop answers"},
        {"name": "error-share", "kind": "sql", "sql": "SELECT 1 AS value", "at_most": 1, "unit": "%", "owner": "api"},
        {"name": "dead-letters", "kind": "queue", "at_most": 0, "owner": "ops", "means": "no message waits"},
        {"name": "objectives", "kind": "objective", "owner": "sre"},
        {"name": "tests", "kind": "junit", "file": "report.xml", "owner": "api"},
        {"name": "two-admins", "kind": "sql", "sql": "SELECT 1 AS value", "at_least": 2, "required": False},
        {"name": "rehearsed", "kind": "manual", "question": "Was the way back rehearsed?", "freshness": "7d"},
    ],
}  # fmt: skip
SAW: dict[str, dict[str, Any]] = {
    "smoke": {"status": 200, "ms": 41.5},
    "error-share": {"rows": 1, "sample": [{"value": 0.42}]},
    "dead-letters": {"found": True, "value": 27},
    "objectives": {"objectives": [{"id": 1, "label": "checkout", "state": "ok", "left": 0.7}]},
    "tests": {"tests": 812, "failures": 0, "errors": 0, "skipped": 3, "failed": []},
    "two-admins": {"rows": 1, "sample": [{"value": 1}]},
    "rehearsed": {"answer": "pass", "by": "ben", "reason": "on Thursday, 4 minutes"},
}
RUNS = (  # environment, hours ago, verdict, what differs
    ("production", 30, "GO", {"dead-letters": {"found": True, "value": 0}}),
    ("staging", 5, "GO_WITH_CONDITIONS", {}),
    ("production", 4, "INCONCLUSIVE", {"objectives": {"objectives": []}, "dead-letters": {"found": True, "value": 0}}),
    ("production", 1, "NO_GO", {"smoke": {"trouble": "error", "words": "No secure connection could be made."}}),
)
TABLES = ("gates", "gate_runs", "gate_checks", "gate_waivers")


def fill(connection: psycopg.Connection) -> None:
    for table in TABLES:
        connection.execute(f"ALTER TABLE wf.{table} DISABLE TRIGGER USER".encode())
    for spec in (SPEC, SPEC | {"name": "checkout", "owner": "shop"}):
        definition = whole(GateSpec.model_validate(spec), {})
        text = written(definition)
        for place in ("gates (name, version, definition, sha256, updated_at, updated_by)",
                      "gate_versions (gate, version, definition, sha256, made_at, made_by)"):  # fmt: skip
            connection.execute(
                f"INSERT INTO wf.{place} VALUES (%s, 1, %s, %s, '2025-11-10T09:00Z', 'ana')".encode(),
                [definition.name, text, sha256(text)],
            )
    definition = whole(GateSpec.model_validate(SPEC), {})
    for number, (environment, ago, verdict, other) in enumerate(RUNS, 1):
        connection.execute(
            "INSERT INTO wf.gate_runs (checks, id, gate, gate_version, environment, state, verdict, conditions,"
            " inputs_sha256, started_at, started_by, ends_by, decided_at) OVERRIDING SYSTEM VALUE"
            " VALUES (7, %s, 'release', 1, %s, 'decided', %s, '[]', repeat('ab', 32),"
            " timestamptz '2025-11-21T12:00Z' - make_interval(hours => %s), 'ana', '2099-01-01',"
            " timestamptz '2025-11-21T12:00:04Z' - make_interval(hours => %s))",
            [number, environment, verdict, ago, ago],
        )
        for check in definition.checks:
            observed = (SAW | other)[check.name]
            found, text = judge(check, observed), canonical(observed)
            connection.execute(
                "INSERT INTO wf.gate_checks (run_id, name, kind, state, because, value, threshold, unit, words,"
                " observed, sha256, observed_at, seconds) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
                " timestamptz '2025-11-21T12:00:02Z' - make_interval(hours => %s), 0.3)",
                [number, check.name, check.kind, found.state, found.because, found.value, found.threshold, found.unit,
                 found.words, text, sha256(text), ago],
            )  # fmt: skip
            connection.execute(
                "INSERT INTO wf.gate_latest VALUES ('release', %s, %s, %s)"
                " ON CONFLICT (gate, environment, name) DO UPDATE SET run_id = excluded.run_id",
                [environment, check.name, number],
            )
    connection.execute(
        "INSERT INTO wf.gate_waivers (gate, check_name, environment, reason, ends_at, created_at, created_by) VALUES"
        " ('release', 'dead-letters', 'staging', 'the mail server is back tonight', '2025-11-21T22:00Z',"
        " '2025-11-21T06:00Z', 'ana'), ('release', 'dead-letters', 'production', 'as in staging', '2025-11-21T22:00Z',"
        " '2025-11-21T11:30Z', 'ana')"
    )
    for table in TABLES:
        connection.execute(f"ALTER TABLE wf.{table} ENABLE TRIGGER USER".encode())
