"""Who is on call in the demonstration, and what is silent tonight."""

from __future__ import annotations

from app.demo.audit import Step, act
from app.demo.estate import Estate
from app.demo.site import Site


def steps(estate: Estate) -> list[Step]:
    primary = {"people": ["ana", "ben", "chi"], "starts": "2026-01-05 09:00", "zone": "Europe/Berlin"}
    support = {"people": ["dan", "eve"], "starts": "2026-01-05 09:00", "shift": "1d", "zone": "America/New_York"}
    silent = {"matchers": f'tenant="{estate.noisy}", severity!="critical"', "comment": "their own load test, SUP-512"}
    flight = {"name": "primary", "person": "dan", "starts": "20h", "until": "28h"}
    return [
        ("ben", "schedules.create", primary | {"name": "primary"}, "the rota of the team"),
        ("ben", "schedules.create", support | {"name": "support", "only": ["mon-fri 09:00-17:00"]}, "office hours"),
        ("ana", "schedules.override", flight, "chi is on a plane"),
        ("ana", "silences.create", silent | {"until": "8h", "ends": "unmatched", "after": "2h"}, "agreed with them"),
    ]


def seed(estate: Estate, site: Site) -> None:
    site.report("schedules: who is on call")
    act(site, *steps(estate))
