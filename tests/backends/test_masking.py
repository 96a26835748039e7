"""What masks addresses in any JSON never spoils it: a change or an outcome whose text holds one is recorded."""

from __future__ import annotations

import json
import re

import psycopg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.postgres import Database

PIECES = ("ana@acme.com", "@", ".", " ", '"', "\\", "u0041", "\n", "\x01", "é", "a", "\\u0041", "x@y.z")
TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3), min_size=1, max_size=30))
@example(values=[{"a": "\x01ana@acme.com"}, {"a": "\\ana@acme.com"}, {"a": '"ana@acme.com'}, {"ana@acme.com": "\\u"}])
def test_addresses_are_masked_and_the_rest_stays(database: Database, values: list[dict[str, str]]) -> None:
    with psycopg.connect(database.owner) as connection:
        query = "SELECT wf.without_addresses(v) FROM jsonb_array_elements(%s::jsonb) v"
        masked = [row[0] for row in connection.execute(query, [json.dumps(values)])]
    for before, after in zip(values, masked, strict=True):
        assert len(after) <= len(before)
        for text in (part for pair in after.items() for part in pair):
            assert not re.search(r"(^|\s)ana@acme\.com", text), text
        if "@" not in json.dumps(before):
            assert after == before
