"""The refusals of silences, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.refusals import Words

SILENCE_MATCHERS = Words(
    "silence_matchers",
    Usage,
    "A silence needs a matcher that does not match an empty label: this one would hide every alert.",
    'Write kind="burn_rate" or tenant="acme".',
)
SILENCE_TIMES = Words("silence_times", Usage, "A silence ends after it starts.", "Give a later end.")
SILENCE_PAST = Words("silence_past", Usage, "That end is over already.", "Give a later one, or end the silence.")
SILENCE_COMMENT = Words("silence_comment", Usage, "A silence needs an author and a comment.", "Say why it is silent.")
SILENCE_OVER = Words("silence_over", Refusal, "The silence is over; it cannot be changed.", "Make a new one.")
NO_SILENCE = Words("no_silence", NotFound, "There is no silence {}.", "watchfloor silences list finds them.")
SILENCE_UNREADABLE = Words("silence_unreadable", Refusal, "The silence cannot be read.", "End it, and make a new one.")
SILENCE_ALERTS = Words(
    "silence_alerts",
    Usage,
    "One silence for these alerts would hide others as well.",
    "Mark those that differ in one thing, such as the tenant; or ack them all; or write matchers.",
)

CONSTRAINTS = (
    Words("silence_ends", Usage, "A silence ends at its time, when all is resolved, or when nothing is matched."),
    Words("silence_after", Usage, "What ends a silence before its time holds for a minute to 7 days."),
    Words(
        "silence_length",
        Refusal,
        "A silence lasts 7 days at most from now or from its start; an admin's, 90.",
        "Give an earlier end, or ask an admin.",
    ),
    Words(
        "silence_many",
        Refusal,
        "1,000 silences are active or pending: there cannot be more.",
        "End those that are not needed: watchfloor silences list state:active,pending",
    ),
    Words("silence_started", Refusal, "A silence that has begun keeps its start.", "End it, and make a new one."),
    Words(
        "silence_fixed",
        Refusal,
        "What a silence hid stays on record: its matchers and how it ends never change.",
        "Edit it: a new one takes its place.",
    ),
    Words("silence_replaces", Refusal, "A silence takes the place only of one that is ended in the same change."),
    Words("silence_replaced", Conflict, "Another silence took its place already.", "Look at it again, then repeat."),
)
