-- Whose turn it is: the endpoint up to which deliveries were claimed last, while much is due. A sequence, because moving it
-- neither waits nor is taken back.
CREATE SEQUENCE wf.delivery_turns AS bigint MINVALUE 0 START 0;

-- What each key did on each route in a whole day of UTC, from the hour cells: the detector of unusual keys reads a week of
-- days instead of a week of hours. Days older than that are not kept.
CREATE TABLE wf.key_days (
  day         date NOT NULL,
  tenant_id   text COLLATE "C" NOT NULL,
  value       text COLLATE "C" NOT NULL,  -- the key's prefix
  route       text COLLATE "C" NOT NULL,
  n           bigint NOT NULL,
  errors_4xx  bigint NOT NULL,
  errors_5xx  bigint NOT NULL,
  latency_sum double precision NOT NULL,
  first_hour  wf.moment NOT NULL,
  PRIMARY KEY (tenant_id, day, value, route)
);
CREATE INDEX key_days_by_day ON wf.key_days (day);
-- Days of a tenant that must be summed from its hours, because those changed; tenant NULL: of all tenants. Only inserted and
-- deleted, never updated: who writes hours waits for nobody here.
CREATE TABLE wf.key_days_due (
  day       date NOT NULL,
  tenant_id text COLLATE "C"
);
CREATE INDEX key_days_due_of ON wf.key_days_due (day, tenant_id);
INSERT INTO wf.key_days_due (day) SELECT (now() AT TIME ZONE 'UTC')::date - n FROM generate_series(0, 9) n;
INSERT INTO wf.tenant_tables VALUES ('wf.key_days', 29), ('wf.key_days_due', 30);
INSERT INTO wf.locks VALUES ('keep_key_days');
