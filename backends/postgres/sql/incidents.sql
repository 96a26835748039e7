-- Incidents: what people do with them, what each lets be changed of what is affected, and the timeline that writes itself.
INSERT INTO wf.operations (name, role) VALUES
  ('incidents.open', 'operator'), ('incidents.edit', 'operator'), ('incidents.severity', 'operator'),
  ('incidents.mitigate', 'operator'), ('incidents.resolve', 'operator'), ('incidents.close-out', 'operator'),
  ('incidents.reopen', 'operator'), ('incidents.snooze', 'operator'), ('incidents.affect', 'operator'),
  ('incidents.unaffect', 'operator'), ('incidents.take', 'operator'), ('incidents.offer', 'operator'),
  ('incidents.accept', 'operator'), ('incidents.return', 'operator'), ('incidents.relieve', 'operator'),
  ('incidents.override', 'operator'), ('incidents.note', 'support'), ('incidents.post', 'support'), ('incidents.correct', 'support'),
  ('incidents.tell-customers', 'operator'), ('incidents.interval', 'admin'), ('incidents.end-offer', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('incidents.open', 'wf.incidents', 'insert', NULL, NULL, '{"status": "open", "cycle": 1}', false),
  ('incidents.edit', 'wf.incidents', 'update', '{title,summary}', NULL, NULL, false),
  ('incidents.severity', 'wf.incidents', 'update', '{severity,severity_at,urgency}', NULL, NULL, false),
  ('incidents.mitigate', 'wf.incidents', 'update', '{status,mitigated_at,urgency}', '{"status": "open"}', '{"status": "mitigated"}', false),
  ('incidents.resolve', 'wf.incidents', 'update', '{status,resolved_at,urgency,snoozed_until,snoozed_why}', NULL,
   '{"status": "resolved"}', false),
  ('incidents.close-out', 'wf.incidents', 'update', '{status,closed_at,urgency}', '{"status": "resolved"}', '{"status": "closed"}', false),
  ('incidents.close-out', 'wf.incident_roles', 'delete', NULL, NULL, NULL, true),
  ('incidents.reopen', 'wf.incidents', 'update', '{status,cycle,cycle_at,mitigated_at,resolved_at,closed_at,urgency}', NULL,
   '{"status": "open"}', false),
  ('incidents.snooze', 'wf.incidents', 'update', '{snoozed_until,snoozed_why}', NULL, NULL, false),
  ('incidents.affect', 'wf.incidents', 'update', '{tenants,regions,routes,affected_at}', NULL, NULL, false),
  ('incidents.unaffect', 'wf.incidents', 'update', '{tenants,regions,routes,affected_at}', NULL, NULL, false),
  ('incidents.take', 'wf.incident_roles', 'insert', NULL, NULL, NULL, false),
  ('incidents.offer', 'wf.incident_roles', 'update', '{offered_to,offered_until,offered_summary}', NULL, NULL, false),
  ('incidents.end-offer', 'wf.incident_roles', 'update', '{offered_to,offered_until,offered_summary}', NULL,
   '{"offered_to": null}', true),
  ('incidents.accept', 'wf.incident_roles', 'update', '{holder,since,offered_to,offered_until,offered_summary}', NULL,
   '{"offered_to": null}', false),
  ('incidents.return', 'wf.incident_roles', 'delete', NULL, NULL, NULL, false),
  ('incidents.relieve', 'wf.incident_roles', 'delete', NULL, NULL, NULL, false),
  ('incidents.interval', 'wf.update_intervals', 'update', '{minutes}', NULL, NULL, false),
  ('incidents.override', 'wf.incident_overrides', 'insert', NULL, NULL, NULL, false),
  ('incidents.override', 'wf.incident_overrides', 'update', '{until,reason}', NULL, NULL, false),
  ('incidents.note', 'wf.incident_events', 'insert', NULL, NULL, '{"kind": "note"}', false),
  ('incidents.post', 'wf.incident_events', 'insert', NULL, NULL, '{"kind": "view"}', false),
  ('incidents.correct', 'wf.incident_events', 'insert', NULL, NULL, '{"kind": "correction"}', false),
  ('incidents.tell-customers', 'wf.incident_events', 'insert', NULL, NULL, '{"kind": "customers"}', false);

CREATE OR REPLACE FUNCTION wf.refuse_incident(incident bigint, refused text, why text DEFAULT '') RETURNS void LANGUAGE plpgsql
SET search_path = wf, pg_temp AS $$
BEGIN
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'INC-% is refused: %', incident, coalesce(nullif(why, ''), refused)
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
END
$$;

-- The incident, locked until the change ends. Whoever changes anything of it comes by here, so two of them never both win.
CREATE OR REPLACE FUNCTION wf.lock_incident(incident bigint) RETURNS wf.incidents LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  this wf.incidents;
BEGIN
  PERFORM wf.in_time('support');
  SELECT * INTO this FROM wf.incidents i WHERE i.id = incident FOR NO KEY UPDATE;
  PERFORM wf.refuse_incident(incident, CASE WHEN this.id IS NULL THEN 'incident_unknown' END);
  RETURN this;
END
$$;

-- The incident itself. What the home knows is not the caller's to say.
CREATE OR REPLACE FUNCTION wf.guard_incident() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  moment  constant timestamptz := clock_timestamp();
  own     constant text[] := '{title,summary,severity,status,tenants,regions,routes,snoozed_until,snoozed_why,version,updated_at,urgency,search}';
  known   text[] := '{}';  -- tenants that may be gone by now
  refused text;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    known := OLD.tenants;
  END IF;
  NEW.tenants := ARRAY(SELECT DISTINCT btrim(x) FROM unnest(NEW.tenants) x ORDER BY 1);
  NEW.regions := ARRAY(SELECT DISTINCT btrim(x) FROM unnest(NEW.regions) x ORDER BY 1);
  NEW.routes := ARRAY(SELECT DISTINCT btrim(x) FROM unnest(NEW.routes) x ORDER BY 1);
  IF TG_OP = 'INSERT' THEN
    NEW.id := wf.take_numbers('incidents', 1);
    NEW.opened_at := moment;
    NEW.cycle_at := moment;
    NEW.severity_at := moment;
    NEW.affected_at := moment;
    NEW.opened_by := wf.person();
    NEW.origin_words := left(CASE NEW.origin_noun
      WHEN 'alerts' THEN (SELECT format('alert %s: %s', a.id, a.summary) FROM wf.alerts a WHERE a.id::text = NEW.origin)
      WHEN 'tenants' THEN (SELECT 'tenant ' || t.id FROM wf.tenants t WHERE t.id = NEW.origin)
      WHEN 'queues' THEN (SELECT format('dead letters of %s: %s', c.handler, c.cause) FROM wf.cause_list c WHERE c.id = NEW.origin)
      WHEN 'gates' THEN (SELECT 'gate ' || NEW.origin FROM wf.gates g WHERE g.name = split_part(NEW.origin, '/', 1)) END, 2000);
    refused := CASE
      WHEN NEW.origin IS NOT NULL AND NEW.origin_words IS NULL THEN 'incident_origin_unknown'
      WHEN NEW.began_at > moment + interval '1 second' OR NEW.began_at < moment - interval '400 days' THEN 'incident_began'
      WHEN (SELECT count(*) FROM wf.incidents i WHERE i.status <> 'closed') >= 200 THEN 'incidents_many' END;
    NEW.began_at := least(NEW.began_at, moment);
  ELSE
    refused := CASE
      WHEN to_jsonb(NEW) - own <> to_jsonb(OLD) - own THEN 'incident_fixed'
      WHEN (NEW.tenants, NEW.regions, NEW.routes) <> (OLD.tenants, OLD.regions, OLD.routes) AND OLD.status = 'closed'
        THEN 'incident_closed'
      WHEN NEW.severity <> OLD.severity AND OLD.status = 'closed' THEN 'incident_closed'
      WHEN NEW.status <> OLD.status AND (OLD.status || ' ' || NEW.status) NOT IN (
        'open mitigated', 'open resolved', 'mitigated resolved', 'mitigated open', 'resolved closed', 'resolved open', 'closed open')
        THEN 'incident_step'
      WHEN NEW.snoozed_until IS DISTINCT FROM OLD.snoozed_until AND NEW.snoozed_until IS NOT NULL AND (
        OLD.status NOT IN ('open', 'mitigated') OR NEW.snoozed_until <= moment OR NEW.snoozed_until > moment + interval '1 day')
        THEN 'incident_snooze' END;
    IF (NEW.tenants, NEW.regions, NEW.routes) <> (OLD.tenants, OLD.regions, OLD.routes) THEN
      NEW.affected_at := moment;
    END IF;
    IF NEW.severity <> OLD.severity THEN
      NEW.severity_at := moment;
    END IF;
    IF NEW.status <> OLD.status THEN
      IF NEW.status = 'open' AND OLD.status <> 'mitigated' THEN
        NEW.cycle := OLD.cycle + 1;
        NEW.cycle_at := moment;
      END IF;
      NEW.mitigated_at := CASE NEW.status WHEN 'open' THEN NULL WHEN 'mitigated' THEN moment ELSE OLD.mitigated_at END;
      NEW.resolved_at := CASE WHEN NEW.status = 'resolved' THEN moment WHEN NEW.status = 'closed' THEN OLD.resolved_at END;
      NEW.closed_at := CASE WHEN NEW.status = 'closed' THEN moment END;
      IF NEW.status = 'resolved' THEN
        NEW.snoozed_until := NULL;
        NEW.snoozed_why := NULL;
      END IF;
    END IF;
    IF NEW IS DISTINCT FROM OLD THEN
      NEW.version := OLD.version + 1;
      NEW.updated_at := moment;
    END IF;
  END IF;
  -- What is in the trail is there for good, so it names nobody.
  refused := coalesce(refused, CASE
    WHEN EXISTS (SELECT FROM unnest(NEW.tenants) x WHERE x <> ALL (known)
                 AND NOT EXISTS (SELECT FROM wf.tenants t WHERE t.id = x)) THEN 'affected_tenant'
    WHEN EXISTS (SELECT FROM unnest(NEW.regions || NEW.routes) x WHERE char_length(x) NOT BETWEEN 1 AND 200) THEN 'affected_thing'
    WHEN wf.personal_in(NEW.title || E'\n' || NEW.summary) IS NOT NULL THEN 'incident_personal' END);
  PERFORM wf.refuse_incident(NEW.id, refused);
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.incidents FOR EACH ROW EXECUTE FUNCTION wf.guard_incident();

CREATE OR REPLACE FUNCTION wf.begin_incident() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  INSERT INTO wf.incident_marks (incident_id) VALUES (NEW.id);
  RETURN NULL;
END
$$;
-- Before the trail's trigger, which counts the first events.
CREATE OR REPLACE TRIGGER a_begin AFTER INSERT ON wf.incidents FOR EACH ROW EXECUTE FUNCTION wf.begin_incident();

-- A closed incident has no roles: whoever opens it again takes them.
CREATE OR REPLACE FUNCTION wf.end_incident() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  DELETE FROM wf.incident_roles r USING new_rows n WHERE r.incident_id = n.id AND n.status = 'closed';
  RETURN NULL;
END
$$;
-- Its name sorts after those of the trail, which has the closing first.
CREATE OR REPLACE TRIGGER end_roles AFTER UPDATE ON wf.incidents REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION wf.end_incident();

CREATE OR REPLACE FUNCTION wf.refuse_timeline_rewriting() RETURNS trigger LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the timeline is append-only' USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'incident_append_only';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.incident_events
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_timeline_rewriting();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wf.incident_views
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_timeline_rewriting();
CREATE OR REPLACE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON wf.incidents
  FOR EACH STATEMENT EXECUTE FUNCTION wf.refuse_timeline_rewriting();

-- Roles.
CREATE OR REPLACE FUNCTION wf.take_role(incident bigint, role text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  this wf.incidents := wf.lock_incident(incident);
  held text := (SELECT r.holder FROM wf.incident_roles r WHERE r.incident_id = incident AND r.role = take_role.role);
BEGIN
  PERFORM wf.refuse_incident(incident, CASE WHEN this.status = 'closed' THEN 'incident_closed'
                                            WHEN held IS NOT NULL THEN 'role_held' END, held || ' has it');
  INSERT INTO wf.incident_roles (incident_id, role, holder) VALUES (incident, take_role.role, wf.person());
END
$$;

-- Offer a role to somebody, with how things stand; it stays with who offers it until it is accepted.
CREATE OR REPLACE FUNCTION wf.offer_role(incident bigint, role text, whom text, until timestamptz, summary text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moment constant timestamptz := clock_timestamp();
  this wf.incidents := wf.lock_incident(incident);
  held text := (SELECT r.holder FROM wf.incident_roles r WHERE r.incident_id = incident AND r.role = offer_role.role);
BEGIN
  PERFORM wf.refuse_incident(incident, CASE
    WHEN this.status = 'closed' THEN 'incident_closed'
    WHEN held IS DISTINCT FROM wf.person() THEN 'role_not_yours'
    WHEN whom = held OR NOT wf.login_may(whom, 'operator') THEN 'role_offered_to'
    WHEN (until > moment AND until <= moment + interval '1 hour') IS NOT TRUE THEN 'role_offer_until'
    WHEN (btrim(summary) <> '') IS NOT TRUE THEN 'role_offer_summary'
    WHEN wf.personal_in(summary) IS NOT NULL THEN 'incident_personal' END, held || ' has it');
  UPDATE wf.incident_roles r SET offered_to = whom, offered_until = until, offered_summary = btrim(summary)
  WHERE r.incident_id = incident AND r.role = offer_role.role;
END
$$;

CREATE OR REPLACE FUNCTION wf.accept_role(incident bigint, role text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  this wf.incidents := wf.lock_incident(incident);
  held wf.incident_roles := (SELECT r FROM wf.incident_roles r WHERE r.incident_id = incident AND r.role = accept_role.role);
BEGIN
  PERFORM wf.refuse_incident(incident, CASE
    WHEN this.status = 'closed' THEN 'incident_closed'
    WHEN held.offered_to IS DISTINCT FROM wf.person() THEN 'role_not_offered'
    WHEN held.offered_until <= clock_timestamp() THEN 'role_offer_over' END, held.holder || ' has it');
  UPDATE wf.incident_roles r
  SET holder = wf.person(), since = clock_timestamp(), offered_to = NULL, offered_until = NULL, offered_summary = NULL
  WHERE r.incident_id = incident AND r.role = accept_role.role;
END
$$;

-- Give a role back; with `another`, take it from who has it, so that nothing waits for somebody who is gone.
CREATE OR REPLACE FUNCTION wf.return_role(incident bigint, role text, another boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  this wf.incidents := wf.lock_incident(incident);
  held text := (SELECT r.holder FROM wf.incident_roles r WHERE r.incident_id = incident AND r.role = return_role.role);
BEGIN
  PERFORM wf.refuse_incident(incident, CASE
    WHEN held IS NULL THEN 'role_free'
    WHEN NOT another AND held <> wf.person() THEN 'role_not_yours'
    WHEN another AND btrim(coalesce((wf.current_change()).reason, '')) = '' THEN 'role_relieve_why' END, held || ' has it');
  DELETE FROM wf.incident_roles r WHERE r.incident_id = incident AND r.role = return_role.role;
END
$$;

-- State that one changes what is affected without the conn, for a while.
CREATE OR REPLACE FUNCTION wf.override_conn(incident bigint, until timestamptz) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  moment constant timestamptz := clock_timestamp();
  this wf.incidents := wf.lock_incident(incident);
  why  text := btrim(coalesce((wf.current_change()).reason, ''));
BEGIN
  PERFORM wf.refuse_incident(incident, CASE
    WHEN this.status NOT IN ('open', 'mitigated') THEN 'incident_over'
    WHEN why = '' THEN 'override_reason'
    WHEN (until > moment AND until <= moment + interval '1 hour') IS NOT TRUE THEN 'override_until' END);
  INSERT INTO wf.incident_overrides AS o (incident_id, person, until, reason)
  VALUES (incident, wf.person(), override_conn.until, why)
  ON CONFLICT (incident_id, person) DO UPDATE SET until = excluded.until, reason = excluded.reason;
END
$$;

-- The timeline.

-- Whether a text for customers names a person or a secret: what it looks like; NULL: nothing was found. The same patterns as
-- controlplane.incidents.personal; a test compares the two.
CREATE OR REPLACE FUNCTION wf.personal_in(body text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, wf, pg_temp AS $$
  SELECT CASE
    WHEN body ~ '[^\s@]@[^\s@]+\.[^\s@]' THEN 'an e-mail address'
    WHEN body ~ '(^|[^0-9.])([0-9]{1,3}\.){3}[0-9]{1,3}([^0-9]|$)' THEN 'an IP address'
    WHEN body ~ '\+[0-9]([ ()/.-]?[0-9]){6}' THEN 'a telephone number'
    WHEN body ~ '[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){3}' THEN 'a bank account'
    WHEN body ~ '[0-9]([ -]?[0-9]){12}' THEN 'a card number'
    WHEN body ~ '_(live|test)_[A-Za-z0-9]{8}' THEN 'an API key' END
$$;

-- Add events to timelines, each incident's in the given order, with the next numbers. The trail's counter is taken first,
-- by everybody who writes here, so that no two wait for each other. What was told already from the same source is left out.
CREATE OR REPLACE FUNCTION wf.add_incident_events(told wf.incident_events[]) RETURNS bigint LANGUAGE plpgsql
SET search_path = wf, pg_temp AS $$
DECLARE
  added bigint;
BEGIN
  PERFORM wf.take_numbers('audit', 0);
  WITH new AS MATERIALIZED (
    SELECT t.*, row_number() OVER (PARTITION BY t.incident_id ORDER BY t.place) AS n
    FROM unnest(told) WITH ORDINALITY AS t(
      incident_id, seq, cycle, happened_at, recorded_at, kind, actor, words, noun, thing, operation, becomes, corrects, audit_seq,
      source, search, place)
    WHERE t.source IS NULL OR NOT EXISTS (
      SELECT FROM wf.incident_events e WHERE e.incident_id = t.incident_id AND e.source = t.source)
  ), taken AS (
    UPDATE wf.incident_marks m SET events = m.events + c.many
    FROM (SELECT n.incident_id, count(*) AS many FROM new n GROUP BY n.incident_id) c
    WHERE m.incident_id = c.incident_id RETURNING m.incident_id, m.events - c.many AS before
  )
  INSERT INTO wf.incident_events (incident_id, seq, cycle, happened_at, kind, actor, words, noun, thing, operation, becomes,
                                  corrects, audit_seq, source)
  SELECT n.incident_id, t.before + n.n, i.cycle, n.happened_at, n.kind, n.actor, n.words, n.noun, n.thing, n.operation, n.becomes,
         n.corrects, n.audit_seq, n.source
  FROM new n JOIN taken t USING (incident_id) JOIN wf.incidents i ON i.id = n.incident_id;
  GET DIAGNOSTICS added = ROW_COUNT;
  RETURN added;
END
$$;

-- Write what a person says into the timeline. The trail gets its number, its size and its SHA-256, not the text: that may name
-- people. Returns the event's number.
CREATE OR REPLACE FUNCTION wf.say_in_incident(this wf.incidents, kind text, body text, happened_at timestamptz, corrects bigint)
RETURNS bigint LANGUAGE plpgsql SET search_path = wf, pg_temp AS $$
DECLARE
  number bigint;
  row    bigint;
BEGIN
  PERFORM wf.refuse_incident(this.id, CASE
    WHEN (octet_length(btrim(body)) BETWEEN 1 AND 51200) IS NOT TRUE THEN 'incident_event_words'
    WHEN happened_at > clock_timestamp() + interval '1 second' OR happened_at < this.began_at - interval '400 days'
      THEN 'incident_event_time' END);
  PERFORM wf.take_numbers('audit', 0);
  number := (SELECT m.events + 1 FROM wf.incident_marks m WHERE m.incident_id = this.id);
  row := wf.append_audit('wf.incident_events', 'incidents', 'insert', ARRAY[this.id::text], ARRAY[NULL], ARRAY[NULL::jsonb],
    ARRAY[jsonb_build_object('kind', kind, 'happened_at', happened_at, 'corrects', corrects,
                             'bytes', octet_length(btrim(body)), 'sha256', encode(sha256(convert_to(btrim(body), 'UTF8')), 'hex'))], '{}');
  PERFORM wf.add_incident_events(ARRAY[ROW(this.id, NULL, NULL, least(happened_at, clock_timestamp()), NULL, kind, wf.person(), btrim(body),
    NULL, NULL, (SELECT a.operation FROM wf.audit a WHERE a.seq = row), NULL, corrects, row, NULL, NULL)::wf.incident_events]);
  RETURN number;
END
$$;

CREATE OR REPLACE FUNCTION wf.note_incident(incident bigint, body text, happened_at timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT wf.say_in_incident(wf.lock_incident(incident), 'note', body, coalesce(happened_at, clock_timestamp()), NULL)
$$;

-- Post what somebody saw: a copy of it as text, at the time that it shows, and what opens the same view again.
CREATE OR REPLACE FUNCTION wf.post_view(incident bigint, body text, view jsonb, seen_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  event bigint := wf.say_in_incident(wf.lock_incident(incident), 'view', body, coalesce(seen_at, clock_timestamp()), NULL);
BEGIN
  INSERT INTO wf.incident_views (incident_id, seq, view) VALUES (incident, event, post_view.view);
  RETURN event;
END
$$;

-- Correct an event: a new one, which stands at the time of the one that it corrects. Said twice, it is there once.
CREATE OR REPLACE FUNCTION wf.correct_incident(incident bigint, event bigint, body text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  this wf.incidents := wf.lock_incident(incident);
  was  wf.incident_events := (SELECT e FROM wf.incident_events e WHERE e.incident_id = incident AND e.seq = event);
  same bigint := (SELECT e.seq FROM wf.incident_events e WHERE e.incident_id = incident AND e.corrects = event AND e.words = btrim(body)
                  AND e.seq = (SELECT max(l.seq) FROM wf.incident_events l WHERE l.incident_id = incident AND l.corrects = event));
BEGIN
  PERFORM wf.refuse_incident(incident, CASE WHEN was.seq IS NULL THEN 'incident_event_unknown' END);
  RETURN coalesce(same, wf.say_in_incident(this, 'correction', body, was.happened_at, event));
END
$$;

-- Publish a text for customers, apart from what is said here. It names nobody.
CREATE OR REPLACE FUNCTION wf.tell_customers(incident bigint, body text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  this  wf.incidents := wf.lock_incident(incident);
  found text := wf.personal_in(body);
  event bigint;
BEGIN
  PERFORM wf.refuse_incident(incident, CASE WHEN found IS NOT NULL THEN 'customers_personal'
                                            WHEN octet_length(body) > 8000 THEN 'customers_length' END, 'it has ' || found);
  event := wf.say_in_incident(this, 'customers', body, clock_timestamp(), NULL);
  UPDATE wf.incident_marks m SET told_at = clock_timestamp() WHERE m.incident_id = incident;
  RETURN event;
END
$$;
GRANT EXECUTE ON FUNCTION wf.lock_incident, wf.note_incident, wf.post_view, wf.correct_incident TO wf_support;
GRANT EXECUTE ON FUNCTION wf.take_role, wf.offer_role, wf.accept_role, wf.return_role, wf.override_conn,
  wf.tell_customers TO wf_operator;
GRANT INSERT (title, summary, severity, began_at, origin_noun, origin, tenants, regions, routes),
  UPDATE (title, summary, severity, status, tenants, regions, routes, snoozed_until, snoozed_why) ON wf.incidents TO wf_operator;
GRANT SELECT ON wf.incidents TO wf_operator;
SELECT wf.audited('wf.incidents', 'incidents', 'id', 'none');
SELECT wf.audited('wf.incident_roles', 'incidents', 'incident_id/role', 'none');
SELECT wf.audited('wf.incident_overrides', 'incidents', 'incident_id/person', 'none');
GRANT SELECT ON wf.update_intervals TO wf_viewer;
GRANT UPDATE (minutes) ON wf.update_intervals TO wf_admin;
SELECT wf.audited('wf.update_intervals', 'update-intervals', 'severity', 'none');
