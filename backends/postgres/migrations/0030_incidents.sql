-- Incidents: what is wrong for customers, who deals with it, what is affected, and all that happens meanwhile.

-- `origin_noun`, `origin`: what it was opened from; NULL: by hand. `began_at`: since when things are wrong, as far as it is
-- known. `cycle_at`: when it was opened last; a reopened one is in its next cycle, and the marks are those of this cycle.
CREATE TABLE wf.incidents (
  id            bigint PRIMARY KEY,  -- from a counter, without gaps: people say it aloud
  title         text NOT NULL CONSTRAINT incident_title CHECK (char_length(btrim(title)) BETWEEN 1 AND 200),
  summary       wf.words NOT NULL DEFAULT '',
  severity      text NOT NULL CONSTRAINT incident_severity CHECK (severity IN ('SEV-1', 'SEV-2', 'SEV-3', 'SEV-4')),
  status        text NOT NULL DEFAULT 'open' CONSTRAINT incident_status
                CHECK (status IN ('open', 'mitigated', 'resolved', 'closed')),
  cycle         integer NOT NULL DEFAULT 1 CONSTRAINT incident_cycle CHECK (cycle BETWEEN 1 AND 1000),
  origin_noun   text CONSTRAINT incident_origin_noun CHECK (origin_noun IN ('alerts', 'tenants', 'queues', 'gates')),
  origin        wf.line,
  origin_words  wf.words,
  tenants       wf.lines NOT NULL DEFAULT '{}',   -- what is affected
  regions       wf.lines NOT NULL DEFAULT '{}',
  routes        wf.lines NOT NULL DEFAULT '{}',
  affected_at   wf.moment NOT NULL DEFAULT clock_timestamp(),  -- when that changed last
  began_at      wf.moment NOT NULL DEFAULT clock_timestamp(),
  opened_at     wf.moment NOT NULL DEFAULT clock_timestamp(),
  opened_by     wf.line NOT NULL DEFAULT session_user,
  cycle_at      wf.moment NOT NULL DEFAULT clock_timestamp(),
  severity_at   wf.moment NOT NULL DEFAULT clock_timestamp(),
  mitigated_at  wf.moment,
  resolved_at   wf.moment,
  closed_at     wf.moment,
  snoozed_until wf.moment,   -- customers need not be told before
  snoozed_why   wf.words,
  version       integer NOT NULL DEFAULT 1,
  updated_at    wf.moment NOT NULL DEFAULT clock_timestamp(),
  urgency       smallint NOT NULL GENERATED ALWAYS AS (
                  CASE status WHEN 'open' THEN 20 WHEN 'mitigated' THEN 10 WHEN 'resolved' THEN 5 ELSE 0 END
                  + CASE WHEN status IN ('open', 'mitigated') THEN 5 - right(severity, 1)::smallint ELSE 0 END) STORED,
  search        text GENERATED ALWAYS AS (wf.folded('inc-' || id::text || E'\n' || title || E'\n' || summary)) STORED,
  CONSTRAINT incident_origin CHECK (num_nonnulls(origin_noun, origin, origin_words) IN (0, 3)),
  CONSTRAINT incident_marks CHECK ((status = 'closed') = (closed_at IS NOT NULL)
    AND (status IN ('resolved', 'closed')) = (resolved_at IS NOT NULL) AND (status = 'open') <= (mitigated_at IS NULL)),
  CONSTRAINT incident_snoozed CHECK ((snoozed_until IS NULL) = (snoozed_why IS NULL) AND btrim(snoozed_why) <> '')
);
-- Of one alert, cause, gate or tenant, one incident is open at a time.
CREATE UNIQUE INDEX incident_taken ON wf.incidents (origin_noun, origin) WHERE status <> 'closed' AND origin_noun IS NOT NULL;
CREATE INDEX incidents_not_closed ON wf.incidents (id) WHERE status <> 'closed';
CREATE INDEX incidents_by_urgency ON wf.incidents (urgency, id);
CREATE INDEX incidents_by_opening ON wf.incidents (opened_at, id);
CREATE INDEX incidents_search ON wf.incidents USING gin (wf.trigrams(search));

INSERT INTO wf.counters (name) VALUES ('incidents');

-- What is written all the time, beside the row that people change. `events`: the number of the last event; it is taken in
-- the transaction that writes the event, so a reader that asks for all after a number skips none. `told_at`: when customers
-- were told last. `gathered_at`: up to when the events of alerts were looked for.
CREATE TABLE wf.incident_marks (
  incident_id bigint PRIMARY KEY REFERENCES wf.incidents,
  events      bigint NOT NULL DEFAULT 0,
  told_at     wf.moment,
  gathered_at wf.moment
) WITH (fillfactor = 50);

