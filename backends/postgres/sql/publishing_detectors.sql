-- What detectors find about published evidence (sql/detectors.sql).
-- Locks of evidence that still counts: that end within some days, or have ended within the last week, or that are shorter than
-- is asked for at their target (then also none at all); one for each target.
CREATE OR REPLACE FUNCTION wf.detect_lock_ending() RETURNS SETOF wf.finding LANGUAGE sql STABLE SET search_path = wf, pg_temp AS $$
  WITH locks AS (
    SELECT p.id, p.target, p.locked_until, t.value, t.source, g.keep_days,
           p.locked_until > now() - interval '7 days' AND p.locked_until <= now() + t.value * interval '24 hours' AS ending,
           g.keep_days IS NOT NULL AND coalesce(p.locked_until, '-infinity')
             < p.created_at + least(g.keep_days, 36600) * interval '24 hours' - interval '1 hour' AS short
    FROM wf.publications p JOIN wf.evidence e ON e.id = p.evidence_id AND e.withdrawn_at IS NULL
      JOIN wf.publication_targets g ON g.target = p.target CROSS JOIN wf.estate_threshold('lock_ending', 'days') t
    WHERE p.published_at IS NOT NULL
  )
  SELECT NULL, jsonb_build_object('target', l.target),
         CASE WHEN bool_or(l.short) OR min(l.locked_until) < now() THEN 'error' ELSE 'warning' END,
         coalesce(extract(epoch FROM min(l.locked_until) - now()) / 86400, 0), l.value, 'days',
         CASE WHEN bool_or(l.short)
              THEN format('%s at %s not locked for the %s that are asked for', wf.counted(count(*) FILTER (WHERE l.short), 'bundle'),
                          l.target, wf.counted(max(l.keep_days), 'day'))
              ELSE format('the first of %s at %s ends at %s', wf.counted(count(*), 'lock'), l.target,
                          wf.minute_of(min(l.locked_until))) END,
         jsonb_build_object('target', l.target, 'publications', count(*), 'short', count(*) FILTER (WHERE l.short),
                            'first_ends', min(l.locked_until), 'threshold_from', l.source,
                            'first', (array_agg(l.id ORDER BY l.locked_until NULLS FIRST, l.id))[1]), NULL
  FROM locks l WHERE l.ending OR l.short GROUP BY l.target, l.value, l.source
$$;

-- The share of publications of the last 24 hours whose last try failed, and the share that was given up, each against that of
-- the 6 days before; and how many wait or are dead in all. What is published in the end counts as published.
CREATE OR REPLACE FUNCTION wf.detect_publishing_failing() RETURNS SETOF wf.finding LANGUAGE sql STABLE
SET search_path = wf, pg_temp AS $$
  WITH judged AS (
    SELECT p.asked_at > now() - interval '24 hours' AS fresh, p.asked_at > now() - interval '7 days' AS lately,
           l.state, l.state = 'failed' OR l.state IN ('waiting', 'running') AND l.error IS NOT NULL AS failed,
           l.state IN ('published', 'failed') OR l.attempts > 0 AND l.error IS NOT NULL AS tried
    FROM wf.publications p JOIN wf.publication_list l ON l.id = p.id
  ), counts AS (
    SELECT count(*) FILTER (WHERE fresh AND tried) AS n, count(*) FILTER (WHERE fresh AND tried AND failed) AS failed,
           count(*) FILTER (WHERE fresh AND state = 'failed') AS dead,
           count(*) FILTER (WHERE lately AND NOT fresh AND tried) AS old_n,
           count(*) FILTER (WHERE lately AND NOT fresh AND tried AND failed) AS old_failed,
           count(*) FILTER (WHERE lately AND NOT fresh AND state = 'failed') AS old_dead,
           count(*) FILTER (WHERE state IN ('waiting', 'running')) AS open, count(*) FILTER (WHERE state = 'failed') AS all_dead
    FROM judged
  ), limits AS (
    SELECT c.*, c.failed::float8 / nullif(c.n, 0) AS share, c.dead::float8 / nullif(c.n, 0) AS dead_share,
           greatest(s.value, CASE WHEN c.old_n >= f.value THEN x.value * c.old_failed / c.old_n END) AS limit_failed,
           greatest(d.value, CASE WHEN c.old_n >= f.value THEN x.value * c.old_dead / c.old_n END) AS limit_dead,
           f.value AS fewest, b.value AS most_open, g.value AS most_dead, k.value AS critical_dead, x.source
    FROM counts c, wf.estate_threshold('publishing_failing', 'fewest') f, wf.estate_threshold('publishing_failing', 'times') x,
      wf.estate_threshold('publishing_failing', 'share') s, wf.estate_threshold('publishing_failing', 'dead') d,
      wf.estate_threshold('publishing_failing', 'backlog') b, wf.estate_threshold('publishing_failing', 'backlog_dead') g,
      wf.estate_threshold('publishing_failing', 'backlog_critical') k
  ), signals AS (
    SELECT l.*, l.n >= l.fewest AND l.share > l.limit_failed AS by_failed, l.n >= l.fewest AND l.dead_share > l.limit_dead AS by_dead,
           l.n >= l.fewest AND l.share > 1.5 * l.limit_failed OR l.all_dead > l.critical_dead AS critical
    FROM limits l
  )
  SELECT NULL, '{}'::jsonb, CASE WHEN s.critical THEN 'critical' ELSE 'warning' END,
         CASE WHEN s.by_failed THEN s.share WHEN s.by_dead THEN s.dead_share WHEN s.all_dead > s.most_dead THEN s.all_dead ELSE s.open END,
         CASE WHEN s.by_failed THEN s.limit_failed WHEN s.by_dead THEN s.limit_dead WHEN s.all_dead > s.most_dead THEN s.most_dead
              ELSE s.most_open END,
         CASE WHEN s.by_failed OR s.by_dead THEN 'share' ELSE 'jobs' END,
         format('%s of %s publications in 24 hours are not published, %s of them given up; in all %s wait and %s were given up',
                s.failed, s.n, s.dead, s.open, s.all_dead),
         jsonb_build_object('publications', s.n, 'failed', s.failed, 'dead', s.dead, 'publications_before', s.old_n,
                            'failure_rate', s.share, 'failure_rate_threshold', s.limit_failed, 'dead_letter_rate', s.dead_share,
                            'dead_letter_rate_threshold', s.limit_dead, 'open_backlog', s.open, 'dead_letter_backlog', s.all_dead,
                            'threshold_from', s.source), NULL
  FROM signals s WHERE s.by_failed OR s.by_dead OR s.open > s.most_open OR s.all_dead > s.most_dead
$$;
