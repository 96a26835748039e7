"""The refusals of routes, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.refusals import Words

NO_ROUTE = Words(
    "no_such_route", NotFound, "There is no route {}.", "watchfloor routes list finds them.", constraint="route_unknown"
)
ROUTE_TARGET = Words(
    "route_target_unfit", Refusal, "The target cannot be used.", "Set it again: routes edit, webhooks edit."
)
ROUTE_RETIRED = Words("route_retired", Refusal, "The route is retired.", "Restore it first.")
ROUTE_LIVE = Words("route_live", Refusal, "The route is not retired.")
ROUTE_ON = Words("route_on", Refusal, "The route is enabled, and so is its endpoint.")
ROUTE_OFF = Words("route_off", Refusal, "The route is disabled already.")
ROUTE_NO_SECRET = Words(
    "route_no_secret", Refusal, "Only a webhook signs with a secret.", "Give another target instead: routes edit."
)

CONSTRAINTS = (
    Words("route_fixed", Refusal, "Name, tenant and channel of a route stay as they are.", "Make another route."),
    Words("route_name", Usage, "A route's name is lower-case letters, digits, '.', '_' and '-', at most 64."),
    Words("route_taken", Conflict, "There is a route of that name.", "Choose another name."),
    Words("route_tenant_gone", Refusal, "The tenant is deleted, so it gets no routes."),
    Words("route_many", Refusal, "There are 1,000 routes, which is the most.", "Retire some."),
    Words(
        "route_parent", Refusal, "That route cannot be above this one.", "It is retired, of another tenant, or below."
    ),
    Words("route_position", Refusal, "A position is a whole number from 0 to 1,000,000."),
    Words("route_matchers", Refusal, "Matchers are at most 50 of a label, an operator and a value."),
    Words("route_events", Refusal, "A route has 1 to 50 types of events, or *."),
    Words("route_severity", Refusal, "A severity is info, warning, error or critical."),
    Words("route_urgency", Refusal, "An urgency is high or low."),
    Words("route_policy", Refusal, "A policy is a JSON object."),
    Words("route_group_by", Refusal, "A route groups by at most 20 labels."),
    Words("route_group_wait", Refusal, "A group waits for at most a day."),
    Words("route_group_interval", Refusal, "The interval of a group is at most a day."),
    Words("route_repeat", Refusal, "A repeat interval is 1 minute to 30 days."),
    Words("route_escalation", Refusal, "An escalation is a JSON object."),
    Words("route_channel", Refusal, "A channel is webhook, slack, pagerduty, mail or drill."),
    Words("route_target", Refusal, "A route has a target."),
    Words("route_template", Refusal, "A template has at most 4,000 characters."),
    Words("route_group_key", Refusal, "A group of alerts is named by a hash."),
    Words("route_group_state", Refusal, "What is kept of a group is an object of at most 4 MB."),
)
