"""The refusals of dead letters, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

NO_LETTER = Words(
    "no_letter",
    NotFound,
    "There is no dead letter {}.",
    "watchfloor queues letters finds them.",
    constraint="letter_unknown",
)
NO_CAUSE = Words(
    "no_cause", NotFound, "There is no cause {}.", "watchfloor queues list finds them.", constraint="cause_unknown"
)
LETTER_SETTLED = Words(
    "letter_settled", Refusal, "The message is no longer dead.", "If it failed again, it is a new letter."
)
LETTER_QUARANTINED = Words(
    "letter_quarantined",
    Refusal,
    "The message is quarantined: it was replayed again and again and always died of the same cause.",
    "Release it first: watchfloor queues release.",
)
LETTER_NOT_QUARANTINED = Words("letter_not_quarantined", Refusal, "The message is not quarantined.")
LETTER_HELD = Words(
    "letter_held", Refusal, "The message is under a legal hold.", "End the hold first: watchfloor queues unhold."
)
LETTER_NOT_HELD = Words("letter_not_held", Refusal, "The message is under no hold.")
LETTER_NOT_EDITABLE = Words(
    "letter_not_editable", Refusal, "This message cannot be edited.", "Only the JSON objects of jobs can."
)
NO_SOURCE = Words("no_source", NotFound, "There is no source {}.", "watchfloor sources list shows them.")
NO_MESSAGE = Words(
    "no_message",
    NotFound,
    "No dead message {} is known outside this home.",
    "It may be done meanwhile: watchfloor messages list",
)
NO_ACT = Words("no_act", NotFound, "Nothing of that number was done outside.", constraint="act_unknown")
MESSAGES_SETTLED = Words(
    "messages_settled", Refusal, "None of these messages can be taken now.", "Look at the list again: r"
)
SOURCE_CANNOT = Words("source_cannot", Refusal, "This source cannot do that.")
SOURCE_REFUSED = Words("source_refused", Refusal, "The source refused it: nothing was changed there.")

OBSTACLES = (
    Words(
        "letter_tenant",
        Refusal,
        "Its tenant is not active, so nothing is done for it.",
        "Resume the tenant, then replay it.",
    ),
    Words(
        "letter_processed",
        Refusal,
        "It was done already: it, or another with the same idempotency key, succeeded.",
        "Discard it.",
    ),
    Words(
        "letter_conflict",
        Conflict,
        "The same thing is under way: another that must be the only one waits or runs.",
        "Wait for that one.",
    ),
    Words("letter_gone", NotFound, "What it stands for no longer exists.", "Discard it."),
)
ACTS = (
    Words("act_source", Refusal, "A source is small letters, digits, '.', '_' and '-', at most 64."),
    Words("act_verb", Refusal, "That is not done to messages outside."),
    Words(
        "act_things", Refusal, "An act is done to at most 500 messages, with 48 KB of names; its outcome is of those."
    ),
    Words("act_twice", Usage, "A message is named twice."),
    Words("act_state", Refusal, "That is no outcome of an act."),
    Words("act_others", Refusal, "The verdicts of an act are a JSON object."),
    Words("act_marks", Refusal, "An act's state contradicts its times."),
    Words("act_change", Refusal, "What is done outside is recorded by its own operation only."),
    Words("act_reason", Usage, "What is done outside needs a reason.", 'Say it with --reason "…".'),
    Words("act_foreign", NotPermitted, "Only who began an act records its outcome."),
    Words("act_ended", Conflict, "The act has an outcome already."),
)
CONSTRAINTS = (
    *OBSTACLES,
    *ACTS,
    Words("letter_reason", Usage, "Discarding a message needs a reason.", 'Say it with --reason "…".'),
    Words("letter_patch", Usage, "An edit is a JSON merge patch: an object, at most 64 levels deep."),
    Words(
        "cause_gate",
        Usage,
        "That is no gate, or no release is named.",
        "As gate/environment, with --release: watchfloor gates list shows them.",
    ),
    Words(
        "tenant_letters_held",
        Refusal,
        "Dead letters of the tenant are under a legal hold.",
        'End those holds first: watchfloor queues unhold --filter "tenant:… hold:yes".',
    ),
    Words("export_note", Usage, "An export of dead letters is recorded by itself, with a reason."),
    Words("drill_change", Usage, "A drill is made by its own command.", "watchfloor queues drill"),
    Words("letter_verb", Usage, "That is not done to dead letters."),
    Words("letter_source", Refusal, "A source is small letters, digits, '.', '_' and '-', at most 64."),
    Words("letter_fingerprint", Refusal, "A fingerprint is 64 hexadecimal digits."),
    Words("letter_payload", Refusal, "Of a message, at most 262,144 bytes are kept."),
    Words("letter_payload_json", Refusal, "The JSON of a message takes at most 1,048,576 bytes."),
    Words("letter_headers", Refusal, "The headers of a message are a JSON object."),
    Words("letter_attempts", Refusal, "The attempts at a message are a JSON array."),
    Words("letter_attempt_count", Refusal, "A number of attempts is not negative."),
    Words("letter_state", Refusal, "That is no state of dead letters."),
    Words("letter_marks", Refusal, "A letter's state contradicts its times."),
    Words("letter_waiting", Conflict, "The message is dead already.", "Its letter is in the list."),
)
