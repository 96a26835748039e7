"""`list` and `show` of every noun: a page of the same lists that the console pages through."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from app.cli.asked import READING, Reading, opened
from app.cli.output import Column, document, facts, say, table, tell, write
from controlplane.audit import model as audit
from controlplane.audit.model import AuditDirectory
from controlplane.errors import Usage
from controlplane.exports import Format, Heading, chunks
from controlplane.filters.grammar import parse
from controlplane.listing import Count, Query, cursor, position_of
from controlplane.lists import Column as ListColumn
from controlplane.lists import ListOf
from controlplane.tenants.model import ProjectDirectory, TenantDirectory
from controlplane.text import clean

MAX_PAGE_ROWS = 10_000
"""Rows of one page; for more there is the next page."""

Words = Annotated[str, Parameter(allow_leading_hyphen=True, help="A filter, as in the console: status:active p95>1s.")]
Sort = Annotated[str | None, Parameter(help="The field to sort by; -FIELD turns it round.", allow_leading_hyphen=True)]
Desc = Annotated[bool, Parameter(help="The other way round.", negative="")]
Limit = Annotated[int, Parameter(help=f"Rows of a page, at most {MAX_PAGE_ROWS:,}.")]
FormatName = Literal["table", "csv", "ndjson", "markdown"]
Form = Annotated[FormatName, Parameter(help="How to print the page; all but table hold every field.", name="--format")]
After = Annotated[str | None, Parameter(help="Go on after a page: the cursor that it printed.")]


def listing_command(declared: ListOf[Any]) -> Callable[..., Awaitable[None]]:
    """The command that lists."""

    async def command(
        *words: Words,
        sort: Sort = None,
        desc: Desc = False,
        limit: Limit = 100,
        after: After = None,
        form: Form = "table",
        asked: Reading = READING,
    ) -> None:
        await list_page(declared, words, sort, desc, limit, after, form, asked)

    command.__doc__ = declared.summary
    return command


async def list_page(
    declared: ListOf[Any],
    words: Sequence[str],
    sort: str | None,
    desc: bool,
    limit: int,
    after: str | None,
    form: FormatName,
    asked: Reading,
    sums: Mapping[str, int] | None = None,
) -> None:
    """`sums`: totals over all rows, for `--json`."""
    query = _query(declared, words, sort, desc)
    start = position_of(query, after) if after else None
    if not 1 <= limit <= MAX_PAGE_ROWS:
        raise Usage(
            "limit_out_of_range", f"A page has 1 to {MAX_PAGE_ROWS:,} rows, not {limit}.", "See --after for more."
        )
    async with opened(asked) as context:
        listing = declared.of(context.home)
        page = await listing.page(query, start=start, limit=limit)
        matching = await listing.count(query)
        everything = matching if asked.json or not query.terms else await listing.count(Query())
    following = None if page.last or not page.rows else cursor(query, page.positions[-1])
    if asked.json:
        document(
            {
                "items": [declared.record(row, page.as_of) for row in page.rows],
                "next": following,
                "total": None if matching.capped else matching.number,
                "as_of": page.as_of,
            }
            | ({} if sums is None else {"counts": sums})
        )
        return
    if form != "table":
        order = ("-" if query.descending else "") + query.sort
        heading = Heading(context.name, declared.called, " ".join(words), order, page.as_of)
        _export(form, heading, [declared.record(row, page.as_of) for row in page.rows])
    else:
        print_rows(declared.printed, page.rows, page.as_of)
    tell(_how_many(declared.called, len(page.rows), matching, everything, filtered=bool(query.terms)))
    if following:
        tell(f"next page: --after {following}")


def print_rows(columns: Sequence[ListColumn[Any]], rows: Sequence[Any], now: datetime) -> None:
    """Rows as the console shows them, at the home's time then; times in UTC."""
    heads = [Column(column.heading, "right" if column.kind.right else "left") for column in columns]
    table(heads, [[column.plain(row, now) for column in columns] for row in rows])


def _export(form: Format, heading: Heading, records: Sequence[dict[str, Any]]) -> None:
    """Print the page for another program, with the heading that the console's `e` writes."""
    for piece in chunks(form, heading, list(records[0]) if records else [], records):
        write(piece.replace("\r\n", "\n"))


def _query(declared: ListOf[Any], words: Sequence[str], sort: str | None, desc: bool) -> Query:
    for word in words:
        if word.startswith("--"):
            raise Usage(
                "usage",
                f"There is no option {clean(word.partition('=')[0], 60)}.",
                "watchfloor … list --help shows them.",
            )
    terms = parse(" ".join(words), declared.fields)
    name, down = declared.order_of(sort or "")
    return Query(terms, name, down != desc)


def _how_many(noun: str, shown: int, matching: Count, everything: Count, *, filtered: bool) -> str:
    """How many rows are shown, match, and exist."""
    if not filtered:
        return f"{shown:,} of {everything} {noun}"
    return f"{shown:,} of {matching} {noun} that match, {everything} in all"


async def show_tenant(tenant_id: str, /, *, asked: Reading = READING) -> None:
    """Show a tenant with every field; of an erased one the certificate."""
    async with opened(asked) as context:
        tenant = await context.home.of(TenantDirectory).get(tenant_id)
        certificate = (
            await context.home.of(TenantDirectory).certificate(tenant_id) if tenant.status == "erased" else None
        )
    record = dataclasses.asdict(tenant)
    if certificate is not None:
        record["certificate"] = dataclasses.asdict(certificate)
    _show(record, asked)


async def show_project(tenant_id: str, project_id: str, /, *, asked: Reading = READING) -> None:
    """Show a project of a tenant."""
    async with opened(asked) as context:
        project = await context.home.of(ProjectDirectory).get(tenant_id, project_id)
    _show(dataclasses.asdict(project), asked)


async def show_audit_row(audit_id: int, /, *, asked: Reading = READING) -> None:
    """Show one change: who, when, why, before and after."""
    async with opened(asked) as context:
        row = await context.home.of(AuditDirectory).get(audit_id)
    if asked.json:
        document({"item": audit.as_record(row)})
        return
    from controlplane.previews import row_lines

    about = ("seq", "at", "actor", "operation", "reason", "request_id", "out_of_band", "impersonation", "carried_by")
    facts((name, _value(getattr(row, name))) for name in about)
    for line in row_lines(row):
        say(line)


def _show(record: dict[str, Any], asked: Reading) -> None:
    if asked.json:
        document({"item": record})
    else:
        facts((name, _value(value)) for name, value in record.items())


def _value(value: Any) -> str:
    from controlplane.previews import value_words

    return value_words(value)
