-- What people do with alerts: take them, give them back or to somebody else, escalate and resolve them. Each writes the
-- alert, an event, and a row of the trail.

INSERT INTO wf.operations (name, role) VALUES
  ('alerts.ack', 'operator'), ('alerts.hand-over', 'operator'), ('alerts.resolve', 'operator'),
  ('alerts.unack', 'operator'), ('alerts.escalate', 'operator');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('alerts.ack', 'wf.alerts', 'update', '{state,holder,acked_at,ack_until,ack_comment}', NULL, '{"state": "acked"}', false),
  ('alerts.unack', 'wf.alerts', 'update', '{state,holder,acked_at,ack_until,ack_comment}', '{"state": "acked"}',
   '{"state": "firing"}', false),
  ('alerts.escalate', 'wf.alerts', 'update', '{state,holder,acked_at,ack_until,ack_comment,escalated_at,escalated_by}', NULL,
   '{"state": "firing"}', false),
  ('alerts.hand-over', 'wf.alerts', 'update', '{holder}', '{"state": "acked"}', NULL, false),
  ('alerts.resolve', 'wf.alerts', 'update', '{state,resolved_at,resolved_by,resolved_why}', NULL, '{"state": "resolved"}',
   false);

-- What the trail keeps of an alert: what people decide about, not the value that a worker renews.
CREATE OR REPLACE FUNCTION wf.alert_image(a wf.alerts) RETURNS jsonb LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  SELECT to_jsonb(a) - ARRAY['fingerprint', 'value', 'threshold', 'unit', 'summary', 'details', 'unknown_since',
                             'unknown_why', 'events', 'urgency', 'search']
$$;

CREATE OR REPLACE FUNCTION wf.note_alert(was wf.alerts, made wf.alerts, kind text, words text) RETURNS bigint
LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
DECLARE
  seq bigint := wf.append_audit('wf.alerts', 'alerts', 'update', ARRAY[made.id::text], ARRAY[made.tenant_id],
                                ARRAY[wf.alert_image(was)], ARRAY[wf.alert_image(made)], '{}');
BEGIN
  IF kind IS NOT NULL THEN
    INSERT INTO wf.alert_events (alert_id, n, kind, severity, value, actor, holder, until, words, audit_seq)
    VALUES (made.id, made.events, note_alert.kind, made.severity, made.value, wf.person(), made.holder, made.ack_until,
            note_alert.words, seq);
  END IF;
  RETURN seq;
END
$$;

-- The alert, locked until the change ends.
CREATE OR REPLACE FUNCTION wf.lock_alert(alert bigint) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.in_time('operator');
  SELECT FROM wf.alerts a WHERE a.id = lock_alert.alert FOR NO KEY UPDATE
$$;

CREATE OR REPLACE FUNCTION wf.refuse_alert(alert bigint, refused text) RETURNS void LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'alert % is refused: %', alert, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
END
$$;

