from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane.lists import as_record


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    value: Any


@dataclass(frozen=True)
class Whole(Part):
    parts: list[Part]


scalars = st.none() | st.booleans() | st.integers() | st.text() | st.datetimes() | st.decimals(allow_nan=False)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner) | st.builds(Part, st.text(), inner)
    ),
    max_leaves=6,
)


@given(st.builds(Whole, st.text(), values, st.lists(st.builds(Part, st.text(), values), max_size=2)))
def test_a_record_is_what_asdict_makes(row: Whole) -> None:
    assert as_record(row) == asdict(row)


def test_what_cannot_change_is_not_copied() -> None:
    at = datetime(2026, 1, 1)
    assert as_record(Part("a", at))["value"] is at
    assert as_record(Part("a", Decimal("1.5"))) == {"name": "a", "value": Decimal("1.5")}
