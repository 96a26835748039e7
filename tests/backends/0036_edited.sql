-- What a console shows, as controlplane.listing.View writes it: texts, and a list of texts.
CREATE DOMAIN wf.view AS jsonb CONSTRAINT view_form CHECK (
  jsonb_typeof(VALUE) = 'object' AND VALUE ? 'noun' AND octet_length(VALUE::text) <= 4096
  AND VALUE - '{noun,path,filter,sort,row,columns}'::text[] = '{}'
  AND NOT jsonb_path_exists(VALUE, '$.*[*] ? (@.type() != "string")'));

-- Who looks at what in which console. It is worth nothing after a crash, so it is not logged.
CREATE UNLOGGED TABLE wf.presences (
  console  uuid PRIMARY KEY,
  person   wf.line NOT NULL DEFAULT session_user,
  view     wf.view NOT NULL,
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
  view        wf.view NOT NULL,
  PRIMARY KEY (incident_id, seq),
  FOREIGN KEY (incident_id, seq) REFERENCES wf.incident_events
);