-- Take an alert until a time. Who has it already can change the end and the comment: that is no new event.
CREATE OR REPLACE FUNCTION wf.ack_alert(alert bigint, until timestamptz, comment text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was    wf.alerts;
  made   wf.alerts;
  moment timestamptz := clock_timestamp();
BEGIN
  SELECT * INTO was FROM wf.alerts a WHERE a.id = alert FOR NO KEY UPDATE;
  PERFORM wf.refuse_alert(alert, CASE
    WHEN was.id IS NULL THEN 'alert_unknown'
    WHEN was.state = 'resolved' THEN 'alert_resolved'
    WHEN was.state = 'acked' AND was.holder <> wf.person() THEN 'alert_acked'
    WHEN (until > moment AND until <= moment + interval '7 days') IS NOT TRUE THEN 'alert_ack_until'
    WHEN (char_length(btrim(comment)) BETWEEN 1 AND 2000) IS NOT TRUE THEN 'alert_ack_comment' END);
  IF was.state = 'acked' AND (was.ack_until, was.ack_comment) = (until, btrim(comment)) THEN
    RETURN NULL;
  END IF;
  UPDATE wf.alerts a
  SET state = 'acked', holder = wf.person(), acked_at = coalesce(was.acked_at, moment), ack_until = until,
      ack_comment = btrim(comment), events = a.events + (was.state = 'firing')::integer, version = a.version + 1
  WHERE a.id = alert RETURNING * INTO made;
  RETURN wf.note_alert(was, made, CASE was.state WHEN 'firing' THEN 'acked' END, made.ack_comment);
END
$$;

CREATE OR REPLACE FUNCTION wf.unack_alert(alert bigint) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was  wf.alerts;
  made wf.alerts;
BEGIN
  SELECT * INTO was FROM wf.alerts a WHERE a.id = alert FOR NO KEY UPDATE;
  PERFORM wf.refuse_alert(alert, CASE WHEN was.id IS NULL THEN 'alert_unknown'
                                      WHEN was.state <> 'acked' THEN 'alert_not_acked' END);
  UPDATE wf.alerts a SET state = 'firing', holder = NULL, acked_at = NULL, ack_until = NULL, ack_comment = NULL,
         events = a.events + 1, version = a.version + 1
  WHERE a.id = alert RETURNING * INTO made;
  RETURN wf.note_alert(was, made, 'unacked', (wf.current_change()).reason);
END
$$;

-- Resolve an alert by hand. When its detector still finds it, it fires a new one.
CREATE OR REPLACE FUNCTION wf.resolve_alert(alert bigint, why text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was  wf.alerts;
  made wf.alerts;
BEGIN
  SELECT * INTO was FROM wf.alerts a WHERE a.id = alert FOR NO KEY UPDATE;
  PERFORM wf.refuse_alert(alert, CASE WHEN was.id IS NULL THEN 'alert_unknown'
                                      WHEN was.state = 'resolved' THEN 'alert_resolved'
                                      WHEN (char_length(btrim(why)) BETWEEN 1 AND 2000) IS NOT TRUE THEN 'alert_resolve_why' END);
  UPDATE wf.alerts a SET state = 'resolved', resolved_at = clock_timestamp(), resolved_by = wf.person(),
         resolved_why = btrim(why), events = a.events + 1, version = a.version + 1
  WHERE a.id = alert RETURNING * INTO made;
  RETURN wf.note_alert(was, made, 'resolved', made.resolved_why);
END
$$;

-- Give an acked alert to another operator, with the ack as it is.
CREATE OR REPLACE FUNCTION wf.hand_over_alert(alert bigint, whom text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was  wf.alerts;
  made wf.alerts;
BEGIN
  SELECT * INTO was FROM wf.alerts a WHERE a.id = alert FOR NO KEY UPDATE;
  PERFORM wf.refuse_alert(alert, CASE
    WHEN was.id IS NULL THEN 'alert_unknown'
    WHEN was.state <> 'acked' THEN 'alert_not_acked'
    WHEN was.holder = whom THEN 'alert_held'
    WHEN NOT EXISTS (SELECT FROM wf.operators o WHERE o.name = whom AND o.active) OR NOT wf.login_may(whom, 'operator')
      THEN 'alert_holder' END);
  UPDATE wf.alerts a SET holder = whom, events = a.events + 1, version = a.version + 1
  WHERE a.id = alert RETURNING * INTO made;
  RETURN wf.note_alert(was, made, 'handed_over', (wf.current_change()).reason);
END
$$;
-- Have the next level of an alert's escalations told at once: routing does so with its next round, under which no two
-- workers tell twice. Who has the alert gives it to that level, so an ack ends.
CREATE OR REPLACE FUNCTION wf.escalate_alert(alert bigint) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  was    wf.alerts;
  made   wf.alerts;
  moment timestamptz := clock_timestamp();
BEGIN
  SELECT * INTO was FROM wf.alerts a WHERE a.id = alert FOR NO KEY UPDATE;
  PERFORM wf.refuse_alert(alert, CASE
    WHEN was.id IS NULL THEN 'alert_unknown'
    WHEN was.state = 'resolved' THEN 'alert_resolved'
    ELSE wf.escalation_refusal(alert, moment) END);
  UPDATE wf.alerts a SET state = 'firing', holder = NULL, acked_at = NULL, ack_until = NULL, ack_comment = NULL,
         escalated_at = moment, escalated_by = wf.person(), events = a.events + 1, version = a.version + 1
  WHERE a.id = alert RETURNING * INTO made;
  RETURN wf.note_alert(was, made, 'escalated', (wf.current_change()).reason);
END
$$;

-- Why no level can be told at once; NULL: one can. As controlplane.alerts.escalations.check; what only the home knows is
-- whether somebody asked just now, for this alert or for one that is told together with it.
CREATE OR REPLACE FUNCTION wf.escalation_refusal(alert bigint, moment timestamptz) RETURNS text LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  WITH e AS (
    SELECT g.key, u.state, u.since, u.asked_by,
           u.level + 1 < jsonb_array_length(r.escalation -> 'levels') OR u.round < coalesce((r.escalation ->> 'repeat')::integer, 0)
             AS goes_on
    FROM wf.route_group_alerts m JOIN wf.route_groups g ON g.key = m.key JOIN wf.routes r ON r.id = g.route_id,
      LATERAL jsonb_to_record(g.state -> 'run') AS u(state text, level integer, round integer, since timestamptz, asked_by text)
    WHERE m.alert_id = escalation_refusal.alert AND r.escalation IS NOT NULL AND jsonb_typeof(g.state -> 'run') = 'object'
  )
  SELECT CASE
    WHEN count(*) = 0 THEN 'alert_not_escalating'
    WHEN bool_and(e.state = 'nobody') THEN 'alert_nobody_on_call'
    WHEN NOT bool_or(e.state IN ('running', 'acked') AND e.goes_on) THEN 'alert_last_level'
    WHEN bool_or(e.asked_by IS NOT NULL AND e.since > moment - interval '30 seconds') OR bool_or(EXISTS (
      SELECT FROM wf.route_group_alerts m JOIN wf.alerts a ON a.id = m.alert_id
      WHERE m.key = e.key AND a.resolved_at IS NULL AND a.escalated_at > e.since)) THEN 'alert_just_escalated' END
  FROM e
$$;
GRANT EXECUTE ON FUNCTION wf.lock_alert, wf.ack_alert, wf.unack_alert, wf.resolve_alert, wf.hand_over_alert, wf.escalate_alert
  TO wf_operator;
