"""When the steps of the preparation happened in the story, and how what they wrote gets those times.

People's operations run in seconds, but the story takes a month. The owner of a home that was made for the demonstration
moves the times, once, before anything of its trail is chained or signed. It takes the server's superuser: no login of a
home can do the same, and nothing is left in the database with which it could. A home that is somebody's own keeps its
trail as it was written.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import psycopg
from psycopg import sql

from controlplane.clock import machine_now

MOMENTS = "CREATE TEMP TABLE demo_moments (real timestamptz PRIMARY KEY, story timestamptz NOT NULL)"
MOVED = """
CREATE FUNCTION pg_temp.moved(t timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT coalesce(
    (SELECT t - m.real + m.story FROM pg_temp.demo_moments m WHERE m.real <= t ORDER BY m.real DESC LIMIT 1), t)
$$;
CREATE FUNCTION pg_temp.moved(body jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_object_agg(key, CASE WHEN value #>> '{}' ~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d'
                                    THEN to_jsonb(pg_temp.moved((value #>> '{}')::timestamptz)) ELSE value END)
  FROM jsonb_each(body)
$$
"""
COLUMNS = """
SELECT c.relname, array_agg(i.column_name::text ORDER BY i.ordinal_position)
FROM pg_class c JOIN information_schema.columns i ON i.table_schema = 'wf' AND i.table_name = c.relname
WHERE c.relnamespace = 'wf'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition AND i.is_generated = 'NEVER'
  AND i.data_type = 'timestamp with time zone' GROUP BY 1
"""
FOLLOWING = {"api_keys": ("grace_until", "rotated_at"), "impersonations": ("ends_at", "started_at")}
"""What ends some time after a moment: it moves with it."""
# A row of the load that is about something younger than the load is dated by that.
NUMBERED = """
CREATE TEMP TABLE demo_numbers ON COMMIT DROP AS
SELECT seq, at, late, min(seq) OVER () - 1 + row_number() OVER (ORDER BY at, seq) AS number FROM (
  SELECT seq, a.at >= %s AS late, CASE WHEN operation = 'demo.load' AND before IS NULL
           THEN greatest(m.at, least(coalesce(after ->> 'created_at', after ->> 'starts_at')::timestamptz, %s))
           ELSE m.at END AS at
  FROM wf.audit a, LATERAL (SELECT pg_temp.moved(a.at) AS at OFFSET 0) m) a
WHERE seq > (SELECT coalesce(max(c.seq), 0) FROM wf.audit_chain c)
"""
# Rows take each other's numbers, so all that change are taken out first.
TAKEN = """
CREATE TEMP TABLE demo_trail ON COMMIT DROP AS
SELECT a.*, n.number, n.at AS moved_at, n.late FROM wf.audit a JOIN demo_numbers n USING (seq)
WHERE n.late OR (n.number, n.at) <> (a.seq, a.at)
"""
IN_THE_TRAIL = """
SELECT attname FROM pg_attribute
WHERE attrelid = 'wf.audit'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
PUT_BACK = {
    "seq": "number",
    "at": "moved_at",
    "before": "CASE WHEN late THEN pg_temp.moved(before) ELSE before END",
    "after": "CASE WHEN late THEN pg_temp.moved(after) ELSE after END",
}
RENUMBERED = (
    "UPDATE wf.audit_personal p SET seq = -n.number FROM demo_numbers n WHERE n.seq = p.seq",
    "UPDATE wf.audit_personal SET seq = -seq WHERE seq < 0",
    "UPDATE wf.incident_events e SET audit_seq = n.number FROM demo_numbers n WHERE n.seq = e.audit_seq",
    "UPDATE wf.alert_events e SET audit_seq = n.number FROM demo_numbers n WHERE n.seq = e.audit_seq",
    "SELECT wf.see_triggers()",
)


class Past:
    """Between two calls of `at`, what is written gets the times after the first call's `when`."""

    def __init__(self) -> None:
        self._moments: list[tuple[datetime, datetime]] = []

    def at(self, when: datetime, since: datetime | None = None) -> None:
        """From now on, or since then, it is `when`: never earlier than at the call before."""
        self._moments.append((since or machine_now(), when))

    def settle(self, owner: str, only: Collection[str] = (), *, trail: bool) -> None:
        """Move all that was written since the first call. `only`: in these tables; `trail`: and in what of the trail is
        not chained yet.
        """
        moments, self._moments = self._moments, []
        now = machine_now()
        with psycopg.connect(owner, options="-c timezone=UTC -c session_replication_role=replica") as connection:
            connection.execute(MOMENTS)
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO demo_moments VALUES (%s, %s)", [*moments, (now, now)])
            connection.execute(MOVED)
            begun = moments[0][0]
            for table, columns in connection.execute(COLUMNS).fetchall():
                if table != "audit" and (not only or table in only):
                    connection.execute(_move(table, columns), [begun] * len(columns))
            if trail:
                connection.execute(NUMBERED, [begun, moments[-1][1]])
                _renumber(connection)


def _renumber(connection: psycopg.Connection) -> None:
    """The trail in the order of its new times."""
    connection.execute(TAKEN)
    connection.execute("DELETE FROM wf.audit a USING demo_trail t WHERE t.seq = a.seq")
    columns = [name for (name,) in connection.execute(IN_THE_TRAIL).fetchall()]
    values = [sql.SQL(PUT_BACK[name]) if name in PUT_BACK else sql.Identifier(name) for name in columns]
    put_back = "INSERT INTO wf.audit ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM demo_trail ORDER BY number"
    names = map(sql.Identifier, columns)
    connection.execute(sql.SQL(put_back).format(sql.SQL(", ").join(names), sql.SQL(", ").join(values)))
    for statement in RENUMBERED:
        connection.execute(statement.encode())


def _move(table: str, columns: list[str]) -> sql.Composed:
    name = sql.Identifier
    moves: list[sql.Composable] = [sql.SQL("{0} = pg_temp.moved({0})").format(name(column)) for column in columns]
    if table in FOLLOWING:
        column, base = FOLLOWING[table]
        moves = [move for move, each in zip(moves, columns, strict=True) if each != column]
        moves.append(sql.SQL("{0} = {0} - ({1} - pg_temp.moved({1}))").format(name(column), name(base)))
    if table == "plan_changes":
        moves.append(
            sql.SQL("effective_on = CASE WHEN applied_at IS NULL THEN effective_on ELSE pg_temp.moved(at)::date END")
        )
    late = sql.SQL(" OR ").join(sql.SQL("{} >= %s").format(name(column)) for column in columns)
    return sql.SQL("UPDATE {} SET {} WHERE {}").format(name("wf", table), sql.SQL(", ").join(moves), late)
