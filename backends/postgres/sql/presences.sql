-- Presence: each console says every few seconds what it shows, for its own login only. It is no change of anything, so it is
-- not in the trail.

-- `idle`: seconds since a key was pressed. Of each person the newest 20 consoles are kept, for 30 days: by the last one that
-- person learns what happened since they left.
CREATE OR REPLACE FUNCTION wf.be_present(console uuid, view jsonb, idle double precision) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  moment constant timestamptz := clock_timestamp();
  moved  constant timestamptz := moment - make_interval(secs => least(greatest(coalesce(idle, 0), 0), 2592000));
BEGIN
  INSERT INTO wf.presences AS p (console, person, view, view_at, moved_at, seen_at)
  VALUES (be_present.console, session_user, be_present.view, moment, moved, moment)
  ON CONFLICT ON CONSTRAINT presences_pkey DO UPDATE SET view = excluded.view, moved_at = excluded.moved_at, seen_at = excluded.seen_at,
    view_at = CASE WHEN p.view = excluded.view THEN p.view_at ELSE excluded.view_at END
  WHERE p.person = session_user;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this console is of somebody else' USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'presence_taken';
  END IF;
  DELETE FROM wf.presences p WHERE p.person = session_user AND (p.seen_at < moment - interval '30 days' OR p.console IN (
    SELECT o.console FROM wf.presences o WHERE o.person = session_user ORDER BY o.seen_at DESC OFFSET 20));
END
$$;

-- The consoles that are open now. An address in a filter is masked for those who may not read it.
CREATE VIEW wf.presence_list AS
SELECT p.console, p.person, o.role, CASE WHEN (SELECT wf.sees_personal()) THEN p.view ELSE wf.without_addresses(p.view) END AS view,
       p.view_at, p.moved_at, p.seen_at
FROM wf.presences p LEFT JOIN wf.operators o ON o.name = p.person
WHERE p.seen_at > clock_timestamp() - interval '30 seconds';

-- When the login's consoles before this one were used last; NULL: none is known.
CREATE OR REPLACE FUNCTION wf.left_at(console uuid) RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
  SELECT max(p.moved_at) FROM wf.presences p WHERE p.person = session_user AND p.console IS DISTINCT FROM left_at.console
$$;
GRANT SELECT ON wf.presence_list TO wf_viewer;
GRANT EXECUTE ON FUNCTION wf.be_present, wf.left_at, wf.without_addresses TO wf_viewer;
