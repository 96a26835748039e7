CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON wf.alert_events
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_rewriting();

-- Evaluating: what a detector found is compared with its open alerts.

-- What was found, without what cannot be kept: a number that is not finite, a text that is too long. A row that could
-- be no alert at all is left out, so that it does not stop the others.
CREATE OR REPLACE FUNCTION wf.sound_findings(found wf.finding[]) RETURNS SETOF wf.finding LANGUAGE sql IMMUTABLE
SET search_path = wf, pg_temp AS $$
  SELECT f.tenant_id, f.labels, f.severity, CASE WHEN abs(f.value) < 'Infinity' THEN f.value END,
         CASE WHEN abs(f.threshold) < 'Infinity' THEN f.threshold END, left(coalesce(f.unit, ''), 400),
         left(f.summary, 500), CASE WHEN octet_length(f.details::text) <= 16384 THEN f.details ELSE '{}' END,
         left(f.silent, 2000)
  FROM unnest(found) f
  WHERE wf.severity_rank(f.severity) IS NOT NULL AND f.summary <> '' AND coalesce(char_length(f.tenant_id) BETWEEN 1 AND 400, true)
    AND jsonb_typeof(f.labels) = 'object' AND octet_length(f.labels::text) <= 4096
    AND coalesce(jsonb_typeof(f.details), '') = 'object'
$$;

-- What follows for each alert: which events it gets. A dry run and an evaluation both ask this.
CREATE OR REPLACE FUNCTION wf.compare_findings(this wf.detectors, found wf.finding[])
RETURNS TABLE (alert_id bigint, does text[], fingerprint bytea, tenant_id text, labels jsonb, severity text,
               value double precision, threshold double precision, unit text, summary text, details jsonb, silent text)
LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  WITH n AS MATERIALIZED (
    SELECT DISTINCT ON (p.print) p.print, f.* FROM wf.sound_findings(found) f,
      LATERAL (SELECT wf.fingerprint(f.tenant_id, this.name, f.labels) AS print) p
    ORDER BY p.print, wf.severity_rank(f.severity) DESC
  ), o AS MATERIALIZED (
    SELECT a.* FROM wf.alerts a WHERE a.kind = this.name AND a.resolved_at IS NULL
  )
  SELECT o.id, CASE
           WHEN o.id IS NULL THEN CASE WHEN n.silent IS NULL THEN ARRAY['fired'] ELSE '{}' END
           WHEN n.silent IS NOT NULL THEN CASE WHEN o.unknown_since IS NULL THEN ARRAY['unknown'] ELSE '{}' END
           WHEN n.print IS NULL AND NOT this.stays THEN ARRAY['resolved']
           ELSE array_remove(ARRAY[
             CASE WHEN o.unknown_since IS NOT NULL THEN 'known' END,
             CASE WHEN wf.severity_rank(n.severity) > wf.severity_rank(o.severity) THEN 'raised'
                  WHEN wf.severity_rank(n.severity) < wf.severity_rank(o.severity) THEN 'lowered' END], NULL) END,
         coalesce(o.fingerprint, n.print), coalesce(n.tenant_id, o.tenant_id), coalesce(n.labels, o.labels),
         -- What is not known now leaves the alert as it was.
         coalesce(CASE WHEN n.silent IS NULL THEN n.severity END, o.severity, n.severity),
         CASE WHEN n.silent IS NULL THEN n.value END, CASE WHEN n.silent IS NULL THEN n.threshold END,
         CASE WHEN n.silent IS NULL THEN n.unit END,
         coalesce(CASE WHEN n.silent IS NULL THEN n.summary END, o.summary, n.summary),
         CASE WHEN n.silent IS NULL THEN n.details END, n.silent
  FROM n FULL JOIN o ON o.fingerprint = n.print
$$;

