"""The refusals of approvals and of raised roles, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

NO_APPROVAL = Words("no_approval", NotFound, "There is no request {}.", "watchfloor approvals list")
NO_RULE = Words("no_approval_rule", NotFound, "There is no rule for {}.", "watchfloor approvals rules lists them.")
NO_RAISE = Words("no_raise", NotFound, "There is no raised role {}.", "watchfloor operators raises lists them.")
APPROVAL_OWN = Words(
    "approval_own", NotPermitted, "You asked for it yourself: somebody else approves or refuses it.", "Ask a colleague."
)
APPROVAL_DECIDED = Words(
    "approval_decided", Conflict, "The request is decided already.", "watchfloor approvals show says by whom."
)
APPROVAL_USED = Words("approval_used", Conflict, "The request was carried out already.", "Ask again.")
APPROVAL_EXPIRED = Words("approval_expired", Refusal, "The time of the request is over.", "Ask again.")
APPROVAL_VOID = Words(
    "approval_void",
    Conflict,
    "It would no longer do what the request shows, because something was changed since. Nothing was done.",
    "Ask again: the new request shows what it would do now.",
)
APPROVAL_WAITING = Words(
    "approval_waiting", Refusal, "The request waits for approval.", "Do the same again when it is approved."
)
APPROVAL_NOT_YOURS = Words("approval_not_yours", NotPermitted, "Only the person who asked may do that.")
RAISE_OVER = Words(
    "raise_over",
    NotPermitted,
    "The time of your raised role is over.",
    "Give it back, or ask again: watchfloor operators raise",
)

CONSTRAINTS = (
    Words(
        "raise_logins",
        NotPermitted,
        "With a raised role you cannot make or change logins: they would outlast the role.",
        "Ask an admin.",
    ),
    Words(
        "approval_needed",
        NotPermitted,
        "That needs a second person's approval: nothing was done.",
        "Do it with watchfloor, which asks for the approval; the request appears in the other consoles.",
    ),
    Words(
        "approval_change", Refusal, "Approvals change only through their own operations.", "Use watchfloor approvals."
    ),
    Words("approval_not_needed", Refusal, "That needs no approval here.", "Do it without."),
    Words("approval_asker", NotPermitted, "You may not do that even with an approval.", "Ask somebody who may."),
    Words("approval_many", Refusal, "You have 50 open requests.", "Withdraw some: watchfloor approvals list"),
    Words("approval_asked", Conflict, "You asked for the same already.", "watchfloor approvals list state:waiting"),
    Words("approval_seen", Conflict, "That is not the request that you saw.", "Look at it again, then repeat."),
    Words("approval_role", NotPermitted, "Your role is too low to decide about this request.", "Ask somebody else."),
    Words("approval_voted", Conflict, "You have voted on this request already.", "Another person must."),
    Words("approval_refusal_reason", Usage, "A refusal needs a reason.", "Say it with --reason."),
    Words(
        "approval_length", Refusal, "A request is open for at most 7 days from when it was asked.", "Ask again later."
    ),
    Words("approval_other", Refusal, "The approval is for another operation.", "Ask for this one."),
    Words(
        "approval_gone",
        Refusal,
        "The person who approved it may no longer log in, so the approval does not count.",
        "Ask again.",
    ),
    Words("approval_reason", Usage, "A request needs a reason.", "Say it with --reason."),
    Words(
        "approval_facts",
        Refusal,
        "It changes nothing, or more than a request can show (256 KiB, 64 levels).",
        "Do less at once.",
    ),
    Words("approval_fields", Refusal, "The fields of a request are a JSON object."),
    Words("approval_thing", Refusal, "A request names the thing that it is about."),
    Words("approval_fingerprint", Refusal, "A fingerprint is a SHA-256 in hexadecimal digits."),
    Words("approval_rule_unknown", Usage, "No approval can be asked for that operation.", "watchfloor approvals rules"),
    Words(
        "approval_rule_above",
        Usage,
        "Rules about many things, and only those, name the number above which they hold: 0 to 100,000.",
        "Give it with --above, or leave it out.",
    ),
    Words("approval_rule_roles", Usage, "A rule names one to three of support, operator, admin.", "One a person."),
    Words("approval_rule_minutes", Usage, "A request is open for 10 minutes to 7 days (10080).", "Change --minutes."),
    Words("raise_change", NotPermitted, "A role is raised by its own operation only.", "watchfloor operators raise"),
    Words("raise_role", Refusal, "You have that role, or a higher one.", "Name a role above yours."),
    Words(
        "raise_other_home",
        Conflict,
        "Your login gets into another home on the same server as well, and would have the higher role there too.",
        "Use a login that is of one home only.",
    ),
    Words("raise_not_yours", NotPermitted, "Only an admin gives back another person's role.", "Ask an admin."),
    Words("raise_minutes", Usage, "A role is raised for 1 to 480 minutes.", "Change --minutes."),
    Words("raise_reason", Usage, "A raised role needs a reason.", "Say it with --reason."),
)
