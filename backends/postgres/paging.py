"""Keyset pages of a view: by row comparison, so that the millionth row costs as much as the first."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from datetime import UTC, date
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

from psycopg import errors, sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from backends.postgres.filtering import MAX_FEW, Condition, Filtered, few_meant, where
from backends.postgres.statements import Connection
from backends.postgres.table import Table
from controlplane.filters.grammar import Kind, Term
from controlplane.filters.values import MAX_ROWS, MAX_VALUES, SECONDS, Found
from controlplane.listing import Count, Page, Position, Query, Row, Scalar
from controlplane.lists import ID, MAX_SORTED, Column, ListOf
from controlplane.operators.roles import allows
from controlplane.refusals import Words

if TYPE_CHECKING:
    from backends.postgres.home import Home

R = TypeVar("R", bound=Row)
Part = Literal["", "known", "unknown"]
"""All rows of an order, or those of which its value is known, or not."""
Few = Mapping[Term, Sequence[int]]
NONE: Few = {}
_VALUES = """
SELECT value, count(*) FROM (SELECT ({value})::text AS value FROM {view} WHERE {condition} LIMIT %s) AS looked_at
WHERE value <> '' GROUP BY value ORDER BY count(*) DESC, value LIMIT %s
"""


class Order(NamedTuple):
    """One order of a list: the indexed expression, and the type that a position's text is cast to.

    `tie`: this index's last columns, where they have other names than the list's own tie. `bound`: a column of another
    table in the view that equals the expression; it is bounded too, or a merge join would read that table from its
    start. `unknown`: the expression's value where nothing is known, as "-1" or "infinity"; those rows are last in both
    directions. `few`: no index has this order, so it is only there while at most MAX_SORTED rows match; nothing is
    known where the expression is NULL.
    """

    expression: str
    type: str
    tie: Sequence[str] = ()
    bound: str = ""
    unknown: str = ""
    few: bool = False

    def parts(self, descending: bool) -> tuple[Part, ...]:
        """What is read one after the other. Where the unknown rows are last in the index too, it is read as a whole."""
        if not self.few and (not self.unknown or self.unknown.startswith("-") == descending):
            return ("",)
        return ("known", "unknown")

    def part_of(self, value: Scalar) -> Part:
        if self.few:
            return "unknown" if value is None else "known"
        return "unknown" if str(value).removesuffix(".0") == self.unknown else "known"

    def only(self, part: Part) -> Condition:
        """By ranges: of an equality the planner would make another order, which has no index."""
        sort = sql.SQL(self.expression)
        if self.few:
            return sort + sql.SQL(" IS NOT NULL" if part == "known" else " IS NULL"), []
        known, unknown = (" > ", " <= ") if self.unknown.startswith("-") else (" < ", " >= ")
        return sort + sql.SQL((known if part == "known" else unknown) + "%s::" + self.type), [self.unknown]


class ListShape(NamedTuple, Generic[R]):
    """What a list reads: the view, the row's class and columns, the orders and the filters.

    `tie`: the columns that end every order, to break ties; all of type text. `key`: those that name a row; `missing`:
    the refusal when none has such a key.
    """

    view: str
    row: type[R]
    columns: Sequence[str]
    orders: Mapping[str, Order]
    default_order: str
    tie: Sequence[str]
    filters: Mapping[str, Filtered]
    key: Sequence[str]
    missing: Words
    declared: ListOf[R]


TYPES: Mapping[Kind, str] = {
    "text": "text",
    "choice": "text",
    "flag": "bool",
    "age": "timestamptz",
    "until": "timestamptz",
    "number": "float8",
    "share": "float8",
    "milliseconds": "float8",
}
"""The type that a position is cast to, by the kind of the column that orders the list."""


def _order_of_few(column: Column[Any], tie: Sequence[str]) -> Order:
    value, type = column.attribute, "float8" if column.kind is ID else TYPES[column.kind.filter]
    if column.kind.many:
        value = f"array_to_string({value}, ' ')"
    shown = f"nullif(wf.folded({value}::text), '') COLLATE \"C\"" if type == "text" else f"({value})::{type}"
    return Order(shown, type, tie, few=True)


def shape_of(
    declared: ListOf[R],
    view: str,
    *,
    search: str = "search",
    tie: Sequence[str] = ("id",),
    filters: Mapping[str, Filtered] | None = None,
    orders: Mapping[str, Order] | None = None,
) -> ListShape[R]:
    """The shape of a declared list over `view`. `filters` and `orders`: those that need more than a column's name."""
    found = {"": Filtered(sql.SQL(search))}
    for column in declared.columns:
        if column.filters:
            kind = column.kind
            found[column.name] = Filtered(sql.Identifier(column.attribute), kind.filter, many=kind.many)
    sorted_by = {}
    for name in declared.sorts:
        column = declared.column(name)
        sorted_by[name] = Order(column.attribute, TYPES[column.kind.filter])
    key = [column.attribute for column in declared.key_columns]
    for name in declared.sorts_few:
        sorted_by[name] = _order_of_few(declared.column(name), tie or key)
    columns = tuple(f.name for f in dataclasses.fields(declared.row))  # type: ignore[arg-type]
    return ListShape(
        view,
        declared.row,
        columns,
        sorted_by | dict(orders or {}),
        declared.sorts[0],
        tie,
        found | dict(filters or {}),
        key,
        declared.missing,
        declared,
    )


