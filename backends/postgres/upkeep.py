"""The jobs that every worker can do: the one place where they are named. A noun that brings one adds it here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from controlplane.jobs.engine import Kind, sql

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

_ALL = (
    # Of requests: the next days' partitions before they are needed, the tenants' figures, minutes and hours; old days.
    sql("make_request_partitions", "SELECT wf.make_request_partitions()", HOUR),
    sql("refresh_activity", "SELECT wf.refresh_activity()", timedelta(seconds=5)),
    sql("roll_up_requests", "SELECT wf.roll_up_requests()", MINUTE, seconds=300),
    sql("drop_old_requests", "SELECT count(*) FROM wf.drop_old_requests() WHERE waits IS NULL", HOUR),
    sql("keep_objectives", "SELECT wf.keep_objectives()", MINUTE, seconds=300),
    # Of subscriptions.
    sql("roll_up_usage", "SELECT wf.roll_up_usage()", MINUTE),
    sql("expire_trials", "SELECT wf.expire_trials()", MINUTE),
    sql("apply_due_changes", "SELECT wf.apply_due_changes()", MINUTE),
    sql("look_at_quotas", "SELECT wf.look_at_quotas()", 5 * MINUTE, seconds=120),
    # Of the audit trail. Checkpoints of it are signed by a worker's own key: backends/postgres/notary.py.
    sql("chain_audit", "SELECT wf.note_triggers(), wf.chain_audit()", timedelta(seconds=5), seconds=300),
    # What has had its day.
    sql("prune_key_news", "SELECT wf.prune_key_news()", 10 * MINUTE),
    sql("prune_request_batches", "SELECT wf.prune_request_batches()", 10 * MINUTE),
    sql("prune_sign_up_attempts", "SELECT wf.prune_sign_up_attempts()", 10 * MINUTE),
    sql("prune_jobs", "SELECT wf.prune_jobs()", 10 * MINUTE),
    # Jobs themselves.
    sql("refresh_job_weights", "SELECT wf.refresh_job_weights()", MINUTE),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
