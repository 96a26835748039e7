"""A storm of dead letters in the demonstration: a mail server that is down, a bad query, and poison."""

from __future__ import annotations

import random

from app.demo.estate import Estate
from app.demo.site import Site

MAIL, RENDER, POISON = 180, 40, 4
STORM = """
INSERT INTO wf.jobs (kind, tenant_id, payload, state, tries, attempts, created_at, started_at, ended_at, error)
SELECT %(kind)s, t, jsonb_build_object('invoice', 9007199254740990 + n, 'to', 'billing@' || t || '.example',
                                       'total', 129.90),
       'dead', 5, 5, at - interval '20 minutes', at - interval '31 seconds', at,
       replace(%(error)s, '#', (1000 + n)::text)
FROM unnest(%(tenants)s::text[]) WITH ORDINALITY AS s(t, n),
     LATERAL (SELECT now() - %(ago)s * interval '1 minute' * (n / %(number)s::float8) - interval '3 minutes' AS at) a
"""
AS_TRIED = """
UPDATE wf.dead_letters l
SET attempts = (SELECT jsonb_agg(jsonb_build_object(
                    'attempt', n, 'ended_at', l.dead_at - (5 - n) * interval '4 minutes', 'outcome', 'failed',
                    'error', l.error, 'by', 'worker-1') ORDER BY n) FROM generate_series(1, 5) n),
    first_failed_at = l.dead_at - interval '16 minutes', release = %s
"""
KNOWN = """
UPDATE wf.dead_causes c SET releases = ARRAY[%s],
  replayed = CASE WHEN c.handler = 'webhook.fan-out' THEN 12 ELSE c.replayed END
"""


def seed(estate: Estate, site: Site) -> None:
    site.report("dead letters: what could not be done")
    rng, tenants = random.Random(estate.seed), [firm.id for firm in estate.firms]
    storm = (
        (
            "invoice.send",
            MAIL,
            180,
            "POST https://mail.example/v1/send: no answer after 30.# s [http_503]",
            tenants[:25],
        ),
        ("report.render", RENDER, 1200, "column 'total_#' does not exist [bad_query]", [estate.failing]),
        ("webhook.fan-out", POISON, 600, "the message is nested deeper than 64 levels [rejected]", [estate.noisy]),
    )
    with site.change("demo.load", "dead letters of the demonstration") as connection:
        for kind, number, ago, error, among in storm:
            hit = [rng.choice(among) for _ in range(number)]
            connection.execute(STORM, {"kind": kind, "error": error, "ago": ago, "number": number, "tenants": hit})
    with site.change("demo.load", "what was tried before") as connection:
        connection.execute(AS_TRIED, ["2.4.0"])
        connection.execute(
            "UPDATE wf.dead_letters SET state = 'quarantined', replays = 3 WHERE handler = 'webhook.fan-out'"
        )
        connection.execute(KNOWN, ["2.4.0"])
