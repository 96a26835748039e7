"""What each channel sends for a notice, whatever is in it."""

from __future__ import annotations

import email
import json
from dataclasses import replace
from datetime import UTC, datetime
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane import jsontext
from controlplane.deliveries.channels import prepare
from controlplane.deliveries.drill import DrillTarget, check_file
from controlplane.deliveries.mail import MAX_SUBJECT, MailTarget, check_address
from controlplane.deliveries.model import DrillLine, Event, HttpRequest, Mail, Notice
from controlplane.deliveries.pagerduty import PagerDutyTarget, check_routing_key
from controlplane.deliveries.signing import new_secret
from controlplane.deliveries.slack import SlackTarget, cut, escaped
from controlplane.deliveries.webhook import (
    MAX_DATA_BYTES,
    WebhookTarget,
    bounded,
    check_headers,
    event_request,
)
from controlplane.deliveries.words import built_in
from controlplane.errors import Usage
from tests.controlplane.notices import AT, HOSTILE, JSON, NOTICES, SENT, notice

SECRET = new_secret()
WEBHOOK = WebhookTarget("https://example.com/hook", (SECRET,), (("authorization", "Bearer visible"),))
AIONIS = replace(WEBHOOK, secrets=("s3cret",), form="aionis")
SLACK = SlackTarget("https://hooks.slack.com/services/T0/B0/s3cret")
PAGERDUTY = PagerDutyTarget("k" * 32)
MAIL = MailTarget("ana@example.com", "watchfloor@ops.example")


def post(notice: Notice, target: WebhookTarget | SlackTarget | PagerDutyTarget) -> HttpRequest:
    request = prepare(notice, built_in(notice), target, SENT)
    assert isinstance(request, HttpRequest)
    return request


def said(request: HttpRequest) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.body)
    return body


def strictly(body: bytes) -> Any:
    """JSON as RFC 8259 has it: Python's own reader takes NaN as well."""

    def refused(word: str) -> Any:
        raise AssertionError(word)

    return json.loads(body, parse_constant=refused)


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _a_webhook_is_json_with_type_time_and_data(hostile: Notice) -> None:
    request = post(hostile, WEBHOOK)
    body = strictly(request.body)
    assert [*body][:3] == ["type", "timestamp", "data"] and body["timestamp"] == "2026-11-29T11:40:18.123Z"
    assert body["data"]["action"] == hostile.action and body["data"]["severity"] == hostile.severity
    assert ("test" in body) == hostile.test and body["data"]["title"].startswith("TEST ") == hostile.test
    assert all(value.isprintable() for _, value in request.headers)
    headers = dict(request.headers)
    assert headers["content-type"] == "application/json" and headers["authorization"] == "Bearer visible"
    assert headers["webhook-id"] == hostile.key and len(headers) == len(request.headers)


def _the_older_form_is_the_one_that_its_receivers_know(hostile: Notice) -> None:
    request = post(replace(hostile, action="trigger", test=False), AIONIS)
    body = strictly(request.body)
    assert [*body] == ["event_type", "tenant_id", "severity", "summary", "payload", "sent_at", "route"]
    assert [*body["route"]] == ["id", "channel", "label"] and body["route"]["channel"] == "webhook"
    assert [name for name, _ in request.headers if name.startswith("x-aionis")] == [
        "x-aionis-signature-ts",
        "x-aionis-signature",
    ]
    assert not [name for name, _ in request.headers if name.startswith("webhook-")]


def test_the_older_form_to_the_byte() -> None:
    """As a running Aionis sent it, with its own values in their places."""
    details = {
        "thresholds": {"max_age_days": 30, "warn_age_days": 21, "rotation_window_days": 30},
        "stale_count_for_tenant": 1,
        "stale_sample_for_tenant": [{"id": "10", "label": "old-40", "age_days": "40.000"}],
        "tenant_without_recent_rotation": None,
    }
    assert post(notice(details=details), AIONIS).body.decode() == (
        '{"event_type":"key_rotation_sla_failed","tenant_id":"acme","severity":"critical",'
        '"summary":"tenant acme has 2 stale active key(s)","payload":{"thresholds":{"max_age_days":30,'
        '"warn_age_days":21,"rotation_window_days":30},"stale_count_for_tenant":1,"stale_sample_for_tenant":'
        '[{"id":"10","label":"old-40","age_days":"40.000"}],"tenant_without_recent_rotation":null},'
        '"sent_at":"2026-11-29T11:40:20.000Z","route":{"id":"13","channel":"webhook","label":"ops"}}'
    )


