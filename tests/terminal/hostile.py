"""A home in which every text that somebody else may have written is hostile."""

from __future__ import annotations

import json
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.postgres import LOGIN_PASSWORD, Database

PAYLOADS = {
    "clipboard": "A\x1b]52;c;SEFDS0VE\x07B",
    "title": "A\x1b]0;OWNED\x07B\x1b]2;OWNED\x1b\\C",
    "clear": "A\x1b[2J\x1b[H\x1bcB",
    "pen": "A\x1b[38;5;213;7mB",
    "c1": "A\x9b2JB\x9d52;c;SEFDS0VE\x9cC\x90q\x85",
    "bell": "A\x07\x08\x7f\r\n\tB",
    "bidi": "A\u202eB\u2066C\u200fD\u061cE",
    "joiners": "A\u200d\u200d\u200bB\u2060C\ufeff\u2028D\U000e0041",
    "marks": "A" + "\u0301" * 60,
    "click": "[@click=app.quit]CLICKME[/]",
    "space": "[ @click=app.quit]CLICKME[/]",
    "closing": "a[/b]c[/",
    "address": "[link=https://owned.example]A[/link]",
    "formula": "=1+1",
}
"""None is longer than 64 characters: a plan and a region take no more. PostgreSQL holds neither NUL nor surrogates."""

NEVER = (b"\x1b]52;c;SEFDS0VE", b"\x1b]0;", b"\x1b]2;OWNED", b"\x1b[2J", b"\x1bc", b"\x1b[38;5;213;7m", b"\x1b]8;")
"""What the payloads would send, also where the program's own words begin with the same bytes."""

LONG = "A\x1b]52;c;SEFDS0VE\x07" + "W\u0301" * 5000
"""10,000 characters, for what has no limit of its own."""

ACTOR = "al\x1b]0;OWNED\x07\u202e[@click=app.quit]CLICKME[/]"


def fill(database: Database) -> None:
    """A tenant per payload, in all its fields; a project each; runs; a trail in which all of it stands again."""
    with psycopg.connect(database.owner) as connection:
        for name, payload in PAYLOADS.items():
            connection.execute(
                "INSERT INTO wf.tenants (id, name, plan, region, allowed_regions, owner_email, metadata)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [name, payload, payload, payload, [payload, LONG], payload + "@x", json.dumps(_metadata(payload))],
            )
            connection.execute(
                "INSERT INTO wf.projects (tenant_id, id, name) VALUES (%s, 'p', %s)", [name, (payload * 9)[:200]]
            )
            connection.execute("SELECT wf.open_change(%s, %s, %s, '')", [payload, payload, payload])
            connection.execute(
                "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = %s"
                " WHERE id = %s",
                [payload, name],
            )
            pair = json.dumps({payload: payload})
            connection.execute(
                "SELECT wf.append_audit(%s, %s, 'note', %s, %s, '{NULL}', %s::jsonb[], '{}')",
                [payload, payload, [payload], [name], [pair]],
            )
            connection.execute("SELECT wf.finish_change(%s)", [pair])
            connection.commit()
            (run,) = connection.execute(
                "INSERT INTO wf.runs (operation, fields, filter, reason, why, actor, state, per_second, breaker_share)"
                " VALUES ('tenants.suspend', %s, %s, %s, %s, %s, 'paused', 5, 0.2) RETURNING id",
                [json.dumps({payload: payload}), payload, payload, payload, payload],
            ).fetchone() or (0,)
            connection.execute(
                "INSERT INTO wf.run_items (run_id, ordinal, thing, subject, state, code, words)"
                " SELECT %s, row_number() OVER (), t, jsonb_build_object('id', t), 'refused', t, t"
                " FROM unnest(%s::text[]) t",
                [run, list(PAYLOADS.values())],
            )
            connection.commit()
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE wf_admin").format(sql.Identifier(ACTOR), LOGIN_PASSWORD)
        )
        connection.execute("SELECT wf.let_in(%s)", [ACTOR])


def _metadata(payload: str) -> dict[str, object]:
    return {payload: payload, "all": list(PAYLOADS.values()), "deep": {payload: {payload: [LONG]}}, "long": LONG}


def url_of_actor(database: Database) -> str:
    """The home's URL for the hostile login."""
    known = conninfo_to_dict(database.owner)
    host = quote(str(known["host"]), safe="")
    return f"postgresql://{quote(ACTOR, safe='')}@/{database.name}?host={host}&port={known['port']}"
