"""The refusals of plans, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.refusals import Words

NO_PLAN = Words("no_plan", NotFound, "The catalogue has no plan {}.", "watchfloor plans list shows them.")
CURRENCY_OTHER = Words("currency_other", Usage, "The amount is not in the currency that the tenant pays in.")

CONSTRAINTS = (
    Words("plan_version_fixed", Refusal, "A version of a plan never changes.", "Make a new one: plans apply."),
    Words("plan_version_next", Conflict, "Somebody else has just made that version of the plan.", "Repeat it."),
    Words(
        "plan_version_unknown",
        Refusal,
        "The catalogue has no such version of the tenant's plan.",
        "watchfloor plans list",
    ),
    Words("plan_code_length", Refusal, "A plan's code has 1 to 64 characters."),
    Words("plan_name_length", Refusal, "A plan's name has 1 to 200 characters."),
    Words("plan_currency", Refusal, "That is not a currency of ISO 4217.", "Write EUR, USD, JPY …"),
    Words("plan_price", Refusal, "A price is 0 or more, in minor units.", "29.00 is 2900."),
    Words("plan_year_price", Refusal, "A price is 0 or more, in minor units.", "29.00 is 2900."),
    Words("plan_billing", Refusal, "A plan is billed in arrears or in advance."),
    Words("plan_trial_days", Refusal, "A plan has 0 to 90 trial days."),
    Words(
        "plan_entitlements",
        Refusal,
        "A value of the plan is not an entitlement.",
        "-1 is unlimited; 0 is never a limit.",
    ),
)