def test_the_older_form_says_what_it_never_sent_in_keys_of_its_own() -> None:
    body = said(post(notice(action="resolve", test=True, label=None), AIONIS))
    assert (body["action"], body["test"], body["route"]["label"]) == ("resolve", True, None)
    assert body["summary"] == "TEST tenant acme has 2 stale active key(s)"


def test_a_tenants_own_webhook_has_its_events_data_and_nothing_of_ours() -> None:
    event = Event("msg_1", "plan.changed", AT, {"from": "free", "to": "team"})
    request = event_request(event, WEBHOOK, SENT)
    assert said(request) == {
        "type": "plan.changed",
        "timestamp": "2026-11-29T11:40:18.123Z",
        "data": {"from": "free", "to": "team"},
    }
    assert dict(request.headers)["webhook-timestamp"] == str(int(SENT.timestamp()))


def _slack_gets_text_and_blocks_within_its_limits(hostile: Notice) -> None:
    body = strictly(post(hostile, SLACK).body)
    header, *rest = body["blocks"]
    assert header["text"]["type"] == "plain_text" and 0 < units(header["text"]["text"]) <= 150
    texts = [body["text"]]
    for block in rest:
        for part in [block["text"]] if block["type"] == "section" else block["elements"]:
            assert part["type"] == "mrkdwn" and part["verbatim"] is True
            texts.append(part["text"])
    for text in texts:
        assert 0 < units(text) <= 3000 and not set("<>") & set(text)
        assert all(part.startswith(("amp;", "lt;", "gt;")) for part in text.split("&")[1:])
    assert [block["type"] for block in body["blocks"]] == ["header", "section", "context"]
    assert hostile.key in texts[-1] or units(texts[-1]) > 900
    assert body["text"].startswith("TEST ") == hostile.test


@given(HOSTILE, st.integers(1, 200))
def test_slacks_text_is_cut_between_entities(text: str, limit: int) -> None:
    made = escaped(text, limit)
    assert units(made) <= limit
    plain = made.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert plain == text or (plain.endswith("…") and text.startswith(plain[:-1]))
    assert units(cut(text, limit)) <= limit


def test_slack_mentions_the_member_who_is_paged_and_nobody_else() -> None:
    body = said(post(notice(summary="<@U0EVERYBODY> <!channel>"), replace(SLACK, member="U012AB3CD")))
    assert body["text"].startswith("<@U012AB3CD> ") and body["blocks"][1]["text"]["text"] == "<@U012AB3CD>"
    assert json.dumps(body["blocks"][2:]).count("<") == 0 and body["text"].count("<") == 1
    assert "<" not in json.dumps(said(post(notice(), SLACK)))


def _pagerduty_gets_an_event_within_its_limits(hostile: Notice) -> None:
    request = post(hostile, PAGERDUTY)
    assert len(request.body) <= 512 * 1024
    body = strictly(request.body)
    assert body["event_action"] == hostile.action and body["routing_key"] == "k" * 32
    assert 0 < len(body["dedup_key"]) <= 255
    assert ("payload" in body) == (hostile.action == "trigger")
    if hostile.action == "trigger":
        payload = body["payload"]
        assert 0 < len(payload["summary"]) <= 1024 and payload["source"] and payload["severity"] == hostile.severity
        assert payload["summary"].startswith("TEST ") == hostile.test


