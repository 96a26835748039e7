"""The words of what is refused of toys."""

from __future__ import annotations

from controlplane.errors import Conflict, NotFound, Refusal
from controlplane.refusals import Words

NO_TOY = Words("no_toy", NotFound, "There is no toy {}.", "watchfloor toys list finds them.")
BROKEN = Words("toy_broken", Refusal, "The toy is broken.", "Make another: watchfloor toys create")

CONSTRAINTS = (
    BROKEN,
    Words("toys_pkey", Conflict, "A toy with this id exists already.", "Choose another id."),
    Words("toy_id_format", Refusal, "An id has 1 to 20 small letters."),
    Words("toy_label_length", Refusal, "A label has 1 to 60 characters."),
    Words("toy_state", Refusal, "A toy is whole or broken."),
)
