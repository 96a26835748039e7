"""Every line becomes a request or the reason why not; no line breaks the parser."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.keys import secret
from controlplane.requestlogs import jsonlines
from controlplane.requestlogs.mappings import SHIPPED
from controlplane.requestlogs.model import Format, ImportReport, RequestRow, Skip
from controlplane.requestlogs.parsing import guarded, is_whole, parse, parser, reader
from controlplane.requestlogs.routes import MAX_ROUTE_CHARACTERS, route_of

TENANT = "54fadb412c4e40cdbaed9335e4c35a9e"
NOVA = (
    "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO nova.osapi_compute.wsgi.server"
    f" [req-38101a0b-2096-447d-96ea-a692162415ae 113d3a99c3da401fbd62cc2caa5b96d2 {TENANT} - - -] 10.11.10.1"
    f' "GET /v2/{TENANT}/servers/detail?all_tenants=True HTTP/1.1" status: 200 len: 1893 time: 0.2477829'
)
COMBINED = '83.149.9.216 - ann [17/May/2015:10:05:03 +0200] "GET /images/42/logo.png?v=3 HTTP/1.1" 404 17 "-" "curl"'
JSON = {"tenant_id": "acme", "route": "/orders/17", "method": "GET", "status": 200, "at": "2026-11-21T10:00:00Z"}


def jsonl(**changes: object) -> RequestRow | Skip:
    return parse(Format.JSONL, json.dumps(JSON | changes))


def test_nova_request() -> None:
    row = parse(Format.OPENSTACK_NOVA, NOVA)
    assert row == RequestRow(
        tenant_id=TENANT,
        project_id=None,
        route="/v2/{id}/servers/detail",
        method="GET",
        status=200,
        latency_ms=pytest.approx(247.7829),
        key_prefix=None,
        region=None,
        request_id="req-38101a0b-2096-447d-96ea-a692162415ae",
        at=datetime(2017, 5, 16, 0, 0, 0, 8000, tzinfo=UTC),
        bytes=1893,
    )
    assert parse(Format.OPENSTACK_NOVA, NOVA.encode() + b"\r") == row
    assert parse(Format.OPENSTACK_NOVA, NOVA.partition(" ")[2]) == row, "the leading file name may be missing"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((f" {TENANT} -", " - -"), Skip.NO_TENANT),
        (("status: 200", "status: 401"), Skip.UNAUTHENTICATED),
        (("2017-05-16 00:00:00", "2017-02-30 00:00:00"), Skip.BAD_VALUE),
        (("status: 200", "status: 2OO"), Skip.UNREADABLE),
        (("time: 0.2477829", "time: soon"), Skip.UNREADABLE),
        (("0.2477829", "0.2477829 and more"), Skip.UNREADABLE),
        ((f" {TENANT} -", " ../../etc -"), Skip.UNREADABLE),
        (("GET", "G\0T"), Skip.NOT_TEXT),
        (("?all_tenants=True", "?" + "x" * 70_000), Skip.TOO_LONG),
    ],
)
def test_nova_lines_that_are_not_stored(change: tuple[str, str], reason: Skip) -> None:
    assert parse(Format.OPENSTACK_NOVA, NOVA.replace(*change)) is reason


def test_other_messages_of_nova_are_told_from_what_cannot_be_read() -> None:
    message = "f.log 2017-05-16 00:00:04.500 2931 INFO nova.compute.manager [req-3 - - - - -] VM Started"
    assert parse(Format.OPENSTACK_NOVA, message) is Skip.NOT_A_REQUEST
    assert not Skip.NOT_A_REQUEST.is_fault
    assert parse(Format.OPENSTACK_NOVA, "VM Started") is Skip.UNREADABLE
    assert Skip.UNREADABLE.is_fault
    assert parse(Format.OPENSTACK_NOVA, " ") is Skip.BLANK


def test_nova_metadata_requests_have_no_tenant() -> None:
    start, _, end = NOVA.partition("[")
    assert parse(Format.OPENSTACK_NOVA, start + "[-" + end[end.index("]") :]) is Skip.NO_TENANT


PROJECT = "6f70656e737461636b20342065766572"


@pytest.mark.parametrize(
    ("context", "tenant"),
    [
        # oslo.log's formats: with the global request id since Pike, with the system scope since Stein.
        ("None req-1 user {} - - default default", PROJECT),
        ("req-9 req-1 user {} - - default default", PROJECT),
        ("None req-1 user {} - default default", PROJECT),
        ("req-1 user {} - - default default", PROJECT),
        ("req-1 user {} - default default", PROJECT),
        ("req-1 user {} - - -", PROJECT),
        ("None req-1 - - - - - -", Skip.NO_TENANT),
        ("None - - - - - - -", Skip.NO_TENANT),
        ("req-1 None None - - -", Skip.NO_TENANT),
        # DevStack puts the project's name before the user's: who is meant cannot be told.
        ("None req-1 {} user", Skip.UNREADABLE),
        ("req-1 {} user", Skip.UNREADABLE),
    ],
)
def test_the_project_of_each_form_of_oslo_log_is_the_tenant(context: str, tenant: str | Skip) -> None:
    line = re.sub(r"\[.*?\]", f"[{context.format(PROJECT)}]", NOVA, count=1)
    row = parse(Format.OPENSTACK_NOVA, line)
    assert (row if isinstance(row, Skip) else row.tenant_id) == tenant
    assert isinstance(row, Skip) or row.request_id == "req-1"


@pytest.mark.parametrize(
    ("end", "method", "route", "size", "latency"),
    [
        ('"GET /v2.1/servers" status: 200 len: 405 microversion: 2.1 time: 0.001', "GET", "/v2.1/servers", 405, 1.0),
        ('"GET /v2.1/servers" status: 200 len: - microversion: - time: 0.001000', "GET", "/v2.1/servers", None, 1.0),
        ('"GET /v2.1/servers HTTP/1.1" status: 200  len: 405 time: 0.0010000', "GET", "/v2.1/servers", 405, 1.0),
        ('"GET /usages/a b HTTP/1.1" status: 200 len: 405 time: 0.0010000', "GET", "/usages/a b", 405, 1.0),
        ('"GET /usages/a b" status: 200 len: 405 microversion: 1.36', "GET", "/usages/a b", 405, None),
        ('"VERSION-CONTROL /x HTTP/1.1" status: 200 len: 405 time: 0.0010000', "VERSION-CONTROL", "/x", 405, 1.0),
    ],
)
def test_request_lines_of_nova_and_its_neighbours(
    end: str, method: str, route: str, size: int | None, latency: float | None
) -> None:
    row = parse(Format.OPENSTACK_NOVA, NOVA[: NOVA.index('"')] + end)
    assert isinstance(row, RequestRow)
    assert (row.method, row.route, row.status, row.bytes) == (method, route, 200, size)
    assert row.latency_ms == (None if latency is None else pytest.approx(latency))


@pytest.mark.parametrize("client", ["2001:db8::1", "10.0.0.1,2001:db8::1", "-"])
def test_nova_clients_of_any_kind(client: str) -> None:
    assert isinstance(parse(Format.OPENSTACK_NOVA, NOVA.replace("10.11.10.1", client)), RequestRow)


def test_combined_request() -> None:
    assert parse(Format.COMBINED, COMBINED, "web") == RequestRow(
        tenant_id="web",
        project_id=None,
        route="/images/{id}/logo.png",
        method="GET",
        status=404,
        latency_ms=None,
        key_prefix=None,
        region=None,
        request_id=None,
        at=datetime(2015, 5, 17, 8, 5, 3, tzinfo=UTC),
        bytes=17,
    )


@pytest.mark.parametrize(
    ("line", "method", "size"),
    [
        (COMBINED.replace("GET /images/42/logo.png?v=3 HTTP/1.1", r"\x16\x03\x01 \"tls\""), "-", 17),
        (COMBINED.replace(" 404 17", " 304 -"), "GET", None),
        (COMBINED.replace(" - ann ", " - o neil [ops] "), "GET", 17),
        (COMBINED.removesuffix(' "-" "curl"'), "GET", 17),
        (COMBINED[:-2], "GET", 17),
        (COMBINED.replace(" 404 ", " 401 "), "GET", 17),
        (COMBINED.replace("83.149.9.216", "2001:db8::1"), "GET", 17),
        (COMBINED.replace("83.149.9.216", "shop.example:443 ::1"), "GET", 17),
        (COMBINED.replace('"curl"', r'"a \"quoted\" [agent] 200 5"'), "GET", 17),
        (COMBINED.replace("GET /images/42/logo.png?v=3 HTTP/1.1", "-").replace(" 404 17", " 408 -"), "-", None),
        (COMBINED.replace("GET ", "M-SEARCH "), "M-SEARCH", 17),
        ("\ufeff" + COMBINED, "GET", 17),
        (COMBINED + "\r", "GET", 17),
    ],
)
def test_combined_requests_that_look_odd_count(line: str, method: str, size: int | None) -> None:
    row = parse(Format.COMBINED, line, "web")
    assert isinstance(row, RequestRow)
    assert (row.method, row.bytes) == (method, size)


@pytest.mark.parametrize(
    ("asked", "method", "route"),
    [
        ("GET /a b.pdf HTTP/1.1", "GET", "/a b.pdf"),
        ("GET /a  b.pdf HTTP/1.1", "GET", "/a  b.pdf"),
        ("GET /a b HTTP/1.1 c HTTP/1.0", "GET", "/a b HTTP/1.1 c"),
        ("GET /a b", "GET", "/a b"),
        (r"GET /say/\"hi there\" HTTP/1.1", "GET", r"/say/\"hi there\""),
        ("GET https://shop.example/orders/17?x=1 2 HTTP/1.1", "GET", "/orders/{id}"),
        ("GET", "-", "-"),
        ("get / HTTP/1.1", "-", "-"),
        (r"\x16\x03\x01 \xEE", "-", "-"),
    ],
)
def test_request_lines_with_spaces_in_their_paths(asked: str, method: str, route: str) -> None:
    row = parse(Format.COMBINED, COMBINED.replace("GET /images/42/logo.png?v=3 HTTP/1.1", asked), "web")
    assert isinstance(row, RequestRow)
    assert (row.method, row.route) == (method, route)


@pytest.mark.parametrize(
    "stamp", ["17/Mai/2015:10:05:03 +0000", "31/Feb/2015:10:05:03 +0000", "99999999999999999999999999"]
)
def test_combined_times_that_cannot_be(stamp: str) -> None:
    assert parse(Format.COMBINED, COMBINED.replace("17/May/2015:10:05:03 +0200", stamp), "web") is Skip.BAD_VALUE


def test_jsonl_request() -> None:
    known = {
        "project_id": "shop",
        "latency_ms": 12.5,
        "key_prefix": "wk_1",
        "region": "eu",
        "request_id": "r1",
        "bytes": 9,
    }
    row = jsonl(**known, at="2026-11-21T11:00+01:00", colour="red")
    assert row == RequestRow(
        "acme", "shop", "/orders/{id}", "GET", 200, 12.5, "wk_1", "eu", "r1", datetime(2026, 11, 21, 10, tzinfo=UTC), 9
    )
    plain = jsonl()
    assert isinstance(plain, RequestRow) and plain.latency_ms is None and plain.bytes is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tenant_id": None}, Skip.NO_TENANT),
        ({"tenant_id": "a/b"}, Skip.BAD_TENANT),
        ({"tenant_id": 7}, Skip.BAD_TENANT),
        ({"status": 401}, Skip.UNAUTHENTICATED),
        ({"status": 99}, Skip.BAD_VALUE),
        ({"status": True}, Skip.BAD_VALUE),
        ({"status": "200"}, Skip.BAD_VALUE),
        ({"latency_ms": -1}, Skip.BAD_VALUE),
        ({"latency_ms": float("nan")}, Skip.BAD_VALUE),
        ({"latency_ms": float("inf")}, Skip.BAD_VALUE),
        ({"latency_ms": 10**400}, Skip.BAD_VALUE),
        ({"bytes": 10**30}, Skip.BAD_VALUE),
        ({"at": "yesterday"}, Skip.BAD_VALUE),
        ({"at": "0001-01-01T00:00:00+23:00"}, Skip.BAD_VALUE),
        ({"route": None}, Skip.BAD_VALUE),
        ({"region": "r" * 65}, Skip.BAD_VALUE),
        ({"route": "/a\0b"}, Skip.NOT_TEXT),
        ({"request_id": "\ud800"}, Skip.NOT_TEXT),
    ],
)
def test_jsonl_lines_that_are_not_stored(changes: dict[str, object], reason: Skip) -> None:
    assert jsonl(**changes) is reason


@pytest.mark.parametrize("line", ["[]", "{", "null", "[" * 20_000, '{"a":' * 10_000, "1" * 5000, "NaN"])
def test_json_that_is_no_request(line: str) -> None:
    assert parse(Format.JSONL, line) is Skip.UNREADABLE


odd = st.sampled_from(
    [
        *("NaN", "-Infinity", "1e400", "-0", "0.30000000000000004", "01", "1.", "9" * 30, "9" * 4301, "", "tru"),
        *('"\\ud800"', '"\\ud83d\\ude00"', '"\t"', "\u2028", "[" * 300 + "]" * 300, "[" * 2000),
        *("1,", '1, "status": 404', "1} ", "1}x"),
    ]
)


@given(
    st.sampled_from([*JSON, "latency_ms", "bytes", "colour"]), odd | st.floats().map(repr) | st.text().map(json.dumps)
)
def test_a_line_says_what_pythons_decoder_reads_in_it(name: str, value: str) -> None:
    line = json.dumps(JSON | {name: "@"}).replace('"@"', value)

    def refuse(*_: object, **__: object) -> None:
        raise ValueError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jsonlines, "from_json", refuse)
        expected = parse(Format.JSONL, line)
    assert parse(Format.JSONL, line) == expected


lines = st.binary(max_size=200) | st.builds(
    lambda line, junk, at: line[: at % len(line)] + junk + line[at % len(line) :],
    st.sampled_from([NOVA.encode(), COMBINED.encode(), json.dumps(JSON).encode()]),
    st.binary(max_size=8),
    st.integers(0, 2000),
)


@given(lines, st.sampled_from(Format))
def test_no_line_breaks_the_parser_and_what_it_reads_can_be_stored(line: bytes, log: Format) -> None:
    row = parse(log, line, "web")
    if isinstance(row, RequestRow):
        texts = [value for value in row if isinstance(value, str)]
        assert not any("\0" in text for text in texts)
        assert "".join(texts).encode()
        assert 100 <= row.status <= 599 and row.at.utcoffset() == timedelta()
        assert row.latency_ms is None or 0 <= row.latency_ms <= 1e9


def test_bytes_and_text_are_read_alike() -> None:
    read = reader(Format.OPENSTACK_NOVA)
    assert read(NOVA) == guarded(read)(NOVA.encode()) == parser(Format.OPENSTACK_NOVA)(NOVA.encode())
    assert parse(Format.OPENSTACK_NOVA, NOVA.encode() + b"\xff") is Skip.NOT_TEXT


def test_of_a_whole_key_only_what_may_be_shown_is_kept() -> None:
    key = secret.make("wf", "live")
    row = jsonl(key_prefix=key)
    assert isinstance(row, RequestRow) and row.key_prefix == secret.display(key) == key[:12]
    mapping = replace(SHIPPED["nginx-json"], key_prefix=("http_x_api_key",))
    line = {"status": 200, "request": "GET / HTTP/1.1", "time_iso8601": "2026-11-21T10:00:00Z", "http_x_api_key": key}
    row = parse(mapping, json.dumps(line), "web")
    assert isinstance(row, RequestRow) and row.key_prefix == key[:12]


WHOLE = [(Format.OPENSTACK_NOVA, NOVA), (Format.COMBINED, COMBINED), (Format.JSONL, json.dumps(JSON))]


@pytest.mark.parametrize(("log", "line"), WHOLE)
def test_what_stands_before_a_line_does_not_hide_it(log: Format, line: str) -> None:
    """A BOM begins a file, and each one that was joined to it; NULs are what a crash or a cut log leaves."""
    row = parse(log, line, "web")
    assert isinstance(row, RequestRow)
    assert parse(log, "\ufeff" + line + "\r", "web") == row
    assert parse(log, b"\0" * 4096 + line.encode(), "web") == row
    assert parse(log, b"\0" * 100_000 + line.encode(), "web") == row
    for nothing in ("\ufeff", "\ufeff\r", "\0\0"):
        assert parse(log, nothing, "web") is Skip.BLANK


def test_a_wrong_encoding_hides_only_what_it_is_in() -> None:
    row = parse(Format.COMBINED, COMBINED.encode().replace(b"curl", b"caf\xe9"), "web")
    assert row == parse(Format.COMBINED, COMBINED, "web")
    row = parse(Format.COMBINED, COMBINED.encode().replace(b"/images/42/logo.png", b"/caf\xe9"), "web")
    assert isinstance(row, RequestRow) and row.route == "/caf\ufffd"
    row = parse(Format.JSONL, json.dumps(JSON | {"agent": "caf?"}).encode().replace(b"?", b"\xe9"))
    assert row == jsonl()
    assert parse(Format.JSONL, json.dumps(JSON).encode().replace(b"acme", b"acm\xe9")) is Skip.BAD_TENANT
    assert parse(Format.COMBINED, b"\xff\xfe what", "web") is Skip.NOT_TEXT


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("", "/"),
        ("*", "*"),
        ("?q=1", "/"),
        ("/a/b?secret=1#x", "/a/b"),
        ("/users/17/orders/18/", "/users/{id}/orders/{id}/"),
        ("/v2/acme/x", "/v2/{id}/x"),
        ("/v2/acmes/x", "/v2/acmes/x"),
        ("/s/0d7cfb6a-7e3b-4a0f-9b2f-2f4c9d3b1c11", "/s/{id}"),
        ("/s/srv_0d7cfb6a7e3b4a0f", "/s/{id}"),
        ("/s/deadbee1", "/s/{id}"),
        ("/s/defaced", "/s/defaced"),
        ("/facade/effaced1", "/facade/{id}"),
        ("/v2/2013-10-17/meta_data.json", "/v2/2013-10-17/meta_data.json"),
        ("https://example.org:8443/a/1", "/a/{id}"),
        ("http://example.org", "/"),
    ],
)
def test_route_leaves_out_ids_and_queries(path: str, route: str) -> None:
    assert route_of(path, "acme") == route


@given(st.text(max_size=3000))
def test_a_route_is_short_and_stays_itself(path: str) -> None:
    route = route_of(path)
    assert 0 < len(route) <= MAX_ROUTE_CHARACTERS
    if len(route) < MAX_ROUTE_CHARACTERS and "://" not in path:
        assert route_of(route) == route


def test_a_last_line_without_its_end_is_only_taken_when_it_is_whole() -> None:
    assert is_whole(Format.OPENSTACK_NOVA, NOVA.encode())
    assert not is_whole(Format.OPENSTACK_NOVA, NOVA.encode()[:-1])
    assert is_whole(Format.COMBINED, COMBINED.encode())
    assert not is_whole(Format.COMBINED, COMBINED.encode()[:-1])
    for end in ("GET /images/42/logo.png?v=3 HTTP/1.1", "404 17"):
        assert not is_whole(Format.COMBINED, COMBINED[: COMBINED.index(end) + len(end) + 1].encode()), "more is to come"
    new = NOVA.replace(" time: 0.2477829", " microversion: 2.1 time: 0.247782")
    assert is_whole(Format.OPENSTACK_NOVA, new.encode()) and not is_whole(Format.OPENSTACK_NOVA, new[:-1].encode())
    assert is_whole(Format.JSONL, b"\xef\xbb\xbf" + json.dumps(JSON).encode() + b"\r")
    assert is_whole(Format.JSONL, json.dumps(JSON).encode())
    assert not is_whole(Format.JSONL, json.dumps(JSON).encode()[:-1])


def test_a_report_names_the_first_twenty_lines() -> None:
    report = ImportReport()
    for line in range(1, 31):
        report.skip(Skip.UNREADABLE, line)
    assert report.skipped == {Skip.UNREADABLE: 30}
    assert report.first_lines[Skip.UNREADABLE] == list(range(1, 21))
    assert all(reason.words for reason in Skip)
