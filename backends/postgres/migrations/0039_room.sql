-- How often customers are told while an incident is under way, by its severity.
CREATE TABLE wf.update_intervals (
  severity text PRIMARY KEY CONSTRAINT interval_severity CHECK (severity IN ('SEV-1', 'SEV-2', 'SEV-3', 'SEV-4')),
  minutes  integer CONSTRAINT interval_minutes CHECK (minutes BETWEEN 5 AND 1440)  -- NULL: nobody waits for an update
);
INSERT INTO wf.update_intervals (severity, minutes) VALUES ('SEV-1', 20), ('SEV-2', 40), ('SEV-3', NULL), ('SEV-4', NULL);

-- Rows are neither locked nor changed by who has a role only because it was raised, and whose time is over: see
-- sql/raises.sql, which has the policies.
DO $$
DECLARE
  control text;
BEGIN
  FOREACH control IN ARRAY '{api_keys,contacts,entitlement_grants,evidence,execution_steps,executions,gate_schedules,gate_waivers,gates,heartbeats,impersonations,incidents,maintenance,objectives,own_detectors,plan_changes,plans,projects,runs,schedule_overrides,schedules,silences,subscriptions,telemetry_retention,thresholds,update_intervals,webhooks,routes}'::text[]
  LOOP
    EXECUTE format('ALTER TABLE wf.%I ENABLE ROW LEVEL SECURITY', control);
  END LOOP;
END
$$;
