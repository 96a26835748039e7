"""Views of charts as text: what a person types, a link holds and a screen shows is the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.telemetry.chartviews import (
    CHARTS,
    HOUR,
    LINES,
    MAX_TENANTS_COMPARED,
    SPANS,
    View,
    Window,
    around,
    parse_view,
    parse_window,
    render,
    same_numbers,
)
from controlplane.telemetry.model import SOURCES, Scope

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
names = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
moments = st.integers(0, 10**6).map(lambda n: NOW - timedelta(minutes=n))
windows = st.builds(Window, st.sampled_from(SPANS), st.none() | moments)
fixed = windows.filter(lambda window: window.end is not None or window.span in SPANS)
lines = st.dictionaries(st.sampled_from(LINES), st.integers(0, 10_000).map(float), max_size=3).map(
    lambda found: tuple(found.items())
)
tenant = st.text(st.characters(codec="utf-8", exclude_characters=","), min_size=1, max_size=12)
views = st.builds(
    View,
    st.builds(Scope, st.none() | tenant, names, names, names),
    fixed,
    st.booleans(),
    lines,
    st.sampled_from(CHARTS),
    st.none() | moments,
    st.sampled_from(SOURCES),
)
several = st.builds(
    View,
    st.builds(Scope, st.none(), names, st.none(), names),
    fixed,
    source=st.sampled_from(SOURCES),
    tenants=st.lists(tenant, min_size=2, max_size=MAX_TENANTS_COMPARED, unique=True).map(tuple),
)


@pytest.mark.parametrize(
    "at", ["9999-12-31T23:59", "0001-01-01", "3000-01-01", "1969-12-31T23:59", "1e400", "infinity"]
)
@pytest.mark.parametrize("view", ["at:{at}", "window:{at}..{at}", "window:2026-11-01..{at}"])
def test_a_time_that_no_request_has_is_refused(view: str, at: str) -> None:
    with pytest.raises(Usage) as refused:
        parse_view(view.format(at=at))
    assert refused.value.code == "time_unreadable"


@given(views | several)
def test_a_view_is_what_its_text_says(view: View) -> None:
    text = render(view)
    assert parse_view(text) == view
    assert "#" not in text  # a link's key begins there


def test_what_a_person_types() -> None:
    view = parse_view('/tenant:acme route:"/v1/or ders" p95>1.5s errors>3 compare:week window:7d')
    assert view.scope == Scope("acme", "/v1/or ders")
    assert view.lines == (("p95", 1500.0), ("errors", 3.0)) and view.compare
    assert view.window == Window(timedelta(days=7))
    assert parse_view("") == View()
    assert parse_view('route:"/a b').scope.route == "/a b"  # the program's own command line takes off a last quote


def test_a_window_of_days_holds_its_last_day() -> None:
    window = parse_window("2026-11-01..2026-11-07")
    assert window.bounds(NOW) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
    hours = parse_window("2026-11-01T03:00..2026-11-01T05:30")
    assert hours.bounds(NOW) == (datetime(2026, 11, 1, 3, tzinfo=UTC), datetime(2026, 11, 1, 5, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    ["tenant:a,b,c,d,e", "tenant:a,b key:x",
     "acme", "colour:red", "window:never", "window:2026-11-07..2026-11-01", "window:1s", "p95>fast", "p80>1ms",
     "errors>-1", "errors>nan", "chart:pie", "tenant:a tenant:b", 'tenant:"a', "tenant:a;b window:", "at:noon"],
)  # fmt: skip
def test_what_no_view_says_is_refused_in_words(text: str) -> None:
    if text == 'tenant:"a':
        assert parse_view(text).scope.tenant_id == "a"
        return
    with pytest.raises(Usage) as caught:
        parse_view(text)
    assert caught.value.code in ("view_unreadable", "window_unreadable", "duration_unreadable", "time_unreadable")


@given(windows)
def test_steps_fit_a_chart_and_are_kept_of_that_time(window: Window) -> None:
    step = window.step(NOW)
    assert window.span / step <= 180
    if window.bounds(NOW)[0] < NOW - timedelta(hours=48) and window.span > timedelta(hours=6):
        assert step >= timedelta(hours=1)


def test_longer_and_shorter_end_where_there_is_no_other() -> None:
    window = Window(SPANS[0])
    assert window.longer(-1) == window
    for span in SPANS[1:]:
        window = window.longer(1)
        assert window.span == span
    assert window.longer(1) == window
    assert Window(timedelta(hours=2)).longer(1).span == timedelta(hours=6)


def test_a_window_that_is_moved_into_the_future_is_live_again() -> None:
    window = Window(timedelta(hours=6)).moved(-1, NOW)
    assert window.end == NOW - timedelta(hours=3)
    assert window.moved(1, NOW) == Window(timedelta(hours=6))


def test_the_hours_about_a_change_have_the_cursor_on_it() -> None:
    at = NOW - timedelta(days=2)
    view = around(Scope("acme"), at, NOW)
    start, end = view.window.bounds(NOW)
    assert start < at < end <= NOW and view.at == at
    assert around(Scope("acme"), NOW, NOW).window.end is None


@pytest.mark.parametrize(
    ("window", "minutes"),
    [
        (Window(timedelta(minutes=15)), 1),
        (Window(timedelta(hours=3)), 1),
        (Window(timedelta(minutes=181)), 5),
        (Window(timedelta(hours=24)), 15),
        (Window(timedelta(hours=47)), 60),
        (Window(timedelta(hours=6), NOW - timedelta(days=9)), 5),
        (Window(timedelta(hours=7), NOW - timedelta(days=9)), 60),
        (Window(timedelta(hours=7), NOW - timedelta(hours=40)), 5),
        (Window(timedelta(hours=7), NOW - timedelta(hours=40, seconds=1)), 60),
        (Window(timedelta(days=7)), 60),
        (Window(timedelta(days=30)), 360),
        (Window(timedelta(days=60)), 720),
        (Window(timedelta(days=180)), 1440),
        (Window(timedelta(days=181)), 7 * 1440),
        (Window(timedelta(days=9999)), 7 * 1440),
    ],
)
def test_the_finest_step_that_fits_and_is_kept(window: Window, minutes: int) -> None:
    assert window.step(NOW) == timedelta(minutes=minutes)


@pytest.mark.parametrize(("text", "good"), [("5m", True), ("299s", False), ("400d", True), ("401d", False)])
def test_the_shortest_and_the_longest_window(text: str, good: bool) -> None:
    if good:
        assert parse_window(parse_window(text).words) == parse_window(text)
        return
    with pytest.raises(Usage) as refused:
        parse_window(text)
    assert refused.value.code == "window_unreadable"


def test_a_window_is_moved_by_half_of_itself() -> None:
    past = Window(timedelta(hours=2), NOW - timedelta(hours=3))
    assert [past.moved(by, NOW).end for by in (-1, 1, 2)] == [NOW - timedelta(hours=n) for n in (4, 2, 1)]
    assert past.moved(3, NOW).end is None, "it ends now"
    assert Window(timedelta(hours=1)).longer(-1).span == timedelta(minutes=15)
    assert Window(timedelta(days=30)).longer(-1).span == timedelta(days=7)


def test_times_are_written_with_their_seconds_only_when_they_have_some() -> None:
    at = NOW + timedelta(seconds=7)
    assert Window(timedelta(hours=1), at).words == "2026-11-21T11:00:07..2026-11-21T12:00:07"
    assert render(View(at=NOW)) == "at:2026-11-21T12:00 window:1d"
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert render(View(at=tokyo)) == "at:2026-11-21T12:00 window:1d"


def test_the_canonical_text_of_a_view() -> None:
    view = View(
        Scope(None, "/a b", "wf_live_ab", "eu"), Window(HOUR), True, (("p95", 250.0), ("errors", 0.5)), "heat",
        source="prometheus",
    )  # fmt: skip
    text = (
        'route:"/a b" key:wf_live_ab region:eu source:prometheus p95>250ms errors>0.5 compare:week chart:heat window:1h'
    )
    assert render(view) == text and parse_view(text) == view
    assert render(View(tenants=("a", "b"))) == "tenant:a,b window:1d"
    assert parse_view("tenant:a,a,").scope.tenant_id == "a" and parse_view("tenant:a,a,").tenants == ()
    assert len(parse_view("tenant:a,b,c,d").tenants) == 4


def test_whose_requests_a_view_shows() -> None:
    assert View(tenants=("a", "b")).label == "a + b"
    assert View(Scope("a", "/x", "k", "eu")).label == "a, /x, key k, region eu"


@pytest.mark.parametrize(("value", "number"), [("0", 0.0), ("1e11", 1e11), ("2.5", 2.5)])
def test_a_line_at_a_number_of_requests(value: str, number: float) -> None:
    assert parse_view(f"requests>{value}").lines == (("requests", number),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("requests>1e12", "requests cannot have a line at 1e12"),
        ("requests>-1", "requests cannot have a line at -1"),
        ("requests>" + "9" * 30, "requests cannot have a line at " + "9" * 19 + "…"),
        ("size>5", "No line is drawn for size"),
        ("colour:red", "A chart cannot show colour:red"),
        ("compare:day", "A chart cannot show compare:day"),
        ("source:x", "A chart cannot show source:x"),
        ("p95>1s p95>2s", "p95 is there twice"),
        ("p95>1s window:1h x", '"x" cannot be read here'),
        ("tenant:a,b,c,d,e", "room for 4 tenants, not for 5"),
        ("tenant:a,b key:k", "A key belongs to one tenant"),
        ('route:"\\x"', '"\\x" is not a quoted value'),
        ("route:" + "/" * 41 + '" "', '"route:' + "/" * 33 + '…" cannot be read'),
        ("chart:" + "x" * 41, "cannot show chart:" + "x" * 39 + "…"),
    ],
)
def test_what_is_wrong_with_a_view_is_said(text: str, says: str) -> None:
    with pytest.raises(Usage) as refused:
        parse_view(text)
    assert says in refused.value.message


def test_what_is_drawn_from_the_same_numbers() -> None:
    view = View(Scope("acme"), Window(HOUR, NOW))
    for same in ({"chart": "heat"}, {"at": NOW}, {"lines": (("p95", 1.0),)}):
        assert same_numbers(view, replace(view, **same))
    for other in (
        *({"scope": Scope("globex")}, {"tenants": ("a", "b")}, {"window": Window(HOUR)}),
        *({"source": "prometheus"}, {"compare": True}),
    ):
        assert not same_numbers(view, replace(view, **other))


def test_the_six_hours_about_a_time() -> None:
    at = NOW - timedelta(hours=3)
    assert around(Scope(), at, NOW).window == Window(timedelta(hours=6)), "they end now"
    earlier = around(Scope(), at - timedelta(seconds=1), NOW).window
    assert earlier.bounds(NOW) == (NOW - timedelta(hours=6, seconds=1), NOW - timedelta(seconds=1))
