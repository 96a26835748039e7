"""Which alerts a console rings for: not for what is kept quiet on every way that it could be told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controlplane.objectives.model import Maintenance
from controlplane.routes.decide import decide
from controlplane.routes.model import Facts
from controlplane.routes.ringing import is_quiet
from tests.controlplane.alerting import HOUR, NOW, alert, route, silence

QUIET = {"quiet_windows": [{"start": "08:00", "end": "18:00"}]}


def planned(**fields: object) -> Maintenance:
    made = Maintenance(1, None, None, None, NOW - HOUR, NOW + HOUR, "a new disk", "ana", NOW - HOUR)
    return replace(made, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "quiet"),
    [
        (Facts(), False),  # no route takes it, and nothing hides it
        (Facts(silences=[silence()]), True),
        (Facts(silences=[silence('tenant="beta"')]), False),
        (Facts(silences=[silence(ends_at=NOW)]), False),
        (Facts(maintenance=[planned()]), True),
        (Facts(maintenance=[planned(tenant_id="acme")]), True),
        (Facts(maintenance=[planned(tenant_id="beta")]), False),
        (Facts(maintenance=[planned(starts_at=NOW + HOUR / 2)]), False),
        (Facts([route(matchers='tenant="beta"', policy=QUIET)]), False),  # its window is for others
        (Facts([route()]), False),
        (Facts([route()], [silence()]), True),
        (Facts([route()], maintenance=[planned()]), True),
        (Facts([route(policy=QUIET)]), True),
        (Facts([route(policy={"quiet_windows": [{**QUIET["quiet_windows"][0], "break_through": "warning"}]})]), False),
        (Facts([route(1, policy=QUIET, continues=True), route(2)]), False),  # the second one tells
        (Facts([route(1, policy=QUIET, continues=True), route(2, policy=QUIET)]), True),
        (Facts([route(urgency="low")]), False),  # it pages nobody, but it is new on the screen
    ],
)
def test_what_is_kept_quiet_rings_for_nobody(facts: Facts, quiet: bool) -> None:
    assert is_quiet(decide(alert(), facts, NOW)) is quiet