-- Write what follows, with its events. Alerts that somebody is changing just now wait for the next time (`free` are the
-- others); the unique index makes sure that no two workers open one alert twice. Returns the number of events by kind.
CREATE OR REPLACE FUNCTION wf.apply_findings(this wf.detectors, found wf.finding[], free bigint[]) RETURNS jsonb
LANGUAGE sql SET search_path = wf, pg_temp AS $$
  WITH changes AS MATERIALIZED (
    SELECT * FROM wf.compare_findings(this, found) c WHERE c.alert_id IS NULL OR c.alert_id = ANY (free)
  ), born AS (
    INSERT INTO wf.alerts AS a (kind, tenant_id, labels, severity, value, threshold, unit, summary, details, previous_id, events)
    SELECT this.name, c.tenant_id, c.labels, c.severity, c.value, c.threshold, c.unit, c.summary, c.details,
           (SELECT p.id FROM wf.alerts p WHERE p.fingerprint = c.fingerprint ORDER BY p.id DESC LIMIT 1), 1
    FROM changes c WHERE c.does = ARRAY['fired'] ORDER BY wf.severity_rank(c.severity) DESC, c.tenant_id
    ON CONFLICT (fingerprint) WHERE resolved_at IS NULL DO NOTHING
    RETURNING a.id, a.severity, a.value, a.summary
  ), altered AS (
    UPDATE wf.alerts a
    SET severity = c.severity, value = coalesce(c.value, a.value), threshold = coalesce(c.threshold, a.threshold),
        unit = coalesce(c.unit, a.unit), summary = c.summary, details = coalesce(c.details, a.details),
        unknown_since = CASE WHEN c.silent IS NOT NULL THEN coalesce(a.unknown_since, clock_timestamp()) END,
        unknown_why = c.silent,
        state = CASE WHEN c.does = ARRAY['resolved'] THEN 'resolved' ELSE a.state END,
        resolved_at = CASE WHEN c.does = ARRAY['resolved'] THEN clock_timestamp() END,
        events = a.events + cardinality(c.does),
        version = a.version + (c.does && ARRAY['raised', 'lowered', 'resolved'])::integer
    FROM changes c
    WHERE a.id = c.alert_id AND (c.does <> '{}' OR c.silent IS NULL AND c.details IS NOT NULL
      AND (a.value, a.threshold, a.summary, a.details) IS DISTINCT FROM (c.value, c.threshold, c.summary, c.details))
    RETURNING a.id, a.events, a.severity, a.value, a.holder, c.does, coalesce(c.silent, a.summary) AS words
  ), told AS (
    INSERT INTO wf.alert_events (alert_id, n, kind, severity, value, holder, words)
    SELECT b.id, 1, 'fired', b.severity, b.value, NULL, b.summary FROM born b
    UNION ALL
    SELECT a.id, a.events - cardinality(a.does) + e.place, e.kind, a.severity, a.value, a.holder,
           CASE WHEN e.kind = 'resolved' THEN 'it is no longer found' WHEN e.kind <> 'known' THEN a.words END
    FROM altered a, unnest(a.does) WITH ORDINALITY AS e(kind, place)
    RETURNING kind
  )
  SELECT coalesce(jsonb_object_agg(t.kind, t.n), '{}') FROM (SELECT kind, count(*) AS n FROM told GROUP BY kind) t
$$;

-- Nothing is known of these alerts now: none of them is resolved by that. Returns how many were known before.
CREATE OR REPLACE FUNCTION wf.mark_unknown(detector text, why text, free bigint[]) RETURNS bigint
LANGUAGE sql SET search_path = wf, pg_temp AS $$
  WITH marked AS (
    UPDATE wf.alerts a SET unknown_since = clock_timestamp(), unknown_why = left(why, 2000), events = a.events + 1
    WHERE a.kind = mark_unknown.detector AND a.resolved_at IS NULL AND a.unknown_since IS NULL AND a.id = ANY (free)
    RETURNING a.id, a.events, a.severity, a.value, a.holder, a.unknown_why
  ), told AS (
    INSERT INTO wf.alert_events (alert_id, n, kind, severity, value, holder, words)
    SELECT m.id, m.events, 'unknown', m.severity, m.value, m.holder, m.unknown_why FROM marked m RETURNING 1
  )
  SELECT count(*) FROM told
