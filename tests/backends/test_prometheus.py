"""Requests read from a real Prometheus, and from what is no Prometheus or a poor one."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.prometheus.mapping import Mapping, quoted, read_mapping
from backends.prometheus.telemetry import PrometheusSeries, histogram_of
from controlplane.clock import machine_now
from controlplane.errors import NotFound, Refusal, Usage
from controlplane.secrets import Reference, Secret
from controlplane.telemetry.model import OVERFLOW, Scope, Series, value_of
from tests import prometheus
from tests.prometheus import BEGIN, GAP, HOSTILE, HOURS, MAPPING, RESET, SCRAPE, history

needs_prometheus = pytest.mark.skipif(
    not all(map(prometheus.program, prometheus.NEEDED)), reason="no Prometheus is here: make setup"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus.running(tmp_path_factory.mktemp("prometheus"), history()) as url:
        yield url


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Callable[..., PrometheusSeries]]:
    made: list[PrometheusSeries] = []

    def ask(url: str, *changes: tuple[str, str], scrape: float = SCRAPE, timeout: float = 10) -> PrometheusSeries:
        text = MAPPING.format(url=url, scrape=scrape, timeout=timeout)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "prometheus.toml"
        path.write_text(text)
        made.append(
            PrometheusSeries(path, lambda reference: Secret("s3cret-token-of-the-test", str(reference)), machine_now)
        )
        return made[-1]

    yield ask


async def read(source: PrometheusSeries, scope: Scope, first: int, last: int, step: int) -> Series:
    try:
        return await source.series(
            scope, BEGIN + timedelta(seconds=first), BEGIN + timedelta(seconds=last), timedelta(seconds=step)
        )
    finally:
        await source.close()


@needs_prometheus
async def test_a_series_holds_what_was_counted(server: str, asked: Callable[..., PrometheusSeries]) -> None:
    series = await read(asked(server), Scope("acme", "/v1"), 1800, 3600, 60)
    assert series.source == "prometheus" and len(series.points) == 30 and series.notes == ()
    steps = 60 // SCRAPE
    for point in series.points[1:]:  # before the first value of a counter nothing is known of it
        assert point is not None
        assert (point.n, point.errors_4xx, point.errors_5xx) == (42 * steps, 10 * steps, 2 * steps)
        assert point.latency.n == 40 * steps and point.latency.counts[-1] == 0.05 * 40 * steps
        assert point.latency.buckets[-1] == OVERFLOW
        assert point.p50 is not None and abs(point.p50 - 100) <= 4
        assert point.p95 is not None and abs(point.p95 - 1000) <= 40
        assert point.p99 is None  # above the highest bound
    first = series.points[0]
    assert first is not None and first.errors_5xx <= 2 * steps


@needs_prometheus
async def test_what_was_not_scraped_is_a_gap_and_a_restart_is_none(
    server: str, asked: Callable[..., PrometheusSeries]
) -> None:
    series = await read(asked(server), Scope("acme"), 0, HOURS * 3600 + 1800, 300)
    known = [point is not None for point in series.points]
    expected = [not (GAP.start <= at and at + 300 <= GAP.stop) for at in range(0, HOURS * 3600, 300)]
    assert known == expected + [False] * 6  # after the end nothing is known either
    around = series.points[RESET // 300]
    assert around is not None and abs(around.n - 42 * 300 // SCRAPE) <= 42


@needs_prometheus
async def test_the_step_leaves_room_for_scrapes(server: str, asked: Callable[..., PrometheusSeries]) -> None:
    series = await read(asked(server), Scope("acme"), 0, 600, 5)
    assert series.step == timedelta(seconds=60)
    with pytest.raises(Usage, match="at most 2,000"):
        await read(asked(server), Scope("acme"), 0, 40 * 86_400, 60)


@needs_prometheus
@pytest.mark.parametrize("tenant", HOSTILE)
async def test_a_name_is_a_value_whatever_is_in_it(
    server: str, asked: Callable[..., PrometheusSeries], tenant: str
) -> None:
    series = await read(asked(server), Scope(tenant), 2000, 2600, 60)
    point = series.points[5]
    assert point is not None and point.n == 42 * 60 // SCRAPE and not point.latency.n


@needs_prometheus
async def test_nobody_is_unknown_and_not_zero(server: str, asked: Callable[..., PrometheusSeries]) -> None:
    series = await read(asked(server), Scope("nobody"), 0, 600, 60)
    assert set(series.points) == {None} and series.whole is None
    with pytest.raises(Usage, match="names no label"):
        await read(asked(server), Scope("acme", region="eu"), 0, 600, 60)


@needs_prometheus
async def test_a_real_exporter_is_scraped(server: str, asked: Callable[..., PrometheusSeries]) -> None:
    """Prometheus itself counts the requests that it answers."""
    itself = (
        ("http_requests_total", "prometheus_http_requests_total"),
        ("http_request_seconds_bucket", "prometheus_http_request_duration_seconds_bucket"),
        ('job="api"', 'job="itself"'),
    )
    calls = 0
    async with httpx.AsyncClient(base_url=server) as client:

        async def counted() -> float:
            query = {"query": 'prometheus_http_requests_total{handler="/-/healthy"}'}
            found = (await client.get("/api/v1/query", params=query)).json()["data"]["result"]
            return float(found[0]["value"][1]) if found else 0.0

        async with asyncio.timeout(20):
            while await counted() < 1:  # the first value of a counter: from then on it is seen to grow
                calls += (await client.get("/-/healthy")).status_code == 200
                await asyncio.sleep(0.05)
            before, target = calls, calls + 60
            while calls < target:
                calls += (await client.get("/-/healthy")).status_code == 200
            while await counted() < calls:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    source, now = asked(server, *itself, scrape=0.2), datetime.now(UTC)
    series = await source.series(Scope(route="/-/healthy"), now - timedelta(minutes=5), now, timedelta(minutes=1))
    await source.close()
    whole = series.whole
    assert whole is not None and not whole.errors_5xx and whole.latency.n
    assert calls - before <= whole.n <= 2 * calls  # increase() carries a step's rate to its ends


@needs_prometheus
async def test_ten_thousand_curves_are_refused_in_words(server: str, asked: Callable[..., PrometheusSeries]) -> None:
    source = asked(server, ("http_requests_total{$match}", "wide_total{$match}"))
    with pytest.raises(Refusal, match="10,000 series") as refused:
        await read(source, Scope(), 0, 300, 60)
    assert refused.value.code == "prometheus_too_wide" and "sum by" in refused.value.hint


@needs_prometheus
async def test_its_own_refusal_is_told(server: str, asked: Callable[..., PrometheusSeries]) -> None:
    source = asked(server, ("sum by (code)", "sum by (code) nonsense"))
    with pytest.raises(Refusal, match=r"refused the query: .*parse error") as refused:
        await read(source, Scope(), 0, 300, 60)
    assert refused.value.code == "prometheus_refused"


@asynccontextmanager
async def answering(*pieces: bytes, wait: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says this to whoever connects, and what it was asked."""
    heard: list[bytes] = []
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0] or b"0")
            heard.append(head + await reader.readexactly(length))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if wait:
                await done.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heard
    finally:
        done.set()
        listening.close()


