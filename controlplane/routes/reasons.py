"""Why a notice is sent. The codes are stable: receivers and filters use them."""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "first_notification",
    "new_alerts_in_group",
    "severity_raised",
    "repeat_interval_elapsed",
    "silence_expired",
    "maintenance_ended",
    "quiet_window_ended",
    "inhibition_ended",
    "ack_expired",
    "escalation",
    "escalated",
    "nobody_on_call",
    "acknowledged",
    "new_resolved_alerts",
    "all_alerts_resolved",
]

REASONS: dict[Reason, str] = {
    "first_notification": "nobody was told yet",
    "new_alerts_in_group": "there are new alerts in the group",
    "severity_raised": "it became more severe",
    "repeat_interval_elapsed": "it still fires after the repeat interval",
    "silence_expired": "the silence ended, and it still fires",
    "maintenance_ended": "the maintenance ended, and it still fires",
    "quiet_window_ended": "the quiet window ended",
    "inhibition_ended": "what inhibited it is over, and it still fires",
    "ack_expired": "the acknowledgement ended, and it still fires",
    "escalation": "the previous level did not acknowledge in time",
    "escalated": "somebody escalated it",
    "nobody_on_call": "nobody is on call before",
    "acknowledged": "somebody has it",
    "new_resolved_alerts": "some alerts of the group are resolved",
    "all_alerts_resolved": "all alerts of the group are resolved",
}
