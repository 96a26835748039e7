"""Reading the audit chain from PostgreSQL; `notary` signs it."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from backends.postgres.statements import scalar
from controlplane.audit.chain import Link

Connection = psycopg.AsyncConnection[TupleRow]

PAGE_LINKS = 5000

# No function of the home is used, not even wf.audit_canonical: whoever can rewrite the trail can rewrite those as well.
# So their work is repeated here; a test compares the two.
_UNPACKED = """CASE jsonb_typeof({0}) WHEN 'object' THEN {0} || '{{}}' WHEN 'array' THEN {0} || '[]'
  ELSE jsonb_build_array({0}) END"""
_DIGEST = """(
  WITH RECURSIVE part(way, v) AS (
    SELECT sha256(''), {0}
    UNION ALL
    SELECT sha256(p.way || sha256(convert_to(e.key, 'UTF8'))), e.value
    FROM part p, LATERAL (
      SELECT o.key, o.value FROM jsonb_each(CASE WHEN jsonb_typeof(p.v) = 'object' THEN p.v ELSE '{{}}' END) o
      UNION ALL
      SELECT a.i::text, a.value
      FROM jsonb_array_elements(CASE WHEN jsonb_typeof(p.v) = 'array' THEN p.v ELSE '[]' END)
        WITH ORDINALITY a(value, i)) e
    WHERE pg_column_size(p.v) > 65536
  ), hashed AS (
    SELECT sha256(way || sha256(convert_to(jsonb_typeof(v) || ' ' || CASE
             WHEN pg_column_size(v) <= 65536 THEN v::text
             WHEN jsonb_typeof(v) IN ('object', 'array') THEN ''
             ELSE v #>> '{{}}' END, 'UTF8'))) AS h
    FROM part
  ), bites AS (
    SELECT sha256(string_agg(h, '' ORDER BY h)) AS h
    FROM (SELECT h, row_number() OVER (ORDER BY h) / 1000000 AS bite FROM hashed) n GROUP BY bite
  )
  SELECT encode(sha256(string_agg(h, '' ORDER BY h)), 'hex') FROM bites)"""


def _held(column: str) -> str:
    """The value itself; or, when it is too large, NULL with its digest beside it."""
    value = f"a.{column}"
    unpacked = _UNPACKED.format(value)
    return f"""CASE WHEN {value} IS NOT NULL AND pg_column_size({unpacked}) > 1048576
      THEN jsonb_build_object('{column}', NULL, '{column}_digest', {_DIGEST.format(unpacked)})
      ELSE jsonb_build_object('{column}', {value}) END"""


LINKS = f"""
SELECT c.seq, c.head, CASE WHEN a.seq IS NOT NULL THEN (jsonb_build_object(
  'seq', a.seq, 'at', to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'change_id', a.change_id,
  'out_of_band', a.out_of_band, 'actor', a.actor, 'operation', a.operation, 'noun', a.noun, 'thing', a.thing,
  'tenant_id', a.tenant_id, 'reason', a.reason, 'request_id', a.request_id, 'carried_by', a.carried_by,
  'impersonation', a.impersonation)
  || {_held("before")} || {_held("after")})::text
END
FROM (SELECT * FROM wf.audit_chain WHERE seq > %s ORDER BY seq LIMIT %s) c LEFT JOIN wf.audit a ON a.seq = c.seq
ORDER BY c.seq
"""


async def origin_of(connection: Connection) -> str:
    return str(await scalar(connection, "SELECT origin FROM wf.audit_origin"))


async def page_of_links(connection: Connection, after: int) -> list[Link]:
    cursor = await connection.execute(LINKS.encode(), [after, PAGE_LINKS])
    return [Link(seq, canonical, bytes(head)) for seq, head, canonical in await cursor.fetchall()]
