"""The refusals of detectors and thresholds, for the rules and for the home's constraints."""

from controlplane.errors import NotFound, Refusal, Usage
from controlplane.refusals import Words

NO_DETECTOR = Words(
    "no_detector",
    NotFound,
    "There is no detector {}.",
    "watchfloor detectors list shows them.",
    constraint="detector_unknown",
)
NO_THRESHOLD = Words("no_threshold", NotFound, "There is no threshold {}.", "watchfloor thresholds list shows them.")
THRESHOLD_SCOPE = Words(
    "threshold_scope",
    Usage,
    "A threshold is set for all, a plan or a tenant.",
    "Write all, plan:growth or tenant:acme.",
)
THRESHOLD_UNKNOWN = Words(
    "threshold_unknown", Usage, "No detector has that threshold.", "watchfloor thresholds list shows them."
)
THRESHOLD_NOT_SET = Words(
    "threshold_not_set", Refusal, "Nothing is set for that scope.", "watchfloor thresholds list shows what is set."
)

OWN_DETECTOR_SQL = Words("own_detector_sql", Usage, "The SQL cannot be used.", "docs/alerts.md has examples.")
OWN_DETECTOR_FAILED = Words("own_detector_failed", Refusal, "The detector's SQL failed.", "")
NO_METRICS = Words(
    "no_metric_source",
    Usage,
    "No Prometheus is configured where this runs.",
    "Name its mapping file in the settings of every worker, and in yours: docs/prometheus.md.",
)

CONSTRAINTS = (
    Words(
        "own_detector_name", Usage, "A detector of your own is named own_…, with lower-case letters, digits and '_'."
    ),
    Words("own_detector_many", Refusal, "There are 100 detectors of your own already.", "Remove one first."),
    Words("own_detector_fixed", Refusal, "A detector keeps its name.", "Remove it, and make another."),
    Words("own_detector_means", Usage, "What a detector means takes 1 to 300 characters."),
    Words("own_detector_every", Usage, "A detector is evaluated every 10 seconds to every day."),
    Words("own_detector_severity", Usage, "A severity is info, warning, error or critical."),
    Words("own_detector_language", Usage, "A detector is written in SQL or PromQL."),
    Words("own_detector_statement", Usage, "A detector's statement has 1 to 8,000 characters."),
    Words("own_detector_fires", Usage, "A detector fires above or below its limit."),
    Words("own_detector_threshold", Usage, "A limit lies between -1e15 and 1e15."),
    Words("own_detector_unit", Usage, "A unit has at most 40 characters."),
    Words(
        "threshold_range",
        Usage,
        "The value is out of its range.",
        "watchfloor thresholds list --json shows the least and the most of each.",
    ),
    Words("threshold_finite", Usage, "A threshold is a finite number."),
    Words("threshold_fixed", Refusal, "A threshold keeps its name and scope.", "Clear it, and set another."),
    Words("threshold_tenant_gone", Refusal, "The tenant is being deleted.", "Restore it first."),
    Words("threshold_tenant", NotFound, "There is no such tenant.", "watchfloor tenants list finds them."),
    Words("threshold_detector", Usage, "That is not the name of a detector."),
    Words("threshold_name", Usage, "That is not the name of a threshold."),
    Words("threshold_plan", Usage, "A plan's code has 1 to 64 characters."),
    Words("detector_name", Refusal, "A detector's name has lower-case letters, digits and '_'."),
    Words("detector_took", Refusal, "The time that a detector took is out of range."),
)
