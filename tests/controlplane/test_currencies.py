"""Amounts of money: as many places as their currency has, shown and read alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.plans.currencies import PLACES, amount_of, check_currency, money, read_money


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        (15_000, "XOF", "15,000 XOF"),
        (15_000, "EUR", "150.00 EUR"),
        (-123_456, "EUR", "-1,234.56 EUR"),
        (5, "EUR", "0.05 EUR"),
        (1234, "JPY", "1,234 JPY"),
        (1234, "UGX", "1,234 UGX"),
        (1234, "KWD", "1.234 KWD"),
        (1234, "IQD", "1.234 IQD"),
        (12_345, "CLF", "1.2345 CLF"),
        (1234, "ISK", "1,234 ISK"),
        (1234, "HUF", "12.34 HUF"),
    ],
)
def test_an_amount_has_the_places_of_its_currency(amount: int, currency: str, words: str) -> None:
    assert money(amount, currency) == words


def test_of_an_unknown_currency_no_places_are_guessed() -> None:
    assert money(15_000, "ZZZ") == "15,000 minor units of ZZZ"
    assert money(15_000, None) == "15,000 minor units"


@given(st.integers(0, 10**12), st.sampled_from(sorted(PLACES)))
def test_what_is_shown_is_read_as_the_same(amount: int, currency: str) -> None:
    assert read_money(money(amount, currency)) == (amount, currency)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("99 EUR", 9900), ("99.5 EUR", 9950), ("1234.56 EUR", 123_456), ("15000 XOF", 15_000), ("1.5 KWD", 1500)],
)
def test_an_amount_may_be_written_shorter(text: str, amount: int) -> None:
    assert read_money(text)[0] == amount


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("99.00", "amount_unreadable"),
        ("99,00 EUR", "amount_unreadable"),
        ("1,23 EUR", "amount_unreadable"),
        ("1.00 XOF", "amount_unreadable"),
        ("1.001 EUR", "amount_unreadable"),
        ("-1.00 EUR", "amount_unreadable"),
        ("1e3 EUR", "amount_unreadable"),
        ("٣ EUR", "amount_unreadable"),
        ("1 eur", "amount_unreadable"),
        ("1 ZZZ", "currency_unknown"),
        ("1 XAU", "currency_unknown"),
    ],
)
def test_what_could_be_misread_is_refused(text: str, code: str) -> None:
    with pytest.raises(Usage) as refused:
        read_money(text)
    assert refused.value.code == code


def test_whole_digits_are_minor_units_and_all_else_names_its_currency() -> None:
    assert [amount_of(given, "EUR") for given in (2900, "2900", "29.00 EUR")] == [2900] * 3
    for value, currency, code in (
        (29.0, "EUR", "amount_unreadable"),
        (True, "EUR", "amount_unreadable"),
        ("29.00", "EUR", "amount_unreadable"),
        ("29.00 USD", "EUR", "currency_other"),
        ("29.00 USD", None, "currency_other"),
    ):
        with pytest.raises(Usage) as refused:
            amount_of(value, currency)
        assert refused.value.code == code


def test_what_is_repeated_of_a_foreign_text_is_short() -> None:
    assert money(1, "ABCD") == "1 minor units of AB…"
    for read, text, shown in (
        (check_currency, "E" * 21, "E" * 19 + "…"),
        (read_money, "9" * 41, "9" * 39 + "…"),
        (read_money, "1" * 15 + ".123" + " " * 25 + "EUR", "1" * 15 + ".123"),
        (lambda text: amount_of([text], "EUR"), "9" * 41, "9" * 37 + "…"),
        (lambda text: amount_of(text, "USD"), "1 EUR", "1 EUR is in EUR, not in USD"),
    ):
        with pytest.raises(Usage) as refused:
            read(text)
        assert shown in refused.value.message


def test_amounts_at_their_edges() -> None:
    assert [money(amount, "EUR") for amount in (0, -5, 99, 100)] == ["0.00 EUR", "-0.05 EUR", "0.99 EUR", "1.00 EUR"]
    assert money(0, "JPY") == "0 JPY" and money(-1, "JPY") == "-1 JPY"
    assert read_money("1,234,567.89 EUR") == (123_456_789, "EUR") and read_money(" 0.5 EUR ") == (50, "EUR")
    assert amount_of(-5, "EUR") == -5 and amount_of("0", None) == 0