$$;

-- An ack that is over while its alert is open: it fires again. Returns how many.
CREATE OR REPLACE FUNCTION wf.end_acks(detector text, free bigint[]) RETURNS bigint
LANGUAGE sql SET search_path = wf, pg_temp AS $$
  WITH was AS (
    SELECT a.id, a.holder FROM wf.alerts a
    WHERE a.kind = end_acks.detector AND a.resolved_at IS NULL AND a.ack_until <= clock_timestamp() AND a.id = ANY (free)
  ), ended AS (
    UPDATE wf.alerts a SET state = 'firing', holder = NULL, acked_at = NULL, ack_until = NULL, ack_comment = NULL,
           events = a.events + 1, version = a.version + 1
    FROM was WHERE a.id = was.id RETURNING a.id, a.events, a.severity, a.value, was.holder
  ), told AS (
    INSERT INTO wf.alert_events (alert_id, n, kind, severity, value, words)
    SELECT e.id, e.events, 'ack_ended', e.severity, e.value, 'the ack of ' || e.holder || ' is over' FROM ended e RETURNING 1
  )
  SELECT count(*) FROM told
$$;

-- Evaluate a detector for all tenants at once. A computed one is given what the worker's program found (`given`), in how
-- many ms, or why it failed (`trouble`). A failure is written down, and so is a silent source; then nothing is fired or
-- resolved. While another worker evaluates the same detector, nothing is done (NULL). What was stored counts as seen (by
-- those that look at what was stored) once all that was found is written: an alert that somebody is changing is not.
-- Returns the number of events.
CREATE OR REPLACE FUNCTION wf.evaluate(
  detector text, given jsonb DEFAULT NULL, in_ms double precision DEFAULT NULL, trouble text DEFAULT NULL
) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  this    wf.detectors;
  begun   timestamptz := clock_timestamp();
  most    interval := current_setting('statement_timeout')::interval;
  open    bigint[];
  results wf.finding[];
  quiet   text;
  broken  text := nullif(left(trouble, 2000), '');
  took    double precision := CASE WHEN in_ms BETWEEN 0 AND 1e9 THEN in_ms END;
  told    jsonb := '{}';
  more    bigint;
  horizon bigint := txid_snapshot_xmin(txid_current_snapshot());  -- what transactions before it stored is visible below
  left_out boolean;
BEGIN
  SELECT * INTO this FROM wf.detectors d WHERE d.name = evaluate.detector FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    PERFORM FROM wf.detectors d WHERE d.name = evaluate.detector;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'there is no detector %', left(detector, 100)
        USING ERRCODE = 'check_violation', CONSTRAINT = 'detector_unknown';
    END IF;
    RETURN NULL;
  END IF;
  open := ARRAY(SELECT a.id FROM wf.alerts a WHERE a.kind = this.name AND a.resolved_at IS NULL
                FOR NO KEY UPDATE SKIP LOCKED);
  left_out := EXISTS (SELECT FROM wf.alerts a WHERE a.kind = this.name AND a.resolved_at IS NULL AND a.id <> ALL (open));
  IF broken IS NULL THEN
    BEGIN
      quiet := wf.silence_of(this.source);
      IF quiet IS NULL THEN
        results := wf.findings_of(this, given);
        took := coalesce(took, extract(epoch FROM clock_timestamp() - begun) * 1000);
        told := wf.apply_findings(this, results, open);
      END IF;
    EXCEPTION
      WHEN query_canceled THEN  -- by the statement's time limit; anything else that cancels it ends the whole evaluation
        IF most = interval '0' OR clock_timestamp() - statement_timestamp() < most THEN
          RAISE;
        END IF;
        broken := 'it took longer than ' || current_setting('statement_timeout');
      WHEN OTHERS THEN
        broken := left(SQLERRM || ' (SQLSTATE ' || SQLSTATE || ')', 2000);
    END;
  END IF;
  IF coalesce(broken, quiet) IS NOT NULL THEN
    more := wf.mark_unknown(this.name, coalesce('its detector failed: ' || broken, quiet), open);
    told := CASE WHEN more > 0 THEN jsonb_build_object('unknown', more) ELSE '{}' END;
  END IF;
  more := wf.end_acks(this.name, open);
  told := told || CASE WHEN more > 0 THEN jsonb_build_object('ack_ended', more) ELSE '{}' END;
  UPDATE wf.detectors d
  SET looked_at = clock_timestamp(), silent = quiet, error = broken, took_ms = coalesce(took, d.took_ms),
      known_at = CASE WHEN coalesce(broken, quiet) IS NULL THEN clock_timestamp() ELSE d.known_at END,
      found = CASE WHEN coalesce(broken, quiet) IS NULL THEN coalesce(cardinality(results), 0) ELSE d.found END,
      seen = CASE WHEN coalesce(broken, quiet) IS NULL AND NOT left_out AND d.seen IS NOT NULL THEN horizon ELSE d.seen END
  WHERE d.name = this.name;
  IF told <> '{}' THEN
    PERFORM pg_notify('wf', 'alerts ' || this.name);
  END IF;
  RETURN told;
