-- Keys: what the product's callers authenticate with; its services ask for them on their hot path (schema wf_data).
--
-- The home never holds a secret, only its SHA-256 and the first characters, which may be shown. The trail keeps neither
-- (see wf.record_change).
CREATE TABLE wf.api_keys (
  id             text COLLATE "C" PRIMARY KEY CONSTRAINT key_id_format CHECK (id ~ '^key_[0-9A-HJKMNP-TV-Z]{26}$'),
  tenant_id      text COLLATE "C" NOT NULL CONSTRAINT key_tenant REFERENCES wf.tenants,
  project_id     text COLLATE "C",
  env            text NOT NULL CONSTRAINT key_env CHECK (env IN ('live', 'test')),
  display        text NOT NULL CONSTRAINT key_display_length CHECK (char_length(display) BETWEEN 1 AND 64),
  hash           bytea NOT NULL CONSTRAINT key_hash_length CHECK (octet_length(hash) = 32),  -- SHA-256 of the secret
  label          text NOT NULL DEFAULT '' CONSTRAINT key_label_length CHECK (char_length(label) <= 200),
  owner_email    text CONSTRAINT key_owner_length CHECK (char_length(owner_email) BETWEEN 3 AND 320),
  scopes         wf.lines NOT NULL DEFAULT '{}',  -- a scope that is not named is denied
  addresses      cidr[] NOT NULL DEFAULT '{}' CONSTRAINT key_addresses CHECK (cardinality(addresses) <= 1000),  -- where it may be used from; empty: anywhere
  expires_at     wf.moment,                   -- NULL: never
  spend_cap      bigint CONSTRAINT key_spend_cap CHECK (spend_cap >= 0),  -- per month, in minor units of the currency
  rotated_from   text COLLATE "C" REFERENCES wf.api_keys,  -- the key that this one replaces
  rotated_at     wf.moment,                   -- when this key got a successor
  grace_until    wf.moment,                   -- until when it stays valid after that
  disabled_at    wf.moment,
  revoked_at     wf.moment,
  revoked_reason wf.words,
  version        integer NOT NULL DEFAULT 1,
  created_at     wf.moment NOT NULL DEFAULT now(),
  updated_at     wf.moment NOT NULL DEFAULT now(),
  created_by     wf.line NOT NULL DEFAULT session_user,
  search         text GENERATED ALWAYS AS (wf.folded(id || E'\n' || display || E'\n' || label)) STORED,
  CONSTRAINT key_project FOREIGN KEY (tenant_id, project_id) REFERENCES wf.projects (tenant_id, id),
  CONSTRAINT key_marks CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL) AND (rotated_at IS NULL) = (grace_until IS NULL))
);

CREATE UNIQUE INDEX key_hash_taken ON wf.api_keys (hash);
CREATE UNIQUE INDEX key_rotated_once ON wf.api_keys (rotated_from) WHERE rotated_from IS NOT NULL;
CREATE UNIQUE INDEX api_keys_of_tenant ON wf.api_keys (tenant_id, id);  -- unique, so that a leak can refer to both
CREATE INDEX api_keys_rotated ON wf.api_keys (tenant_id, rotated_at) WHERE rotated_at IS NOT NULL;
CREATE INDEX api_keys_of_project ON wf.api_keys (tenant_id, project_id) WHERE project_id IS NOT NULL;
CREATE INDEX api_keys_by_created ON wf.api_keys (created_at, id);
CREATE INDEX api_keys_by_expiry ON wf.api_keys ((coalesce(expires_at, 'infinity'::timestamptz)), id);
CREATE INDEX api_keys_in_grace ON wf.api_keys (grace_until) WHERE grace_until IS NOT NULL;
CREATE INDEX api_keys_disabled ON wf.api_keys (created_at, id) WHERE disabled_at IS NOT NULL;
CREATE INDEX api_keys_revoked ON wf.api_keys (created_at, id) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_search ON wf.api_keys USING gin (wf.trigrams(search));
CREATE INDEX api_keys_id_folded ON wf.api_keys (wf.folded(id));
CREATE INDEX api_keys_tenant_folded ON wf.api_keys (wf.folded(tenant_id));
CREATE INDEX api_keys_owner_folded ON wf.api_keys (wf.folded(owner_email));
CREATE INDEX api_keys_owner_masked ON wf.api_keys (wf.folded(wf.masked(owner_email)));
CREATE INDEX api_keys_label_folded ON wf.api_keys (wf.folded(label));
CREATE INDEX api_keys_project_folded ON wf.api_keys (wf.folded(project_id));
CREATE INDEX api_keys_by_env ON wf.api_keys (env, created_at, id);
CREATE INDEX api_keys_of_scope ON wf.api_keys USING gin (wf.folded_all(scopes));
CREATE INDEX api_keys_display_folded ON wf.api_keys (wf.folded(display));

-- When a key was last used, kept apart: it changes all the time, and nobody made that change.
CREATE TABLE wf.key_uses (
  key_id       text COLLATE "C" PRIMARY KEY REFERENCES wf.api_keys,
  tenant_id    wf.line COLLATE "C" NOT NULL,
  last_used_at wf.moment,  -- NULL: never
  last_address inet
) WITH (fillfactor = 70);
CREATE INDEX key_uses_by_time ON wf.key_uses (last_used_at);
CREATE INDEX key_uses_of_tenant ON wf.key_uses (tenant_id);

-- Keys that leaked, with what an incident needs: the calls of the 30 days before. The calls hold addresses, so they are
-- kept outside the trail, like personal values, and an erasure deletes them.
CREATE TABLE wf.key_leaks (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id    text COLLATE "C" NOT NULL,
  key_id       text COLLATE "C" NOT NULL,
  successor_id text COLLATE "C",
  reason       text NOT NULL CONSTRAINT leak_reason CHECK (char_length(reason) BETWEEN 1 AND 2000),
  calls        wf.document NOT NULL DEFAULT '{}' CONSTRAINT leak_calls CHECK (jsonb_typeof(calls) = 'object'),
  at           wf.moment NOT NULL DEFAULT now(),
  actor        wf.line NOT NULL DEFAULT session_user,
  CONSTRAINT leak_key FOREIGN KEY (tenant_id, key_id) REFERENCES wf.api_keys (tenant_id, id),
  CONSTRAINT leak_successor FOREIGN KEY (tenant_id, successor_id) REFERENCES wf.api_keys (tenant_id, id)
);
CREATE INDEX key_leaks_of_key ON wf.key_leaks (key_id);

-- News for the services' caches: what must no longer be answered from memory. The numbers come from a counter row that
-- the writing transaction locks, so a reader that asks for all after 41 misses none. NOTIFY is only a hint.
CREATE TABLE wf.key_news (
  version   bigint PRIMARY KEY,
  at        wf.moment NOT NULL DEFAULT clock_timestamp(),
  tenant_id wf.line COLLATE "C" NOT NULL,
  key_id    wf.line COLLATE "C"  -- NULL: every key of the tenant
);
CREATE INDEX key_news_of_tenant ON wf.key_news (tenant_id);
INSERT INTO wf.tenant_tables VALUES ('wf.key_leaks', 4), ('wf.key_uses', 6), ('wf.key_news', 7), ('wf.api_keys', 8);