def http(body: bytes, status: str = "200 OK", more: str = "", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n{more}\r\n".encode() + body


ERROR = b'{"status":"error","errorType":"%s","error":"%s"}'
MATRIX = b'{"status":"success","data":{"resultType":"matrix","result":%s}}'


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (http(b"<html>a login page</html>"), "prometheus_unreadable", "HTTP 200, not an answer"),
        (http(b"<html>busy</html>", "502 Bad Gateway"), "prometheus_unreachable", r"not ready \(502\)\. .*try again"),
        (http(b"Service Unavailable\n", "503 x"), "prometheus_unreachable", r"not ready \(503\)\. It is starting"),
        (http(b"slow down", "429 x"), "prometheus_unreachable", r"not ready \(429\)"),
        (http(ERROR % (b"unavailable", b"TSDB not ready"), "503 x"), "prometheus_unreachable", "503.: TSDB not ready"),
        (http(ERROR % (b"timeout", b"timed out"), "503 x"), "prometheus_slow", "took too long: timed out"),
        (http(ERROR % (b"execution", b"\\u001b[2Jno"), "422 x"), "prometheus_refused", "refused the query: .*no"),
        (http(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"), "prometheus_unreadable", "HTTP 302"),
        (http(b"no", "401 Unauthorized"), "prometheus_refused", "does not let us in"),
        (http(MATRIX % b"[", length=5000), "prometheus_unreachable", "cannot be asked"),
        (http(MATRIX % b"{}"), "prometheus_unreadable", "cannot be read"),
        (http(MATRIX % b'[{"metric":{},"values":[[1]]}]'), "prometheus_unreadable", "cannot be read"),
        *(
            (http(MATRIX % b'[{"metric":{},"values":[[%s]]}]' % pair), "prometheus_unreadable", "cannot be read")
            for pair in (b'"x","y"', b'1,"1_0"', b'1," 1 "', b'1,"\\u0661"', b"1,true", b"1,null", b"1,[]", b"1,{}")
        ),
        (http(MATRIX % b'[{"metric":[],"values":[]}]'), "prometheus_unreadable", "cannot be read"),
        (http(MATRIX % b'[{"metric":{},"values":[]}]'), "prometheus_labels", "without the label code"),
        (http(MATRIX % b'[{"metric":{},"values":[[1,%s]]}]' % (b"9" * 5000)), "prometheus_unreadable", "not an answer"),
        (http(b'{"status":"success","data":{"resultType":"vector","result":[]}}'), "prometheus_unreadable", "a vector"),
        (http(b"[" * 100_000), "prometheus_unreadable", "not an answer"),
        (b"nonsense\r\n\r\n", "prometheus_unreachable", "cannot be asked"),
    ],
)
async def test_what_answers_wrongly_is_named(
    asked: Callable[..., PrometheusSeries], said: bytes, code: str, words: str
) -> None:
    async with answering(said) as (url, _):
        with pytest.raises(Refusal, match=words) as refused:
            await read(asked(url), Scope(), 0, 300, 60)
    assert refused.value.code == code and str(refused.value).isprintable()


async def test_an_endless_answer_is_cut_off(asked: Callable[..., PrometheusSeries]) -> None:
    async with answering(http(b"", length=1 << 40), *[b" " * (1 << 20)] * 12, wait=True) as (url, _):
        with pytest.raises(Refusal, match="more than 8 MB"):
            await read(asked(url), Scope(), 0, 300, 60)


async def test_a_slow_one_is_not_waited_for(asked: Callable[..., PrometheusSeries]) -> None:
    async with answering(wait=True) as (url, _):
        with pytest.raises(Refusal, match=r"within 0\.05 s") as refused:
            await read(asked(url, timeout=0.05), Scope(), 0, 300, 60)
    assert refused.value.code == "prometheus_slow"


async def test_one_that_is_down_is_said_to_be(asked: Callable[..., PrometheusSeries]) -> None:
    async with answering() as (url, _):
        pass
    with pytest.raises(Refusal) as refused:
        await read(asked(url), Scope(), 0, 300, 60)
    assert refused.value.code == "prometheus_unreachable"


@pytest.mark.parametrize(
    ("lines", "header"),
    [
        ('token = "env:TOKEN"', b"authorization: bearer s3cret-token-of-the-test"),
        ('user = "ana"\npassword = "env:P"', b"authorization: basic yw5honmzy3jldc10b2tlbi1vzi10agutdgvzda=="),
    ],
)
async def test_a_secret_is_sent_and_never_told(
    asked: Callable[..., PrometheusSeries], lines: str, header: bytes
) -> None:
    async with answering(http(b"s3cret-token-of-the-test", "500 x")) as (url, heard):
        source = asked(url, ("scrape =", f"{lines}\nscrape ="))
        with pytest.raises(Refusal) as refused:
            await read(source, Scope(), 0, 300, 60)
    assert header in heard[0].lower()
    assert "s3cret" not in repr(refused.value) + str(refused.value) + repr(vars(refused.value))


async def test_a_secret_that_no_header_holds_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "prometheus.toml"
    async with answering(http(MATRIX % b"[]")) as (url, heard):
        path.write_text('token = "env:T"\n' + MAPPING.format(url=url, scrape=SCRAPE, timeout=10))
        with pytest.raises(Refusal) as refused:
            await read(
                PrometheusSeries(path, lambda reference: Secret("s3c\nret", str(reference)), machine_now),
                Scope(),
                0,
                300,
                60,
            )
        assert refused.value.code == "secret_unusable" and "s3c" not in str(refused.value)
        await read(
            PrometheusSeries(path, lambda reference: Secret("s3crét", str(reference)), machine_now), Scope(), 0, 300, 60
        )
    assert "authorization: bearer s3crét" in heard[0].decode().lower()


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (b'"warnings":["a store \\u001b[31mwas away"]', "was away"),
        (b'"infos":["metric might not be a counter"]', "might not be a counter"),
        (b'"warnings":"one text"', "one text"),
        (b'"isPartial":true', "partial: not all of its stores answered"),
    ],
)
async def test_what_it_says_may_be_missing_is_kept(
    asked: Callable[..., PrometheusSeries], said: bytes, note: str
) -> None:
    async with answering(http((MATRIX % b"[]")[:-1] + b',"isPartial":false,' + said + b"}")) as (url, _):
        series = await read(asked(url), Scope(), 0, 300, 60)
    assert len(series.notes) == 1 and series.notes[0].endswith(note) and series.notes[0].isprintable()


