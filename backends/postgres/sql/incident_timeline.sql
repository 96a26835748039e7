-- The timeline that writes itself: what was done, from the trail's rows, in the transaction that wrote them; what alerts did,
-- from a worker, since those who write them must not wait. And the incidents as they are read.

CREATE OR REPLACE FUNCTION wf.role_words(role text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE role WHEN 'conn' THEN 'the conn' ELSE 'the role of ' || role END;

-- "10 min": how long something lasts, to the minute.
CREATE OR REPLACE FUNCTION wf.minutes_words(until timestamptz, at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE
RETURN greatest(1, round(extract(epoch FROM until - at) / 60)) || ' min';

-- What a row of the trail says of the incident itself: the events in their order. What a person said is written elsewhere
-- (wf.say_in_incident).
CREATE OR REPLACE FUNCTION wf.told_of_incident(n wf.audit)
RETURNS TABLE (kind text, words text, becomes text, happened_at timestamptz) LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT v.kind, v.words || CASE WHEN v.why AND n.reason <> '' THEN ': ' || n.reason ELSE '' END, v.becomes, coalesce(v.at, n.at)
  FROM (SELECT n.before AS o, n.after AS a, coalesce(n.after, n.before) AS r) x, LATERAL (
    SELECT 'origin' AS kind, a ->> 'origin_words' AS words, NULL AS becomes, (a ->> 'began_at')::timestamptz AS at, false AS why
    WHERE o IS NULL AND a ->> 'origin_words' IS NOT NULL
    UNION ALL SELECT 'opened', format('opened at %s: %s', a ->> 'severity', a ->> 'title'), a ->> 'severity', NULL, true
    WHERE o IS NULL AND a ? 'title'
    UNION ALL SELECT 'status', CASE WHEN o ->> 'cycle' <> a ->> 'cycle' THEN 'reopened, cycle ' || (a ->> 'cycle')
                                    ELSE (o ->> 'status') || ' → ' || (a ->> 'status') END, a ->> 'status', NULL, true
    WHERE r ? 'title' AND o ->> 'status' <> a ->> 'status'
    UNION ALL SELECT 'severity', (o ->> 'severity') || ' → ' || (a ->> 'severity'), a ->> 'severity', NULL, true
    WHERE r ? 'title' AND o ->> 'severity' <> a ->> 'severity'
    UNION ALL SELECT 'edited', 'title: ' || (a ->> 'title'), NULL, NULL, false WHERE r ? 'title' AND o ->> 'title' <> a ->> 'title'
    UNION ALL SELECT 'edited', 'summary: ' || (a ->> 'summary'), NULL, NULL, false
    WHERE r ? 'title' AND coalesce(o ->> 'summary', '') <> a ->> 'summary'
    UNION ALL SELECT 'snooze', format('customers need not be told for %s: %s',
                                                 wf.minutes_words((a ->> 'snoozed_until')::timestamptz, n.at), a ->> 'snoozed_why'), NULL, NULL, false
    WHERE r ? 'title' AND o IS NOT NULL AND a ->> 'snoozed_until' IS DISTINCT FROM o ->> 'snoozed_until'
      AND a ->> 'snoozed_until' IS NOT NULL
    UNION ALL SELECT 'affected', d.words, NULL, NULL, true FROM (
      SELECT left(string_agg(f.word || f.kind || ' ' || f.thing, ', ' ORDER BY f.word, f.kind, f.thing), 4000) AS words FROM (
        SELECT t.word, k.kind, x.thing FROM (VALUES ('affected: ', a, o), ('no longer: ', o, a)) t(word, these, others),
          (VALUES ('tenant', 'tenants'), ('region', 'regions'), ('route', 'routes')) k(kind, field),
          jsonb_array_elements_text(t.these -> k.field) x(thing)
        WHERE NOT coalesce(t.others -> k.field, '[]') ? x.thing) f) d WHERE r ? 'title' AND d.words IS NOT NULL
    UNION ALL SELECT 'role', (a ->> 'holder') || ' takes ' || wf.role_words(a ->> 'role'), a ->> 'role', NULL, true
    WHERE r ? 'offered_to' AND o IS NULL
    UNION ALL SELECT 'role', format('%s accepts %s from %s; %s', a ->> 'holder', wf.role_words(a ->> 'role'), o ->> 'holder',
                                    o ->> 'offered_summary'), a ->> 'role', NULL, false
    WHERE r ? 'offered_to' AND o ->> 'holder' <> a ->> 'holder'
    UNION ALL SELECT 'offer', CASE WHEN a ->> 'offered_to' IS NULL
        THEN format('%s did not accept %s in time: %s still has it', o ->> 'offered_to', wf.role_words(a ->> 'role'), a ->> 'holder')
        ELSE format('%s offers %s to %s for %s: %s', a ->> 'holder', wf.role_words(a ->> 'role'), a ->> 'offered_to',
                    wf.minutes_words((a ->> 'offered_until')::timestamptz, n.at), a ->> 'offered_summary') END, NULL, NULL, false
    WHERE o ->> 'holder' = a ->> 'holder' AND o -> 'offered_to' IS DISTINCT FROM a -> 'offered_to'
    UNION ALL SELECT 'role', CASE WHEN n.operation = 'incidents.close-out' THEN wf.role_words(o ->> 'role') || ' ends with the incident'
        WHEN n.actor = o ->> 'holder' THEN n.actor || ' gives ' || wf.role_words(o ->> 'role') || ' back'
        ELSE format('%s relieves %s of %s', n.actor, o ->> 'holder', wf.role_words(o ->> 'role')) END, NULL, NULL, true
    WHERE r ? 'offered_to' AND a IS NULL
    UNION ALL SELECT 'override', format('%s acts without the conn for %s: %s', a ->> 'person',
                                        wf.minutes_words((a ->> 'until')::timestamptz, n.at), a ->> 'reason'), NULL, NULL, false
    WHERE r ? 'person') v
$$;

-- The run whose doing a row of the trail is; NULL: it is none's. Only a run has such request ids (wf.check_request_id).
CREATE OR REPLACE FUNCTION wf.run_of(out_of_band boolean, request_id text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE WHEN NOT out_of_band AND request_id ~ '^run-[0-9]+-(act-|[0-9]+$)' THEN split_part(request_id, '-', 2) END;

-- What a row of the trail says of a change of what is affected.
CREATE OR REPLACE FUNCTION wf.change_words(n wf.audit) RETURNS text LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT left(CASE
    WHEN n.noun = 'decisions' THEN format('gate %s in %s: %s', n.after ->> 'gate', n.after ->> 'environment', n.after ->> 'verdict')
    WHEN n.noun = 'runs' THEN format('run %s of %s is %s', n.thing, n.after ->> 'operation', n.after ->> 'state')
    WHEN n.out_of_band THEN format('%s %s %s, by no operation', n.operation, n.noun, n.thing)
    WHEN wf.run_of(n.out_of_band, n.request_id) IS NOT NULL
      THEN format('run %s of %s reaches what is affected', wf.run_of(n.out_of_band, n.request_id), n.operation)
    ELSE n.operation || ' ' || n.thing || CASE WHEN n.reason <> '' THEN ': ' || n.reason ELSE '' END END, 4000)
$$;

-- After each statement that wrote to the trail: a change of what an incident affects needs its conn, while somebody has it, or
-- a stated override; then it is told in the timeline. Whoever is here has the trail's counter, and whoever takes the conn
-- needs it: so no change slips past a conn that was taken meanwhile. Alerts and silences bind nobody: they change who is told.
-- Background work is no person's, and the owner is bound by nothing.
CREATE OR REPLACE FUNCTION wf.tell_incidents() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET jit = off
SET search_path = wf, pg_temp AS $$
DECLARE
  held text;
  told wf.incident_events[];
BEGIN
  IF NOT EXISTS (SELECT FROM wf.incidents i WHERE i.status <> 'closed')
     AND NOT EXISTS (SELECT FROM new_rows n WHERE n.noun = 'incidents') THEN
    RETURN NULL;
  END IF;
  WITH affected AS MATERIALIZED (
    SELECT i.id AS incident_id, i.status, a.kind, a.thing FROM wf.incidents i, LATERAL (
      SELECT 'tenant' AS kind, unnest(i.tenants) AS thing UNION ALL SELECT 'region', unnest(i.regions)
      UNION ALL SELECT 'route', unnest(i.routes)) a
    WHERE i.status <> 'closed'
  ), reached AS MATERIALIZED (
    SELECT DISTINCT ON (a.incident_id, n.seq) a.incident_id, a.status, a.thing AS affected, n.*
    FROM new_rows n LEFT JOIN wf.tenants t ON t.id = n.tenant_id, LATERAL (
      SELECT 'tenant' AS kind, n.tenant_id AS thing
      UNION ALL SELECT 'region', t.region
      UNION ALL SELECT k.kind, v.row #>> k.path FROM (VALUES (n.before), (n.after)) v(row),
        (VALUES ('region', '{region}'::text[]), ('region', '{labels,region}'), ('route', '{route}'), ('route', '{labels,route}')) k(kind, path)
      UNION ALL SELECT 'tenant', m ->> 'value' FROM jsonb_path_query(n.after, '$.matchers[*] ? (@.label == "tenant" && @.op == "=")') m
      WHERE n.noun = 'silences') k
      JOIN affected a ON a.kind = k.kind AND a.thing = k.thing
    WHERE n.noun NOT IN ('incidents', 'look_ups', 'reveals', 'impersonations', 'triggers')
  ), refused AS (
    SELECT format('%s has the conn of INC-%s, and %s is affected', r.holder, m.incident_id, m.affected) AS words
    FROM reached m JOIN wf.incident_roles r ON r.incident_id = m.incident_id AND r.role = 'conn' AND r.holder <> m.actor
    WHERE m.status IN ('open', 'mitigated') AND m.noun NOT IN ('alerts', 'silences') AND wf.login_may(m.actor, 'support')
      AND NOT pg_has_role(session_user, current_user, 'MEMBER')  -- the owner
      AND NOT EXISTS (SELECT FROM wf.incident_overrides o
                      WHERE o.incident_id = m.incident_id AND o.person = m.actor AND o.until > clock_timestamp())
      AND NOT EXISTS (SELECT FROM wf.operations o WHERE o.name = m.operation AND o.role = 'owner')
    LIMIT 1
  ), events AS (
    SELECT split_part(n.thing, '/', 1)::bigint AS incident_id, n.seq, w.place, w.happened_at, w.kind, n.actor, w.words, NULL AS noun,
           NULL AS thing, n.operation, w.becomes, NULL AS source
    FROM new_rows n, LATERAL wf.told_of_incident(n.*) WITH ORDINALITY AS w(kind, words, becomes, happened_at, place)
    WHERE n.noun = 'incidents'
    UNION ALL
    -- Of many things that one statement changed, one event.
    SELECT m.incident_id, min(m.seq), 1, min(m.at), CASE WHEN m.run IS NOT NULL THEN 'run' WHEN m.noun = 'alerts' THEN 'alert' ELSE 'change' END,
           m.actor, CASE WHEN m.run IS NULL AND m.many > 20
                         THEN format('%s of %s things that are affected, %s the first of them', m.operation, m.many, left(min(m.thing), 400))
                         ELSE min(m.words) END, CASE WHEN m.run IS NULL THEN m.noun ELSE 'runs' END, left(coalesce(m.run, min(m.thing)), 400), m.operation,
           NULL, 'run ' || m.run
    FROM (SELECT r.*, wf.change_words(ROW(r.seq, r.at, r.change_id, r.out_of_band, r.actor, r.operation, r.noun, r.thing, r.tenant_id,
                   r.reason, r.request_id, r.carried_by, r.impersonation, r.before, r.after)::wf.audit) AS words,
                 wf.run_of(r.out_of_band, r.request_id) AS run,
                 count(*) OVER (PARTITION BY r.incident_id, r.noun, r.actor, r.operation) AS many FROM reached r) m
    GROUP BY m.incident_id, m.run, m.noun, m.actor, m.operation, m.many, CASE WHEN m.run IS NULL AND m.many <= 20 THEN m.seq END
    UNION ALL
    SELECT i.id, n.seq, 1, n.at, CASE n.noun WHEN 'runs' THEN 'run' ELSE 'gate' END, n.actor, wf.change_words(n.*), n.noun, left(n.thing, 400),
           n.operation, NULL, NULL
    FROM new_rows n JOIN wf.incidents i ON i.status <> 'closed'
      AND (n.operation = 'gates.decide' OR n.noun = 'runs' AND EXISTS (
        SELECT FROM wf.incident_events e WHERE e.incident_id = i.id AND e.source = 'run ' || n.thing))
  )
  SELECT (SELECT words FROM refused),
         array_agg(ROW(e.incident_id, NULL, NULL, e.happened_at, NULL, e.kind, e.actor, e.words, e.noun, e.thing, e.operation, e.becomes,
                       NULL, e.seq, e.source, NULL)::wf.incident_events ORDER BY e.seq, e.place)
  INTO held, told FROM events e;
  IF held IS NOT NULL THEN
    RAISE EXCEPTION '%', held USING ERRCODE = 'check_violation', CONSTRAINT = 'conn_held';
  ELSIF told IS NOT NULL THEN
    PERFORM wf.add_incident_events(told);
  END IF;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER tell_incidents AFTER INSERT ON wf.audit REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.tell_incidents();

-- Say that something was deployed, in a region or ('') everywhere. False: it was said already within ten minutes, or a
-- thousand were said within the hour.
CREATE OR REPLACE FUNCTION wf_data.deployed(what text, region text DEFAULT '', at timestamptz DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moment constant timestamptz := clock_timestamp();
BEGIN
  IF deployed.at < moment - interval '1 day' THEN
    RAISE EXCEPTION 'a deploy is said within a day' USING ERRCODE = 'check_violation', CONSTRAINT = 'deploy_time';
  END IF;
  INSERT INTO wf.deploys (what, region, at)
  SELECT btrim(deployed.what), coalesce(deployed.region, ''), least(coalesce(deployed.at, moment), moment)
  WHERE NOT EXISTS (SELECT FROM wf.deploys d WHERE d.recorded_at > moment - interval '10 minutes' AND d.what = btrim(deployed.what)
                    AND d.region = coalesce(deployed.region, ''))
    AND (SELECT count(*) FROM wf.deploys d WHERE d.recorded_at > moment - interval '1 hour') < 1000;
  RETURN FOUND;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.deployed TO wf_service;

-- What a worker does every few seconds: offers that nobody accepted go back, and what alerts did to what is affected is told,
-- from the beginning of the incident on, and what was deployed, from an hour before it. What people did to alerts is told by the trail. Returns the number of events.
CREATE OR REPLACE FUNCTION wf.tend_incidents() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moment constant timestamptz := clock_timestamp();
  most   constant integer := 500;
  over   bigint[] := ARRAY(SELECT i.id FROM wf.incidents i WHERE i.id IN (
    SELECT r.incident_id FROM wf.incident_roles r WHERE r.offered_until <= moment) ORDER BY i.id FOR NO KEY UPDATE SKIP LOCKED);
  told   wf.incident_events[];
  added  bigint := 0;
BEGIN
  IF over <> '{}' THEN
    PERFORM wf.open_home_change('incidents.end-offer', NULL, 'end-offer-' || pg_current_xact_id());
    UPDATE wf.incident_roles r SET offered_to = NULL, offered_until = NULL, offered_summary = NULL
    WHERE r.incident_id = ANY (over) AND r.offered_until <= moment;
    PERFORM set_config('wf.change', '', true);
  END IF;
  SELECT array_agg(ROW(f.incident_id, NULL, NULL, f.at, NULL, f.kind, f.actor, f.words, f.noun, f.thing, NULL, NULL, NULL, NULL,
                       f.source, NULL)::wf.incident_events ORDER BY f.at, f.source) INTO told
  FROM (
    (SELECT i.id AS incident_id, d.at, 'deploy' AS kind, d.recorded_by AS actor, NULL AS noun, NULL AS thing, 'deploy ' || d.id AS source,
            format('deployed %s %s', d.what, CASE d.region WHEN '' THEN 'everywhere' ELSE 'in ' || d.region END) AS words
     FROM wf.incidents i JOIN wf.incident_marks m ON m.incident_id = i.id
       JOIN wf.deploys d ON d.at >= i.began_at - interval '1 hour' AND (d.region = '' OR i.regions = '{}' OR d.region = ANY (i.regions))
     WHERE i.status <> 'closed' AND m.events < 10000 AND NOT EXISTS (
       SELECT FROM wf.incident_events x WHERE x.incident_id = i.id AND x.source = 'deploy ' || d.id)
     ORDER BY d.at LIMIT most)
    UNION ALL
    (SELECT i.id AS incident_id, e.at, 'alert', NULL, 'alerts', e.alert_id::text, format('alert %s/%s', e.alert_id, e.n),
           left(format('alert %s %s, %s: %s', e.alert_id, replace(e.kind, '_', ' '), e.severity, coalesce(e.words, a.summary)), 4000)
    FROM wf.incidents i JOIN wf.incident_marks m ON m.incident_id = i.id
      JOIN wf.alert_events e ON e.audit_seq IS NULL AND e.at >= greatest(
        i.began_at, CASE WHEN m.gathered_at > i.affected_at + interval '1 minute' THEN m.gathered_at - interval '10 minutes' END)
      JOIN wf.alerts a ON a.id = e.alert_id LEFT JOIN wf.tenants t ON t.id = a.tenant_id
    WHERE m.events < 10000  -- a flood of alerts does not bury what people say
      AND (a.tenant_id = ANY (i.tenants) OR t.region = ANY (i.regions) OR a.labels ->> 'region' = ANY (i.regions)
           OR a.labels ->> 'route' = ANY (i.routes)) AND i.status <> 'closed' AND NOT EXISTS (
      SELECT FROM wf.incident_events x WHERE x.incident_id = i.id AND x.source = format('alert %s/%s', e.alert_id, e.n))
    ORDER BY e.at LIMIT most)) f;
  IF told IS NOT NULL THEN
    added := wf.add_incident_events(told);
    PERFORM pg_notify('wf', 'incidents');
  END IF;
  IF coalesce(cardinality(told), 0) < most AND EXISTS (
    SELECT FROM wf.incidents i JOIN wf.incident_marks m ON m.incident_id = i.id
    WHERE i.status <> 'closed' AND (m.gathered_at > moment - interval '1 minute') IS NOT TRUE) THEN
    PERFORM wf.take_numbers('audit', 0);
    UPDATE wf.incident_marks m SET gathered_at = moment FROM wf.incidents i WHERE i.id = m.incident_id AND i.status <> 'closed';
    DELETE FROM wf.deploys d WHERE d.id IN (
      SELECT o.id FROM wf.deploys o WHERE o.recorded_at < moment - interval '400 days' ORDER BY o.recorded_at LIMIT 1000);
  END IF;
  RETURN added;
END
$$;
GRANT EXECUTE ON FUNCTION wf.tend_incidents TO wf_worker;

CREATE VIEW wf.incident_list AS
SELECT i.id, i.title, i.summary, i.severity, i.status, i.cycle, i.origin_noun, i.origin, i.origin_words, i.began_at, i.opened_at,
       i.opened_by, i.cycle_at, i.mitigated_at, i.resolved_at, i.closed_at, i.snoozed_until, i.snoozed_why, i.version, i.urgency, i.search,
       (SELECT r.holder FROM wf.incident_roles r WHERE r.incident_id = i.id AND r.role = 'commander') AS commander,
       (SELECT r.holder FROM wf.incident_roles r WHERE r.incident_id = i.id AND r.role = 'conn') AS conn,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('role', r.role, 'holder', r.holder, 'since', r.since)
                 || CASE WHEN r.offered_until > now() THEN jsonb_build_object('offered_to', r.offered_to, 'until', r.offered_until,
                         'summary', r.offered_summary) ELSE '{}' END ORDER BY r.role), '[]')
        FROM wf.incident_roles r WHERE r.incident_id = i.id) AS roles,
       i.tenants, i.regions, i.routes,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('person', o.person, 'until', o.until, 'reason', o.reason) ORDER BY o.person), '[]')
        FROM wf.incident_overrides o WHERE o.incident_id = i.id AND o.until > now()) AS overrides,
       m.events, m.told_at,
       CASE WHEN i.status IN ('open', 'mitigated') AND u.minutes IS NOT NULL THEN
         greatest(greatest(i.cycle_at, i.severity_at, m.told_at) + make_interval(mins => u.minutes), i.snoozed_until) END AS update_due
FROM wf.incidents i LEFT JOIN wf.incident_marks m ON m.incident_id = i.id
LEFT JOIN wf.update_intervals u ON u.severity = i.severity;

-- Addresses in what people wrote are masked for those who may not read them.
CREATE VIEW wf.incident_event_list AS
SELECT e.incident_id, e.seq, e.cycle, e.happened_at, e.recorded_at, e.kind, e.actor,
       CASE WHEN (SELECT wf.sees_personal()) THEN e.words ELSE wf.without_mail(e.words) END AS words,
       e.noun, e.thing, e.operation, e.becomes, e.corrects, e.audit_seq, e.search,
       -- Not EXISTS: that would be answered for all events at once.
       coalesce((SELECT true FROM wf.incident_events c WHERE c.incident_id = e.incident_id AND c.corrects = e.seq LIMIT 1), false) AS corrected,
       CASE WHEN (SELECT wf.sees_personal()) THEN v.view ELSE wf.without_addresses(v.view) END AS view
FROM wf.incident_events e LEFT JOIN wf.incident_views v USING (incident_id, seq);
GRANT SELECT ON wf.incident_list, wf.incident_event_list TO wf_viewer;
