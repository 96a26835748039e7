"""Alerts that the tests silence."""

from __future__ import annotations

import psycopg

FIRE = """
INSERT INTO wf.alerts (kind, tenant_id, labels, severity, summary, fired_at, state, resolved_at, resolved_why)
SELECT %(kind)s, %(tenant)s, jsonb_build_object('n', g::text), %(severity)s, 'as the test says',
  clock_timestamp() - %(fired)s::interval, CASE WHEN %(over)s::text IS NULL THEN 'firing' ELSE 'resolved' END,
  clock_timestamp() - %(over)s::interval, CASE WHEN %(over)s::text IS NOT NULL THEN 'over' END
FROM generate_series(1, %(number)s) g
"""
EVALUATED = "UPDATE wf.detectors SET looked_at = clock_timestamp()"


def fire(
    owner: psycopg.Connection,
    kind: str = "burn_rate",
    tenant: str | None = "acme",
    severity: str = "error",
    *,
    number: int = 1,
    ago: str = "1 hour",
    over: str | None = None,
) -> None:
    """Alerts that fired so long `ago`, and have been `over` for so long (None: they are open)."""
    given = {"kind": kind, "tenant": tenant, "severity": severity, "number": number, "fired": ago, "over": over}
    owner.execute(FIRE, given)
    owner.execute(EVALUATED)