@pytest.mark.parametrize(("seconds", "said"), [(2.5, b"2500ms"), (10, b"10000ms"), (119.9999, b"120000ms")])
async def test_a_time_limit_is_asked_in_whole_milliseconds(
    asked: Callable[..., PrometheusSeries], seconds: float, said: bytes
) -> None:
    """Prometheus takes 2500ms, and refuses 2.5s."""
    async with answering(http(MATRIX % b"[]")) as (url, heard):
        await read(asked(url, timeout=seconds), Scope(), 0, 300, 60)
    assert heard and all(asking.endswith(b"&timeout=" + said) for asking in heard)


@needs_prometheus
async def test_half_seconds_are_a_time_limit(server: str, asked: Callable[..., PrometheusSeries]) -> None:
    series = await read(asked(server, timeout=12.5), Scope("acme", "/v1"), 1800, 3600, 60)
    assert series.whole is not None


async def one_curve(
    asked: Callable[..., PrometheusSeries], *curves: tuple[dict[str, str], list[object]]
) -> tuple[Series, list[int | None]]:
    """The series of curves that have these values from the first step on, counted and timed alike; and its counts."""
    at = [BEGIN.timestamp() + 60 * n for n in range(1, 6)]
    found = [{"metric": labels, "values": list(zip(at, values, strict=False))} for labels, values in curves]
    async with answering(http(MATRIX % json.dumps(found).encode())) as (url, _):
        series = await read(asked(url, ("[latency]", "[latency]\nunit = 'ms'")), Scope(), 0, 300, 60)
    return series, [None if point is None else point.n for point in series.points]


