"""The filter grammar as SQL: finds the same rows as `controlplane.filters.grammar.matches`.

`~word` is the one exception: SQL finds, by an index, the texts that contain the word's first letters. `matches` (or a
ranking by rapidfuzz) then narrows this superset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg import sql

from controlplane.errors import Usage
from controlplane.filters.grammar import FUZZY_HEAD, Kind, Term, threshold
from controlplane.filters.patterns import fold, portable


class Filtered(NamedTuple):
    """A field's SQL expression, of the type that its kind says: text, boolean, a number, or a timestamptz (age).

    The field "" is what plain words search: `wf.folded(id || E'\\n' || name)`, best with a GIN index on
    `wf.trigrams(…)` of the same expression. No word holds a line break, so none matches across the two.

    `indexed`: the same number as the index stores it, with -1 for unknown. `many`: an array of texts, of which one must
    meet the condition. `implied`: for a computed choice, value → a condition that follows from it and that an index
    can answer. `also`: a condition that every known value meets. `ahead`: the expression is a time, and the filter says
    how far ahead of now it is, in days (in seconds for the kind until). `number`: the indexed number that the text is.
    `among`: (a column, few rows with an id): the expression is of those rows, and the column is the id of one.
    A text that the view masks for some logins has no index of its own: `masked` is the indexed expression of what those
    logins see; `table` is what the others may read themselves, with an index on the expression.
    """

    expression: sql.Composable
    kind: Kind = "text"
    indexed: sql.Composable | None = None
    many: bool = False
    implied: Mapping[str, sql.Composable] = {}
    also: sql.Composable | None = None
    ahead: bool = False
    masked: sql.Composable | None = None
    table: sql.Composable | None = None
    number: sql.Composable | None = None
    among: tuple[sql.Composable, sql.Composable] | None = None


NUMBER = re.compile("0|[1-9][0-9]{0,17}")
Condition = tuple[sql.Composable, list[object]]


MAX_FEW = 1000
"""How many of the few rows of a column `among` are looked up before what they are asked for."""


def few_meant(term: Term, columns: Mapping[str, Filtered], now: datetime) -> tuple[sql.Composed, list[object]] | None:
    """The statement that finds which of the few a term means; None: it is not about a column `among`."""
    column = columns.get(term.field)
    if column is None or column.among is None:
        return None
    condition, values = _condition(term, column, now)
    found = sql.SQL("SELECT id FROM {} WHERE {} LIMIT {}").format(column.among[1], condition, sql.Literal(MAX_FEW + 1))
    return found, values


def where(
    terms: Iterable[Term],
    columns: Mapping[str, Filtered],
    now: datetime,
    *,
    unmasked: bool | None = None,
    few: Mapping[Term, Sequence[int]] | None = None,
) -> Condition:
    """A condition and its parameters; TRUE for no terms. Raises Usage `filter_unreadable` for a field with no column.

    `unmasked`: whether the login sees masked fields in clear. None: a condition that is right for every login, but uses
    no index for masked fields. `few`: what `few_meant` found for terms: the planner then knows how many rows have them.
    """
    conditions: list[sql.Composable] = []
    parameters: list[object] = []
    for term in terms:
        name = term.field if term.field in columns else term.field.partition(".")[0]
        if name not in columns:
            raise Usage(
                "filter_unreadable",
                f'This list cannot be filtered by "{term.field}".',
                f"Fields: {', '.join(name for name in columns if name)}.",
            )
        column = columns[name]
        if column.masked is not None and unmasked is False:
            column = column._replace(expression=column.masked)
        condition, values = _condition(term, column, now)
        if column.table is not None and unmasked and term.operator == "is" and not term.negated:
            condition = sql.SQL("id IN (SELECT id FROM {} WHERE {})").format(column.table, condition)
        if column.among is not None:
            condition, values = _among(column.among, condition, values, (few or {}).get(term))
        if column.also is not None:
            condition = sql.SQL("{} AND {}").format(condition, column.also)
        # An unknown value (NULL) meets no condition, so it meets every negated one.
        conditions.append(sql.SQL("({}) IS NOT TRUE" if term.negated else "({})").format(condition))
        parameters += values
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("TRUE"), parameters


def _among(
    among: tuple[sql.Composable, sql.Composable],
    condition: sql.Composable,
    values: list[object],
    ids: Sequence[int] | None,
) -> Condition:
    own, few = among
    if ids is None:  # when none of the few is meant, no row is read
        found = sql.SQL("EXISTS (SELECT FROM {} WHERE {}) AND {} = ANY (ARRAY(SELECT id FROM {} WHERE {}))")
        return found.format(few, condition, own, few, condition), [*values, *values]
    if not ids:
        return sql.SQL("FALSE"), []
    if len(ids) == 1:  # `=` keeps an index's order, ANY not
        return sql.SQL("{} = %s").format(own), [ids[0]]
    return sql.SQL("{} = ANY (%s::bigint[])").format(own), [[*ids]]


def _condition(term: Term, column: Filtered, now: datetime) -> Condition:
    expression = column.expression
    if column.kind == "document":
        return _document(term, expression)
    if column.many and term.operator == "is":
        wanted = sql.SQL("{} && wf.folded_all(%s::text[])")
        return wanted.format(sql.SQL("wf.folded_all({})").format(expression)), [list(term.values)]
    if column.many:
        condition, values = _condition(term, Filtered(sql.SQL("each"), column.kind), now)
        return sql.SQL("EXISTS (SELECT FROM unnest({}) AS each WHERE {})").format(expression, condition), values
    if term.operator == "word":
        return _contains(expression, str(term.values[0]))
    if term.operator == "like":
        return _contains(expression, fold(str(term.values[0]))[:FUZZY_HEAD])
    if term.operator == "matches":
        return sql.SQL("{} ~ %s").format(_folded(expression)), [portable(str(term.values[0]))]
    if term.operator == "is":
        return _is(term, column)
    if column.kind == "age":  # older means an earlier time
        sign = "<" if term.operator == "above" else ">"
        return sql.SQL(f"{{}} {sign} %s").format(expression), [threshold(term, now)]
    number = float(term.values[0])
    if column.ahead:
        sign = ">" if term.operator == "above" else "<"
        unit = "1 second" if column.kind == "until" else "24 hours"
        return sql.SQL(f"{{}} {sign} now() + %s::float8 * interval '{unit}'").format(expression), [number]
    if term.operator == "above" and number >= 0:
        return sql.SQL("{} > %s::float8").format(column.indexed or expression), [number]
    return sql.SQL("{} {} %s::float8").format(expression, sql.SQL(">" if term.operator == "above" else "<")), [number]


_SCALAR = re.compile(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?|true|false|null")


def _document(term: Term, expression: sql.Composable) -> Condition:
    """A part of a document that is one of the values, as text or as what they are in JSON; or a JSON path."""
    _, _, part = term.field.partition(".")
    if not part:
        paths = [sql.SQL("{} @? %s::jsonpath").format(expression)] * len(term.values)
        return sql.SQL(" OR ").join(paths), [*term.values]
    wanted: list[object] = []
    for value in map(str, term.values):
        for body in (json.dumps(value), *([value] if _SCALAR.fullmatch(value) else [])):
            for name in reversed(part.split(".")):
                body = f"{{{json.dumps(name)}: {body}}}"
            wanted.append(body)
    return sql.SQL(" OR ").join([sql.SQL("{} @> %s::jsonb").format(expression)] * len(wanted)), wanted


def _contains(expression: sql.Composable, word: str) -> Condition:
    """Whether a folded text contains the word; the database folds the word by the same rule."""
    pattern = "%" + re.sub(r"([%_\\])", r"\\\1", word) + "%"
    like = sql.SQL("{} LIKE wf.folded(%s::text)").format(expression)
    if len(fold(word)) < 3:
        return like, [pattern]
    indexed = sql.SQL("wf.trigrams({}) @> wf.trigrams(wf.folded(%s::text))").format(expression)
    return sql.SQL("{} AND {}").format(indexed, like), [word, pattern]


def _is(term: Term, column: Filtered) -> Condition:
    if column.kind == "flag":
        said = [sql.SQL("({})" if value == "yes" else "NOT ({})").format(column.expression) for value in term.values]
        return sql.SQL(" OR ").join(said), []
    if column.kind == "choice" and not column.implied and len(term.values) == 1:  # `=` keeps an index's order, ANY not
        return sql.SQL("{} = %s").format(column.expression), list(term.values)
    if column.kind == "choice":
        condition = sql.SQL("{} = ANY(%s::text[])").format(column.expression)
        implied = [column.implied.get(str(value), sql.SQL("TRUE")) for value in term.values]
        if column.implied:
            condition = sql.SQL("{} AND ({})").format(condition, sql.SQL(" OR ").join(implied))
        return condition, [list(term.values)]
    if column.number is not None:
        numbers = [int(word) for value in term.values if NUMBER.fullmatch(word := str(value))]
        if len(numbers) == 1:  # `=` keeps an index's order, ANY not
            return sql.SQL("{} = %s").format(column.number), [*numbers]
        return sql.SQL("{} = ANY(%s::bigint[])").format(column.number), [numbers]
    if column.kind == "text":
        wanted = sql.SQL(", ").join([sql.SQL("wf.folded(%s::text)")] * len(term.values))
        return sql.SQL("{} IN ({})").format(_folded(column.expression), wanted), list(term.values)
    if column.ahead:
        days = sql.SQL("extract(epoch FROM {} - now()) / 86400").format(column.expression)
        return sql.SQL("({})::float8 = ANY(%s::float8[])").format(days), [list(term.values)]
    return sql.SQL("{} = ANY(%s::float8[])").format(column.expression), [list(term.values)]


def _folded(expression: sql.Composable) -> sql.Composable:
    return sql.SQL("wf.folded({})").format(expression)
