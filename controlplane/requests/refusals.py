"""The refusals of single requests."""

from controlplane.errors import NotFound
from controlplane.refusals import Words

NO_REQUEST = Words(
    "no_request", NotFound, "There is no request {}.", "Requests are kept for a limited time: watchfloor requests list"
)
CONSTRAINTS: tuple[Words, ...] = ()