END
$$;

-- What an evaluation would do now, for people; it writes nothing. At most 200 alerts are listed, all are counted.
CREATE OR REPLACE FUNCTION wf.would_evaluate(detector text, given jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  this    wf.detectors := (SELECT d FROM wf.detectors d WHERE d.name = would_evaluate.detector);
  begun   timestamptz := clock_timestamp();
  quiet   text;
  results wf.finding[];
  took    double precision;
BEGIN
  PERFORM wf.in_time('operator');
  IF this.name IS NULL THEN
    RAISE EXCEPTION 'there is no detector %', left(detector, 100)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'detector_unknown';
  END IF;
  quiet := wf.silence_of(this.source);
  IF quiet IS NOT NULL THEN
    RETURN jsonb_build_object('silent', quiet, 'counts', jsonb_build_object('unknown', (
      SELECT count(*) FROM wf.alerts a WHERE a.kind = this.name AND a.resolved_at IS NULL AND a.unknown_since IS NULL)));
  END IF;
  results := wf.findings_of(this, given);
  took := extract(epoch FROM clock_timestamp() - begun) * 1000;
  RETURN (
    WITH changes AS MATERIALIZED (
      SELECT c.*, row_number() OVER (ORDER BY c.does = '{}', wf.severity_rank(c.severity) DESC, c.tenant_id, c.fingerprint) AS place
      FROM wf.compare_findings(this, results) c
    )
    SELECT jsonb_build_object(
      'silent', NULL, 'found', coalesce(cardinality(results), 0), 'took_ms', took,
      'counts', (SELECT coalesce(jsonb_object_agg(e.kind, e.n), '{}') FROM (
        SELECT kind, count(*) AS n FROM changes c, unnest(CASE WHEN c.does = '{}' THEN ARRAY['unchanged'] ELSE c.does END) AS kind
        GROUP BY kind) e),
      'alerts', (SELECT coalesce(jsonb_agg(jsonb_build_object(
          'does', CASE WHEN c.does = '{}' THEN ARRAY['unchanged'] ELSE c.does END, 'id', c.alert_id,
          'tenant_id', c.tenant_id, 'labels', c.labels, 'severity', c.severity, 'value', c.value,
          'threshold', c.threshold, 'unit', c.unit, 'summary', coalesce(c.silent, c.summary)) ORDER BY c.place), '[]')
        FROM changes c WHERE c.place <= 200)));
END
$$;
GRANT EXECUTE ON FUNCTION wf.evaluate TO wf_worker;
GRANT EXECUTE ON FUNCTION wf.would_evaluate TO wf_operator;

-- Not evaluated for some periods: what it last found is no longer current.
CREATE OR REPLACE FUNCTION wf.is_late(looked_at timestamptz, every interval) RETURNS boolean LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT (looked_at >= clock_timestamp() - 3 * every - interval '1 minute') IS NOT TRUE;
END;
GRANT EXECUTE ON FUNCTION wf.is_late, wf.severity_rank TO wf_viewer;
GRANT EXECUTE ON FUNCTION wf.is_late, wf.severity_rank TO wf_worker;  -- for gates that it runs by a schedule

-- What people read. Of an alert whose detector has not been evaluated for some periods nothing is known, whether or not
-- somebody has written that down: the worker that would may be what is missing.
CREATE VIEW wf.alert_list AS
SELECT a.id, a.kind, a.tenant_id, a.labels, encode(a.fingerprint, 'hex') AS fingerprint, a.fingerprint AS print, a.severity, a.value, a.threshold,
       a.unit, a.summary, a.details,
       CASE WHEN a.state <> 'resolved' AND (a.unknown_since IS NOT NULL OR wf.is_late(d.looked_at, d.every)) THEN 'unknown'
            ELSE a.state END AS standing,
       a.state, a.fired_at, a.holder, a.acked_at, a.ack_until, a.ack_comment, a.unknown_since,
       CASE WHEN a.unknown_why IS NOT NULL THEN a.unknown_why::text
            WHEN a.state <> 'resolved' AND wf.is_late(d.looked_at, d.every) THEN 'its detector has not been evaluated since '
              || coalesce(to_char(d.looked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), 'it was made') END AS unknown_why,
       a.resolved_at, a.resolved_by, a.resolved_why, a.previous_id,
       (SELECT count(*) FROM wf.alerts p WHERE p.fingerprint = a.fingerprint AND p.fired_at > a.fired_at - interval '24 hours'
          AND p.id <= a.id) AS fires,
       a.version, a.urgency, a.search,
       (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                 'route', r.name, 'run', g.state -> 'run', 'escalation', r.escalation,
                 'held', g.state #>> ARRAY['held', a.id::text, 'code'],
                 'until', jsonb_path_query_first(m.stages, '$[*] ? (@.verdict == "hold").until')))), '[]')
        FROM (SELECT o.* FROM wf.route_group_alerts o WHERE o.alert_id = a.id AND a.resolved_at IS NULL LIMIT 20) m
          JOIN wf.route_groups g USING (key) JOIN wf.routes r ON r.id = g.route_id) AS routing  -- as it was decided last
