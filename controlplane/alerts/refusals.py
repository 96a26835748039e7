"""The refusals of alerts, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.refusals import Words

NO_ALERT = Words(
    "no_alert", NotFound, "There is no alert {}.", "watchfloor alerts list finds them.", constraint="alert_unknown"
)
ALERT_RESOLVED = Words(
    "alert_resolved", Refusal, "The alert is resolved.", "If its cause is still there, its detector fires a new one."
)
ALERT_ACKED = Words("alert_acked", Conflict, "Somebody else has the alert.", "Ask them to hand it over.")
ALERT_NOT_ACKED = Words("alert_not_acked", Refusal, "Nobody has the alert.", "Ack it: press a, then a.")
ALERT_ACK_UNTIL = Words(
    "alert_ack_until", Usage, "An ack ends within 7 days, and not before now.", "Write 30m, 4h or a time."
)
ALERT_NOT_ESCALATING = Words(
    "alert_not_escalating",
    Refusal,
    "No escalation of the alert is under way.",
    "Press w on it: it shows who was told, and why nobody else is.",
)
ALERT_NOBODY_ON_CALL = Words(
    "alert_nobody_on_call",
    Refusal,
    "Nobody is on call at any level of the alert's escalation.",
    "Call somebody yourself; watchfloor schedules list shows who is on call next.",
)
ALERT_LAST_LEVEL = Words(
    "alert_last_level",
    Refusal,
    "The last level of the alert's escalation was told already: there is nobody after it.",
    "Ack it yourself, or hand it over to somebody: press a, then a.",
)

CONSTRAINTS = (
    Words(
        "alert_just_escalated",
        Conflict,
        "Somebody escalated it, or an alert told together with it, just now: a worker tells the next level, or did less"
        " than 30 s ago.",
        "Look at it again; if that level is not enough, escalate it in half a minute.",
    ),
    Words("alert_ack_comment", Usage, "An ack has a comment of 1 to 2,000 characters.", "Say what you do about it."),
    Words("alert_resolve_why", Usage, "A resolve has a reason of 1 to 2,000 characters.", "Say why it is over."),
    Words("alert_held", Refusal, "They have the alert already."),
    Words(
        "alert_holder",
        Refusal,
        "An alert is handed over to somebody who may act on it: an operator or an admin.",
        "watchfloor operators list shows who may.",
    ),
    Words("alert_kind", Refusal, "That is not the name of a detector."),
    Words("alert_open", Conflict, "There is an open alert of the same tenant, kind and labels."),
    Words("alert_labels", Refusal, "Labels are a JSON object of at most 4,096 bytes."),
    Words("alert_details", Refusal, "Details are a JSON object of at most 16,384 bytes."),
    Words("alert_summary", Refusal, "A summary has 1 to 500 characters."),
    Words("alert_severity", Refusal, "A severity is info, warning, error or critical."),
    Words("alert_state", Refusal, "An alert is firing, acked or resolved."),
    Words("alert_value", Refusal, "The value of an alert is a finite number."),
    Words("alert_threshold", Refusal, "The threshold of an alert is a finite number."),
    Words("alert_marks", Refusal, "An alert's state contradicts its times or who has it."),
    Words("alert_escalated", Refusal, "Who escalated an alert and when are known together."),
    Words("alert_event_kind", Refusal, "That is not an event of alerts."),
    Words("alert_event_severity", Refusal, "A severity is info, warning, error or critical."),
    Words("alert_event_value", Refusal, "The value of an event is a finite number."),
)
