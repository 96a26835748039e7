"""Finds what a text belongs to: one statement, whose parts each use an index and return few rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row

from controlplane.filters.patterns import fold
from controlplane.find import MAX_FOUND_PER_KIND, Found, Kind, Sought
from controlplane.find import Finder as FinderPort

if TYPE_CHECKING:
    from backends.postgres.home import Home

_TENANT = "SELECT 'tenant' AS kind, id, id AS tenant_id, {words} AS words, status AS state FROM wf.tenant_list"
_PROJECT = (
    "SELECT 'project' AS kind, id, tenant_id, name || ' of ' || tenant_id AS words, status AS state FROM wf.projects"
)
_KEY = (
    "SELECT 'key' AS kind, id, tenant_id, concat_ws(' ', display, nullif(label, ''), 'of', tenant_id) AS words, state"
    " FROM wf.key_list"
)
_OPERATOR = (
    "SELECT 'operator' AS kind, name AS id, NULL AS tenant_id, role AS words,"
    " CASE WHEN active THEN 'active' ELSE 'removed' END AS state FROM wf.operators"
)
# A text of three letters or more is found anywhere, by the trigram index; a shorter one only at the beginning.
_PART = "wf.trigrams({0}) @> wf.trigrams(wf.folded(%(text)s)) AND {0} LIKE wf.folded(%(part)s)"
_PROJECT_SEARCH = "wf.folded(id || E'\\n' || name)"

PARTS: dict[Kind, tuple[str, ...]] = {
    "owner": (
        _TENANT.format(words="'its owner, or that of a key: ' || name")
        + " WHERE id = ANY (ARRAY(SELECT wf.tenants_of_email(%(text)s)))",
    ),
    "tenant": (
        _TENANT.format(words="name") + " WHERE wf.folded(id) = wf.folded(%(text)s)",
        _TENANT.format(words="name") + f" WHERE {_PART.format('search')} ORDER BY id",
    ),
    "project": (
        _PROJECT + " WHERE (tenant_id, id) = (%(before)s, %(after)s)",
        _PROJECT + f" WHERE {_PART.format(_PROJECT_SEARCH)} ORDER BY tenant_id, id",
    ),
    "key": (
        _KEY + " WHERE id = %(key_id)s",
        _KEY + f" WHERE {_PART.format('search')} ORDER BY id",
    ),
    "change": (
        "SELECT 'change' AS kind, c.request_id AS id,"
        " (SELECT min(tenant_id) FROM wf.audit a WHERE a.change_id = c.id) AS tenant_id,"
        " c.operation || ' by ' || c.actor AS words, to_char(c.started_at, 'YYYY-MM-DD HH24:MI') AS state"
        " FROM wf.changes c WHERE c.request_id = %(text)s",
    ),
    "request": (
        "SELECT 'request' AS kind, request_id AS id, tenant_id,"
        " concat_ws(' ', method, route, 'of', tenant_id) AS words, status::text AS state"
        " FROM wf.requests WHERE request_id = %(text)s",
    ),
    "operator": (_OPERATOR + " WHERE name LIKE wf.folded(%(part)s) ORDER BY name",),
}
"""The queries for each kind, exact matches first."""

SHORT: dict[Kind, tuple[str, ...]] = {
    "tenant": (
        _TENANT.format(words="name") + " WHERE id LIKE %(head)s ORDER BY id",
        _TENANT.format(words="name")
        + """ WHERE wf.folded(name) COLLATE "C" LIKE wf.folded(%(head)s) ORDER BY wf.folded(name) COLLATE "C", id""",
    ),
    "project": (),
    "key": (),
}
"""The queries for a text of fewer than three letters, which has no trigrams."""

_OF_HASH = " WHERE id = (SELECT wf.key_of_hash(%(hash)s))"
SECRET = (
    _KEY + _OF_HASH,
    _TENANT.format(words="name || ' has the key'") + f" WHERE id = (SELECT tenant_id FROM wf.key_list{_OF_HASH})",
)


def statement(sought: Sought) -> tuple[str, dict[str, Any]]:
    """The query and its parameters. They never hold a secret, only its hash."""
    if sought.hash:
        return _union(SECRET), {"hash": sought.hash}
    kinds = PARTS | SHORT if len(fold(sought.text)) < 3 else PARTS
    before, _, after = sought.text.partition("/")
    escaped = re.sub(r"([%_\\])", r"\\\1", sought.text)
    values = {
        "text": sought.text,
        "part": f"%{escaped}%",
        "head": f"{escaped}%",
        "before": before,
        "after": after,
        "key_id": "key_" + sought.text[4:].upper(),
    }
    return _union([part for kind in sought.kinds for part in kinds[kind]]), values


def _union(parts: Sequence[str]) -> str:
    each = (
        f"(SELECT {place} AS place, p.* FROM ({part} LIMIT {MAX_FOUND_PER_KIND}) p)" for place, part in enumerate(parts)
    )
    return f"SELECT kind, id, tenant_id, words, state FROM ({' UNION ALL '.join(each)}) found ORDER BY place, id"


class Finder(FinderPort):
    def __init__(self, home: Home) -> None:
        self.home = home

    async def look(self, sought: Sought) -> tuple[Found, ...]:
        text, values = statement(sought)
        if sought.hash:
            await self.home.ask("SELECT wf.ask_hash(%s)", sought.hash)
        elif "owner" in sought.kinds:
            await self.home.ask("SELECT wf.ask_address(%s)", sought.text)
        async with self.home.connection() as connection, connection.cursor(row_factory=class_row(Found)) as cursor:
            await cursor.execute(text.encode(), values)
            rows = await cursor.fetchall()
        return tuple({row.key: row for row in reversed(rows)}.values())[::-1]  # of a row found twice, keep the first
