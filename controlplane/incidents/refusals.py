"""The refusals of incidents, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

NO_INCIDENT = Words(
    "no_incident", NotFound, "There is no incident {}.", "watchfloor incidents list finds them.",
    constraint="incident_unknown",
)  # fmt: skip
NO_EVENT = Words("no_incident_event", NotFound, "There is no event {}.", "watchfloor incidents timeline lists them.")
INCIDENT_TAKEN = Words(
    "incident_taken", Conflict, "An incident was opened from it already.", "Add what you know there: incidents note"
)
NO_INTERVAL = Words("no_interval", NotFound, "There is no severity {}.", "It is SEV-1, SEV-2, SEV-3 or SEV-4.")
INTERVAL_NOTHING = Words("interval_nothing", Usage, "That is how often they are told already.", "Give another number.")
INCIDENT_CLOSED = Words("incident_closed", Refusal, "The incident is closed.", "Reopen it: that begins its next cycle.")
INCIDENT_OVER = Words("incident_over", Refusal, "The incident is over.", "Reopen it: that begins its next cycle.")
INCIDENT_STEP = Words(
    "incident_step", Refusal, "That is not the next step.", "open → mitigated → resolved → closed; or reopen it."
)
INCIDENT_NOTHING = Words("incident_nothing", Usage, "That would change nothing.", "Give what is to change.")
AFFECTED_UNKNOWN = Words("affected_unknown", NotFound, "That is not affected.")
AFFECTED_ALREADY = Words("affected_already", Refusal, "That is affected already.")
ROLE_HELD = Words(
    "role_held", Conflict, "Somebody else has that role.", "Ask them to offer it, or take it: incidents relieve"
)
ROLE_NOT_YOURS = Words(
    "role_not_yours",
    NotPermitted,
    "Only whoever has the role can give it away.",
    "To take it from them: incidents relieve",
)
ROLE_FREE = Words("role_free", Refusal, "Nobody has that role.", "Take it: incidents take")
ROLE_NOT_OFFERED = Words("role_not_offered", NotPermitted, "That role is not offered to you.", "Ask whoever has it.")
CUSTOMERS_PERSONAL = Words(
    "customers_personal", Refusal, "A text for customers must not contain personal data or secrets.", "Leave them out."
)
INCIDENT_PERSONAL = Words(
    "incident_personal",
    Refusal,
    "Title and summary stay in the trail for ever, so they must not contain anybody's address, number or key.",
    "Put that into a note.",
)

CONSTRAINTS = (
    Words("interval_severity", Usage, "A severity is SEV-1, SEV-2, SEV-3 or SEV-4."),
    Words("interval_minutes", Usage, "Customers are told every 5 to 1,440 minutes, or at no fixed interval."),
    Words(
        "conn_held",
        NotPermitted,
        "Somebody else has the conn of an incident that affects it.",
        "Ask for the conn, or state why you cannot wait: incidents override",
    ),
    Words("incident_title", Usage, "A title has 1 to 200 characters."),
    Words("incident_severity", Usage, "A severity is SEV-1, SEV-2, SEV-3 or SEV-4."),
    Words("incident_status", Usage, "A status is open, mitigated, resolved or closed."),
    Words("incident_cycle", Refusal, "It was reopened a thousand times.", "Open a new one."),
    Words("incident_origin_noun", Usage, "An incident is opened from an alert, a tenant, a cause or a gate."),
    Words("incident_origin", Usage, "What it was opened from has a noun, a name and words."),
    Words("incident_origin_unknown", NotFound, "There is no such thing to open it from.", "Open it by hand."),
    Words("incident_began", Usage, "It began before now, within 400 days.", "Give another time."),
    Words("incidents_many", Refusal, "200 incidents are not closed.", "Close those that are over."),
    Words("incident_fixed", Refusal, "What it was opened with stays."),
    Words("incident_marks", Refusal, "Its times follow from its steps."),
    Words("incident_snoozed", Usage, "Waiting with the next update needs a reason.", "Say why."),
    Words("incident_snooze", Refusal, "An update can wait for a day at most, while the incident is under way."),
    Words("incident_append_only", NotPermitted, "A timeline is only added to.", "Correct an event: incidents correct"),
    Words("incident_event_kind", Usage, "There is no such kind of event."),
    Words("incident_event_words", Usage, "A note has 1 to 51,200 bytes.", "Keep a link to the rest."),
    Words("incident_event_time", Usage, "It happened before now.", "Give another time."),
    Words("incident_event_unknown", NotFound, "It has no event of that number.", "watchfloor incidents timeline"),
    Words("incident_event_corrects", NotFound, "It has no event of that number."),
    Words("incident_event_correction", Usage, "A correction names the event that it corrects."),
    Words("affected_tenant", NotFound, "There is no such tenant.", "watchfloor tenants list finds them."),
    Words("affected_thing", Usage, "A region or route has 1 to 200 characters."),
    Words("deploy_what", Usage, "What was deployed has 1 to 200 characters."),
    Words("deploy_region", Usage, "A region has at most 64 characters."),
    Words("deploy_time", Usage, "A deploy is said within a day."),
    Words("incident_role", Usage, "A role is conn, commander, deputy, scribe or liaison."),
    Words("incident_one_holder", Conflict, "Somebody else has it.", "Look again at who has it."),
    Words("incident_offer", Usage, "An offer names somebody else, a time, and the situation."),
    Words("role_offered_to", Refusal, "It can be offered to another operator.", "watchfloor operators list"),
    Words("role_offer_until", Usage, "An offer lasts an hour at most.", "Write 5m."),
    Words("role_offer_summary", Usage, "An offer describes the situation.", "Write a summary."),
    Words("role_offer_over", Refusal, "The offer is over: it was not accepted in time.", "Ask for it again."),
    Words("role_relieve_why", Usage, "Taking a role from somebody needs a reason.", "Say why."),
    Words("override_reason", Usage, "Acting without the conn needs a reason.", "Say why you cannot wait."),
    Words("override_until", Usage, "Acting without the conn is for an hour at most.", "Write 10m."),
    Words("customers_length", Usage, "A text for customers has at most 8,000 bytes.", "Shorten it."),
)