class PagedList(Generic[R]):
    """A `Listing` over a `ListShape`."""

    shape: ListShape[R]

    def __init__(self, home: Home) -> None:
        self.home = home

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[R]:
        order = self._order(query)
        if order.few:
            count = await self.count(query, MAX_SORTED)
            if count.capped or count.near:
                raise self.shape.declared.too_many_to_sort(query.sort)
        down = query.descending != backward
        parts = order.parts(query.descending)[:: -1 if backward else 1]
        if start is not None and len(parts) > 1:
            parts = parts[parts.index(order.part_of(start[0])) :]
        found: list[dict[str, Any]] = []
        async with self.home.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            few = await self._few(connection, query)
            for part in parts:
                begin = start if part == parts[0] else None
                wanted = limit + 1 - len(found)
                await cursor.execute(*self._statement(query, order, begin, inclusive, down, wanted, few, part))
                found += await cursor.fetchall()
                if len(found) > limit:
                    break
        more = len(found) > limit
        found = found[:limit]
        if backward:
            found.reverse()
        as_of = found[0]["_now"] if found else self.home.clock.now()
        bounded = start is not None
        tie = order.tie if order.few else self.shape.tie
        return Page(
            rows=tuple(self.make(row) for row in found),
            positions=tuple((row["_sort"], *(row[name] for name in tie)) for row in found),
            first=not more if backward else not bounded,
            last=not bounded if backward else not more,
            as_of=as_of.astimezone(UTC),
        )

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        async with self.home.connection() as connection:
            counting = self._counting(query, cap, await self._few(connection, query))
            row = await (await connection.execute(*counting)).fetchone()
        number = row[0] if row else 0
        return Count(min(number, cap), capped=number > cap)

    async def values(self, column: Column[Any], terms: Sequence[Term]) -> Found:
        """What the view shows this login: what is masked there is masked here."""
        shape, query = self.shape, Query(tuple(terms))
        shown: sql.Composable = sql.Identifier(column.attribute)
        if column.attribute not in shape.columns:
            shown = shape.filters[column.name].expression
        async with self.home.connection() as connection, connection.transaction():
            condition, parameters = self._where(query, await self._few(connection, query))
            statement = sql.SQL(_VALUES).format(
                value=sql.SQL("unnest({})").format(shown) if column.kind.many else shown,
                view=sql.SQL(shape.view),
                condition=condition,
            )
            await connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{SECONDS * 1000:g}"])
            try:
                async with connection.transaction():
                    found = await connection.execute(statement, [*parameters, MAX_ROWS, MAX_VALUES + 1])
                    return [(value, number) for value, number in await found.fetchall()]
            except errors.QueryCanceled:
                return None

    async def get(self, *key: Any) -> R:
        shape = self.shape
        async with self.home.connection() as connection:
            return await Table(shape.view, shape.row, shape.key, shape.missing).get(connection, *key)

    async def _few(self, connection: Connection, query: Query) -> Few:
        """Which of few rows the filter means, for each term about such."""
        found = {}
        for term in query.terms:
            if (asked := few_meant(term, self.shape.filters, self.home.clock.now())) is not None:
                statement, values = asked
                ids = [number for (number,) in await (await connection.execute(statement, values)).fetchall()]
                if len(ids) <= MAX_FEW:
                    found[term] = ids
        return found

    def _counting(self, query: Query, cap: int, few: Few = NONE) -> tuple[sql.Composed, list[Any]]:
        condition, parameters = self._where(query, few)
        statement = sql.SQL("SELECT count(*) FROM (SELECT FROM {view} WHERE {condition} LIMIT %s) AS capped").format(
            view=sql.SQL(self.shape.view), condition=condition
        )
        return statement, [*parameters, cap + 1]

    def _where(self, query: Query, few: Few = NONE) -> Condition:
        unmasked = allows(self.home.actor.role, "operator")  # the same rule as wf.sees_personal
        return where(query.terms, self.shape.filters, self.home.clock.now(), unmasked=unmasked, few=few)

    def make(self, row: Mapping[str, Any]) -> R:
        return self.shape.row(**{name: row[name] for name in self.shape.columns})

    def _order(self, query: Query) -> Order:
        name = query.sort or self.shape.default_order
        if name not in self.shape.orders:
            raise self.shape.declared.cannot_sort(name)
        return self.shape.orders[name]

    def _statement(
        self,
        query: Query,
        order: Order,
        start: Position | None,
        inclusive: bool,
        down: bool,
        limit: int,
        few: Few = NONE,
        part: Part = "",
    ) -> tuple[sql.Composed, list[Any]]:
        condition, parameters = self._where(query, few)
        direction = sql.SQL(" DESC" if down else " ASC")
        sort = sql.SQL(order.expression)
        if part:
            only, unknown = order.only(part)
            condition, parameters = sql.SQL("({}) AND {}").format(condition, only), [*parameters, *unknown]
        tie = [sql.Identifier(name) for name in order.tie or self.shape.tie]
        if start is not None:
            compare = sql.SQL(("<" if down else ">") + ("=" if inclusive else ""))
            places: list[sql.Composable] = [sort, *tie]
            values = [sql.SQL("%s::" + order.type), *[sql.SQL("%s")] * len(tie)]
            if order.few and part == "unknown":  # they only have their tie
                places, values, start = places[1:], values[1:], start[1:]
            condition = sql.SQL("({}) AND ({}) {} ({})").format(
                condition, sql.SQL(", ").join(places), compare, sql.SQL(", ").join(values)
            )
            parameters = [*parameters, *start]
            if order.bound:
                bound = sql.SQL(" AND {} {} %s").format(sql.Identifier(order.bound), sql.SQL("<=" if down else ">="))
                condition, parameters = condition + bound, [*parameters, start[0]]
        statement = sql.SQL(
            "SELECT {columns}, {shown} AS _sort, clock_timestamp() AS _now FROM {view} WHERE {condition}"
            " ORDER BY {order} LIMIT %s"
        ).format(
            columns=sql.SQL(", ").join(sql.Identifier(name) for name in self.shape.columns),
            shown=sort + sql.SQL("::text" if order.type == "timestamptz" else ""),
            view=sql.SQL(self.shape.view),
            condition=condition,
            order=sql.SQL(", ").join(part + direction for part in [sort, *tie]),
        )
        return statement, [*parameters, limit]


def as_json(value: Any) -> Jsonb:
    """A record as jsonb; times as ISO-8601."""
    return Jsonb(value, dumps=lambda v: json.dumps(v, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, date):  # or a datetime, which is a date too
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return vars(value)
    raise TypeError(type(value).__name__)
