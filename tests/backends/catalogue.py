"""Every object of a home's schemas and what the nouns' files put into tables, each as one line that says all of it, so
that two homes can be compared."""

from __future__ import annotations

import psycopg

OURS = "regnamespace::text IN ('wf', 'wf_data')"
# The days and months that partitions are made for depend on the clock.
LASTING = "NOT (c.relispartition AND c.relname !~ '_default$')"

QUERIES = {
    "table": f"""
        SELECT c.oid::regclass::text, concat_ws(' ', c.relkind, c.relpersistence, array_to_string(c.reloptions, ','),
               c.relrowsecurity, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid))
        FROM pg_class c WHERE c.relkind IN ('r', 'p', 'S') AND c.relnamespace::{OURS} AND {LASTING}""",
    "column": f"""
        SELECT c.oid::regclass || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attcollation::regcollation, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v')
          AND c.relnamespace::{OURS} AND {LASTING}""",
    "constraint": f"""
        SELECT c.oid::regclass || ' ' || k.conname, pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.relnamespace::{OURS} AND {LASTING}""",
    "index": f"""
        SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace::{OURS} AND {LASTING}""",
    "view": f"""
        SELECT c.oid::regclass::text, pg_get_viewdef(c.oid) || coalesce(array_to_string(c.reloptions, ','), '')
        FROM pg_class c WHERE c.relkind = 'v' AND c.relnamespace::{OURS}""",
    "function": f"""
        SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.pronamespace::{OURS}""",
    "trigger": f"""
        SELECT c.oid::regclass || ' ' || t.tgname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND c.relnamespace::{OURS} AND {LASTING}""",
    "policy": f"""
        SELECT c.oid::regclass || ' ' || p.polname, concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[],
               pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid))
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace::{OURS}""",
    "privilege": f"""
        SELECT what || ' ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
               string_agg(a.privilege_type, ',' ORDER BY a.privilege_type) FROM (
          SELECT c.oid::regclass::text AS what, c.relacl AS acl, c.relowner AS owner, c.relnamespace AS schema
          FROM pg_class c WHERE {LASTING}
          UNION ALL SELECT c.oid::regclass || '.' || t.attname, t.attacl, c.relowner, c.relnamespace
          FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid WHERE {LASTING}
          UNION ALL SELECT p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner)), p.proowner,
                           p.pronamespace
          FROM pg_proc p
          UNION ALL SELECT n.nspname, n.nspacl, n.nspowner, n.oid FROM pg_namespace n
        ) AS held, aclexplode(acl) AS a WHERE held.schema::{OURS} AND a.grantee <> held.owner GROUP BY 1""",
    "operation": "SELECT name, role FROM wf.operations",
    "write": "SELECT concat_ws(' ', operation, control, verb), w::text FROM wf.operation_writes w",
}


def catalogue(connection: psycopg.Connection) -> dict[str, str]:
    """'trigger wf.tenants guard' → its whole definition."""
    return {
        f"{kind} {name}": definition
        for kind, query in QUERIES.items()
        for name, definition in connection.execute(query.encode()).fetchall()
    }
