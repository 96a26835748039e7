"""The refusals of presence."""

from controlplane.errors import NotFound, NotPermitted, Refusal
from controlplane.refusals import Words

NO_CONSOLE = Words("no_console", NotFound, "The console {} is not open.", "watchfloor consoles list shows which are.")

CONSTRAINTS = (
    Words("presence_taken", NotPermitted, "That console is of somebody else.", ""),
    Words("view_form", Refusal, "What the screen shows cannot be told in this form.", "Use a shorter filter."),
)
