"""`list` and `show` of every noun: the same lists that the console pages through."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NoReturn

from app.cli.asked import READING, Reading, opened
from app.cli.output import Column, document, fact_lines, jsonable, say, table_lines, tell, write
from app.cli.parameters import Parameter
from controlplane.errors import Usage
from controlplane.filters.grammar import Field, parse
from controlplane.filters.values import asked_field, values_words
from controlplane.listing import Count, Query, cursor, position_of
from controlplane.lists import ID, WITH_REASON, Line, ListOf
from controlplane.lists import Column as ListColumn
from controlplane.nouns import Noun, load
from controlplane.text import clean

if TYPE_CHECKING:
    from app.contexts import Context
    from controlplane.changes import ControlPlane
    from controlplane.exports import Format

MAX_PAGE_ROWS = 10_000
"""Rows of one page; for more there is the next page."""

Words = Annotated[str, Parameter(allow_leading_hyphen=True, help="A filter, as in the console: status:active p95>1s.")]
Sort = Annotated[
    str | None, Parameter(help="The field to sort by; -FIELD reverses the order.", allow_leading_hyphen=True)
]
FormatName = Literal["table", "csv", "ndjson", "markdown"]
Form = Annotated[FormatName, Parameter(help="How to print it; all but table print every field.", name="--format")]


@dataclass(frozen=True, eq=False, kw_only=True)
class PageOptions:
    """Which page of a list, and how it is printed."""

    sort: Sort = None
    desc: Annotated[bool, Parameter(help="Reverse the order.")] = False
    limit: Annotated[int, Parameter(help=f"Rows on a page, at most {MAX_PAGE_ROWS:,}.")] = 100
    after: Annotated[str | None, Parameter(help="The next page: the cursor that the last page printed.")] = None
    form: Form = "table"


PAGE = PageOptions()


def listing_command(declared: ListOf[Any]) -> Callable[..., Awaitable[None]]:
    """The command that lists."""
    if declared.noun in WITH_REASON:
        return _recorded_command(declared)

    async def command(*words: Words, shown: PageOptions = PAGE, asked: Reading = READING) -> None:
        await list_page(declared, words, shown, asked)

    command.__doc__ = declared.summary
    return command


Reason = Annotated[str | None, Parameter(help="Why it is exported (--format): it is kept in the audit trail.")]


def _recorded_command(declared: ListOf[Any]) -> Callable[..., Awaitable[None]]:
    """The same for what is exported with a reason only."""

    async def command(
        *words: Words, shown: PageOptions = PAGE, reason: Reason = None, asked: Reading = READING
    ) -> None:
        async def note(context: Context) -> None:
            from controlplane.queues.exported import note_export  # only here: other lists do without pydantic

            await note_export(context.home, declared.noun, " ".join(words), shown.form, reason)

        await list_page(declared, words, shown, asked, note=note if shown.form != "table" and not asked.json else None)

    command.__doc__ = declared.summary
    return command


async def list_page(
    declared: ListOf[Any],
    words: Sequence[str],
    shown: PageOptions,
    asked: Reading,
    sums: Mapping[str, int] | None = None,
    note: Callable[[Context], Awaitable[None]] | None = None,
) -> None:
    """`sums`: totals over all rows, for `--json`. `note` is called before anything is read."""
    if (alone := asked_field(" ".join(words), declared.fields)) is not None:
        await refuse_alone(declared, *alone, asked)
    query = _query(declared, words, shown)
    start = position_of(query, shown.after) if shown.after else None
    if not 1 <= shown.limit <= MAX_PAGE_ROWS:
        raise Usage(
            "limit_out_of_range", f"A page has 1 to {MAX_PAGE_ROWS:,} rows, not {shown.limit}.", "See --after for more."
        )
    async with opened(asked) as context:
        if note is not None:
            await note(context)
        listing = declared.of(context.home)
        page = await listing.page(query, start=start, limit=shown.limit)
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
            | ({"about": matching.number} if matching.near else {})
            | ({} if sums is None else {"counts": sums})
        )
        return
    if shown.form != "table":
        order = ("-" if query.descending else "") + query.sort
        records = [declared.record(row, page.as_of) for row in page.rows]
        _export(shown.form, records, context.name, declared.called, " ".join(words), order, page.as_of)
    else:
        for line in row_lines(declared.printed, page.rows, page.as_of):
            say(line)
    tell(_how_many(declared.called, len(page.rows), matching, everything, filtered=bool(query.terms)))
    if following:
        tell(f"next page: --after {following}")


def row_lines(columns: Sequence[ListColumn[Any]], rows: Sequence[Any], now: datetime) -> Iterator[str]:
    """Rows as the console shows them, at the home's time then; times in UTC."""
    heads = [Column(column.heading, "right" if column.kind.right else "left") for column in columns]
    return table_lines(heads, [[column.plain(row, now) for column in columns] for row in rows])


