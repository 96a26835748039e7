"""What is refused of the audit trail, in words: for the rules, and for the home's constraints."""

from controlplane.errors import NotPermitted, Refusal
from controlplane.refusals import Words

AUDIT_INCONSISTENT = Words(
    "audit_inconsistent",
    Refusal,
    "The audit trail is not the one that was signed before: nothing is signed.",
    "watchfloor audit verify names the first row; keep the checkpoints that lie outside.",
)

CONSTRAINTS = (
    Words("audit_append_only", NotPermitted, "The audit trail is only added to: no row of it is changed or removed."),
    Words(
        "audit_gap",
        Refusal,
        "A row of the audit trail is missing, or one was written past its counter: somebody with the owner's powers"
        " took it away or put it there.",
        "watchfloor audit verify names the first; nothing is chained until it is put right from a backup.",
    ),
    Words("checkpoint_note", Refusal, "A checkpoint has 1 to 2,000 characters."),
    Words(
        "audit_row_size", Refusal, "That would be too large for the audit trail: 1 MB is kept of a row.", "Store less."
    ),
    Words("audit_thing", Refusal, "What a row of the trail is about has 1 to 1,000 characters."),
    Words("audit_note", Refusal, "The trail takes no such note: its fields are fixed, and its size is limited."),
    Words("audit_note_unknown", NotPermitted, "The operation writes no such note to the audit trail."),
    Words(
        "truncate_unrecorded", NotPermitted, "TRUNCATE would leave nothing in the audit trail.", "DELETE is recorded."
    ),
)
