-- How often customers are told while an incident is under way, by its severity.
CREATE TABLE wf.update_intervals (
  severity text PRIMARY KEY CONSTRAINT interval_severity CHECK (severity IN ('SEV-1', 'SEV-2', 'SEV-3', 'SEV-4')),
  minutes  integer CONSTRAINT interval_minutes CHECK (minutes BETWEEN 5 AND 1440)  -- NULL: nobody waits for an update
);
INSERT INTO wf.update_intervals (severity, minutes) VALUES ('SEV-1', 20), ('SEV-2', 40), ('SEV-3', NULL), ('SEV-4', NULL);
