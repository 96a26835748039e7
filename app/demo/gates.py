"""Gates of the demonstration: the release is closed in production, and open in staging by a waiver that ends tonight.

Everything goes through what the home lets its people do: an admin keeps the gates, operators run them and waive.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import psycopg

from app.demo.estate import Estate
from app.demo.letters import MAIL, POISON, RENDER
from app.demo.site import Site
from controlplane.gates.document import Definition, GateSpec, canonical, whole, written
from controlplane.gates.judging import judge
from controlplane.gates.shipped.texts import text

CHECKS: list[dict[str, Any]] = [
    {
        "name": "smoke",
        "kind": "http",
        "url": "https://shop.example/health",
        "within_ms": 500,
        "means": "the shop answers",
    },
    {"name": "dead-letters", "kind": "queue", "at_most": 0, "owner": "ops", "means": "no message waits"},
    {"name": "objectives", "kind": "objective", "owner": "sre"},
    {"name": "tests", "kind": "junit", "file": "report.xml"},
    {
        "name": "vulnerabilities",
        "kind": "vulnerabilities",
        "file": "trivy.json",
        "owner": "security",
        "required": False,
    },
    {"name": "way-back", "kind": "manual", "question": "Was the way back rehearsed?", "freshness": "7d"},
]
SPEC = {"name": "storefront", "owner": "shop", "means": "the storefront may be released", "checks": CHECKS}
SAW: dict[str, dict[str, Any]] = {
    "smoke": {"status": 200, "ms": 41.5},
    "dead-letters": {"found": True, "value": MAIL + RENDER + POISON},
    "objectives": {"objectives": [{"id": 1, "label": "checkout", "state": "ok", "left": 0.7}]},
    "tests": {"tests": 812, "failures": 0, "errors": 0, "skipped": 3, "failed": []},
    "vulnerabilities": {"format": "Trivy", "counts": {"high": 1, "medium": 4}, "scanned": 3},
    "way-back": {"answer": None},
}
QUIET: dict[str, Any] = {"dead-letters": {"found": True, "value": 0}}
SEEN_LATER: dict[str, Any] = {"objectives": {"objectives": []}}
RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("staging", QUIET),
    ("production", QUIET),
    ("production", QUIET | SEEN_LATER),
    ("production", {}),
    ("staging", {}),
)
RECORD = "SELECT wf.record_gate_check(%s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp(), %s)"


def seed(estate: Estate, site: Site) -> None:
    import yaml

    site.report("gates: may it be released?")
    known: dict[str, Definition] = {}
    for item in [*yaml.safe_load(text()), SPEC]:
        spec = GateSpec.model_validate(item)
        known[spec.name] = whole(spec, known)
    with psycopg.connect(site.logins["chi"]) as chi:
        _begin(chi, "gates.apply", "the gates of the demonstration")
        for name, definition in known.items():
            chi.execute("INSERT INTO wf.gates (name, definition) VALUES (%s, %s)", [name, written(definition)])
    for environment in ("staging", "production"):
        with psycopg.connect(site.logins["ben"]) as ben:
            _begin(ben, "gates.answer", "rehearsed on Thursday, 4 minutes")
            ben.execute(
                "INSERT INTO wf.gate_answers (gate, check_name, environment, answer, reason)"
                " VALUES ('storefront', 'way-back', %s, 'pass', 'rehearsed on Thursday, 4 minutes')",
                [environment],
            )
    with psycopg.connect(site.logins["ana"], autocommit=True) as ana:
        for environment, other in RUNS:
            _run(ana, known["storefront"], environment, SAW | other)
        for environment in ("staging", "production"):  # the latter waits for a second person
            with ana.transaction():
                _begin(ana, "waivers.create", "the mail server is back tonight")
                ana.execute(
                    "INSERT INTO wf.gate_waivers (gate, check_name, environment, reason, ends_at)"
                    " VALUES ('storefront', 'dead-letters', %s, 'the mail server is back tonight', %s)",
                    [environment, tonight(estate.now)],
                )


def tonight(now: datetime) -> datetime:
    """22:00 UTC, or of the day after when that is less than an hour away."""
    ends = now.replace(hour=22, minute=0, second=0, microsecond=0)
    return ends if ends > now + timedelta(hours=1) else ends + timedelta(days=1)


def _run(ana: psycopg.Connection, definition: Definition, environment: str, saw: dict[str, Any]) -> None:
    with ana.transaction():
        _begin(ana, "gates.run", "")
        row = ana.execute("SELECT wf.begin_gate_run(%s, %s, 'full', NULL, NULL)", [definition.name, environment])
        number = row.fetchone()
    assert number is not None
    for check in definition.checks:
        observed = saw[check.name]
        found = judge(check, observed)
        values = [found.state, found.because, found.value, found.threshold, found.unit, found.words]
        ana.execute(RECORD, [number[0], check.name, *values, canonical(observed), 0.4])
    ana.execute("SELECT wf.decide_gate_run(%s)", number)


def _begin(connection: psycopg.Connection, operation: str, reason: str) -> None:
    connection.execute("SELECT wf.begin_change(%s, %s, %s)", [operation, reason, f"demo-{uuid.uuid4().hex}"])
