"""The refusals of presence."""

from controlplane.errors import NotFound, NotPermitted, Refusal
from controlplane.refusals import Words

NO_CONSOLE = Words("no_console", NotFound, "The console {} is not open.", "watchfloor consoles list shows which are.")

CONSTRAINTS = (
    Words("presence_taken", NotPermitted, "That console is somebody else's.", ""),
    Words("view_form", Refusal, "This view cannot be shared.", "Use a shorter filter."),
)
