"""Whether a context may be changed from here: a read-only one only for a while, which its own trail records."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.errors import Refusal, Usage

if TYPE_CHECKING:
    from app.contexts import Context
    from controlplane.contexts import ContextWrite
    from controlplane.operations import Request

OPENS = "contexts.write"


async def refuse_read_only(context: Context, request: Request | None = None) -> None:
    """Raises Refusal `read_only`, unless this login opened the context for writing and its time is not over."""
    from controlplane.contexts import ContextWrite

    if isinstance(request, ContextWrite):
        _check_opening(context, request)
        return
    if not context.read_only or await _open_until(context) > context.home.clock.now():
        return
    raise Refusal(
        "read_only",
        f"{context.name} is open read-only (environment {context.environment}): nothing was changed.",
        f'Open it for a while: watchfloor contexts write {context.name} --reason "…"; --dry-run works as it is.',
        why=[f"context: {context.name}", context.source, f"environment: {context.environment}", "read_only: true"],
    )


def _check_opening(context: Context, request: ContextWrite) -> None:
    if request.context != context.name:
        raise Usage(
            "another_context",
            f"This is {context.name}, not {request.context}.",
            f"Name its home too: --home {request.context}",
        )
    if not context.read_only:
        raise Refusal("not_read_only", f"{context.name} is open for writing already.")


async def _open_until(context: Context) -> datetime:
    """Until when this login last opened the context for writing; a time long ago when it never did."""
    from controlplane.audit.model import AuditDirectory
    from controlplane.filters.grammar import Term
    from controlplane.listing import Query

    actor = context.home.actor.name
    wanted = {"operation": OPENS, "actor": actor, "thing": context.name}
    query = Query(tuple(Term("is", (value,), name) for name, value in wanted.items()), descending=True)
    page = await context.home.of(AuditDirectory).page(query, limit=20)
    ends = [
        row.at + timedelta(minutes=int((row.after or {}).get("minutes", 0)))
        for row in page.rows
        if row.actor == actor and row.thing == context.name and not row.out_of_band
    ]
    return max(ends, default=datetime.fromisoformat("1970-01-01T00:00:00+00:00"))
