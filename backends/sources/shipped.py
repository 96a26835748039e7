"""Mappings of known systems: name → what a source of it has besides its url. A source may replace each line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OBAN_ERROR = "t.errors[array_upper(t.errors, 1)]->>'error'"

SHIPPED: Mapping[str, dict[str, Any]] = {
    "aionis-outbox": {
        "table": "memory_outbox",
        "dead": "t.failed_at IS NOT NULL AND t.published_at IS NULL",
        "columns": {
            "id": "id",
            "payload": "payload",
            "error": "coalesce(t.last_error, t.failed_reason)",
            "error_class": "failed_reason",
            "attempts": "attempts",
            "created": "created_at",
            "died": "failed_at",
            # "tenant:acme::scope:default", or the scope alone for the default tenant
            "tenant": "substring(t.scope from '^tenant:(.*?)::scope:')",
            "handler": "event_type",
            "key": "job_key",
        },
        "requeue": "UPDATE $table SET failed_at = NULL, failed_reason = NULL, claimed_at = NULL, last_error = NULL,"
        " attempts = 0 WHERE id = ANY ($ids) AND failed_at IS NOT NULL AND published_at IS NULL",
    },
    "aionis-publish": {
        "table": "control_incident_publish_jobs",
        "dead": ["dead_letter"],
        "columns": {
            "id": "id",
            "payload": "jsonb_build_object('run_id', t.run_id, 'source_dir', t.source_dir, 'target', t.target,"
            " 'metadata', t.metadata)",
            "error": "last_error",
            "error_class": "'exit_' || (t.last_response->>'exit_code')",
            "attempts": "attempts",
            "state": "status",
            "created": "created_at",
            "died": "updated_at",
            "tenant": "tenant_id",
            "handler": "'publish'",
        },
        "requeue": "UPDATE $table SET status = 'pending', attempts = 0, next_attempt_at = now(), locked_at = NULL,"
        " locked_by = NULL, last_error = NULL, last_response = '{}', metadata = metadata ||"
        " jsonb_build_object('replayed_at', now(), 'replay_reason', 'manual_replay')"
        " WHERE id = ANY ($ids) AND status = 'dead_letter'",
    },
    "procrastinate": {
        "table": "procrastinate_jobs",
        "dead": "t.status = 'failed'",
        "columns": {
            "id": "id",
            "payload": "args",
            "attempts": "attempts",
            "state": "status",
            "created": "(SELECT min(e.at) FROM procrastinate_events e WHERE e.job_id = t.id)",
            "died": "(SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = t.id AND e.type = 'failed')",
            "handler": "task_name",
            "queue": "queue_name",
            "key": "queueing_lock",
        },
        "requeue": "UPDATE $table SET status = 'todo', attempts = 0, scheduled_at = NULL, abort_requested = false,"
        " worker_id = NULL WHERE id = ANY ($ids) AND status = 'failed'",
        "discard": "UPDATE $table SET status = 'cancelled' WHERE id = ANY ($ids) AND status = 'failed'",
    },
    "pgque": {
        "table": "pgque.dead_letter",
        "dead": "true",
        "columns": {
            "id": "dl_id",
            "payload": "ev_data",
            "error": "dl_reason",
            "attempts": "ev_retry",
            "created": "ev_time",
            "died": "dl_time",
            "handler": "ev_type",
            "queue": "(SELECT q.queue_name FROM pgque.queue q WHERE q.queue_id = t.dl_queue_id)",
        },
        "requeue": "SELECT pgque.dlq_replay(i) FROM unnest($ids) AS i",
        "discard": "DELETE FROM $table WHERE dl_id = ANY ($ids)",
        "lock": False,  # to replay takes the role pgque_writer, which may not update the table
    },
    "oban": {
        "table": "oban_jobs",
        "dead": "t.state = 'discarded'",
        "columns": {
            "id": "id",
            "payload": "args",
            "error": f"split_part({_OBAN_ERROR}, E'\\n', 1)",
            "error_class": f"substring({_OBAN_ERROR} from '^\\*\\* \\(([^)]+)\\)')",
            "attempts": "attempt",
            "state": "state",
            "created": "inserted_at",
            "died": "discarded_at",
            "handler": "worker",
            "queue": "queue",
        },
        # As Oban itself does it: one more try than were made.
        "requeue": "UPDATE $table SET state = 'available', max_attempts = greatest(max_attempts, attempt + 1),"
        " scheduled_at = now() AT TIME ZONE 'UTC', completed_at = NULL, cancelled_at = NULL, discarded_at = NULL,"
        " meta = CASE WHEN meta ? 'uniq_bmp' THEN meta || '{\"uniq_bmp\": []}' ELSE meta END"
        " WHERE id = ANY ($ids) AND state = 'discarded'",
        "discard": "UPDATE $table SET state = 'cancelled', cancelled_at = now() AT TIME ZONE 'UTC'"
        " WHERE id = ANY ($ids) AND state = 'discarded'",
    },
}