@given(HOSTILE, HOSTILE, st.booleans(), st.booleans())
def test_pagerduty_keeps_one_alert_together_and_two_apart(one: str, other: str, test: bool, other_test: bool) -> None:
    def key(thread: str, test: bool, action: str) -> str:
        found: str = said(post(notice(thread=thread, test=test, action=action), PAGERDUTY))["dedup_key"]
        return found

    for action in ("acknowledge", "resolve"):
        assert key(one, test, action) == key(one, test, "trigger")
    if one.encode("utf-8", "replace") != other.encode("utf-8", "replace") or test != other_test:
        assert key(one, test, "trigger") != key(other, other_test, "trigger")


def test_pagerduty_gets_a_key_as_it_is_up_to_its_limit() -> None:
    for thread in ("a" * 255, "alert/41 ä"):
        assert said(post(notice(thread=thread), PAGERDUTY))["dedup_key"] == thread
    for thread in ("a" * 256, "", "a\nb"):
        assert said(post(notice(thread=thread), PAGERDUTY))["dedup_key"].startswith("sha256:")


def test_a_document_that_is_too_large_is_left_out_whole() -> None:
    small, large = {"a": "x" * (MAX_DATA_BYTES - 8)}, {"a": "x" * (MAX_DATA_BYTES - 7)}
    assert bounded(small) is small and len(jsontext.write(small)) == MAX_DATA_BYTES
    assert bounded(large) == {"left_out": "131,073 bytes; a notice holds at most 131,072"}
    for target in (WEBHOOK, AIONIS, PAGERDUTY):
        assert len(post(notice(details={"a": "\x01" * 300_000}), target).body) < 10_000


def _an_email_is_one_message_to_one_person_whatever_is_in_it(hostile: Notice) -> None:
    prepared = prepare(hostile, built_in(hostile), MAIL, SENT)
    assert isinstance(prepared, Mail) and (prepared.to, prepared.sender) == (MAIL.address, MAIL.sender)
    raw = prepared.message.as_bytes(policy=SMTP)
    head, _, _ = raw.partition(b"\r\n\r\n")
    assert b"\n" not in raw.replace(b"\r\n", b"") and all(len(line) <= 998 for line in raw.split(b"\r\n"))
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert sorted(names) == sorted(
        (
            *(b"from", b"to", b"subject", b"date", b"message-id", b"references", b"auto-submitted"),
            *(b"content-type", b"content-transfer-encoding", b"mime-version"),
        )
    )
    read = email.message_from_bytes(raw, policy=SMTP)
    assert read["to"] == MAIL.address and read["from"] == "Watchfloor <watchfloor@ops.example>"
    subject = str(read["subject"])
    assert 0 < len(subject) <= MAX_SUBJECT and subject.startswith("TEST ") == hostile.test
    assert read["date"].datetime == SENT


def test_an_email_is_the_same_in_every_attempt_and_of_one_thread() -> None:
    def headers(notice: Notice, at: datetime = SENT) -> tuple[str, str]:
        prepared = prepare(notice, built_in(notice), MAIL, at)
        assert isinstance(prepared, Mail)
        return prepared.message["message-id"], prepared.message["references"]

    first, again = headers(notice()), headers(notice(), datetime(2026, 12, 1, tzinfo=UTC))
    resolved = headers(notice(key="msg_2", action="resolve"))
    assert first == again and first[0] != resolved[0] and first[1] == resolved[1]


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "ana",
            "@example.com",
            "ana@",
            "ana@example.com\r\nBcc: eve@example.com",
            "ana@example.com,eve@example.com",
        ),
        *("Ana <ana@example.com>", "ana@exa mple.com", "ana@-example.com", "ana@example..com", "änä@example.com"),
        *(
            "ana@bücher.example",
            "ana@example.com\0",
            "a" * 250 + "@example.com",
            ".ana@example.com",
            '"a b"@example.com',
        ),
    ],
)
def test_what_is_no_single_address_is_refused(address: str) -> None:
    with pytest.raises(Usage) as refused:
        check_address(address)
    assert refused.value.code == "mail_address"
    with pytest.raises(Usage):
        prepare(notice(), built_in(notice()), MailTarget(address, MAIL.sender), SENT)


