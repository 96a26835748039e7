-- Support: whom a text belongs to, acting for a tenant, signing up, and a tenant made in one step.

-- Finding. What people paste is looked up by an index, or not at all.

CREATE INDEX tenants_owner_folded ON wf.tenants (lower(owner_email)) WHERE owner_email IS NOT NULL;
CREATE INDEX api_keys_owner_folded ON wf.api_keys (lower(owner_email)) WHERE owner_email IS NOT NULL;
CREATE INDEX requests_of_request ON wf.requests (request_id) WHERE request_id IS NOT NULL;

-- Whose address is this? Only the whole address finds its tenants, and only their ids come out: so those for whom
-- owners are masked can help who is on the phone, and cannot read an address that they do not know.
CREATE FUNCTION wf.tenants_of_email(email text) RETURNS SETOF text LANGUAGE sql STABLE ROWS 5 SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT id FROM wf.tenants WHERE lower(owner_email) = lower(email)
  UNION SELECT tenant_id FROM wf.api_keys WHERE lower(owner_email) = lower(email)
  LIMIT 100
$$;
GRANT EXECUTE ON FUNCTION wf.tenants_of_email TO wf_viewer;

-- Acting for a tenant: who, why, for which ticket, at most an hour, only reading unless another person approves.

CREATE TABLE wf.impersonations (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id   text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  actor       text NOT NULL DEFAULT session_user,
  reason      text NOT NULL CONSTRAINT impersonation_reason CHECK (char_length(btrim(reason)) BETWEEN 1 AND 2000),
  ticket      text NOT NULL CONSTRAINT impersonation_ticket CHECK (char_length(btrim(ticket)) BETWEEN 1 AND 100),
  mode        text NOT NULL DEFAULT 'read' CHECK (mode IN ('read', 'write')),
  started_at  timestamptz NOT NULL DEFAULT now(),
  ends_at     timestamptz NOT NULL,  -- a hard stop: from then on it counts for nothing, whatever else is in the row
  ended_at    timestamptz,           -- when somebody ended it before
  approved_by text,
  approved_at timestamptz,
  CONSTRAINT impersonation_length CHECK (ends_at > started_at AND ends_at <= started_at + interval '60 minutes'),
  CONSTRAINT impersonation_own CHECK (approved_by <> actor),
  CONSTRAINT impersonation_marks CHECK ((mode = 'write') = (approved_by IS NOT NULL)
                                        AND (approved_by IS NULL) = (approved_at IS NULL))
);
CREATE INDEX impersonations_open ON wf.impersonations (actor, ends_at) WHERE ended_at IS NULL;
CREATE INDEX impersonations_of_tenant ON wf.impersonations (tenant_id, id);

-- The impersonation that the login has open: one at most.
CREATE FUNCTION wf.acting_as(OUT impersonation bigint, OUT tenant_id text) LANGUAGE sql STABLE AS $$
  SELECT i.id, i.tenant_id FROM wf.impersonations i
  WHERE i.actor = session_user AND i.ended_at IS NULL AND i.ends_at > clock_timestamp()
  LIMIT 1
$$;