def _export(
    form: Format, records: Sequence[dict[str, Any]], context: str, noun: str, terms: str, sort: str, as_of: datetime
) -> None:
    """Print the page for another program, with the heading that the console's `e` writes."""
    from controlplane.exports import Heading, chunks

    heading = Heading(context, noun, terms, sort, as_of)
    for piece in chunks(form, heading, list(records[0]) if records else [], records):
        write(piece.replace("\r\n", "\n"))


async def refuse_alone(declared: ListOf[Any], before: str, field: Field, asked: Reading) -> NoReturn:
    """A field without a value: say which it has."""
    terms = parse(before, declared.fields)
    async with opened(asked) as context:
        found = await declared.of(context.home).values(declared.column(field.name), terms)
    fields = ", ".join(each.name for each in declared.fields)
    raise Usage("filter_unreadable", f"{values_words(field, found).removesuffix('.')}.", f"Fields: {fields}.")


def _query(declared: ListOf[Any], words: Sequence[str], shown: PageOptions) -> Query:
    for word in words:
        if word.startswith("--"):
            raise Usage(
                "usage",
                f"There is no option {clean(word.partition('=')[0], 60)}.",
                "watchfloor … list --help shows them.",
            )
    terms = parse(" ".join(words), declared.fields)
    name, down = declared.order_of(shown.sort or "")
    return Query(terms, name, down != shown.desc)


def _how_many(noun: str, shown: int, matching: Count, everything: Count, *, filtered: bool) -> str:
    """How many rows are shown, match, and exist."""
    if not filtered:
        return f"{shown:,} of {everything} {noun}"
    return f"{shown:,} of {matching} {noun} that match, {everything} in total"


class Told(NamedTuple):
    """What `show` says of one thing besides the fields of its row. `record`: further fields. `lines`: for a person, in
    place of the fields.
    """

    record: Mapping[str, Any] = {}
    lines: Sequence[str] = ()


Tell = Callable[["ControlPlane", Any], Awaitable[Told]]


def show_command(noun: Noun) -> Callable[..., Awaitable[None]]:
    """The command that shows one thing of a list, named by its key."""
    declared: ListOf[Any] = load(noun.list)
    told: Tell = load(noun.shows) if noun.shows else _nothing_more

    async def command(*key: Any, form: Form = "table", asked: Reading = READING) -> None:
        async with opened(asked) as context:
            row = await (declared.named(context.home, *key) if declared.named else declared.of(context.home).get(*key))
            now = context.home.clock.now()
            more = await told(context.home, row)
        record = declared.record(row, now) | dict(more.record)
        if asked.json:
            document({"item": record})
        elif form != "table":
            _export(form, [jsonable(record)], context.name, noun.name, "/".join(map(str, key)), "none", now)
        else:
            for line in more.lines or field_lines(record):
                say(clean(line))

    keys = {column.attribute: int if column.kind is ID else str for column in declared.key_columns}
    positional = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=kind)
        for name, kind in ({"name": str} if declared.named else keys).items()
    ]
    options = [
        inspect.Parameter("form", inspect.Parameter.KEYWORD_ONLY, default="table", annotation=Form),
        inspect.Parameter("asked", inspect.Parameter.KEYWORD_ONLY, default=READING, annotation=Reading),
    ]
    command.__signature__ = inspect.Signature([*positional, *options])  # type: ignore[attr-defined]
    command.__doc__ = told.__doc__
    return command


async def _nothing_more(plane: ControlPlane, row: Any) -> Told:
    """Show one with every field."""
    return Told()


def field_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Every field of a record, for a person."""
    from controlplane.previews import value_words

    return fact_lines((name, value_words(value)) for name, value in record.items())


def text_lines(lines: Iterable[Line]) -> list[str]:
    """Lines of a description as text alone."""
    return [line if isinstance(line, str) else line[0] for line in lines]
