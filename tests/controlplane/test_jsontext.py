"""What a home holds as JSON can be read, counted with and written again, whatever somebody wrote there."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from controlplane.jsontext import LONGEST, read_stored

# PostgreSQL writes a number of jsonb with all its digits.
numbers = st.builds(
    lambda sign, whole, rest: f"{sign}{whole}{rest}",
    st.sampled_from(["", "-"]),
    st.sampled_from([1, 3, LONGEST - 1, LONGEST, LONGEST + 1, 4300, 4301, 131_072]).map(lambda digits: "9" * digits),
    st.sampled_from(["", ".5", "." + "0" * 16_383 + "1"]),
)


@given(numbers)
def test_a_number_of_any_size_hides_no_other_value(number: str) -> None:
    for text in (f'{{"a": {number}, "b": 7, "c": 0.5}}', f'{{"a": {number}, "b": 7, "c": 0.5}}'.encode()):
        value = read_stored(text)
        assert (value["b"], value["c"]) == (7, 0.5)
        if isinstance(value["a"], str):
            assert value["a"] == number
        else:
            assert abs(float(value["a"]) / float(number) - 1) < 1e-9
        assert read_stored(json.dumps(value, allow_nan=False)) == value


def test_what_is_long_and_no_number_is_as_it_was() -> None:
    value = {"id": "9" * 400, "list": [1, 2.5, True, None]}
    assert read_stored(json.dumps(value)) == value
