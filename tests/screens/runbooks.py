"""An execution of the snapshots: one step passed, one failed, one that somebody has; the same at every run."""

from __future__ import annotations

import psycopg
from psycopg.types.json import Jsonb

from controlplane.runbooks.parsing import parse

BODY = """# A tenant reaches too far

Its requests are answered with what belongs to another.

## 1. Which tenant

```question tenant
ask: Which tenant reaches what is not its own?
within: 15m
```

## 2. Suspend it

Nobody gets in with its keys from now on. `watchfloor tenants show {tenant}` says when.

- its data stays as it is
- its jobs wait

```operation tenants.suspend
fields:
  id: "{tenant}"
reason: security incident
within: 1h
```

## 3. It is suspended

```check list
noun: tenants
filter: "id:{tenant} status:suspended"
equals: 1
```

## 4. Let it in again

```operation tenants.resume
fields: {id: "{tenant}"}
when_failed: It is suspended
```

## 5. Tell the tenants

Both of them.
"""
STEPS = """
UPDATE wf.execution_steps s
SET claimed_at = v.at::timestamptz, claimed_by = v.who, begun_at = v.at::timestamptz, tries = 1,
  verdict = v.verdict, note = v.note, output = v.output::jsonb,
  ended_at = CASE WHEN v.verdict IS NOT NULL THEN v.at::timestamptz + interval '40 seconds' END
FROM (VALUES
  (1, 'ana', '2025-11-21T11:02Z', 'passed', '', '{"answer": "globex"}'),
  (2, 'ana', '2025-11-21T11:04Z', 'passed', '', '{"audit": [17], "request_id": "wf-1", "things": ["globex"]}'),
  (3, 'ben', '2025-11-21T11:06Z', 'failed', '', '{"state": "fail", "value": 0, "unit": "tenants", "held_to": "equals 1",
    "words": "it is 0", "because": ""}'),
  (4, 'ben', '2025-11-21T11:59Z', NULL, '', '{}')
) AS v(place, who, at, verdict, note, output) WHERE v.place = s.place
"""


def fill(connection: psycopg.Connection) -> None:
    book = parse("reaches-too-far", BODY)
    values = [book.name, book.title, book.body, Jsonb(book.listed())]
    connection.execute("SELECT wf.begin_execution(%s, %s, %s, %s, 41, false)", values)
    for table in ("executions", "execution_steps"):
        connection.execute(f"ALTER TABLE wf.{table} DISABLE TRIGGER USER".encode())
    connection.execute("UPDATE wf.executions SET started_at = '2025-11-21T11:00Z', started_by = 'ana'")
    connection.execute(STEPS)
    for table in ("executions", "execution_steps"):
        connection.execute(f"ALTER TABLE wf.{table} ENABLE TRIGGER USER".encode())
    connection.execute("ALTER TABLE wf.audit DISABLE TRIGGER append_only")
    connection.execute("UPDATE wf.audit SET actor = 'ana', at = '2025-11-21T11:00Z' WHERE noun = 'executions'")
    connection.execute("ALTER TABLE wf.audit ENABLE TRIGGER append_only")
