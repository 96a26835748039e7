"""Lines of logs at the edge of what is taken, and whose requests a log can be."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.errors import Usage
from controlplane.keys import secret
from controlplane.requestlogs.mappings import SHIPPED, LogMapping, TenantSource
from controlplane.requestlogs.model import Format, ImportReport, RequestRow, Skip
from controlplane.requestlogs.parsing import check_whose, parse, parser
from controlplane.requestlogs.routes import Routes, origin_of, route_of

JSON = {"tenant_id": "acme", "route": "/orders/17", "method": "GET", "status": 200, "at": "2026-11-21T10:00:00Z"}
COMBINED = '83.149.9.216 - - [17/May/2015:10:05:43 -0230] "GET / HTTP/1.1" 404 17'
NOVA = (
    "2017-05-16 00:00:00.008 25746 INFO nova.osapi_compute.wsgi.server [req-1 user acme - - -] 10.11.10.1"
    ' "GET /servers HTTP/1.1" status: 200 len: 1893 time: 0.2500000'
)
OWN = LogMapping(
    *("gateway", "own"), at=("at",), status=("status",), route=("url",), method=("method",), request=("request",),
    latency=("took",), bytes=("size",), request_id=("id",), project_id=("project",), key_prefix=("key",),
    region=("region",), host=("host",), tenant=TenantSource.parse("field:tenant"),
)  # fmt: skip
LINE: dict[str, Any] = {"at": 1_646_861_401, "status": 200, "url": "/a", "tenant": "acme"}


def jsonl(**changes: object) -> RequestRow | Skip:
    return parse(Format.JSONL, json.dumps(JSON | changes))


def mapped(whose: str = "", **changes: object) -> RequestRow | Skip:
    return parse(OWN, json.dumps(LINE | changes), TenantSource.parse(whose) if whose else None)


def taken(found: RequestRow | Skip) -> RequestRow:
    assert isinstance(found, RequestRow), found
    return found


# Lines of JSON


@pytest.mark.parametrize(
    ("field", "last", "first_refused"),
    [
        ("status", 100, 99),
        ("status", 599, 600),
        ("latency_ms", 0, -0.001),
        ("latency_ms", 1e9, 1.1e9),
        ("bytes", 0, -1),
        ("bytes", 10**15 - 1, 10**15),
        ("at", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z"),
        ("at", "2199-12-31T23:59:59Z", "2200-01-01T00:00:00Z"),
        *[(name, "x" * most, "x" * (most + 1)) for name, most in (("project_id", 64), ("method", 16), ("region", 64))],
        *[(name, "x" * most, "x" * (most + 1)) for name, most in (("key_prefix", 64), ("request_id", 128))],
    ],
)
def test_the_last_value_that_is_taken_and_the_first_that_is_not(
    field: str, last: object, first_refused: object
) -> None:
    taken(jsonl(**{field: last}))
    assert jsonl(**{field: first_refused}) is Skip.BAD_VALUE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tenant_id": ""}, Skip.NO_TENANT),
        ({"tenant_id": "-"}, Skip.NO_TENANT),
        ({"tenant_id": ["acme"]}, Skip.BAD_TENANT),
        ({"project_id": ["shop"]}, Skip.BAD_VALUE),
        ({"region": 7}, Skip.BAD_VALUE),
        ({"request_id": 7}, Skip.BAD_VALUE),
        ({"region": "a\0"}, Skip.NOT_TEXT),
        ({"request_id": "a\0"}, Skip.NOT_TEXT),
        ({"latency_ms": "12"}, Skip.BAD_VALUE),
        ({"latency_ms": True}, Skip.BAD_VALUE),
        ({"bytes": 1.5}, Skip.BAD_VALUE),
        ({"at": 7}, Skip.BAD_VALUE),
    ],
)
def test_json_that_is_not_taken(changes: dict[str, object], reason: Skip) -> None:
    assert jsonl(**changes) is reason


def test_a_time_of_any_zone_or_of_none_is_in_utc() -> None:
    for text in ("2026-11-21T10:00:00", "2026-11-21T10:00:00Z", "2026-11-21T07:30:00-02:30"):
        at = taken(jsonl(at=text)).at
        assert at == datetime(2026, 11, 21, 10, tzinfo=UTC) and at.tzinfo is UTC


def test_what_stands_around_the_json_of_a_line() -> None:
    line, row = json.dumps(JSON), jsonl()
    for same in (f"  {line}", f"{line} \t\r", f"\ufeff {line}"):
        assert parse(Format.JSONL, same) == row
    assert parse(Format.JSONL, line + " x") is parse(Format.JSONL, " " + line + " x") is Skip.UNREADABLE
    assert parse(Format.JSONL, "  ") is Skip.BLANK


def test_a_line_with_many_names_after_it_still_reads_the_same() -> None:
    read = parser(Format.JSONL)
    lines = [json.dumps(JSON | {"region": f"r{n}", "route": f"/{n}/x"}).encode() for n in range(3)]
    long = json.dumps(JSON | {"region": "r9", "note": "x" * 5000}).encode()
    first = [read(line) for line in (*lines, long)]
    assert [read(line) for line in (*lines, long)] == first
    assert [taken(row).region for row in first] == ["r0", "r1", "r2", "r9"]


def test_a_character_beyond_ascii_can_be_stored_and_half_of_one_cannot() -> None:
    assert taken(jsonl(region="é\ud7ff\ue000")).region == "é\ud7ff\ue000"
    assert jsonl(region="\ud800") is jsonl(region="\udfff") is Skip.NOT_TEXT


# Other formats


def test_the_longest_line() -> None:
    for spaces, reason in ((0, None), (1, Skip.TOO_LONG)):
        line = json.dumps(JSON)
        line += " " * (65_536 - len(line) + spaces)
        found = parse(Format.JSONL, line)
        assert (found if isinstance(found, Skip) else None) is reason


@pytest.mark.parametrize(
    ("zone", "day", "time"),
    [("-0230", 17, "12:35:43"), ("+0230", 17, "07:35:43"), ("+1145", 16, "22:20:43"), ("+0000", 17, "10:05:43")],
)
def test_a_zone_before_and_behind_utc(zone: str, day: int, time: str) -> None:
    at = taken(parse(Format.COMBINED, COMBINED.replace("-0230", zone), "web")).at
    assert f"{at:%d %H:%M:%S}" == f"{day} {time}" and at.utcoffset() == timedelta()


def test_months_are_read_whatever_the_locale() -> None:
    for number, month in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1):  # noqa: SIM905
        at = taken(parse(Format.COMBINED, COMBINED.replace("17/May", f"17/{month}"), "web")).at
        assert (at.year, at.month, at.day, at.second) == (2015, number, 17, 43)


def test_a_combined_line_is_blank_or_no_line() -> None:
    assert parse(Format.COMBINED, "\ufeff \r", "web") is Skip.BLANK
    assert parse(Format.COMBINED, "\ufeffx", "web") is Skip.UNREADABLE


@pytest.mark.parametrize(("request_id", "kept"), [("r" * 128, "r" * 128), ("r" * 129, None), ("-", None)])
def test_a_request_id_of_nova_that_is_too_long_is_left_out(request_id: str, kept: str | None) -> None:
    row = taken(parse(Format.OPENSTACK_NOVA, NOVA.replace("req-1", request_id)))
    assert (row.request_id, row.latency_ms, row.bytes) == (kept, 250.0, 1893)


# Mapped formats


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("/a", "-")),
        ({"method": "PUT"}, ("/a", "PUT")),
        ({"method": "put"}, ("/a", "-")),
        ({"url": None, "request": "GET /b HTTP/1.1"}, ("/b", "GET")),
        ({"method": "PUT", "url": None, "request": "GET /b HTTP/1.1"}, ("/b", "PUT")),
        ({"request": "GET /b HTTP/1.1"}, ("/a", "GET")),
        ({"method": "PUT", "request": "GET /b HTTP/1.1"}, ("/a", "PUT")),
        ({"url": None, "request": "\x16\x03"}, ("-", "-")),
    ],
)
def test_path_and_method_come_from_their_fields_and_else_from_the_request_line(
    changes: dict[str, object], expected: tuple[str, str]
) -> None:
    row = taken(mapped(**changes))
    assert (row.route, row.method) == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"at": None}, Skip.FIELD_MISSING),
        ({"status": None}, Skip.FIELD_MISSING),
        ({"url": None}, Skip.FIELD_MISSING),
        ({"tenant": None}, Skip.NO_TENANT),
        ({"tenant": []}, Skip.NO_TENANT),
        ({"tenant": "a/b"}, Skip.BAD_TENANT),
        ({"tenant": True}, Skip.BAD_VALUE),
        ({"tenant": 10**18}, Skip.BAD_VALUE),
        ({"size": -1}, Skip.BAD_VALUE),
        ({"size": 10**15}, Skip.BAD_VALUE),
        ({"size": 1.5}, Skip.BAD_VALUE),
        ({"took": True}, Skip.BAD_VALUE),
        ({"region": "x" * 65}, Skip.BAD_VALUE),
        ({"id": "a\0"}, Skip.NOT_TEXT),
        ({"status": 401}, Skip.UNAUTHENTICATED),
        ({"at": "31/Feb/2015:10:05:03 +0000"}, Skip.BAD_VALUE),
    ],
)
def test_mapped_lines_that_are_not_taken(changes: dict[str, object], reason: Skip) -> None:
    assert mapped(**changes) is reason


def test_mapped_values_at_their_edges() -> None:
    row = taken(mapped(tenant=10**18 - 1, size=0, took="2.5", region="x" * 64, id="r" * 128, project=7))
    assert (row.tenant_id, row.bytes, row.latency_ms, row.project_id) == (str(10**18 - 1), 0, 2.5, "7")
    assert (row.region, row.request_id) == ("x" * 64, "r" * 128)
    assert taken(mapped(size=10**15 - 1)).bytes == 10**15 - 1
    assert taken(mapped(id="r" * 129)).request_id is None, "a request without its id is better than none"
    assert taken(mapped(tenant=["acme", "other"])).tenant_id == "acme"
    key = secret.make("wf", "live")
    assert taken(mapped(key=key)).key_prefix == key[:12]


def test_a_number_is_a_time_and_so_is_a_text_of_either_form() -> None:
    at = datetime(2022, 3, 9, 21, 30, 1, tzinfo=UTC)
    for value in (1_646_861_401, "1646861401", 1_646_861_401.0, "2022-03-09T21:30:01Z", "09/Mar/2022:22:30:01 +0100"):
        assert taken(mapped(at=value)).at == at


@pytest.mark.parametrize(
    ("whose", "changes", "tenant"),
    [
        ("host", {"host": "Acme.example.com:8443"}, "acme.example.com"),
        ("host", {"url": "https://acme.example.com:8443/a?x=1"}, "acme.example.com"),
        ("host:1", {"host": "acme.example.com."}, "acme"),
        ("host:3", {"host": "acme.example.com"}, "com"),
        ("host:4", {"host": "acme.example.com"}, None),
        ("path:1", {"url": "/v1/acme/orders"}, "v1"),
        ("path:2", {"url": "https://shop.example/v1/acme?x=/y#/z"}, "acme"),
        ("path:3", {"url": "/v1/acme/"}, None),
    ],
)
def test_a_tenant_is_a_part_of_the_host_or_of_the_path(whose: str, changes: dict[str, Any], tenant: str | None) -> None:
    found = mapped(whose, **changes)
    assert (None if found is Skip.NO_TENANT else taken(found).tenant_id) == tenant


def test_a_load_balancer_line_is_known_by_its_first_word_and_its_length() -> None:
    words = ["http", "2018-07-02T22:23:00Z", "app/x", "1.2.3.4:1", "1.2.3.4:80", "0.5", "0.25", "0.25", "200", "200"]
    words += ["34", "366", '"GET http://web.example/ HTTP/1.1"', '"curl"', "-", "-", "-", '"Root=1"', '"-"']
    assert taken(parse(SHIPPED["aws-alb"], " ".join(words), "web")).latency_ms == 1000
    assert parse(SHIPPED["aws-alb"], " ".join(words[:-1]), "web") is Skip.UNREADABLE
    assert parse(SHIPPED["aws-alb"], " ".join(["tcp", *words[1:]]), "web") is Skip.UNREADABLE
    assert parse(SHIPPED["aws-alb"], "  ", "web") is Skip.BLANK
    unknown = " ".join([*words[:6], "-1", *words[7:]])
    assert taken(parse(SHIPPED["aws-alb"], unknown, "web")).latency_ms is None, "one of the three is not known"


# Routes


def test_a_route_of_the_longest_length_is_left_whole() -> None:
    assert route_of("/" + "x" * 199) == "/" + "x" * 199
    assert route_of("/" + "x" * 200) == "/" + "x" * 198 + "…"


def test_only_a_whole_url_has_an_origin() -> None:
    assert origin_of("https://a.example:1/b") == "https://a.example:1"
    assert origin_of("/https://a.example/b") == origin_of("a/b") == ""


def test_what_is_remembered_of_a_route_is_what_it_is() -> None:
    routes = Routes()
    paths = [f"/{n}/{'x' * n}" for n in (1, 500, 1500)]
    for _ in range(2):
        assert [routes(path, "acme") for path in paths] == [route_of(path, "acme") for path in paths]
    assert routes("/acme/x", "acme") == "/{id}/x" and routes("/acme/x", "other") == "/acme/x"


# Whose requests they are


@pytest.mark.parametrize(
    ("log", "tenant", "source", "code"),
    [
        (Format.COMBINED, "web", None, None),
        (Format.COMBINED, None, None, "tenant_needed"),
        (Format.COMBINED, None, "host", "tenant_not_needed"),
        (Format.JSONL, None, None, None),
        (Format.JSONL, "web", None, "tenant_not_needed"),
        (Format.JSONL, None, "host", "tenant_not_needed"),
        (SHIPPED["caddy"], "web", None, None),
        (SHIPPED["caddy"], None, "host", None),
        (SHIPPED["caddy"], None, None, "tenant_needed"),
        (SHIPPED["caddy"], "web", "host", "tenant_twice"),
        (OWN, None, None, None),
        (OWN, None, "header:X-Tenant", "tenant_from_unknown"),
        (SHIPPED["caddy"], "w" * 64, None, None),
        (SHIPPED["caddy"], "w" * 65, None, "tenant_id_format"),
        (Format.COMBINED, "a/b", None, "tenant_id_format"),
    ],
)
def test_it_is_said_once_whose_requests_a_log_holds(log: Any, tenant: Any, source: Any, code: str | None) -> None:
    try:
        check_whose(log, tenant, TenantSource.parse(source) if source else None)
    except Usage as refused:
        assert refused.code == code
    else:
        assert code is None


def test_nothing_was_stored_because_nobody_knows_the_tenants() -> None:
    assert ImportReport(unknown_tenants=["acme"]).only_unknown
    assert not ImportReport(unknown_tenants=["acme"], rows=1).only_unknown
    assert not ImportReport(unknown_tenants=["acme"], already_rows=1).only_unknown
    new = ImportReport()
    assert not new.only_unknown and not new.dry_run
    assert {new.rows, new.lines, new.already_lines, new.already_rows, new.resumed_rows, new.seconds} == {0}
