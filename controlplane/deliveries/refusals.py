"""The refusals of deliveries, for the rules and for the home's constraints."""

from controlplane.errors import NotFound, Refusal
from controlplane.refusals import Words

NO_DELIVERY = Words(
    "no_delivery",
    NotFound,
    "There is no delivery {}.",
    "watchfloor deliveries list finds them.",
    constraint="delivery_unknown",
)
DELIVERY_UNDER_WAY = Words("delivery_under_way", Refusal, "The delivery is under way.", "Wait for its next attempt.")
DELIVERY_TEST = Words(
    "delivery_test", Refusal, "A test is not sent again.", "Make another: routes test, webhooks test, contacts test."
)

DELIVERY_ROUTE_OFF = Words(
    "delivery_route_off",
    Refusal,
    "The endpoint is disabled, so nothing is sent to it.",
    "Enable it first: routes enable, webhooks enable.",
)

CONSTRAINTS = (
    Words("delivery_key", Refusal, "A delivery is named by msg_ and 40 hexadecimal digits."),
    Words("delivery_group", Refusal, "A delivery belongs to a group of alerts, or to a webhook."),
    Words("delivery_endpoint", Refusal, "A delivery is a route's or a webhook's."),
    Words("delivery_of_event", Refusal, "A webhook is told of one event of its tenant."),
    Words("delivery_of_alert", Refusal, "A notice of alerts has an action and a severity."),
    Words("delivery_action", Refusal, "A delivery says trigger, acknowledge or resolve."),
    Words("delivery_reason", Refusal, "A delivery has a reason."),
    Words("delivery_severity", Refusal, "A severity is info, warning, error or critical."),
    Words("delivery_dedupe", Refusal, "A dedupe key has at most 2,000 characters."),
    Words("delivery_notice", Refusal, "A notice is an object of at most 131,072 bytes."),
    Words("delivery_state", Refusal, "That is no state of deliveries."),
    Words("delivery_marks", Refusal, "A delivery's state contradicts its times."),
    Words("delivery_attempt_outcome", Refusal, "That is no outcome of an attempt."),
    Words("delivery_attempt_seconds", Refusal, "An attempt takes at most a day."),
    Words("endpoint_unknown", NotFound, "There is no such route or webhook."),
    Words("endpoint_of_one", Refusal, "An endpoint is a route's or a webhook's."),
    Words("endpoint_secret_kind", Refusal, "An endpoint has a target and signing secrets."),
    Words("endpoint_secret_key", Refusal, "An encrypted secret names the key that opens it."),
    Words("endpoint_secret_data", Refusal, "An encrypted secret has 28 to 65,536 bytes."),
    Words("endpoint_secret_alone", Refusal, "A secret is kept only with the change of its route or webhook."),
    Words(
        "endpoint_secret_many",
        Refusal,
        "A webhook has at most four active secrets.",
        "Wait until the oldest one has ended.",
    ),
    Words("endpoint_marks", Refusal, "An endpoint that is disabled says since when and why."),
)
