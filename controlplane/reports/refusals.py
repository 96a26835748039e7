"""The refusals of reports."""

from controlplane.errors import NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

NO_REPORT = Words("no_report", NotFound, "There is no report {}.", "watchfloor reports list shows them.")
REPORT_SINCE = Words("report_since", Usage, "A report goes back a minute to 366 days.", "--since 7d")
REPORT_WAITS = Words(
    "report_waits", Refusal, "A worker has yet to make that report.", "watchfloor workers list state:alive"
)
REPORT_UNREADABLE = Words("report_unreadable", Usage, "That is no report that this program can read.")

CONSTRAINTS = (
    Words("report_kind", Usage, "A report is of a week or of a release."),
    Words("report_subject", Usage, "A report says of which release it is."),
    Words("report_times", Usage, "A report is of a time before now, of at most 366 days."),
    Words("report_made", Refusal, "A report is made with its hash."),
    Words("report_fixed", Refusal, "A report stays as it was made.", "Make another."),
    Words("report_many", Refusal, "Ten reports wait to be made.", "See whether a worker is alive."),
    Words("report_held", NotPermitted, "Only the worker that holds its job makes a report."),
    Words("report_data_size", Refusal, "A report is a JSON object of at most 1 MiB."),
)
