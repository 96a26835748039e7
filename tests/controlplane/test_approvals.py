"""Approvals in words: what the header says of them, and facts that somebody made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.approvals.model import Desk
from controlplane.approvals.seconding import asked_as
from controlplane.approvals.words import desk_words, fact_lines
from controlplane.operations import Risk
from controlplane.registry import named, operations
from controlplane.runs.operations import OneRun

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minutes", "to_decide", "approved", "words"),
    [
        (None, 0, 0, []),
        (240, 2, 0, ["2 to approve"]),
        (4.2, 2, 1, ["2 to approve ends 5m", "1 approved"]),
        (5, 1, 0, ["1 to approve ends 5m"]),
        (5.1, 1, 0, ["1 to approve"]),
        (3, 0, 0, ["your request ends 3m"]),
        (-1, 0, 0, ["your request ends 0m"]),
    ],
)
def test_the_header_reminds_five_minutes_before_the_end(
    minutes: float | None, to_decide: int, approved: int, words: list[str]
) -> None:
    end = None if minutes is None else NOW + timedelta(minutes=minutes)
    assert desk_words(Desk("operator", to_decide, end, approved, None, None), NOW) == words


def test_the_header_counts_a_raised_role_down() -> None:
    desk = Desk("operator", 0, None, 0, NOW + timedelta(minutes=12), "operator")
    assert desk_words(desk, NOW) == ["operator 12m"]
    assert desk_words(desk, NOW + timedelta(minutes=12)) == []


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fact = st.fixed_dictionaries(
    {"noun": st.text(max_size=20), "thing": st.text(max_size=20), "verb": st.sampled_from(["new", "gone", "changed"])},
    optional={"run": json, "before": json, "after": json, "seen": json},
) | st.fixed_dictionaries({"more": json}, optional={"sha256": json, "verb": json})


@given(st.lists(fact | json, max_size=4))
def test_whatever_somebody_made_up_is_shown_inert(facts: list[dict[str, object]]) -> None:
    """The home checks only the first three fields of a fact that comes from psql, and did not always."""
    for line in fact_lines(facts):
        assert line.isprintable()


def test_the_same_request_is_the_same_whatever_was_seen() -> None:
    purge = named("tenants.purge")
    assert asked_as(purge, purge.parse({"id": "acme"})) == asked_as(purge, purge.parse({"id": "acme", "version": 7}))
    assert asked_as(purge, purge.parse({"id": "acme"})) != asked_as(purge, purge.parse({"id": "beta"}))
    assert asked_as(named("runs.release"), OneRun(id=1)) != asked_as(named("runs.release"), OneRun(id=2))


def test_what_takes_a_second_person_holds_nothing_personal() -> None:
    """The request keeps its fields, and the hash of masked values would not bind them."""
    for each in operations().values():
        if each.risk is Risk.TWO_PERSON:
            assert not each.request.personal and each.needs_reason
