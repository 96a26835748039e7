"""Logs of other programs: each shipped mapping reads what that program's own pages and users show."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.requestlogs.mappings import SHIPPED, LogMapping, TenantSource
from controlplane.requestlogs.model import RequestRow, Skip
from controlplane.requestlogs.parsing import is_whole, parse

CADDY = (
    '{"level":"info","ts":1646861401.5241024,"logger":"http.log.access","msg":"handled request","request":'
    '{"remote_ip":"127.0.0.1","remote_port":"41342","client_ip":"127.0.0.1","proto":"HTTP/2.0","method":"GET","host":'
    '"localhost","uri":"/","headers":{"User-Agent":["curl/7.82.0"],"Accept":["*/*"],"Accept-Encoding":'
    '["gzip, deflate, br"],"X-Tenant":["acme"]},"tls":{"resumed":false,"version":772,"cipher_suite":4865,"proto":"h2",'
    '"server_name":"example.com"}},"bytes_read": 0,"user_id":"","duration":0.000929675,"size":10900,"status":200,'
    '"resp_headers":{"Server":["Caddy"],"Content-Encoding":["gzip"]}}'
)
TRAEFIK = (
    '{"ClientAddr":"192.168.156.1:31073","ClientHost":"192.168.156.1","ClientPort":"31073","ClientUsername":"-",'
    '"DownstreamContentSize":75,"DownstreamStatus":404,"Duration":1964899,"OriginContentSize":75,'
    '"OriginDuration":1694568,"OriginStatus":404,"Overhead":270331,"RequestAddr":"acme.example.com",'
    '"RequestContentSize":0,"RequestCount":1,"RequestHost":"acme.example.com","RequestMethod":"GET",'
    '"RequestPath":"/500","RequestPort":"-","RequestProtocol":"HTTP/1.1","RequestScheme":"http","RetryAttempts":0,'
    '"StartLocal":"2025-02-28T12:11:34.10912886Z","StartUTC":"2025-02-28T12:11:34.10912886Z","entryPointName":"http",'
    '"level":"info","msg":"","request_X-Tenant":"acme","time":"2025-02-28T12:11:34Z"}'
)
ISTIO = (
    '{"duration":420,"start_time":"2023-03-23T04:09:46.421Z","bytes_received":0,"authority":"acme.example.com:8080",'
    '"upstream_transport_failure_reason":null,"upstream_cluster":"inbound|10000||","x_forwarded_for":"172.17.0.1",'
    '"response_code_details":"via_upstream","upstream_host":"172.17.0.17:3000","user_agent":"curl/7.86.0",'
    '"request_id":"722ef34b-553e-9b82-8a73-a716de0b14fc","response_code":200,"route_name":null,"method":"GET",'
    '"upstream_service_time":"420","requested_server_name":null,"protocol":"HTTP/1.1","path":"/items","bytes_sent":502,'
    '"connection_termination_details":null,"response_flags":"-"}'
)
ENVOY_GATEWAY = (
    '{":authority":"localhost:8888","bytes_received":73,"bytes_sent":302,"duration":6,"method":"POST",'
    '"protocol":"HTTP/1.1","response_code":200,"response_code_details":"via_upstream","response_flags":"-",'
    '"start_time":"2025-08-20T23:21:58.905Z","upstream_transport_failure_reason":null,"user-agent":"curl/8.7.1",'
    '"x-envoy-origin-path":"/v1/chat/completions","x-forwarded-for":"10.244.0.30",'
    '"x-request-id":"4000a69d-3db6-404c-8892-4f8023e008f0"}'
)
NGINX = (
    '{"time_local":"17/May/2015:10:05:03 +0200","remote_addr":"2001:db8::1","remote_user":"",'
    '"request":"GET /a b?x=1 HTTP/1.1","status": "404","body_bytes_sent":"17","request_time":"0.003",'
    '"http_referrer":"","http_user_agent":"a \\"quoted\\" agent","host":"acme.example.com","http_x_tenant":"acme"}'
)
NGINX_OTHER = (
    '{ "time":"2026-01-25T10:00:00+01:00", "remote_addr":"10.0.0.1", "method":"POST", "host":"acme.example.com",'
    ' "uri":"/v1/orders/17?x=1", "status":201, "bytes_sent":346, "upstream_status":"201", "request_time":0.120 }'
)
ALB_HTTP = (
    "http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80"
    ' 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - -'
    " arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067"
    ' "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-"'
    ' "10.0.0.1:80" "200" "-" "-"'
)
ALB_HTTPS = (
    "https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80"
    ' 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "a \\"quoted\\" agent"'
    " ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2"
    " arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067"
    ' "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com"'
    ' "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012"'
    ' 1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90'
)
ALB_LAMBDA = (
    "https 2018-11-30T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 -"
    ' -1 -1 -1 502 - 34 366 "GET https://www.example.com:443/ HTTP/2.0" "curl/7.46.0" - -'
    ' - "Root=1-58337364-23a8c76965a2ef7629b185e3" "-" "-" 0 2018-11-30T22:22:48.364000Z "forward" "-"'
    ' "LambdaInvalidResponse" "-" "-" "-" "-"'
)


def row(tenant: str, route: str, method: str, status: int, latency: Any, at: str, **more: Any) -> RequestRow:
    rest: dict[str, Any] = dict.fromkeys(("project_id", "key_prefix", "region", "request_id", "bytes")) | more
    return RequestRow(
        tenant_id=tenant,
        route=route,
        method=method,
        status=status,
        at=datetime.fromisoformat(at),
        latency_ms=latency,
        **rest,
    )


@pytest.mark.parametrize(
    ("name", "line", "whose", "expected"),
    [
        (
            "caddy", CADDY, "header:x-tenant",
            row("acme", "/", "GET", 200, pytest.approx(0.929675), "2022-03-09T21:30:01.524102+00:00", bytes=10900),
        ),
        (
            "traefik", TRAEFIK, "host:1",
            row("acme", "/{id}", "GET", 404, pytest.approx(1.964899), "2025-02-28T12:11:34.109128+00:00", bytes=75),
        ),
        (
            "envoy", ISTIO, "host",
            row("acme.example.com", "/items", "GET", 200, 420.0, "2023-03-23T04:09:46.421+00:00", bytes=502,
                request_id="722ef34b-553e-9b82-8a73-a716de0b14fc"),
        ),
        (
            "envoy", ENVOY_GATEWAY, "path:2",
            row("chat", "/v1/{id}/completions", "POST", 200, 6.0, "2025-08-20T23:21:58.905+00:00", bytes=302,
                request_id="4000a69d-3db6-404c-8892-4f8023e008f0"),
        ),
        (
            "nginx-json", NGINX, "header:X-Tenant",
            row("acme", "/a b", "GET", 404, 3.0, "2015-05-17T08:05:03+00:00", bytes=17),
        ),
        (
            "nginx-json", NGINX_OTHER, "host:1",
            row("acme", "/v1/orders/{id}", "POST", 201, 120.0, "2026-01-25T09:00:00+00:00", bytes=346),
        ),
        (
            "aws-alb", ALB_HTTP, "host:2",
            row("example", "/", "GET", 200, 1.0, "2018-07-02T22:23:00.186641+00:00", bytes=366,
                request_id="Root=1-58337262-36d228ad5d99923122bbe354"),
        ),
        (
            "aws-alb", ALB_HTTPS, "host",
            row("www.example.com", "/", "GET", 200, pytest.approx(171.0), "2018-07-02T22:23:00.186641+00:00", bytes=57,
                request_id="Root=1-58337281-1d84f3d73c47ec4e58577259"),
        ),
        (
            "aws-alb", ALB_LAMBDA, "host",
            row("www.example.com", "/", "GET", 502, None, "2018-11-30T22:23:00.186641+00:00", bytes=366,
                request_id="Root=1-58337364-23a8c76965a2ef7629b185e3"),
        ),
    ],
)  # fmt: skip
def test_shipped_mappings_read_real_lines(name: str, line: str, whose: str, expected: RequestRow) -> None:
    assert parse(SHIPPED[name], line, TenantSource.parse(whose)) == expected
    assert parse(SHIPPED[name], "\ufeff" + line + "\r", "web") == expected._replace(
        tenant_id="web",
        route=parse(SHIPPED[name], line, "web").route,  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("source", ["header:x-tenant", "header:X_Tenant"])
@pytest.mark.parametrize(("name", "line"), [("caddy", CADDY), ("traefik", TRAEFIK), ("nginx-json", NGINX)])
def test_headers_are_found_whatever_their_case(name: str, line: str, source: str) -> None:
    found = parse(SHIPPED[name], line, TenantSource.parse(source))
    assert isinstance(found, RequestRow) and found.tenant_id == "acme"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("http.log.access", "http.log.error"), Skip.NOT_A_REQUEST),
        (("http.log.access", "http.log.access.log0"), None),
        (('"status":200', '"status":0'), Skip.FIELD_MISSING),
        (('"status":200', '"status":null'), Skip.FIELD_MISSING),
        (('"status":200', '"status":"200"'), None),
        (('"status":200', '"status":401'), Skip.UNAUTHENTICATED),
        (('"status":200', '"status":true'), Skip.BAD_VALUE),
        (('"status":200', '"status":200.7'), Skip.BAD_VALUE),
        (('"status":200', '"status":1e400'), Skip.BAD_VALUE),
        (('"status":200', '"status":' + "9" * 400), Skip.BAD_VALUE),
        (('"uri":"/"', '"uri":""'), Skip.FIELD_MISSING),
        (('"uri":"/"', r'"uri":"/\u0000"'), Skip.NOT_TEXT),
        (('"uri":"/"', '"uri":["/"]'), Skip.BAD_VALUE),
        (('"ts":1646861401.5241024', '"ts":"2022-03-09T21:30:01.524Z"'), None),
        (('"ts":1646861401.5241024', '"ts":"1646861401.524"'), None),
        (('"ts":1646861401.5241024', '"ts":1646861401524'), Skip.BAD_VALUE),
        (('"ts":1646861401.5241024', '"ts":' + "9" * 400), Skip.BAD_VALUE),
        (('"ts":1646861401.5241024', '"ts":"soon"'), Skip.BAD_VALUE),
        (('"ts":1646861401.5241024', '"ts":NaN'), Skip.BAD_VALUE),
        (('"ts":1646861401.5241024', '"ts":{}'), Skip.BAD_VALUE),
        (("0.000929675", '"-"'), None),
        (("0.000929675", "-1"), Skip.BAD_VALUE),
        (("0.000929675", "1e400"), Skip.BAD_VALUE),
        (("0.000929675", '"fast"'), Skip.BAD_VALUE),
        (("10900", "-5"), Skip.BAD_VALUE),
        (('["acme"]', "[]"), Skip.NO_TENANT),
        (('["acme"]', '["a b"]'), Skip.BAD_TENANT),
        (('["acme"]', '[["acme"]]'), Skip.BAD_VALUE),
        (('"X-Tenant"', '"X-Other"'), Skip.NO_TENANT),
        (('"request":', '"requests":'), Skip.FIELD_MISSING),
        (("}}", "}"), Skip.UNREADABLE),
    ],
)
def test_mapped_lines_that_are_not_stored(change: tuple[str, str], reason: Skip | None) -> None:
    found = parse(SHIPPED["caddy"], CADDY.replace(*change), TenantSource.parse("header:X-Tenant"))
    assert (found if isinstance(found, Skip) else None) is reason


def test_a_401_is_only_credited_to_a_tenant_that_the_request_did_not_choose() -> None:
    line = CADDY.replace('"status":200', '"status":401')
    assert isinstance(parse(SHIPPED["caddy"], line, "web"), RequestRow)
    assert parse(SHIPPED["caddy"], line, TenantSource.parse("host")) is Skip.UNAUTHENTICATED


OWN = LogMapping(
    "gateway", "own", at=("meta.when",), at_unit="ms", status=("reply.code",), route=("url",), latency=("took.us",),
    latency_unit="us", region=("meta.zone",), tenant=TenantSource.parse("field:account.id"),
)  # fmt: skip
LINE: dict[str, Any] = {
    "meta": {"when": 1646861401524, "zone": "eu"}, "reply": {"code": 200}, "url": "/a", "took.us": 1500,
    "account": {"id": 42},
}  # fmt: skip


def test_own_mappings_find_nested_fields_and_names_with_dots() -> None:
    assert parse(OWN, json.dumps(LINE)) == row("42", "/a", "-", 200, 1.5, "2022-03-09T21:30:01.524+00:00", region="eu")
    assert parse(OWN, json.dumps(LINE | {"account": 3})) is Skip.NO_TENANT
    assert parse(OWN, json.dumps(LINE | {"meta": {"when": 1646861401524, "zone": "z" * 65}})) is Skip.BAD_VALUE


@pytest.mark.parametrize(
    "text", ["", "x", "field", "field:", "header:", "host:", "host:0", "host:x", "path", "path:0", "path:1:2"]
)
def test_sources_of_tenants_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match='expected "field:PATH"'):
        TenantSource.parse(text)


@pytest.mark.parametrize("text", ["field:a.b", "header:X-Tenant", "host", "host:1", "path:12"])
def test_sources_of_tenants_are_said_as_they_were_given(text: str) -> None:
    assert str(TenantSource.parse(text)) == text


def test_what_a_mapping_lacks_is_said() -> None:
    bare = LogMapping("x", "x", at=("t",), status=("s",), route=("r",))
    assert bare.fault(None) == "" and bare.fault(TenantSource.parse("path:1")) == ""
    assert "headers" in bare.fault(TenantSource.parse("header:X-Tenant"))
    assert "host" in bare.fault(TenantSource.parse("host"))
    assert "route" in LogMapping("x", "x", at=("t",), status=("s",)).fault(None)


def test_a_last_line_of_a_mapped_log_without_its_end() -> None:
    assert is_whole(SHIPPED["caddy"], CADDY.encode()) and not is_whole(SHIPPED["caddy"], CADDY[:-1].encode())
    assert not is_whole(SHIPPED["aws-alb"], ALB_HTTP.encode()), "a field more may be to come"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("-"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
LINES = {"caddy": CADDY, "traefik": TRAEFIK, "envoy": ISTIO, "nginx-json": NGINX, "aws-alb": ALB_HTTP}


@given(st.sampled_from(sorted(SHIPPED)), st.data())
def test_no_value_breaks_a_mapping_and_what_it_reads_can_be_stored(name: str, data: st.DataObject) -> None:
    line = LINES[name]
    if SHIPPED[name].is_json:
        fields = json.loads(line)
        box = fields["request"] if name == "caddy" and data.draw(st.booleans()) else fields
        box[data.draw(st.sampled_from(sorted(box)))] = data.draw(values)
        line = json.dumps(fields)
    else:
        at = data.draw(st.integers(0, len(line)))
        line = line[:at] + data.draw(st.text(max_size=9)) + line[at:]
    source = data.draw(st.sampled_from(["web", "header:X-Tenant", "host:1", "path:1", "field:status"]))
    if name == "aws-alb" and source.startswith("header"):
        return
    found = parse(
        SHIPPED[name], line.encode(errors="replace"), source if source == "web" else TenantSource.parse(source)
    )
    if isinstance(found, RequestRow):
        assert "".join(value for value in found if isinstance(value, str)).encode()
        assert 100 <= found.status <= 599 and found.at.utcoffset() == timedelta()
        assert found.latency_ms is None or 0 <= found.latency_ms <= 1e9
        assert found.at.tzinfo is UTC
