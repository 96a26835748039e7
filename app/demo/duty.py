"""Alerts that come and go in the demonstration: somebody promises a tenant young keys, the home's worker finds that
they are not, tells and escalates, a person takes it, and the promise is taken back.
"""

from __future__ import annotations

from contextlib import suppress

from app.demo.audit import do, open_firms
from app.demo.estate import Estate
from backends.postgres.home import Home
from controlplane.alerts.model import Alert, AlertDirectory
from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.listing import Query

KIND = "key_rotation_sla_failed"
PARAMETER = f"{KIND}.max_age"


class Duty:
    """A round of four steps, each after a while. The escalation has reached its second level by the third."""

    def __init__(self, estate: Estate) -> None:
        self._rng = estate.random("duty")
        self._firms = open_firms(estate)
        self._tenant = ""
        self._step = 0

    def pause(self) -> float:
        """Seconds until the next step."""
        return self._rng.uniform(40, 60)

    async def act(self, homes: dict[str, Home]) -> None:
        """Do the next step. When a change made at a console refuses it, it is left out."""
        steps = (self._promise, self._wait, self._take, self._take_back)
        step, self._step = steps[self._step], (self._step + 1) % len(steps)
        with suppress(Refusal):
            await step(homes)

    async def _promise(self, homes: dict[str, Home]) -> None:
        has = {alert.tenant_id for alert in await self._open(homes["ben"])}
        self._tenant = self._rng.choice([firm.id for firm in self._firms if firm.id not in has])
        promise = {"parameter": PARAMETER, "scope": f"tenant:{self._tenant}", "value": 1}
        await do(homes, ("ben", "thresholds.set", promise, "their contract asks for new keys every day, CRM note 4531"))
        await self._evaluate(homes)

    async def _wait(self, homes: dict[str, Home]) -> None:
        """Nobody takes it yet: it escalates."""

    async def _take(self, homes: dict[str, Home]) -> None:
        for alert in await self._open(homes["ana"], self._tenant):
            ack = {"id": alert.id, "comment": "asking them whether they rotate by themselves", "until": "30m"}
            await do(homes, ("ana", "alerts.ack", ack, ""))

    async def _take_back(self, homes: dict[str, Home]) -> None:
        promise = {"parameter": PARAMETER, "scope": f"tenant:{self._tenant}"}
        await do(homes, ("ben", "thresholds.clear", promise, "they meant the other contract"))
        await self._evaluate(homes)

    async def _evaluate(self, homes: dict[str, Home]) -> None:
        await do(homes, ("ben", "detectors.evaluate", {"name": KIND}, ""))

    async def _open(self, home: Home, tenant: str = "") -> list[Alert]:
        terms = [Term("is", (KIND,), "kind"), Term("is", ("firing", "acked"), "state")]
        terms += [Term("is", (tenant,), "tenant")] if tenant else []
        return list((await home.of(AlertDirectory).page(Query(tuple(terms)), limit=500)).rows)