async def test_values_that_are_no_numbers_are_gaps(asked: Callable[..., PrometheusSeries]) -> None:
    series, counts = await one_curve(asked, ({"code": "200", "le": "1"}, ["NaN", "+Inf", "-1", "0", "2.4"]))
    assert counts == [None, None, None, 0, 2]
    assert series.points[3] is not None and series.points[3].error_share is None
    assert series.notes == ("2 values left out: below 0 or too large for a count",)


@pytest.mark.parametrize("value", ["9" * 400, int("9" * 400), "1e400", "1e300", 1e300, "9007199254740993.5"])
async def test_a_count_that_nobody_can_have_is_unknown_and_said(
    asked: Callable[..., PrometheusSeries], value: object
) -> None:
    series, counts = await one_curve(asked, ({"code": "200", "le": "1"}, [value, 7, value]))
    assert counts == [None, 7, None, None, None]
    assert series.notes == ("2 values left out: below 0 or too large for a count",)


async def test_large_counts_are_added_without_end(asked: Callable[..., PrometheusSeries]) -> None:
    """Each can be, and all of them together stay a number."""
    most = str(1 << 53)
    curves = [({"code": str(code), "le": "1"}, [most] * 5) for code in range(100, 600)]
    series, counts = await one_curve(asked, *curves)
    assert counts == [500 << 53] * 5 and series.whole is not None
    assert series.whole.n == 2500 << 53 and series.whole.error_share == 0.2 and not series.notes


@pytest.mark.parametrize("bound", ["NaN", "", "abc", "-1", "-Inf", "1_0", " 1", "\u0661", "0x10", "\x1b[2J"])
async def test_a_bound_that_is_none_is_left_out_and_said(asked: Callable[..., PrometheusSeries], bound: str) -> None:
    series, _ = await one_curve(asked, ({"code": "200", "le": "+Inf"}, [4]), ({"code": "200", "le": bound}, [3]))
    point = series.points[0]
    assert point is not None and (point.n, point.latency.buckets, point.latency.n) == (7, (OVERFLOW,), 4)
    [note] = series.notes
    assert note.startswith("le: ") and note.endswith("not readable, left out") and note.isprintable()


@pytest.mark.parametrize("bound", ["1e308", "1e12", "+Inf"])
async def test_a_bound_above_all_latencies_is_none(asked: Callable[..., PrometheusSeries], bound: str) -> None:
    series, _ = await one_curve(asked, ({"code": "200", "le": bound}, [3]))
    assert series.points[0] is not None and series.points[0].latency.buckets == (OVERFLOW,) and not series.notes


