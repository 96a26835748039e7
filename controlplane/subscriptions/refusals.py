"""The refusals of subscriptions, grants and usage, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal
from controlplane.refusals import Words

SUBSCRIPTION_TRANSITION = Words(
    "subscription_transition", Refusal, "The subscription's state does not allow that.", "Press w on it to see why."
)
TRIAL_ONCE = Words("trial_once", Refusal, "The tenant has had its trial.", "Extend it: subscriptions extend-trial")
TRIAL_EXTENSIONS = Words(
    "trial_extensions",
    Refusal,
    "A trial can be extended three times at most.",
    "Convert it: subscriptions convert-trial",
)
NO_SUBSCRIPTION = Words(
    "no_subscription", NotFound, "There is no subscription of {}.", "watchfloor tenants list finds it."
)
NO_GRANT = Words("no_grant", NotFound, "{0} has no grant {1}.", "watchfloor subscriptions effective {0}")
NO_PLAN_CHANGE = Words("no_plan_change", NotFound, "There is no plan change {}.")

CONSTRAINTS = (
    Words("subscription_fixed", Refusal, "A subscription belongs to its tenant for ever."),
    Words("subscription_tenant_gone", Refusal, "The tenant is being deleted.", "Restore it first."),
    Words("subscription_state", Refusal, "A subscription has no such state."),
    Words("subscription_cycle", Refusal, "A cycle is a month or a year."),
    Words("subscription_trial", Refusal, "A trial needs its end.", "Start it: subscriptions start-trial"),
    Words("subscription_grace", Refusal, "A grace needs its end.", "Say until when."),
    Words("billing_zone", Refusal, "There is no such time zone.", "Write Europe/Berlin."),
    Words("trial_return", Refusal, "A trial ends as active or as expired."),
    Words("trial_of_plan", Refusal, "The catalogue has no such plan to try.", "watchfloor plans list"),
    Words("trial_marks", Refusal, "A trial has a plan, a start and an end, or none of them."),
    Words("trial_over", Refusal, "The end of the trial is in the past.", "Extend it: subscriptions extend-trial"),
    Words("trial_shortened", Refusal, "A trial cannot be shortened.", "Convert it, or set another state."),
    Words("trial_length", Refusal, "A trial has an end after its start, and lasts a year at most."),
    Words("grace_over", Refusal, "The end of the grace is in the past.", "Give a time in the future."),
    Words(
        "grant_name",
        Refusal,
        "That is not the name of an entitlement.",
        "Use lower-case letters, digits, '.', '_' and '-'.",
    ),
    Words("grant_value", Refusal, "That is not a value of an entitlement.", "-1 is unlimited; 0 is never a limit."),
    Words("grant_source", Refusal, "A grant is an override or for an incident."),
    Words("grant_reason", Refusal, "A grant needs a reason.", "Say it with --reason."),
    Words("grant_time", Refusal, "A grant must end after it begins.", "Give a time in the future."),
    Words("grant_tenant_gone", Refusal, "The tenant is being deleted.", "Restore it first."),
    Words("grant_over", Refusal, "The grant is over already."),
    Words("grant_fixed", Refusal, "A grant does not change; it can be ended.", "End it, and give another."),
    Words(
        "plan_change_pending",
        Conflict,
        "Another plan change waits for its day.",
        "Repeat yours: it replaces that one.",
    ),
    Words("plan_change_settled", Refusal, "That plan change was applied or canceled already."),
    Words("plan_change_settled_once", Refusal, "A plan change is applied or canceled, not both."),
    Words("plan_change_of_plan", Refusal, "The catalogue has no such plan.", "watchfloor plans list"),
    Words("plan_change_cycle", Refusal, "A cycle is a month or a year."),
    Words("plan_change_direction", Refusal, "A plan change is an upgrade, a downgrade or unknown."),
    Words(
        "usage_metric",
        Refusal,
        "That is not the name of a metric.",
        "Use lower-case letters, digits, '.', '_' and '-'.",
    ),
    Words(
        "usage_restored",
        Refusal,
        "The home was restored on another server, so it cannot tell which usage is rolled up.",
        "Ask its owner to set wf.usage_rolled_up, or a restore with the same server files.",
    ),
    Words("usage_amount", Refusal, "A used amount must be more than 0."),
    Words("plan_change_not_made", Refusal, "The tenant does not have the plan that the change names."),
)
