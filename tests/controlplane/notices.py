"""Notices as tests need them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from controlplane.deliveries.model import Notice

AT = datetime(2026, 11, 29, 11, 40, 18, 123456, tzinfo=UTC)
SENT = datetime(2026, 11, 29, 11, 40, 20, tzinfo=UTC)


def notice(**changes: Any) -> Notice:
    fields: dict[str, Any] = {
        "key": "msg_0f8c",
        "thread": "alert/41",
        "event_type": "key_rotation_sla_failed",
        "action": "trigger",
        "tenant_id": "acme",
        "severity": "critical",
        "summary": "tenant acme has 2 stale active key(s)",
        "reason": "first_notification",
        "at": AT,
        "details": {"stale_count_for_tenant": 2, "tenant_without_recent_rotation": None},
        "value": 2.0,
        "threshold": 1.0,
        "unit": "keys",
        "route": "13",
        "label": "ops",
    }
    return Notice(**(fields | changes))


HOSTILE = (
    st.text()
    | st.text(alphabet='\r\n\0\t<>&*_~`|:"\\{}%\u202e\u200b\ud800😀a')
    | st.sampled_from(
        [
            "<!channel> <@U1> <https://evil.example|invoice>",
            "a\r\nBcc: everyone@example.com\r\n\r\nbody",
            '"}],"routing_key":"x',
            "{{ 7 * 7 }}{% include '/etc/passwd' %}",
            "&amp;" * 2000,
            "😀" * 4000,
            "\x1b[2J\x07",
        ]
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE, inner, max_size=4),
    max_leaves=12,
)
NOTICES = st.builds(
    notice,
    thread=HOSTILE,
    event_type=HOSTILE,
    action=st.sampled_from(["trigger", "acknowledge", "resolve"]),
    tenant_id=HOSTILE,
    severity=st.sampled_from(["info", "warning", "error", "critical"]),
    summary=HOSTILE,
    reason=HOSTILE,
    details=st.dictionaries(HOSTILE, JSON, max_size=4),
    value=st.none() | st.floats(),
    threshold=st.none() | st.floats(),
    unit=HOSTILE,
    route=HOSTILE,
    label=st.none() | HOSTILE,
    test=st.booleans(),
)
