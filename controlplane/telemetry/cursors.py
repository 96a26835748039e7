"""Cursors over telemetry: where a reader is, and all parameters of the first page, signed by the home.

A cursor fixes both ends of the window and every parameter, so later pages answer the same query as the first. The home
refuses a cursor without its own signature: one that was changed by hand, or comes from another home.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from controlplane.errors import Usage

VERSION = 1
MAX_CURSOR_CHARACTERS = 4096


def body(kind: str, tenant_id: str | None, asked: Mapping[str, Any], place: list[str]) -> str:
    """The text that is signed; canonical, so that the same place always has the same cursor."""
    held = {"v": VERSION, "kind": kind, "tenant": tenant_id, "asked": dict(asked), "place": place}
    return json.dumps(held, sort_keys=True, separators=(",", ":"))


def sealed(text: str, signature: bytes) -> str:
    return _encoded(text.encode()) + "." + _encoded(signature)


def opened(cursor: str) -> tuple[str, bytes]:
    """The body and its signature, which the caller has to check. Raises Usage `cursor_unreadable`."""
    try:
        text, _, signature = cursor.partition(".")
        read = _decoded(text).decode()
        if len(cursor) > MAX_CURSOR_CHARACTERS or "\0" in read:
            raise ValueError
        return read, _decoded(signature)
    except ValueError:
        raise _unreadable() from None


def place_of(text: str, kind: str, tenant_id: str | None) -> tuple[dict[str, Any], list[str]]:
    """The parameters of the first page, and where to go on, from a body whose signature was checked.

    Raises Usage `cursor_version`, `cursor_of_another_kind`, `cursor_of_another_tenant`.
    """
    held = json.loads(text)
    if held.get("v") != VERSION:
        raise Usage("cursor_version", "The cursor is from another version of the program.", "Start without it.")
    if held["kind"] != kind:
        raise Usage("cursor_of_another_kind", f"The cursor is for {held['kind']}, not for {kind}.", "Start without it.")
    if held["tenant"] != tenant_id:
        raise Usage(
            "cursor_of_another_tenant",
            f"The cursor is for {held['tenant'] or 'all tenants'}, not for {tenant_id or 'all tenants'}.",
            "Start without it.",
        )
    return held["asked"], held["place"]


def forged() -> Usage:
    return Usage("cursor_forged", "The cursor's signature is not this home's.", "Start without it.")


def _unreadable() -> Usage:
    return Usage("cursor_unreadable", "The cursor cannot be read.", "Start without it.")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
