"""What computed detectors find, from the same rules that screens show: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from controlplane.alerts.model import Severity
from controlplane.detectors.model import Finding
from controlplane.objectives.model import Standing
from controlplane.telemetry.anomalies import KeyUsage

SAMPLE = 10
BURNING: dict[str, Severity] = {"page": "critical", "ticket": "warning"}
SILENT = ("unknown", "insufficient data")
"""States in which nothing is known of an objective: an alert about it is neither right nor over."""


def usage_findings(unusual: Iterable[tuple[KeyUsage, str | None]]) -> list[Finding]:
    """A finding per tenant, with its unusual keys and their ids, the most unusual first."""
    tenants: dict[str, list[tuple[KeyUsage, str | None]]] = {}
    for usage, key_id in unusual:
        tenants.setdefault(usage.tenant_id, []).append((usage, key_id))
    return [_usage(tenant, found) for tenant, found in tenants.items()]


def _usage(tenant: str, found: list[tuple[KeyUsage, str | None]]) -> Finding:
    (first, key_id), number = found[0], len(found)
    signals = Counter(signal.name for usage, _ in found for signal in usage.signals)
    more = f", and {number - 1:,} more" if number > 1 else ""
    return Finding(
        tenant,
        {},
        "warning",
        number,
        1,
        "keys",
        f"{first.key_prefix} {first.route}: {'; '.join(signal.words for signal in first.signals)}{more}"[:500],
        {
            "anomalies_count": number,
            "signals": dict(signals),
            "key_id": key_id,
            "sample": [
                {
                    "key": usage.key_prefix,
                    "route": usage.route,
                    "signals": [signal.name for signal in usage.signals],
                    "usual_per_hour": usage.baseline.per_hour,
                }
                for usage, _ in found[:SAMPLE]
            ],
        },
    )


def burn_findings(standings: Iterable[Standing]) -> list[Finding]:
    """The objectives that fire, and those of which nothing is known."""
    return [_burn(each) for each in standings if each.state in BURNING or each.state in SILENT]


def _burn(standing: Standing) -> Finding:
    objective = standing.objective
    fired = next((each for each in standing.verdicts if each.fires), None)
    return Finding(
        objective.tenant_id,
        {"objective": str(objective.id)},
        BURNING.get(standing.state, "warning"),
        None if fired is None else fired.long_burn,
        None if fired is None else fired.factor,
        "×",
        f"{objective.label}: {'; '.join(standing.why)}"[:500],
        {
            "objective": objective.id,
            "objective_name": objective.name,
            "remaining": standing.remaining,
            "threshold_from": f"the {fired.pair.severity} pair of windows of objective {objective.id}"
            if fired
            else None,
        },
        None if standing.state in BURNING else "; ".join(standing.why) or standing.state,
    )