-- The trail of what is done to a tenant meanwhile has both identities: the actor, and whom they acted for.
ALTER TABLE wf.audit ADD COLUMN impersonation bigint;
CREATE OR REPLACE FUNCTION wf.append_audit(
  noun text, verb text, things text[], tenants text[], befores jsonb[], afters jsonb[], personal text[]
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  change wf.changes := wf.current_change();
  acting record;
  last   bigint;
BEGIN
  SELECT * INTO acting FROM wf.acting_as();
  UPDATE wf.counters SET value = value + cardinality(things) WHERE name = 'audit' RETURNING value INTO last;
  INSERT INTO wf.audit (seq, change_id, out_of_band, actor, operation, noun, thing, tenant_id, reason, request_id,
                        impersonation, before, after)
  -- unnest, not befores[i]: to find one element of such an array costs as much as to read all before it.
  SELECT last - cardinality(things) + i, change.id, change.id IS NULL, session_user,
         coalesce(change.operation, 'sql.' || verb), append_audit.noun, u.thing, u.tenant,
         change.reason, change.request_id, CASE WHEN u.tenant = acting.tenant_id THEN acting.impersonation END,
         wf.without_personal(u.old, personal), wf.without_personal(u.new, personal)
  FROM unnest(things, tenants, befores, afters) WITH ORDINALITY AS u(thing, tenant, old, new, i);
  INSERT INTO wf.audit_personal (seq, tenant_id, field, before, after)
  SELECT last - cardinality(things) + i, u.tenant, field, u.old ->> field, u.new ->> field
  FROM unnest(things, tenants, befores, afters) WITH ORDINALITY AS u(thing, tenant, old, new, i),
       unnest(personal) AS field
  WHERE u.old ->> field IS DISTINCT FROM u.new ->> field;
  PERFORM pg_notify('wf', noun || ' ' || last);
  RETURN last;
END
$$;

CREATE FUNCTION wf.guard_impersonation() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  refused text;
  tenant  wf.tenants;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('wf.impersonation of ' || session_user, 0));
    SELECT * INTO tenant FROM wf.tenants WHERE id = NEW.tenant_id FOR SHARE;
    IF (NEW.actor, NEW.mode, NEW.started_at) IS DISTINCT FROM (session_user::text, 'read', now())
       OR (NEW.ended_at, NEW.approved_by, NEW.approved_at) IS DISTINCT FROM (NULL::timestamptz, NULL::text, NULL::timestamptz) THEN
      refused := 'impersonation_fixed';
    ELSIF (wf.acting_as()).impersonation IS NOT NULL THEN
      refused := 'impersonation_open';
    ELSIF tenant.status NOT IN ('active', 'suspended') THEN
      refused := 'impersonation_tenant_gone';
    ELSIF tenant.protected THEN
      refused := 'impersonation_protected';
    END IF;
  ELSIF (NEW.id, NEW.tenant_id, NEW.actor, NEW.reason, NEW.ticket, NEW.started_at, NEW.ends_at)
      IS DISTINCT FROM (OLD.id, OLD.tenant_id, OLD.actor, OLD.reason, OLD.ticket, OLD.started_at, OLD.ends_at) THEN
    refused := 'impersonation_fixed';
  ELSIF OLD.ended_at IS NOT NULL OR OLD.ends_at <= clock_timestamp() THEN
    refused := 'impersonation_over';
  ELSIF NEW.ended_at IS NOT NULL AND NEW.mode = OLD.mode THEN
    NEW.ended_at := clock_timestamp();
  ELSIF OLD.mode = 'read' AND NEW.mode = 'write' AND NEW.ended_at IS NULL THEN
    NEW.approved_by := session_user;
    NEW.approved_at := now();
    IF session_user = OLD.actor THEN
      refused := 'impersonation_own';
    END IF;
  ELSE
    refused := 'impersonation_fixed';
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'impersonation of % is refused: %', NEW.tenant_id, refused
      USING ERRCODE = 'check_violation', CONSTRAINT = refused;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON wf.impersonations
  FOR EACH ROW EXECUTE FUNCTION wf.guard_impersonation();

CREATE VIEW wf.impersonation_list AS
SELECT i.*, CASE WHEN ended_at IS NOT NULL THEN 'ended' WHEN ends_at <= clock_timestamp() THEN 'over' ELSE 'open' END AS state
FROM wf.impersonations i;
GRANT SELECT ON wf.impersonations, wf.impersonation_list TO wf_viewer;
-- Ending one is always safe: whoever may begin one may end anybody's.
GRANT INSERT (tenant_id, reason, ticket, ends_at), UPDATE (ended_at) ON wf.impersonations TO wf_support;
GRANT UPDATE (mode) ON wf.impersonations TO wf_operator;
SELECT wf.audited('wf.impersonations', 'impersonations', 'id', 'tenant_id');
INSERT INTO wf.tenant_tables VALUES ('wf.impersonations', 9);