@pytest.mark.parametrize("status", ["", "OK", "50", "5", "999", "500 ", "٥٠٠", "5\u00b2\u00b2", "\x1b[2J500"])
async def test_a_status_that_is_none_is_counted_and_said(asked: Callable[..., PrometheusSeries], status: str) -> None:
    series, _ = await one_curve(
        asked, ({"code": "5xx", "le": "1"}, [2]), ({"code": "404", "le": "1"}, [3]), ({"code": status, "le": "1"}, [4])
    )
    point = series.points[0]
    assert point is not None and (point.n, point.errors_4xx, point.errors_5xx) == (9, 3, 2)
    [note] = series.notes
    assert note.startswith("code: ") and note.endswith("counted, not as errors") and note.isprintable()


async def test_a_query_that_sums_by_nothing_is_no_fleet_without_errors(
    asked: Callable[..., PrometheusSeries],
) -> None:
    with pytest.raises(Refusal, match="without the label le") as refused:
        await one_curve(asked, ({"code": "200"}, [2]))
    assert refused.value.code == "prometheus_labels" and "sum by (le)" in refused.value.hint


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_value_is_one_string(value: str) -> None:
    assert json.loads(quoted(value)) == value
    assert "\n" not in quoted(value)


_counts = st.dictionaries(st.sampled_from([0.05, 0.1, 1.0, 5.0, 25.0, 100.0, 2500.0, math.inf]), st.integers(0, 10_000))


@given(_counts)
def test_a_histogram_keeps_every_count_and_lies_within_its_buckets(inside: dict[float, int]) -> None:
    upto, cumulative = 0, {}
    for bound in sorted(inside):
        upto += inside[bound]
        cumulative[bound] = float(upto)
    found = histogram_of(cumulative)
    assert found.n == upto and list(found.buckets) == sorted(set(found.buckets))
    for bound, below in cumulative.items():
        if not math.isinf(bound) and bound > 0.1:
            pairs = zip(found.buckets, found.counts, strict=True)
            mine = sum(n for bucket, n in pairs if bucket != OVERFLOW and value_of(bucket) <= bound * 1.03)
            assert mine >= below


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("[$step]", "[5m]"), r"requests\.query: expected PromQL"),
        (("url =", "urls ="), "urls: Extra inputs"),
        (('tenant = "tenant"', 'tenant = "a-b"'), r"labels\.tenant: expected the name of a label"),
        (('tenant = "tenant"', 'shop = "tenant"'), r"labels\.shop"),
        (("https://", "ftp://"), "url: expected https"),
        (("https://", "https://ana:s3cret@"), "no user and no password belong in it"),
        (("scrape = 15", 'token = "s3cret-in-the-clear"'), "never the secret itself"),
        (("https://", "http://"), "a secret goes over https only"),
        (("scrape = 15", "scrape = 0"), "scrape"),
        (("[latency]", "[latency"), "TOML"),
        (("prometheus.example", "prometheus.example:99999"), "url: its host or its port"),
        (("prometheus.example", "prometheus.example:abc"), "url: its host or its port"),
        (("prometheus.example", "[::1"), "url: its host or its port"),
        (("prometheus.example", "xn--"), "url: its host or its port"),
        (("prometheus.example", "\\u0378"), "url: its host or its port"),
        (("prometheus.example", "p\\u0000"), "url: its host or its port"),
        (("prometheus.example", "ana:s3cret/prometheus.example"), "url: its host or its port"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_its_fault(
    tmp_path: Path, change: tuple[str, str], fault: str
) -> None:
    text = MAPPING.format(url="https://prometheus.example", scrape=15, timeout=10).replace(
        "timeout", 'token = "env:T"\ntimeout' if change[1] == "http://" else "timeout"
    )
    path = tmp_path / "prometheus.toml"
    path.write_text(text)
    assert isinstance(read_mapping(path), Mapping)
    path.write_text(text.replace(*change, 1))
    with pytest.raises(Usage, match=fault) as refused:
        read_mapping(path)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(NotFound, match="no mapping file"):
        read_mapping(tmp_path / "other.toml")


def test_a_reference_is_where_a_secret_is(tmp_path: Path) -> None:
    path = tmp_path / "prometheus.toml"
    path.write_text('token = "env:TOKEN"\n' + MAPPING.format(url="https://p.example/x/", scrape=15, timeout=10))
    assert read_mapping(path).token == Reference("env", "TOKEN")
