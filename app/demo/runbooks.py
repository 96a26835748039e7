"""Runbooks of the demonstration: ana and ben are about to replay what the mail server did not take."""

from __future__ import annotations

from app.demo.estate import Estate
from app.demo.site import Homes, Site
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.queues.list import CAUSES
from controlplane.queues.model import CauseDirectory
from controlplane.runbooks.drill import Player, begin
from controlplane.runbooks.model import ExecutionDirectory
from controlplane.runbooks.walking import change_step, do_step


def seed(estate: Estate, site: Site) -> None:
    site.report("runbooks: a replay that two people have begun")
    site.run(_begun)


async def _begun(homes: Homes) -> None:
    ana, ben = homes["ana"], homes["ben"]
    order, down = CAUSES.order_of("")
    causes = await ana.of(CauseDirectory).page(Query(parse("dead>0", CAUSES.fields), order, down), limit=1)
    if not causes.rows:
        return
    number = await begin(ana, "dead-letter-replay")
    for place in (1, 2, 3):
        await do_step(ana, number, place, Player(ana, {"cause": str(causes.rows[0].id)}))
    await change_step(ben, "claim", (await ben.of(ExecutionDirectory).whole(number)).step(4))