-- What the product's services ask before they let somebody act for a tenant. `refusal`: a code; then nothing else.
-- Never to be answered from a cache: its end, an early end and a removed operator count at once.
CREATE FUNCTION wf_data.impersonation(id bigint)
RETURNS TABLE (tenant text, actor text, mode text, until timestamptz, refusal text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT CASE WHEN f.refusal IS NULL THEN i.tenant_id END, CASE WHEN f.refusal IS NULL THEN i.actor END,
         CASE WHEN f.refusal IS NULL THEN i.mode END, CASE WHEN f.refusal IS NULL THEN i.ends_at END, f.refusal
  FROM (SELECT) AS always
  LEFT JOIN wf.impersonations i ON i.id = impersonation.id
  LEFT JOIN wf.tenants t ON t.id = i.tenant_id
  LEFT JOIN pg_roles r ON r.rolname = i.actor
  CROSS JOIN LATERAL (SELECT CASE
    WHEN i.id IS NULL THEN 'impersonation_unknown'
    WHEN i.ended_at IS NOT NULL THEN 'impersonation_ended'
    WHEN i.ends_at <= clock_timestamp() THEN 'impersonation_over'
    WHEN t.status NOT IN ('active', 'suspended') THEN 'impersonation_tenant_gone'
    WHEN t.protected THEN 'impersonation_protected'
    WHEN r.oid IS NULL OR NOT pg_has_role(r.oid, 'wf_support', 'MEMBER') THEN 'impersonation_actor_gone' END AS refusal
  ) AS f
$$;

-- What a tenant may read of its own trail: who did what, and whether they acted in its name; then also why. Other
-- reasons are words among colleagues; they, the rows themselves, addresses and request ids are left out.
CREATE FUNCTION wf_data.audit_feed(tenant text, after bigint DEFAULT 0, max integer DEFAULT 100)
RETURNS TABLE (seq bigint, at timestamptz, actor text, operation text, noun text, thing text, reason text, impersonation bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = wf, pg_temp AS $$
  SELECT a.seq, a.at, a.actor, a.operation, a.noun, a.thing, CASE WHEN a.noun = 'impersonations' THEN
           (SELECT i.reason FROM wf.impersonations i WHERE i.id = a.thing::bigint) END, a.impersonation
  FROM wf.audit a WHERE a.tenant_id = audit_feed.tenant AND a.seq > coalesce(audit_feed.after, 0)
  ORDER BY a.seq LIMIT least(greatest(coalesce(audit_feed.max, 100), 0), 1000)
$$;
GRANT EXECUTE ON FUNCTION wf_data.impersonation, wf_data.audit_feed TO wf_service;

-- A tenant with its project, its plan and its first key, for a sign-up service: all of it or nothing. The request id
-- makes a repeat harmless: it gets the first answer again. The secret stays with the caller; its hash comes here.
CREATE FUNCTION wf_data.provision(
  request_id text, tenant text, name text, owner_email text, plan text, region text, project text,
  key_id text, key_hash bytea, key_display text, key_scopes text[]
) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  -- Without the address, for the reason that the console's fingerprints are without it: it could be guessed.
  asked  text := encode(sha256(convert_to(jsonb_build_array('wf_data.provision', tenant, provision.name, plan, region,
                   project, key_id, encode(key_hash, 'hex'), key_display, key_scopes)::text, 'UTF8')), 'hex');
  found  wf.changes;
  answer jsonb;
BEGIN
  BEGIN
    PERFORM wf.begin_change('tenants.provision', 'signed up', provision.request_id, asked);
  EXCEPTION WHEN unique_violation THEN  -- committed before, or by somebody else a moment ago: this waited for it
    SELECT * INTO found FROM wf.changes c WHERE c.request_id = provision.request_id;
    IF found.operation <> 'tenants.provision' OR found.fingerprint <> asked OR found.actor <> session_user THEN
      RAISE EXCEPTION 'the request id % was used for something else', provision.request_id
        USING ERRCODE = 'unique_violation', CONSTRAINT = 'request_id_reused';
    END IF;
    RETURN found.result;
  END;
  INSERT INTO wf.tenants (id, name, owner_email, plan, region)
  VALUES (tenant, provision.name, provision.owner_email, provision.plan, provision.region);
  INSERT INTO wf.projects (tenant_id, id, name) VALUES (tenant, project, project);
  INSERT INTO wf.api_keys (id, tenant_id, project_id, env, display, hash, label, scopes)
  VALUES (key_id, tenant, project, CASE WHEN key_display ~ '_test_' THEN 'test' ELSE 'live' END, key_display, key_hash,
          'first key', key_scopes);
  SELECT jsonb_build_object('tenant', tenant, 'project', project, 'key_id', key_id, 'plan', plan, 'state', s.state,
                            'trial_end', s.trial_end)
  INTO answer FROM wf.subscriptions s WHERE s.tenant_id = tenant;
  PERFORM wf.finish_change(answer);
  RETURN answer;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.provision TO wf_service;

-- Signing up: five attempts an hour from one address, whatever comes of them. The address that was typed is not kept.
CREATE TABLE wf.sign_up_attempts (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  address inet NOT NULL,
  at      timestamptz NOT NULL
);
CREATE INDEX sign_up_attempts_of_address ON wf.sign_up_attempts (address, at);
CREATE INDEX sign_up_attempts_by_time ON wf.sign_up_attempts (at);

-- What is wrong with it, NULL when nothing is. The heart says the same (a test compares both).
CREATE FUNCTION wf.sign_up_fault(email text, name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN email IS NULL OR char_length(email) > 254
      OR email ~ '[\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
      OR email !~ '^[^@]+@[^@.]([^@]*[^@.])?$' OR strpos(split_part(email, '@', 2), '.') = 0
      THEN 'invalid_email'
    WHEN name IS NULL OR char_length(name) NOT BETWEEN 3 AND 64 OR name ~ '[/\\\u0001-\u001f\u007f-\u009f]'
      THEN 'invalid_name' END
$$;

CREATE FUNCTION wf_data.sign_up(address inet, email text, name text)
RETURNS TABLE (allowed boolean, code text, retry_after_s integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  one    inet := host(sign_up.address)::inet;  -- without a network's length
  moment timestamptz;
  fifth  timestamptz;
BEGIN
  IF one IS NULL THEN
    RAISE EXCEPTION 'an attempt needs its address' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('wf.sign_up from ' || one, 0));
  moment := clock_timestamp();  -- after the wait
  DELETE FROM wf.sign_up_attempts WHERE id IN (
    SELECT a.id FROM wf.sign_up_attempts a WHERE a.at <= moment - interval '1 hour' ORDER BY a.at LIMIT 100
    FOR UPDATE SKIP LOCKED);
  fifth := (SELECT a.at FROM wf.sign_up_attempts a WHERE a.address = one AND a.at > moment - interval '1 hour'
            ORDER BY a.at DESC OFFSET 4 LIMIT 1);
  IF fifth IS NOT NULL THEN
    RETURN QUERY SELECT false, 'too_many_attempts',
                        ceil(extract(epoch FROM fifth + interval '1 hour' - moment))::integer;
    RETURN;
  END IF;
  INSERT INTO wf.sign_up_attempts (address, at) VALUES (one, moment);
  RETURN QUERY SELECT wf.sign_up_fault(email, sign_up.name) IS NULL, wf.sign_up_fault(email, sign_up.name), NULL::integer;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.sign_up TO wf_service;
