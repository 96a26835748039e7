"""`list` and `show` of every noun: a page of the same lists that the console pages through."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from app.cli.asked import READING, Reading, opened
from app.cli.output import Column, document, facts, say, table, tell, write
from controlplane.audit import model as audit
from controlplane.errors import Usage
from controlplane.exports import Format, Heading, chunks
from controlplane.filters.grammar import Field, one_name, parse
from controlplane.formatting import count, show
from controlplane.listing import Count, Listing, Query, cursor, position_of
from controlplane.runs import model as run_model
from controlplane.tenants import model
from controlplane.tenants.activity import activity
from controlplane.text import clean

if TYPE_CHECKING:
    from backends.postgres.home import Home

MOST = 10_000
"""Rows of one page; for more there is the next page."""

Words = Annotated[str, Parameter(allow_leading_hyphen=True, help="A filter, as in the console: status:active p95>1s.")]
Sort = Annotated[str | None, Parameter(help="The field to sort by; -FIELD turns it round.", allow_leading_hyphen=True)]
Desc = Annotated[bool, Parameter(help="The other way round.", negative="")]
Limit = Annotated[int, Parameter(help=f"Rows of a page, at most {MOST:,}.")]
FormatName = Literal["table", "csv", "ndjson", "markdown"]
Form = Annotated[FormatName, Parameter(help="How to print the page; all but table hold every field.", name="--format")]
After = Annotated[str | None, Parameter(help="Go on after a page: the cursor that it printed.")]


@dataclass(frozen=True)
class Face:
    """How a noun's list is read, and shown as it was at the home's time then.

    `newest_first`: its order is turned round unless a sort is asked for.
    """

    noun: str
    of: Callable[[Home], Listing[Any]]
    fields: Sequence[Field]
    sorts: Sequence[str]
    columns: Mapping[Column, Callable[[Any, datetime], str]]
    record: Callable[[Any, datetime], dict[str, Any]] = lambda row, now: dataclasses.asdict(row)
    newest_first: bool = False


TENANTS = Face(
    "tenants",
    lambda home: home.tenants,
    model.TENANT_FIELDS,
    model.TENANT_SORTS,
    {
        Column("TENANT"): lambda row, now: row.id,
        Column("NAME"): lambda row, now: row.name,
        Column("STATUS"): lambda row, now: row.status,
        Column("PLAN"): lambda row, now: row.plan,
        Column("REGION"): lambda row, now: row.region,
        Column("REQ/m", "right"): lambda row, now: activity(row, now).requests,
        Column("ERR%", "right"): lambda row, now: activity(row, now).errors,
        Column("P95", "right"): lambda row, now: activity(row, now).p95,
    },
)
PROJECTS = Face(
    "projects",
    lambda home: home.projects,
    model.PROJECT_FIELDS,
    model.PROJECT_SORTS,
    {
        Column("TENANT"): lambda row, now: row.tenant_id,
        Column("PROJECT"): lambda row, now: row.id,
        Column("NAME"): lambda row, now: row.name,
        Column("STATUS"): lambda row, now: row.status,
        Column("CREATED"): lambda row, now: show(row.created_at, row.created_at, "utc"),
    },
)
AUDIT = Face(
    "audit rows",
    lambda home: home.audit,
    audit.FIELDS,
    audit.SORTS,
    {
        Column("ID", "right"): lambda row, now: str(row.seq),
        Column("AT"): lambda row, now: show(row.at, row.at, "utc"),
        Column("ACTOR"): lambda row, now: row.actor,
        Column("OPERATION"): lambda row, now: row.operation,
        Column("THING"): lambda row, now: f"{row.noun} {row.thing}",
        Column("REASON"): lambda row, now: row.reason or "",
    },
    lambda row, now: audit.as_record(row),
    newest_first=True,
)


RUNS = Face(
    "runs",
    lambda home: home.runs,
    run_model.RUN_FIELDS,
    run_model.RUN_SORTS,
    {
        Column("RUN", "right"): lambda row, now: str(row.id),
        Column("OPERATION"): lambda row, now: row.operation,
        Column("STATE"): lambda row, now: row.standing,
        Column("DONE", "right"): lambda row, now: count(row.done),
        Column("REFUSED", "right"): lambda row, now: count(row.refused),
        Column("OF", "right"): lambda row, now: count(row.total),
        Column("ACTOR"): lambda row, now: row.actor,
        Column("STARTED"): lambda row, now: show(row.created_at, row.created_at, "utc"),
    },
    newest_first=True,
)


def listing_command(face: Face, words: str) -> Callable[..., Awaitable[None]]:
    """The command that lists; `words` are its help."""

    async def command(
        *words: Words,
        sort: Sort = None,
        desc: Desc = False,
        limit: Limit = 100,
        after: After = None,
        form: Form = "table",
        asked: Reading = READING,
    ) -> None:
        await list_page(face, words, sort, desc, limit, after, form, asked)

    command.__doc__ = words
    return command


tenants = listing_command(TENANTS, "List tenants, filtered and sorted.")
projects = listing_command(PROJECTS, "List projects: tenant:acme finds those of one tenant.")
audit_rows = listing_command(AUDIT, "List what was done, newest first.")
runs = listing_command(RUNS, "List what was done in bulk, newest first.")


async def list_page(
    face: Face,
    words: Sequence[str],
    sort: str | None,
    desc: bool,
    limit: int,
    after: str | None,
    form: FormatName,
    asked: Reading,
    sums: Mapping[str, int] | None = None,
) -> None:
    """`sums`: what is counted of all rows, for `--json`."""
    query = _query(face, words, sort, desc)
    start = position_of(query, after) if after else None
    if not 1 <= limit <= MOST:
        raise Usage("limit_out_of_range", f"A page has 1 to {MOST:,} rows, not {limit}.", "See --after for more.")
    async with opened(asked) as context:
        listing = face.of(context.home)
        page = await listing.page(query, start=start, limit=limit)
        matching = await listing.count(query)
        everything = matching if asked.json or not query.terms else await listing.count(Query())
    following = None if page.last or not page.rows else cursor(query, page.positions[-1])
    if asked.json:
        document(
            {
                "items": [face.record(row, page.as_of) for row in page.rows],
                "next": following,
                "total": None if matching.capped else matching.number,
                "as_of": page.as_of,
            }
            | ({} if sums is None else {"counts": sums})
        )
        return
    if form != "table":
        order = ("-" if query.descending else "") + (query.sort or face.sorts[0])
        heading = Heading(context.name, face.noun, " ".join(words), order, page.as_of)
        _export(form, heading, [face.record(row, page.as_of) for row in page.rows])
    else:
        table(
            list(face.columns), [[words_of(row, page.as_of) for words_of in face.columns.values()] for row in page.rows]
        )
    tell(_how_many(face.noun, len(page.rows), matching, everything, filtered=bool(query.terms)))
    if following:
        tell(f"next page: --after {following}")


def _export(form: Format, heading: Heading, records: Sequence[dict[str, Any]]) -> None:
    """The page as another program reads it, with what it is on top, as the console's `e` writes it."""
    for piece in chunks(form, heading, list(records[0]) if records else [], records):
        write(piece.replace("\r\n", "\n"))


