"""The things that a run would be done to, read from their lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from controlplane.filters.grammar import Term
from controlplane.listing import Listing, Query
from controlplane.nouns import list_named
from controlplane.operations import Operation
from controlplane.runs.bulk import acted_on
from controlplane.runs.operations import RunStart, terms_of

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

CHUNK = 500


async def expected_refusals(
    plane: ControlPlane, operation: Operation[Any], request: RunStart
) -> tuple[dict[str, int], dict[str, str]]:
    """The refusals to expect, judged by the rows: code → how many, and the message of one example."""
    counts: Counter[str] = Counter()
    words: dict[str, str] = {}
    if operation.check is not None:
        now = plane.clock.now()
        async for row in _rows(plane, operation, request):
            if refusal := operation.refusal(row, now):
                counts[refusal.code] += 1
                words.setdefault(refusal.code, refusal.message)
    return dict(counts), words


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