-- Who has which role: its key lets one person have each at a time. The conn is one of them: who has it decides what is
-- changed of what is affected. An offer that is over counts for nothing.
CREATE TABLE wf.incident_roles (
  incident_id     bigint NOT NULL REFERENCES wf.incidents,
  role            text NOT NULL CONSTRAINT incident_role CHECK (role IN ('conn', 'commander', 'deputy', 'scribe', 'liaison')),
  holder          wf.line NOT NULL,
  since           wf.moment NOT NULL DEFAULT clock_timestamp(),
  offered_to      wf.line,
  offered_until   wf.moment,
  offered_summary wf.words,  -- how things stand, as it was said with the offer
  CONSTRAINT incident_one_holder PRIMARY KEY (incident_id, role),
  CONSTRAINT incident_offer CHECK (num_nonnulls(offered_to, offered_until, offered_summary) IN (0, 3) AND offered_to <> holder)
);

-- Who may change what is affected without the conn, until when, and why.
CREATE TABLE wf.incident_overrides (
  incident_id bigint NOT NULL REFERENCES wf.incidents,
  person      wf.line NOT NULL,
  until       wf.moment NOT NULL,
  reason      wf.words NOT NULL CONSTRAINT override_reason CHECK (btrim(reason) <> ''),
  PRIMARY KEY (incident_id, person)
);

-- The timeline. Rows are only added; a correction is a new one that points back. `actor` NULL: the home itself.
-- `becomes`: the severity or status from then on, or the role that was taken. `source`: what it was taken from, once.
CREATE TABLE wf.incident_events (
  incident_id bigint NOT NULL REFERENCES wf.incidents,
  seq         bigint NOT NULL CHECK (seq > 0),
  cycle       integer NOT NULL,
  happened_at wf.moment NOT NULL,
  recorded_at wf.moment NOT NULL DEFAULT clock_timestamp(),
  kind        text NOT NULL CONSTRAINT incident_event_kind CHECK (kind IN (
                'origin', 'opened', 'edited', 'severity', 'status', 'role', 'offer', 'affected', 'snooze', 'override', 'note',
                'correction', 'customers', 'view', 'change', 'alert', 'gate', 'run', 'deploy')),
  actor       wf.line,
  words       text NOT NULL CONSTRAINT incident_event_words CHECK (octet_length(words) BETWEEN 1 AND 51200),
  noun        wf.line,
  thing       wf.line,
  operation   wf.line,
  becomes     wf.line,
  corrects    bigint,
  audit_seq   bigint,
  source      wf.line,
  -- Without addresses, or a search would find out whether one is in it.
  search      text GENERATED ALWAYS AS (wf.folded(regexp_replace(left(words, 1000), '[^\s@]+@[^\s@]+', '', 'g') || E'\n'
                                                  || coalesce(thing, '') || E'\n' || coalesce(operation, ''))) STORED,
  PRIMARY KEY (incident_id, seq),
  CONSTRAINT incident_event_corrects FOREIGN KEY (incident_id, corrects) REFERENCES wf.incident_events,
  CONSTRAINT incident_event_correction CHECK ((kind = 'correction') = (corrects IS NOT NULL))
);
CREATE UNIQUE INDEX incident_events_once ON wf.incident_events (incident_id, source) WHERE source IS NOT NULL;
CREATE INDEX incident_events_of ON wf.incident_events (incident_id, happened_at, seq);
CREATE INDEX incident_events_corrected ON wf.incident_events (incident_id, corrects) WHERE corrects IS NOT NULL;
CREATE INDEX incident_events_by_time ON wf.incident_events (happened_at, incident_id, seq);
CREATE INDEX incident_events_marks ON wf.incident_events (incident_id, seq)
  WHERE kind IN ('origin', 'opened', 'severity', 'status', 'role', 'customers');
CREATE INDEX incident_events_search ON wf.incident_events USING gin (wf.trigrams(search));

-- What was deployed, as the product's services say: the usual suspects of an incident. `region` '': everywhere.
CREATE TABLE wf.deploys (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  what        text NOT NULL CONSTRAINT deploy_what CHECK (char_length(btrim(what)) BETWEEN 1 AND 200),
  region      text NOT NULL DEFAULT '' CONSTRAINT deploy_region CHECK (char_length(region) <= 64),
  at          wf.moment NOT NULL,
  recorded_at wf.moment NOT NULL DEFAULT clock_timestamp(),
  recorded_by wf.line NOT NULL DEFAULT session_user
);
CREATE INDEX deploys_by_time ON wf.deploys (at);
CREATE INDEX deploys_by_recording ON wf.deploys (recorded_at);
