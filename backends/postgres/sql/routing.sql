-- From what happened to alerts to deliveries. A worker's program decides (controlplane/routes/decide.py); what it decides
-- is stored here, in one transaction, and only under the round in which it was read.

CREATE OR REPLACE FUNCTION wf.note_alert_events() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.routing_due AS d (alert_id, n) SELECT alert_id, max(n) FROM new_rows GROUP BY alert_id ORDER BY alert_id
  ON CONFLICT (alert_id) DO UPDATE SET n = excluded.n, at = clock_timestamp(), fault = NULL;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER route AFTER INSERT ON wf.alert_events REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.note_alert_events();

-- What routing depends on has changed: every group is looked at again. Writers only insert, so none waits for another.
CREATE OR REPLACE FUNCTION wf.route_again() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.routing_again DEFAULT VALUES;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER route_again AFTER INSERT OR UPDATE ON wf.routes FOR EACH STATEMENT EXECUTE FUNCTION wf.route_again();
CREATE OR REPLACE TRIGGER route_again AFTER INSERT OR UPDATE ON wf.silences
  FOR EACH STATEMENT EXECUTE FUNCTION wf.route_again();
CREATE OR REPLACE TRIGGER route_again AFTER INSERT OR UPDATE ON wf.maintenance
  FOR EACH STATEMENT EXECUTE FUNCTION wf.route_again();

GRANT SELECT ON wf.routing_due, wf.route_groups, wf.route_group_alerts TO wf_viewer, wf_worker;
GRANT SELECT ON wf.routing TO wf_viewer, wf_worker;
GRANT SELECT (id, tenant_id, kind, labels, severity, value, threshold, unit, summary, details, state, fired_at, ack_until,
              unknown_since, resolved_at, escalated_at, escalated_by) ON wf.alerts TO wf_viewer, wf_worker;

-- Begin to route: the number of the round under which what is decided has to be stored.
CREATE OR REPLACE FUNCTION wf.begin_routing() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  changed bigint;
BEGIN
  WITH gone AS (DELETE FROM wf.routing_again RETURNING 1) SELECT count(*) INTO changed FROM gone;
  IF changed > 0 THEN
    UPDATE wf.route_groups SET next_at = clock_timestamp() WHERE open AND (next_at IS NULL OR next_at > clock_timestamp());
  END IF;
  RETURN (SELECT round FROM wf.routing);
END
$$;

-- Store what was decided in a round. False: another worker stored something meanwhile, and nothing was stored now.
-- decided: [{"key", "route", "number", "state", "stages", "next_at", "open", "alerts": {id: stages}, "gone": [id],
--            "deliveries": [{"key", "number", "person", "contact", "level", "action", "reason", "severity",
--                            "event_type", "tenant_id", "summary", "dedupe_key", "notice", "alerts": [id], "resolved": [id]}]}]
-- routed: {alert id: its newest event that was read}; faults: {"alerts": {id: words}, "groups": {key: words}}.
CREATE OR REPLACE FUNCTION wf.store_routing(in_round bigint, decided jsonb, routed jsonb, faults jsonb, again boolean)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  made bigint[];
BEGIN
  UPDATE wf.routing SET round = round + 1, routed_at = clock_timestamp() WHERE round = in_round;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO wf.route_groups AS g (key, route_id, number, state, stages, next_at, open)
  SELECT d.key, d.route, d.number, d.state, d.stages, d.next_at, d.open
  FROM jsonb_to_recordset(decided) AS d(key text, route bigint, number integer, state jsonb, stages jsonb,
                                        next_at timestamptz, open boolean)
  ORDER BY d.key
  ON CONFLICT (key) DO UPDATE SET number = excluded.number, state = excluded.state, stages = excluded.stages,
    decided_at = clock_timestamp(), next_at = excluded.next_at, open = excluded.open, fault = NULL;

  INSERT INTO wf.route_group_alerts AS a (alert_id, key, stages)
  SELECT e.key::bigint, d.key, e.value
  FROM jsonb_to_recordset(decided) AS d(key text, alerts jsonb), jsonb_each(d.alerts) e
  ORDER BY 1, 2
  ON CONFLICT (alert_id, key) DO UPDATE SET stages = CASE excluded.stages WHEN '[]' THEN a.stages ELSE excluded.stages END;
  DELETE FROM wf.route_group_alerts a
  USING jsonb_to_recordset(decided) AS d(key text, gone bigint[]) WHERE a.key = d.key AND a.alert_id = ANY (d.gone);

  WITH n AS (
    SELECT d.key AS group_key, d.route, x.* FROM jsonb_to_recordset(decided) AS d(key text, route bigint, deliveries jsonb),
      jsonb_to_recordset(d.deliveries) AS x(key text, number integer, person text, contact bigint, level smallint,
        action text, reason text, severity text, event_type text, tenant_id text, summary text, dedupe_key text, notice jsonb)
  ), told AS (
    INSERT INTO wf.deliveries (key, route_id, group_key, number, tenant_id, person, contact_id, level, action, reason,
                               severity, event_type, summary, dedupe_key, notice, state)
    SELECT n.key, n.route, n.group_key, n.number, n.tenant_id, n.person, c.id, n.level, n.action, n.reason, n.severity,
           n.event_type, n.summary, n.dedupe_key, n.notice,
           CASE WHEN c.id IS NULL
                  AND EXISTS (SELECT FROM wf.endpoints h WHERE h.id = n.route AND h.disabled IS NOT NULL)
                THEN 'held' ELSE 'waiting' END
    FROM n LEFT JOIN wf.contacts c ON c.id = n.contact AND c.person = n.person AND c.removed_at IS NULL
    ORDER BY n.group_key, n.number
    ON CONFLICT (group_key, number) WHERE group_key <> '' DO NOTHING
    RETURNING id, group_key, number
  ), about AS (
    INSERT INTO wf.delivery_alerts (alert_id, delivery_id, resolved)
    SELECT a.id, t.id, bool_and(a.resolved)
    FROM jsonb_to_recordset(decided) AS d(key text, deliveries jsonb),
      jsonb_to_recordset(d.deliveries) AS x(number integer, alerts bigint[], resolved bigint[]),
      LATERAL (SELECT unnest(x.alerts) AS id, false AS resolved UNION ALL SELECT unnest(x.resolved), true) a,
      told t WHERE t.group_key = d.key AND t.number = x.number
    GROUP BY a.id, t.id
    RETURNING delivery_id
  )
  SELECT array_agg(DISTINCT t.id) INTO made FROM told t LEFT JOIN about b ON b.delivery_id = t.id;

  UPDATE wf.route_groups g SET fault = left(f.value, 2000), next_at = NULL
  FROM jsonb_each_text(faults -> 'groups') f WHERE g.key = f.key;
  UPDATE wf.routing_due r SET fault = left(f.value, 2000)
  FROM jsonb_each_text(faults -> 'alerts') f WHERE r.alert_id = f.key::bigint AND r.n <= (routed ->> f.key)::integer;
  DELETE FROM wf.routing_due r USING jsonb_each_text(routed) e
  WHERE r.alert_id = e.key::bigint AND r.n <= e.value::integer AND NOT (faults -> 'alerts') ? e.key;
  IF again THEN
    INSERT INTO wf.routing_again DEFAULT VALUES;
  END IF;
  IF made IS NOT NULL THEN
    PERFORM wf.queue_deliveries();
    PERFORM pg_notify('wf', 'deliveries');
  END IF;
  RETURN true;
END
$$;
GRANT EXECUTE ON FUNCTION wf.begin_routing, wf.store_routing TO wf_worker;
