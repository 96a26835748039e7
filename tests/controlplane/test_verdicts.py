"""What an answer means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.deliveries.model import Answer, Trouble
from controlplane.deliveries.verdicts import MAX_KEPT_CHARACTERS, MAX_RETRY_AFTER, kept_text, retry_after, verdict_of
from controlplane.text import clean_lines

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ((200, 201, 202, 204, 299), "delivered"),
        ((300, 301, 302, 303, 304, 307, 308, 399), "retry"),
        ((408, 425, 429), "retry"),
        ((400, 401, 403, 404, 405, 409, 410, 413, 415, 418, 422, 451, 499), "refused"),
        ((500, 501, 502, 503, 504, 507, 599), "retry"),
        ((100, 101, 199, 600, 999), "retry"),
    ],
)
def test_what_a_status_of_http_means(statuses: tuple[int, ...], state: str) -> None:
    for status in statuses:
        verdict = verdict_of(Answer(status), NOW)
        assert (verdict.state, verdict.code) == (state, f"http_{status}") and str(status) in verdict.words
        assert verdict.gone == (status == 410)
        assert ("no redirect is followed" in verdict.words) == (300 <= status < 400)


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ((250, 251, 252), "delivered"),
        ((421, 450, 451, 452), "retry"),
        ((500, 550, 552, 554), "refused"),
        ((334, 600, 499, -1), "retry"),
    ],
)
def test_what_a_status_of_smtp_means(statuses: tuple[int, ...], state: str) -> None:
    for status in statuses:
        verdict = verdict_of(Answer(status, protocol="smtp"), NOW)
        assert (verdict.state, verdict.code) == (state, f"smtp_{status}")


@pytest.mark.parametrize("kind", ["unresolved", "unreachable", "tls", "slow", "protocol", "login", "unwritable"])
def test_without_an_answer_it_is_tried_again(kind: str) -> None:
    assert verdict_of(Trouble(kind, "words"), NOW).state == "retry"  # type: ignore[arg-type]


def test_what_we_refuse_ourselves_is_not_tried_again() -> None:
    verdict = verdict_of(Trouble("refused_here", "x is at 10.0.0.1, which is private."), NOW)
    assert (verdict.state, verdict.code) == ("refused", "refused_here") and "private" in verdict.words


def test_a_redirect_says_where_to_in_inert_words() -> None:
    verdict = verdict_of(Answer(302, location="https://127.0.0.1/\x1b[2J"), NOW)
    assert "redirects to https://127.0.0.1/␛[2J (302); no redirect is followed" in verdict.words


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("99999999999", MAX_RETRY_AFTER),
        ("9" * 40, MAX_RETRY_AFTER),
        ("Sun, 29 Nov 2026 12:02:00 GMT", 120.0),
        ("Sun, 29 Nov 2026 12:02:00", 120.0),
        ("Sun, 29 Nov 2026 21:02:00 +0900", 120.0),
        ("Sunday, 29-Nov-26 12:02:00 GMT", 120.0),
        ("Fri, 31 Dec 2199 00:00:00 GMT", MAX_RETRY_AFTER),
        ("Sun, 29 Nov 2026 11:00:00 GMT", None),
        *(
            (header, None)
            for header in ("", "soon", "-5", "1.5", "1e9", "9" * 400, "٣", "Sun, 99 Nov 2026 12:02:00 GMT")
        ),
        ("Sun, 29 Nov 99999 12:02:00 GMT", None),
    ],
)
def test_a_pause_is_read_in_both_its_forms_and_bounded(header: str, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
    assert verdict_of(Answer(429, retry_after=header), NOW).retry_after == seconds


@given(st.datetimes(datetime(1990, 1, 1), datetime(2190, 1, 1)), st.integers(-720, 720))
def test_a_date_is_read_whatever_its_zone(at: datetime, minutes: int) -> None:
    moment = at.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    expected = min((moment - NOW).total_seconds(), MAX_RETRY_AFTER)
    assert retry_after(format_datetime(moment), NOW) == (expected if expected > 0 else None)


@given(st.text())
def test_any_header_is_read_without_a_fault(header: str) -> None:
    seconds = retry_after(header, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@given(st.text(), st.text(min_size=4))
def test_what_is_kept_is_inert_bounded_and_without_our_secrets(around: str, secret: str) -> None:
    kept = kept_text(f"{around}{secret}{around}{secret}", [secret, ""])
    assert len(kept) <= MAX_KEPT_CHARACTERS and kept == clean_lines(kept)
    if "•" not in secret and secret.isprintable() and secret not in around:
        assert secret not in kept.replace("•••", "\0")


def test_a_longer_secret_is_hidden_before_one_that_is_a_part_of_it() -> None:
    assert kept_text("got hunter2hunter2", ["hunter2", "hunter2hunter2"]) == "got •••"
