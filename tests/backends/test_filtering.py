"""The database finds what `matches` says, for random and hostile rows and filters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from backends.postgres.filtering import Filtered, where
from controlplane.errors import Usage
from controlplane.filters.grammar import FUZZY_HEAD, Term, matches, parse
from controlplane.filters.patterns import fold
from tests.controlplane.filter_strategies import FIELDS, NOW, exact_terms, filters, fuzzy_terms, records
from tests.postgres import Server

COLUMNS = {field.name: Filtered(sql.Identifier(field.name), field.kind) for field in FIELDS}
COLUMNS[""] = Filtered(sql.Identifier("search"))

TABLE = """
CREATE TEMPORARY TABLE things (
  place int, id text, name text COLLATE "C", status text, plan text, requests bigint, p95 float8, err numeric,
  age timestamptz, protected boolean,
  search text GENERATED ALWAYS AS (wf.folded(id || E'\\n' || name)) STORED
);
CREATE INDEX ON things USING gin (wf.trigrams(search));
SET enable_seqscan = off;
"""


@pytest.fixture(scope="module")
def connection(postgres_server: Server, template_database: str) -> Iterator[psycopg.Connection]:
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute(TABLE)
        yield connection
    postgres_server.drop(database)


def found(connection: psycopg.Connection, rows: list[dict[str, object]], terms: tuple[Term, ...]) -> list[int]:
    with connection.transaction(force_rollback=True):
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO things VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [(place, row["id"], *(row[field.name] for field in FIELDS)) for place, row in enumerate(rows)],
            )
        condition, parameters = where(terms, COLUMNS, NOW)
        query = sql.SQL("SELECT place FROM things WHERE {} ORDER BY place").format(condition)
        return [place for (place,) in connection.execute(query, parameters)]


def expected(rows: list[dict[str, object]], terms: tuple[Term, ...]) -> list[int]:
    return [place for place, row in enumerate(rows) if matches(terms, searchable(row), NOW)]


def searchable(row: dict[str, object]) -> dict[str, object]:
    return {**row, "": None if row["name"] is None else [row["id"], row["name"]]}


many = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


@many
@given(st.lists(records(), min_size=1, max_size=12), st.lists(exact_terms, max_size=3).map(tuple))
def test_the_database_finds_what_matches_says(connection, rows, terms) -> None:
    assert found(connection, rows, terms) == expected(rows, terms)


NAMES = [
    "acme",
    "Acme\n",
    "100%",
    "1000",
    "a_b",
    "axb",
    "a\\b",
    "a\\\\b",
    "it's",
    'say "hi"',
    "ÄRGER İÇ",
    "ΣΑΣ",
    "",
    None,
]
FILTERS = [
    *(
        "acme",
        "ACME",
        "a_",
        "0%",
        "100%",
        "a_b",
        '"a\\\\b"',
        '"\\\\"',
        "'",
        '"say \\"hi\\""',
        "ärger",
        "iç",
        "σασ",
        '"e t"',
    ),
    *("-acme", "-a_b", "-ärger", 'name:"",acme', "name:ärger", '-name:"ärger iç"', "name:a_b,ΣΑΣ", "-plan:x", "plan:x"),
    *(
        "name:/^acme$/",
        "name:/acme./",
        r"name:/a\\b/",
        "name:/[^a]_/",
        r"name:/\W/",
        "name:/İÇ/",
        "-name:/./",
        "name:/%$/",
    ),
    *("age>7d", "age<7d", "-age>7d", "-age<7d", "requests>2", "requests<2", "requests:2", "-requests>2", "err:1%"),
    *("protected:yes", "-protected:yes", "protected:no,yes", "status:active", "-status:active", "p95>2.5ms", "-p95<1s"),
]


@pytest.mark.parametrize("text", FILTERS)
def test_hostile_rows_and_edges(connection, text) -> None:
    rows: list[dict[str, object]] = []
    for place, name in enumerate(NAMES):
        step = place % 4 - 1  # below, on and above the edge, and unknown
        known: dict[str, object] = {
            "status": "active" if step else "erased",
            "requests": 2 + step,
            "p95": 2.5 + step,
            "err": 0.01 * (1 + step),
            "age": NOW - timedelta(days=7, microseconds=step),
            "protected": step == 0,
        }
        rows.append({"id": f"t{place}", "name": name, "plan": name, **(dict.fromkeys(known) if step == 2 else known)})
    terms = parse(text, FIELDS)
    assert found(connection, rows, terms) == expected(rows, terms)


@settings(many, max_examples=60)
@given(st.lists(records(), min_size=1, max_size=12), fuzzy_terms)
def test_a_fuzzy_word_finds_its_first_letters_a_superset_of_what_matches(connection, rows, term) -> None:
    head = Term("word", (fold(str(term.values[0]))[:FUZZY_HEAD],))
    candidates = found(connection, rows, (term,))
    assert candidates == expected(rows, (head,))
    assert set(candidates) >= set(expected(rows, (term,)))


@settings(many, max_examples=60)
@given(filters())
def test_values_never_become_part_of_the_sql(terms) -> None:
    condition, parameters = where(terms, COLUMNS, NOW)
    text = condition.as_string()
    assert text.count("%s") == text.count("%") == len(parameters)
    assert "'" not in text


def test_no_terms_are_every_row() -> None:
    assert where((), COLUMNS, NOW) == (sql.SQL("TRUE"), [])


def test_a_field_without_a_column_is_refused_never_passed_over() -> None:
    with pytest.raises(Usage) as refused:
        where((Term("is", ("x",), "colour"),), COLUMNS, NOW)
    assert refused.value.code == "filter_unreadable"


def test_words_of_three_letters_use_the_index(connection) -> None:
    for word, used in (("acme", True), ("ac", False)):
        condition, parameters = where((Term("word", (word,)),), COLUMNS, NOW)
        query = sql.SQL("EXPLAIN SELECT place FROM things WHERE {}").format(condition)
        plan = "\n".join(line for (line,) in connection.execute(query, parameters))
        assert ("Bitmap Index Scan" in plan) is used