def _query(face: Face, words: Sequence[str], sort: str | None, desc: bool) -> Query:
    for word in words:
        if word.startswith("--"):
            raise Usage(
                "usage",
                f"There is no option {clean(word.partition('=')[0], 60)}.",
                "watchfloor … list --help shows them.",
            )
    terms = parse(" ".join(words), face.fields)
    asked = (sort or "").removeprefix("-")
    field = asked if asked in face.sorts else one_name(asked, face.fields)
    if field and field not in face.sorts:
        raise Usage(
            "sort_unknown",
            f"The {face.noun} cannot be sorted by {clean(field, 60)}.",
            f"They can by: {', '.join(face.sorts)}.",
        )
    down = (sort or "").startswith("-") or (face.newest_first and not sort)
    return Query(terms, field, down != desc)


def _how_many(noun: str, shown: int, matching: Count, everything: Count, *, filtered: bool) -> str:
    """Always shown of all, and what a filter hides."""
    if not filtered:
        return f"{shown:,} of {everything} {noun}"
    return f"{shown:,} of {matching} {noun} that match, {everything} in all"


async def show_tenant(tenant_id: str, /, *, asked: Reading = READING) -> None:
    """Show a tenant with every field; of an erased one the certificate."""
    async with opened(asked) as context:
        tenant = await context.home.tenants.get(tenant_id)
        certificate = await context.home.tenants.certificate(tenant_id) if tenant.status == "erased" else None
    record = dataclasses.asdict(tenant)
    if certificate is not None:
        record["certificate"] = dataclasses.asdict(certificate)
    _show(record, asked)


async def show_project(tenant_id: str, project_id: str, /, *, asked: Reading = READING) -> None:
    """Show a project of a tenant."""
    async with opened(asked) as context:
        project = await context.home.projects.get(tenant_id, project_id)
    _show(dataclasses.asdict(project), asked)


async def show_audit_row(audit_id: int, /, *, asked: Reading = READING) -> None:
    """Show one change: who, when, why, before and after."""
    async with opened(asked) as context:
        row = await context.home.audit.get(audit_id)
    if asked.json:
        document({"item": audit.as_record(row)})
        return
    from controlplane.previews import row_lines

    about = ("seq", "at", "actor", "operation", "reason", "request_id", "out_of_band", "impersonation")
    facts((name, _value(getattr(row, name))) for name in about)
    for line in row_lines(row):
        say(line)


async def operators(*, asked: Reading = READING) -> None:
    """List who may log in, and with which role."""
    async with opened(asked) as context:
        people = await context.home.people.all()
        now = context.home.clock.now()
    if asked.json:
        items = [dataclasses.asdict(person) for person in people]
        document({"items": items, "next": None, "total": len(people), "as_of": now})
        return
    columns = [Column("OPERATOR"), Column("ROLE"), Column("STATE"), Column("ADDED")]
    table(
        columns,
        [[p.name, p.role, "active" if p.active else "removed", show(p.added_at, now, "utc")] for p in people],
    )
    tell(f"{len(people):,} of {len(people):,} operators")


def _show(record: dict[str, Any], asked: Reading) -> None:
    if asked.json:
        document({"item": record})
    else:
        facts((name, _value(value)) for name, value in record.items())


def _value(value: Any) -> str:
    from controlplane.previews import value_words

    return value_words(value)
