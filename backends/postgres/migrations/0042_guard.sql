-- How often something is done is days and hours. An interval whose months are made good by negative days compares like one
-- day, but cannot be added to a time, or be binned by: one such row stopped the schedules of all.
DELETE FROM wf.gate_schedules
WHERE extract(year FROM every) <> 0 OR extract(month FROM every) <> 0 OR extract(day FROM every) NOT BETWEEN 0 AND 31;
DELETE FROM wf.job_schedules  -- workers put theirs again
WHERE extract(year FROM every) <> 0 OR extract(month FROM every) <> 0 OR extract(day FROM every) NOT BETWEEN 0 AND 31
   OR every > interval '31 days';
UPDATE wf.own_detectors SET every = '1 day'
WHERE extract(year FROM every) <> 0 OR extract(month FROM every) <> 0 OR extract(day FROM every) NOT BETWEEN 0 AND 31;
UPDATE wf.detectors SET every = '1 day'
WHERE extract(year FROM every) <> 0 OR extract(month FROM every) <> 0 OR extract(day FROM every) NOT BETWEEN 0 AND 31;
DO $$
DECLARE
  at text[];
BEGIN
  FOREACH at SLICE 1 IN ARRAY ARRAY[
    ['gate_schedules', 'gate_schedule_every', '5 minutes', '31 days'], ['own_detectors', 'own_detector_every', '10 seconds', '1 day'],
    ['detectors', 'detectors_every_check', '10 seconds', '1 day'], ['job_schedules', 'job_schedules_every_check', '1 second', '31 days']]
  LOOP
    EXECUTE format(
      'ALTER TABLE wf.%I DROP CONSTRAINT IF EXISTS %I, ADD CONSTRAINT %2$I CHECK (every BETWEEN interval %3$L AND interval %4$L
         AND extract(year FROM every) = 0 AND extract(month FROM every) = 0 AND extract(day FROM every) BETWEEN 0 AND 31)',
      at[1], at[2], at[3], at[4]);
  END LOOP;
END
$$;

-- Without addresses, or a search would find out for those who may not read them whether one is in an error. Like wf.job_list.
DROP INDEX wf.jobs_dead_search;
CREATE INDEX jobs_dead_search ON wf.jobs USING gin (wf.trigrams(wf.folded(
  id || E'\n' || kind || E'\n' || coalesce(tenant_id, '') || E'\n'
  || regexp_replace(coalesce(error, ''), '[^\s@]+@[^\s@]+', '', 'g')))) WHERE state = 'dead';

-- An event is written under the trail's counter. Its reference to the incident waited for whoever had that row FOR UPDATE, and
-- all that write waited with it. Incidents are never removed, and only functions write events.
ALTER TABLE wf.incident_events DROP CONSTRAINT incident_events_incident_id_fkey;
