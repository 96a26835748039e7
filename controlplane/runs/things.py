"""The things that a run would be done to, read from their lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from controlplane.filters.grammar import Term
from controlplane.listing import Listing, Query
from controlplane.nouns import list_named
from controlplane.operations import Operation
from controlplane.queues.source import Verb
from controlplane.queues.sources import MessageDirectory, RunActs, SourceDirectory
from controlplane.runs.bulk import OUTSIDE, acted_on
from controlplane.runs.operations import RunStart, terms_of
from controlplane.runs.refusals import RUN_TOO_LARGE
from controlplane.runs.rules import MAX_RUN_ITEMS

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

CHUNK = 500


async def expected_refusals(
    plane: ControlPlane, operation: Operation[Any], request: RunStart
) -> tuple[dict[str, int], dict[str, str]]:
    """The refusals to expect, judged by the rows: code → how many, and the message of one example."""
    if operation.noun == OUTSIDE:
        return await _outside(plane, operation, request)
    counts: Counter[str] = Counter()
    words: dict[str, str] = {}
    if operation.check is not None:
        now = plane.clock.now()
        async for row in _rows(plane, operation, request):
            if refusal := operation.refusal(row, now):
                counts[refusal.code] += 1
                words.setdefault(refusal.code, refusal.message)
    return dict(counts), words


async def fixed(plane: ControlPlane, operation: Operation[Any], request: RunStart) -> RunStart:
    """The same request with its things: those of other systems are looked up once, before anything is shown, so that
    what is shown is what runs, however many come meanwhile. Raises Usage `run_too_large`.
    """
    if operation.noun != OUTSIDE or request.subjects is not None:
        return request
    terms = terms_of(operation, request.filter or "")
    found = await plane.of(MessageDirectory).every(terms, _verb(operation), MAX_RUN_ITEMS + 1)
    if len(found) > MAX_RUN_ITEMS:
        raise RUN_TOO_LARGE()
    return request.model_copy(update={"subjects": [{"id": each.id} for each in found]})


def _verb(operation: Operation[Any]) -> Verb:
    return "replay" if operation.verb == "replay" else "discard"


async def _outside(
    plane: ControlPlane, operation: Operation[Any], request: RunStart
) -> tuple[dict[str, int], dict[str, str]]:
    """The same for messages of other systems: as each source has them now."""
    from controlplane.queues.source_operations import WORDS

    names: dict[str, list[str]] = {}
    for subject in request.subjects or ():
        source, _, name = str(subject["id"]).partition("/")
        names.setdefault(source, []).append(name)
    counts: Counter[str] = Counter()
    for source, wanted in names.items():
        place = plane.of(SourceDirectory).source(source)
        for at in range(0, len(wanted), CHUNK):
            chunk = wanted[at : at + CHUNK]
            found = await place.look(chunk)
            counts["settled"] += len(chunk) - len(found)
            tenants = {each.tenant_id for each in found.values() if each.tenant_id}
            if operation.verb == "replay" and tenants:
                inactive = await plane.of(RunActs).inactive(tenants)
                counts["tenant"] += sum(each.tenant_id in inactive for each in found.values())
    kept = {verdict: number for verdict, number in counts.items() if number}
    return {f"message_{verdict}": number for verdict, number in kept.items()}, {
        f"message_{verdict}": WORDS[verdict] for verdict in kept
    }


async def _rows(plane: ControlPlane, operation: Operation[Any], request: RunStart) -> AsyncIterator[Any]:
    """The things of a run as they are listed, page by page."""
    declared = list_named(acted_on(operation))
    listing, order = declared.of(plane), "id" if "id" in declared.sorts else declared.sorts[0]
    if request.subjects is None:
        async for row in _pages(listing, Query(terms_of(operation, request.filter or ""), order)):
            yield row
        return
    wanted = {"/".join(str(subject[name]) for name in operation.request.subject) for subject in request.subjects}
    ids = sorted({str(subject["id"]) for subject in request.subjects})
    for at in range(0, len(ids), CHUNK):
        # Filters ignore case, and many tenants may have the same id: this finds more rows, and their keys decide.
        async for row in _pages(listing, Query((Term("is", tuple(ids[at : at + CHUNK]), "id"),), order)):
            if row.key in wanted:
                yield row


async def _pages(listing: Listing[Any], query: Query) -> AsyncIterator[Any]:
    start = None
    while True:
        page = await listing.page(query, start=start, limit=CHUNK)
        for row in page.rows:
            yield row
        if page.last or not page.rows:
            return
        start = page.positions[-1]
