"""The refusals of presence."""

from controlplane.errors import NotFound, NotPermitted, Refusal
from controlplane.refusals import Words

NO_CONSOLE = Words("no_console", NotFound, "The console {} is not open.", "watchfloor consoles list shows which are.")

CONSTRAINTS = (
    Words("presence_taken", NotPermitted, "That console is of somebody else.", ""),
    Words("incident_view", Refusal, "The view is too long to be posted.", "Use a shorter filter."),
    Words("presence_view", Refusal, "What the console shows is too long to be told to others.", ""),
)
