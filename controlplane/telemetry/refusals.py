"""The refusals of telemetry, for the rules and for the home's constraints."""

from controlplane.errors import Refusal, Usage
from controlplane.refusals import Words

CONSTRAINTS = (
    Words("retention_data", Refusal, "There is no such class of telemetry.", "Write raw, minutes or hours."),
    Words("retention_days", Refusal, "Telemetry is kept for 2 to 3,660 days."),
    Words("retention_fixed", Refusal, "A class of telemetry keeps its name."),
    Words("request_batch", Usage, "A batch is an array of at most 10,000 requests.", "Send the rest in another."),
    Words("request_batch_id", Refusal, "The id of a batch of requests has 1 to 128 characters."),
    Words(
        "import_not_stored", Refusal, "The requests of that piece of the log are not in the home.", "Import it again."
    ),
    Words("import_days", Refusal, "A piece of a log touches at most 10,000 days."),
    Words("request_sound", Refusal, "A request has an impossible time, status, latency or length."),
)
