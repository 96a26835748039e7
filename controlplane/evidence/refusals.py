"""The refusals of evidence, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal
from controlplane.refusals import Words

NO_EVIDENCE = Words("no_evidence", NotFound, "There is no evidence {}.", "watchfloor evidence list finds it.")
NO_CONTROL = Words("no_control", NotFound, "There is no control {}.", "watchfloor evidence coverage lists them.")
NO_PUBLICATION = Words(
    "no_publication", NotFound, "There is no publication {}.", "watchfloor evidence publications lists them."
)
PUBLICATION_TRANSITION = Words(
    "publication_transition",
    Refusal,
    "That cannot be done to the publication as it is now.",
    "One that waits or runs can be canceled; one that failed, was canceled or is done can be published again.",
)
NO_TARGET = Words("no_target", NotFound, "Nothing was published to {}.", "watchfloor evidence targets lists them.")
PUBLICATION_VERIFYING = Words(
    "publication_verifying",
    Refusal,
    "It is not published, or it is being verified.",
    "watchfloor publications show NUMBER says how far that is.",
)
TARGET_SWEEPING = Words("target_sweeping", Conflict, "It is being swept.", "watchfloor targets show TARGET")
EVIDENCE_WITHDRAWN = Words(
    "evidence_withdrawn", Refusal, "The evidence was withdrawn.", "Record it again: watchfloor evidence add"
)
NO_BUNDLE = Words(
    "not_a_bundle",
    Refusal,
    "Only bundles are published.",
    "Put the file into one: watchfloor evidence collect … --with FILE",
)
EVIDENCE_FUTURE = Words("evidence_future", Refusal, "Evidence cannot be from the future.", "Give its time: --at")

CONSTRAINTS = (
    Words(
        "publication_taken",
        Conflict,
        "It is published there already, or about to be.",
        "watchfloor evidence republish looks at it again.",
    ),
    Words(
        "publication_target",
        Refusal,
        "That is no place to publish to.",
        "s3://BUCKET/PREFIX, gs://…, az://ACCOUNT/CONTAINER/…, file:///FOLDER",
    ),
    Words("target_unknown", NotFound, "Nothing was published to it.", "watchfloor evidence targets lists them."),
    Words("target_priority", Refusal, "A priority is 1 (first) to 9 (last)."),
    Words("target_rate", Refusal, "A rate is 1 to 10,000,000 kB a second."),
    Words("target_keep_days", Refusal, "Evidence must stay locked for 1 to 36,600 days."),
    Words("target_sweep_hours", Refusal, "A sweep looks at uploads that are 1 to 8,760 hours old or more."),
    Words("target_lock_days", Refusal, "A lock of a probe is of 0 to 100,000 days."),
    Words("target_swept", Refusal, "A sweep removes no more than it finds."),
    Words("target_swept_items", Refusal, "What a sweep found is a list of objects, of at most 131,072 bytes."),
    Words("publication_faults", Refusal, "A number of faults is 0 or more."),
    Words("publication_fault_list", Refusal, "Faults are a list of objects, of at most 65,536 bytes."),
    Words("publication_check_progress", Refusal, "How far a verification has come is 0 or more."),
    Words("publication_check_faults", Refusal, "Faults are a list of objects, of at most 65,536 bytes."),
    Words("publication_evidence", Refusal, "The evidence is not there, or it was withdrawn."),
    Words("publication_attestation", Refusal, "An attestation is an object of at most 524,288 bytes."),
    Words("publication_marks", Refusal, "What is published has an attestation."),
    Words("publication_held", Conflict, "Another worker publishes it by now."),
    Words(
        "evidence_taken",
        Conflict,
        "This file is recorded already.",
        "watchfloor evidence list sha256:… finds it.",
    ),
    Words("evidence_fixed", Refusal, "What was recorded stays as it is.", "Withdraw it, and record it again."),
    Words("evidence_append_only", NotPermitted, "What was recorded as evidence stays.", "Withdraw it."),
    Words("evidence_sha256", Refusal, "A SHA-256 is 64 hexadecimal digits in small letters."),
    Words("evidence_subject_sha256", Refusal, "The SHA-256 of a subject is 64 hexadecimal digits in small letters."),
    Words("evidence_bytes", Refusal, "A size is 0 to 10^15 bytes."),
    Words("evidence_name", Refusal, "The name of a file has 1 to 200 characters, and no / and no control characters."),
    Words("evidence_kind", Refusal, "A kind has 1 to 200 characters, without spaces.", "junit, or a predicate's type."),
    Words("evidence_environment", Refusal, "An environment is small letters, digits, '.', '_' and '-', at most 64."),
    Words("evidence_signature", Refusal, "A signature is good, unverified or none."),
    Words("evidence_signer", Refusal, "A good signature, and no other, has a signer."),
)