def _a_drill_is_one_line_of_json(hostile: Notice) -> None:
    prepared = prepare(hostile, built_in(hostile), DrillTarget("fire.jsonl"), SENT)
    assert isinstance(prepared, DrillLine) and prepared.line.count(b"\n") == 1
    assert strictly(prepared.line)["test"] == hostile.test


@given(NOTICES)
def test_every_channel_sends_what_it_promises_whatever_is_in_a_notice(hostile: Notice) -> None:
    """All in one: to make such a notice costs more than to send it."""
    _a_webhook_is_json_with_type_time_and_data(hostile)
    _the_older_form_is_the_one_that_its_receivers_know(hostile)
    _slack_gets_text_and_blocks_within_its_limits(hostile)
    _pagerduty_gets_an_event_within_its_limits(hostile)
    _an_email_is_one_message_to_one_person_whatever_is_in_it(hostile)
    _a_drill_is_one_line_of_json(hostile)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a\0", "a\n", "x" * 101, "é"])
def test_a_drill_never_leaves_its_folder(name: str) -> None:
    with pytest.raises(Usage) as refused:
        check_file(name)
    assert refused.value.code == "drill_file"


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"Host": "x"}, "Host"),
        ({"content-length": "3"}, "content-length"),
        ({"Content-Type": "text/plain"}, "Content-Type"),
        ({"Transfer-Encoding": "chunked"}, "Transfer-Encoding"),
        ({"webhook-signature": "v1,x"}, "webhook-signature"),
        ({"X-Aionis-Signature-TS": "1"}, "X-Aionis-Signature-TS"),
        ({"x y": "1"}, "x y"),
        ({"x\r\ny": "1"}, "x␍␊y"),
        ({"": "1"}, "The header  "),
        ({"x": ""}, "x"),
        ({"x": " hunter2"}, "x"),
        ({"x": "hunter2\r\nEvil: 1"}, "x"),
        ({"x": "hunter2\0"}, "x"),
        ({"x": "hunter2é"}, "x"),
        ({"x": "hunter2" + "a" * 2048}, "x"),
        ({"x": "1", "X": "2"}, "X"),
        ({f"x{number}": "1" for number in range(17)}, "x16"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(headers: dict[str, str], named: str) -> None:
    with pytest.raises(Usage, match="webhook_header") as refused:
        check_headers(headers)
    assert named in str(refused.value) and "hunter2" not in str(refused.value)


def test_a_receivers_own_headers_are_taken() -> None:
    assert len(check_headers({f"x{number}": "a" * 2048 for number in range(16)})) == 16
    assert check_headers({"Authorization": "Bearer a b", "X-Token": "1"}) == (
        ("authorization", "Bearer a b"),
        ("x-token", "1"),
    )


@pytest.mark.parametrize("key", ["", "hunter2", "k" * 31, "k" * 33, "é" * 32, "k" * 31 + "\n"])
def test_a_routing_key_that_is_none_is_never_repeated(key: str) -> None:
    with pytest.raises(Usage) as refused:
        check_routing_key(key)
    assert refused.value.code == "pagerduty_key" and "hunter2" not in str(refused.value)


def test_no_secret_is_in_the_words_of_what_is_sent() -> None:
    secrets = (SECRET, "s3cret", "k" * 32, "Bearer visible", "hooks.slack.com/services")
    prepared = [
        prepare(notice(), built_in(notice()), target, SENT) for target in (WEBHOOK, AIONIS, SLACK, PAGERDUTY, MAIL)
    ]
    for thing in (WEBHOOK, AIONIS, SLACK, PAGERDUTY, *prepared):
        assert not [secret for secret in secrets if secret in repr(thing) + str(thing)]


@given(JSON)
def test_json_is_written_so_that_anybody_reads_it(value: Any) -> None:
    written = jsontext.write(value)
    assert jsontext.write(strictly(written)) == written


def test_json_of_a_depth_or_a_number_that_nobody_reads() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert strictly(jsontext.write({"a": [float("nan"), 1 << 20_000]})) == {"a": [None, None]}
    assert b"nested too deep" in jsontext.write(deep)
