"""What the demonstration promises: for all, for plans, for the tenant that fails, and a slow route."""

from __future__ import annotations

from app.demo.audit import Step, act
from app.demo.estate import Estate
from app.demo.site import Site


def steps(estate: Estate) -> list[Step]:
    failing = next(firm for firm in estate.firms if firm.id == estate.failing)
    asked: list[dict[str, object]] = [
        {"name": "api", "target": 0.995},
        {"name": "api", "target": 0.999, "contractual": 0.995, "plan": "enterprise", "period": "month"},
        {"name": "api", "target": 0.95, "contractual": 0.9, "tenant_id": failing.id},
        {"name": "speed", "kind": "latency", "threshold_ms": 1000, "target": 0.95, "plan": "pro"},
        {"name": "reports", "kind": "latency", "threshold_ms": 2000, "target": 0.99, "route": "/v1/reports"},
    ]
    found: list[Step] = [("ben", "objectives.create", each, "agreed in the service review") for each in asked]
    night = {"starts": "5h", "lasts": "2h", "route": "/v1/reports"}
    return [*found, ("ana", "objectives.maintenance", night, "the reports' database moves, change CHG-218")]


def seed(estate: Estate, site: Site) -> None:
    site.report("objectives: what was promised")
    act(site, *steps(estate))
