-- Where people are paged. Each sets their own; an admin sets everybody's.
INSERT INTO wf.operations (name, role) VALUES
  ('contacts.add', 'support'), ('contacts.edit', 'support'), ('contacts.remove', 'support'),
  ('contacts.test', 'support');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('contacts.add', 'wf.contacts', 'insert', NULL, NULL, NULL, false),
  ('contacts.edit', 'wf.contacts', 'update', '{target,target_at}', NULL, NULL, false),
  ('contacts.test', 'wf.deliveries', 'insert', NULL, NULL, '{"test": true}', false),
  ('contacts.remove', 'wf.contacts', 'update', '{removed_at}', '{"removed_at": null}', NULL, false),
  ('operators.remove', 'wf.contacts', 'update', '{removed_at}', '{"removed_at": null}', NULL, true);

CREATE OR REPLACE FUNCTION wf.guard_contact() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
BEGIN
  IF NEW.person <> session_user AND NOT wf.may('admin') THEN
    refused := 'contact_of_another';
  ELSIF TG_OP = 'UPDATE' AND OLD.removed_at IS NOT NULL THEN
    refused := 'contact_removed';
  ELSIF TG_OP = 'UPDATE' AND (NEW.id, NEW.person, NEW.channel, NEW.created_at, NEW.created_by)
      IS DISTINCT FROM (OLD.id, OLD.person, OLD.channel, OLD.created_at, OLD.created_by) THEN
    refused := 'contact_fixed';
  ELSIF NEW.removed_at IS NULL AND NOT EXISTS (
      SELECT FROM wf.operators o WHERE o.name = NEW.person AND o.active FOR KEY SHARE) THEN
    refused := 'contact_person';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'a contact of % is refused: %', NEW.person, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  -- The home's own time, whatever the caller says: that it changes is what the trail tells of a new address.
  IF TG_OP = 'INSERT' OR NEW.target_at IS DISTINCT FROM OLD.target_at OR NEW.target <> OLD.target THEN
    NEW.target_at := now();
  END IF;
  IF NEW.removed_at IS NOT NULL THEN
    NEW.removed_at := now();
    DELETE FROM wf.contact_secrets s WHERE s.contact_id = NEW.id;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.contacts FOR EACH ROW EXECUTE FUNCTION wf.guard_contact();

-- Who may no longer log in is no longer told of tenants.
CREATE OR REPLACE FUNCTION wf.remove_contacts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
BEGIN
  UPDATE wf.contacts c SET removed_at = now() WHERE c.person = NEW.name AND c.removed_at IS NULL;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER remove_contacts AFTER UPDATE ON wf.operators FOR EACH ROW
  WHEN (OLD.active AND NOT NEW.active) EXECUTE FUNCTION wf.remove_contacts();

GRANT SELECT ON wf.contacts TO wf_viewer, wf_worker;
GRANT INSERT (person, channel, target, target_at), UPDATE (target, target_at, removed_at) ON wf.contacts TO wf_support;
GRANT SELECT ON wf.contact_secrets TO wf_worker;
SELECT wf.audited('wf.contacts', 'contacts', 'id', 'none');

-- Keep an encrypted address in the transaction that says so in the contact, and with it in the trail.
CREATE OR REPLACE FUNCTION wf.put_contact_secret(contact bigint, key_id text, data bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
BEGIN
  PERFORM wf.in_time('support');
  PERFORM FROM wf.contacts c WHERE c.id = contact AND c.xmin = pg_current_xact_id()::xid AND c.target_at = now()
    AND c.removed_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the address of contact % is refused', contact
      USING ERRCODE = 'check_violation', CONSTRAINT = 'contact_secret_alone';
  END IF;
  INSERT INTO wf.contact_secrets AS s (contact_id, key_id, data) VALUES (contact, put_contact_secret.key_id, put_contact_secret.data)
  ON CONFLICT (contact_id) DO UPDATE SET key_id = excluded.key_id, data = excluded.data;
END
$$;
GRANT EXECUTE ON FUNCTION wf.put_contact_secret TO wf_support;

-- A real delivery marked as a test, to somebody's own address, by the first route of its channel that is on: a page would go
-- there in the same way. Returns its number.
CREATE OR REPLACE FUNCTION wf.test_contact(contact bigint, key text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  this    wf.contacts := (SELECT c FROM wf.contacts c WHERE c.id = contact);
  route   bigint := (SELECT r.id FROM wf.routes r
                     WHERE r.channel = this.channel AND r.enabled AND r.retired_at IS NULL AND r.tenant_id IS NULL
                     ORDER BY r.position, r.id LIMIT 1);
  made    wf.deliveries;
  refused text;
BEGIN
  refused := CASE WHEN this.id IS NULL OR this.removed_at IS NOT NULL THEN 'contact_removed'
                  WHEN this.person <> session_user AND NOT wf.may('admin') THEN 'contact_of_another'
                  WHEN route IS NULL THEN 'contact_no_route' END;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'a test of contact % is refused: %', contact, refused USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  INSERT INTO wf.deliveries (key, route_id, group_key, number, person, contact_id, action, reason, severity, event_type, summary,
                             notice, test, created_by)
  VALUES (test_contact.key, route, '', 0, this.person, this.id, 'trigger', 'test', 'info', 'test',
          'This is a test of the address of ' || this.person, '{}', true, session_user)
  RETURNING * INTO made;
  PERFORM wf.queue_deliveries();
  PERFORM wf.append_audit('wf.deliveries', 'deliveries', 'insert', ARRAY[made.id::text], ARRAY[NULL], ARRAY[NULL::jsonb],
                          ARRAY[wf.delivery_image(made)], '{}');
  RETURN made.id;
END
$$;
GRANT EXECUTE ON FUNCTION wf.test_contact TO wf_support;
