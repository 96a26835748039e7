-- Alerts are escalated by hand, and their lists grow.

-- Who asked last for the next level of an alert's escalations, and when: routing compares it with when it came to the
-- level that it is at.
ALTER TABLE wf.alerts ADD COLUMN escalated_at wf.moment, ADD COLUMN escalated_by wf.line,
  ADD CONSTRAINT alert_escalated CHECK (num_nonnulls(escalated_at, escalated_by) <> 1);

-- The filters of the lists of alerts and deliveries: each finds what few have without reading what all others have.
CREATE INDEX alerts_by_severity ON wf.alerts (severity, id);
CREATE INDEX alerts_by_age ON wf.alerts (fired_at);
CREATE INDEX alerts_holder_folded ON wf.alerts (wf.folded(holder), id);
CREATE INDEX deliveries_by_severity ON wf.deliveries (severity, id);
CREATE INDEX deliveries_by_action ON wf.deliveries (action, id);
CREATE INDEX deliveries_by_attempts ON wf.deliveries ((attempts::float8), id);
CREATE INDEX deliveries_reason_folded ON wf.deliveries (wf.folded(reason), id);
CREATE INDEX deliveries_kind_folded ON wf.deliveries (wf.folded(event_type), id);
CREATE INDEX deliveries_person_folded ON wf.deliveries (wf.folded(person), id);
CREATE INDEX deliveries_code_folded ON wf.deliveries (wf.folded(code), id);
CREATE INDEX deliveries_tests ON wf.deliveries (id) WHERE test;
