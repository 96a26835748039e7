"""Who may do what in the schema, as text: one line per table, view or function and role. PUBLIC would be a line too.

After a migration changed it on purpose: .venv/bin/python -m tests.backends.privileges
"""

from __future__ import annotations

from pathlib import Path

import psycopg

GOLDEN = Path(__file__).with_name("privileges.txt")

TABLES = """
SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type, NULL
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = 'wf'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND a.grantee <> c.relowner
UNION ALL
SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type, t.attname
FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = 'wf'::regnamespace
"""
FUNCTIONS = """
SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', coalesce(r.rolname, 'PUBLIC'),
       a.privilege_type
FROM pg_proc p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE p.pronamespace = 'wf'::regnamespace AND a.grantee <> p.proowner
"""


def privileges(connection: psycopg.Connection) -> str:
    held: dict[tuple[str, str], dict[str, set[str]]] = {}
    for table, role, privilege, column in connection.execute(TABLES):
        held.setdefault((table, role), {}).setdefault(privilege, set()).update([column] if column else [])
    lines = [
        f"{table} {role}: " + "; ".join(f"{p} {' '.join(sorted(c))}".strip() for p, c in sorted(of.items()))
        for (table, role), of in held.items()
    ]
    lines += [f"{function} {role}: {privilege}" for function, role, privilege in connection.execute(FUNCTIONS)]
    return "\n".join(sorted(lines)) + "\n"


if __name__ == "__main__":
    from tests.postgres import running_server

    with running_server() as server, psycopg.connect(server.create(template=server.make_template()).owner) as opened:
        GOLDEN.write_text(privileges(opened))