FROM wf.alerts a LEFT JOIN wf.detectors d ON d.name = a.kind;
GRANT SELECT ON wf.alert_list, wf.alert_events TO wf_viewer;
GRANT SELECT ON wf.alert_list TO wf_worker;  -- it judges whether a silence has anything to hide

CREATE VIEW wf.detector_list AS
SELECT d.name, d.every, d.means, d.looked_at, d.known_at, d.next_at, d.took_ms, d.found, d.silent, d.error,
       CASE WHEN d.looked_at IS NULL THEN 'never' WHEN wf.is_late(d.looked_at, d.every) THEN 'late'
            WHEN d.error IS NOT NULL THEN 'failed' WHEN d.silent IS NOT NULL THEN 'silent' ELSE 'ok' END AS state,
       (SELECT count(*) FROM wf.alerts a WHERE a.kind = d.name AND a.resolved_at IS NULL) AS open,
       o.language, o.statement, wf.folded(d.name || E'\n' || d.means) AS search
FROM wf.detectors d LEFT JOIN wf.own_detectors o ON o.name = d.name;
GRANT SELECT ON wf.detector_list TO wf_viewer;
GRANT SELECT ON wf.detector_list TO wf_worker;  -- for gates that it runs by a schedule

-- Delete alerts that were resolved more than 400 days ago, in bounded bites.
CREATE OR REPLACE FUNCTION wf.prune_alerts() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  pruned bigint;
BEGIN
  DELETE FROM wf.alerts a WHERE a.id IN (
    SELECT o.id FROM wf.alerts o WHERE o.resolved_at < now() - interval '400 days' ORDER BY o.resolved_at LIMIT 5000
    FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END
$$;
GRANT EXECUTE ON FUNCTION wf.prune_alerts TO wf_worker;
