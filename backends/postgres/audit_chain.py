"""The audit chain in PostgreSQL, as it is read; what signs it is in `notary`."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from controlplane.auditchain import Link

Connection = psycopg.AsyncConnection[TupleRow]

PAGE = 5000

# Not wf.audit_canonical: whoever can write the trail anew can write that anew as well. A test holds both together.
LINKS = """
SELECT c.seq, c.head, CASE WHEN a.seq IS NOT NULL THEN jsonb_build_object(
  'seq', a.seq, 'at', to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'change_id', a.change_id,
  'out_of_band', a.out_of_band, 'actor', a.actor, 'operation', a.operation, 'noun', a.noun, 'thing', a.thing,
  'tenant_id', a.tenant_id, 'reason', a.reason, 'request_id', a.request_id, 'before', a.before, 'after', a.after)::text
END
FROM (SELECT * FROM wf.audit_chain WHERE seq > %s ORDER BY seq LIMIT %s) c LEFT JOIN wf.audit a ON a.seq = c.seq
ORDER BY c.seq
"""


async def origin_of(connection: Connection) -> str:
    row = await (await connection.execute("SELECT origin FROM wf.audit_origin")).fetchone()
    assert row is not None
    return str(row[0])


async def page_of_links(connection: Connection, after: int) -> list[Link]:
    cursor = await connection.execute(LINKS, [after, PAGE])
    return [Link(seq, canonical, bytes(head)) for seq, head, canonical in await cursor.fetchall()]
