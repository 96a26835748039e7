-- Who looks at what in which console. It is worth nothing after a crash, so it is not logged.
CREATE UNLOGGED TABLE wf.presences (
  console  uuid PRIMARY KEY,
  person   wf.line NOT NULL DEFAULT session_user,
  view     jsonb NOT NULL CONSTRAINT presence_view
           CHECK (jsonb_typeof(view) = 'object' AND view ? 'noun' AND octet_length(view::text) <= 4096),
  view_at  wf.moment NOT NULL,  -- since when they look at it
  moved_at wf.moment NOT NULL,  -- when they pressed a key last
  seen_at  wf.moment NOT NULL   -- when their console said so last
);
CREATE INDEX presences_of ON wf.presences (person, seen_at);
CREATE INDEX presences_seen ON wf.presences (seen_at);

-- The view that an event of an incident was posted with: what opens it again. What was seen is in the event's words.
CREATE TABLE wf.incident_views (
  incident_id bigint NOT NULL,
  seq         bigint NOT NULL,
  view        jsonb NOT NULL CONSTRAINT incident_view
              CHECK (jsonb_typeof(view) = 'object' AND view ? 'noun' AND octet_length(view::text) <= 4096),
  PRIMARY KEY (incident_id, seq),
  FOREIGN KEY (incident_id, seq) REFERENCES wf.incident_events
);
