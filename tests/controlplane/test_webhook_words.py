"""What the console says of a tenant's webhook and of what happened to the tenant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.webhooks.model import TenantEvent, Webhook
from controlplane.webhooks.words import event_lines, events_lines, fact_lines, state_lines, told_of, why_of
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts, is_inert, texts

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEBHOOK = Webhook(
    2, "acme", "billing", "hooks.acme.example", ["key.created"], NOW, NOW - HOUR, True, "on", None, None, None, 1,
    NOW - 2 * HOUR, "ana", NOW, 0, None, None, NOW - HOUR,
)  # fmt: skip
EVENT = TenantEvent(1, "e1", "acme", "key.created", "a key was made", {"key": "key_1", "by": None}, NOW - HOUR)


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, [("● on", "good")]),
        ({"state": "disabled"}, [("○ disabled", "muted")]),
        ({"failures": 1}, [("● on", "good"), ("  the last attempt failed; it is disabled after 50", "warn")]),
        ({"failures": 49}, [("● on", "good"), ("  the last 49 attempts failed; it is disabled after 50", "warn")]),
        (
            {"state": "off", "failures": 50, "disabled": HOSTILE, "disabled_at": NOW - HOUR},
            [
                ("✕ off", "bad"),
                (f"  1 h ago: {SHOWN}", "bad"),
                ("  what happens is held; enable it, then replay what was held (a, then p)", "muted"),
            ],
        ),
    ],
)
def test_how_it_does(fields: dict[str, Any], lines: list[object]) -> None:
    assert state_lines(replace(WEBHOOK, **fields), NOW) == lines


def test_the_facts_of_a_webhook() -> None:
    assert fact_lines(WEBHOOK, NOW) == [
        ("billing", "title"),
        ("● on", "good"),
        "",
        "tenant    acme",
        "address   hooks.acme.example",
        "last ok   1 h ago",
        "failed    0 in a row",
        "secret    since 1 h ago",
        "made      2 h ago by ana",
        "",
        ("told of", "title"),
        "  key.created: a key was made",
    ]
    replayed = replace(WEBHOOK, replayed=0, replayed_from=NOW - HOUR, replayed_until=NOW)
    assert "replayed  0 of 03-04 11:00Z to 03-04 12:00Z" in fact_lines(replayed, NOW)
    fresh = fact_lines(replace(WEBHOOK, label="", delivered_at=None, secret_at=None), NOW)
    assert fresh[0] == ("webhook 2", "title")
    assert "last ok   never" in fresh and "secret    none: nothing can be sent" in fresh
    assert why_of(WEBHOOK, NOW) == fact_lines(WEBHOOK, NOW)[:2]


def test_of_what_it_is_told() -> None:
    assert told_of(replace(WEBHOOK, events=["key.created", "*"])) == ["everything that happens to the tenant"]
    assert told_of(replace(WEBHOOK, events=["trial.expired", HOSTILE])) == [
        "trial.expired: its trial is over",
        f"{SHOWN}: unknown",
    ]


def test_what_happened_to_the_tenant() -> None:
    assert events_lines([], NOW) == [("Nothing happened to the tenant since it has a webhook.", "muted")]
    assert events_lines([EVENT], NOW) == ["   1h  key.created      a key was made"]
    assert event_lines(EVENT, NOW) == [
        ("key.created", "title"),
        ("a key was made", "muted"),
        "tenant      acme",
        "what        a key was made",
        "when        1 h ago, 2026-03-04 11:00:00 UTC",
        "id          e1",
        "key         key_1",
        "by          none",
    ]
    unknown = event_lines(replace(EVENT, type="new.type", data={}), NOW)
    assert unknown[1] == ("", "muted") and len(unknown) == 6


def test_whatever_a_tenant_is_called_is_inert() -> None:
    webhook = replace(WEBHOOK, tenant_id=HOSTILE, label=HOSTILE, target=HOSTILE, created_by=HOSTILE, events=[HOSTILE])
    event = replace(EVENT, type=HOSTILE, summary=HOSTILE, tenant_id=HOSTILE, data={HOSTILE: HOSTILE})
    assert is_inert(fact_lines(webhook, NOW)) and is_inert(events_lines([event], NOW))
    assert is_inert(event_lines(event, NOW)) and SHOWN in texts(event_lines(event, NOW))


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    long = replace(WEBHOOK, tenant_id=LONG, label=LONG, target=LONG, created_by=LONG, events=[LONG], disabled=LONG)
    assert cuts(fact_lines(replace(long, disabled_at=NOW), NOW)) == [100, 400, 64, 200, 64, 60]
    event = replace(EVENT, type=LONG, summary=LONG, tenant_id=LONG, data={LONG: LONG})
    assert cuts(events_lines([event], NOW)) == [40, 200] and cuts(event_lines(event, NOW)) == [60, 64, 400, 20, 200]
