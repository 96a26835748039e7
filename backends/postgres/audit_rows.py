"""Rows of the audit trail, as every change reads its own back."""

from __future__ import annotations

import dataclasses
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, dict_row

from controlplane.audit.model import AuditRow

COLUMNS = tuple(f.name for f in dataclasses.fields(AuditRow) if f.name != "personal")
_NAMES = sql.SQL(", ").join(sql.Identifier(name) for name in COLUMNS)
_ROWS = sql.SQL("SELECT {}, (SELECT wf.sees_personal()) AS personal FROM wf.audit_list WHERE {} ORDER BY seq")


async def change_rows(connection: psycopg.AsyncConnection[TupleRow], change_id: int) -> tuple[AuditRow, ...]:
    """The rows that one change wrote, in order."""
    return await rows_where(connection, "change_id = %s", change_id)


async def rows_where(connection: psycopg.AsyncConnection[TupleRow], condition: str, value: int) -> tuple[AuditRow, ...]:
    """With personal fields where the login may see them."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        rows = await (await cursor.execute(_ROWS.format(_NAMES, sql.SQL(condition)), [value])).fetchall()
        personal = [row.pop("personal") for row in rows]
        secret: list[dict[str, Any]] = []
        if any(personal):
            await cursor.execute(
                "SELECT seq, field, before, after FROM wf.audit_personal WHERE seq BETWEEN %s AND %s",
                [rows[0]["seq"], rows[-1]["seq"]],
            )
            secret = await cursor.fetchall()
    fields: dict[int, dict[str, tuple[str | None, str | None]]] = {}
    for entry in secret:
        fields.setdefault(entry["seq"], {})[entry["field"]] = (entry["before"], entry["after"])
    return tuple(AuditRow(**row, personal=fields.get(row["seq"], {})) for row in rows)
