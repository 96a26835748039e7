"""The refusals of webhooks, for the rules and for the home's constraints."""

from controlplane.errors import NotFound, Refusal, Usage
from controlplane.refusals import Words

NO_WEBHOOK = Words(
    "no_webhook",
    NotFound,
    "There is no webhook {}.",
    "watchfloor webhooks list finds them; a deleted one is gone.",
    constraint="webhook_unknown",
)
NO_EVENT = Words("no_event", NotFound, "There is no event {}.", "watchfloor events list finds them.")
WEBHOOK_ON = Words("webhook_on", Refusal, "The webhook is enabled, and so is its endpoint.")
WEBHOOK_OFF = Words("webhook_off", Refusal, "The webhook is disabled already.")
WEBHOOK_IDLE = Words(
    "webhook_idle",
    Refusal,
    "The webhook is disabled, so nothing is sent to it.",
    "Enable it first (webhooks enable); what was held meanwhile can be replayed then.",
)
SPAN_EMPTY = Words("webhook_span", Usage, "The span to replay ends before it begins.", "Give --since before --until.")

CONSTRAINTS = (
    Words("webhook_tenant", NotFound, "There is no such tenant.", "watchfloor tenants list finds them."),
    Words("webhook_tenant_gone", Refusal, "The tenant is deleted, so it gets no webhooks."),
    Words("webhook_many", Refusal, "A tenant has at most 10 webhooks.", "Delete one, or give one of them more events."),
    Words("webhook_fixed", Refusal, "Number and tenant of a webhook stay as they are.", "Make another one."),
    Words("webhook_deleted", Refusal, "The webhook is deleted.", "Make another one."),
    Words("webhook_label", Usage, "A webhook's label has at most 100 characters."),
    Words("webhook_target", Usage, "A webhook has an address."),
    Words("webhook_events", Usage, "That is no type of events.", "docs/webhooks.md lists them; * means all."),
    Words("webhook_marks", Refusal, "A webhook's marks contradict each other."),
    Words(
        "webhook_nothing_to_replay",
        Refusal,
        "No delivery of that span can be sent again.",
        "watchfloor deliveries list webhook:NUMBER shows them; a longer --since, or --what all.",
    ),
    Words(
        "webhook_replay_many",
        Refusal,
        "These are more than 10,000 deliveries, the most that are replayed at once.",
        "Replay a shorter span, then the next.",
    ),
    Words("tenant_event_id", Refusal, "An event is named by evt_ and 40 hexadecimal digits."),
    Words("tenant_event_once", Refusal, "That event is noted already."),
    Words("tenant_event_type", Refusal, "That is no type of events."),
    Words("tenant_event_data", Refusal, "An event's data is an object of at most 8,192 bytes."),
)
