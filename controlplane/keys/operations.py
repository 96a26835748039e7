"""What an operator can do with keys. A secret leaves an operation once, beside its result: see `Made`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from controlplane.audit.model import AuditRow, Record
from controlplane.errors import Refusal
from controlplane.keys import rules, secret
from controlplane.keys.model import Key
from controlplane.keys.ports import KeyStore
from controlplane.keys.requests import (
    NEVER,
    NO_CAP,
    KeyCreate,
    KeyEdit,
    KeyFacts,
    KeyGrace,
    KeyRegister,
    KeyRotate,
    OneKey,
    instant,
)
from controlplane.operations import Made, Risk, Subject, operation
from controlplane.plans.currencies import amount_of
from controlplane.subscriptions.ports import SubscriptionStore

if TYPE_CHECKING:
    from controlplane.changes import Change

COPIED = ("tenant_id", "project_id", "env", "label", "owner_email", "scopes", "addresses", "spend_cap")
"""What a successor copies from the key that it replaces."""
KEY = Subject(Key, lambda change, request: change.of(KeyStore).lock(request.id))


def was_edited(row: AuditRow) -> Record:
    """A request asks for no expiry and for no cap with a word."""
    was = row.was
    expires = {"expires": was["expires_at"] or NEVER} if "expires_at" in was else {}
    return expires | ({"spend_cap": NO_CAP} if was.get("spend_cap", 0) is None else {})


@operation(
    "keys.create",
    KeyCreate,
    role="operator",
    risk=Risk.PREVIEW,
    key="n",
    undo="keys.revoke",
    makes_secret=True,
)
async def create(change: Change, request: KeyCreate) -> Made:
    """Create a key: its secret is shown once."""
    return Made(*await make_key(change, await _given(change, request)))


@operation(
    "keys.register",
    KeyRegister,
    role="operator",
    risk=Risk.PREVIEW,
    key="h",
    undo="keys.revoke",
)
async def register(change: Change, request: KeyRegister) -> Key:
    """Register a key of another system by its hash."""
    columns = await _given(change, request) | {"display": request.display, "hash": bytes.fromhex(request.sha256)}
    return await change.of(KeyStore).create({"id": _new_id(change)} | columns)


def _new_id(change: Change) -> str:
    return change.drawn.draw(lambda: secret.new_id(change.now))


async def _given(change: Change, request: KeyCreate) -> Record:
    expires = None if request.expires_in is None else instant(request.expires_in, change.now)
    if expires is not None and expires <= change.now:
        raise Refusal("key_expiry_past", "The key would have expired before it is made.", "Choose a later time.")
    fixed = {"tenant_id": request.tenant_id, "project_id": request.project_id, "env": request.env}
    return fixed | {"expires_at": expires} | await _facts(change, request, request.tenant_id)


async def _facts(change: Change, request: KeyFacts, tenant_id: str) -> Record:
    columns = request.columns()
    if isinstance(cap := columns.get("spend_cap"), str):
        columns["spend_cap"] = amount_of(cap, await change.of(SubscriptionStore).currency(tenant_id))
    return columns


async def make_key(change: Change, columns: Record) -> tuple[Key, str]:
    """A new key and its secret, which is stored nowhere."""
    drawn, value = draw_key(change, columns["env"])
    return await change.of(KeyStore).create(drawn | columns), value


def draw_key(change: Change, env: str) -> tuple[Record, str]:
    """A new secret, after the columns by which the home knows its key."""
    value = change.drawn.draw(lambda: secret.make(change.key_prefix, env))
    return {"id": _new_id(change), "display": secret.display(value), "hash": secret.digest(value)}, value


@operation(
    "keys.edit",
    KeyEdit,
    role="operator",
    risk=Risk.CONFIRM,
    key="e",
    undo="keys.edit",
    undo_request=was_edited,
    on=KEY,
    check=rules.check_not_revoked,
)
async def edit(change: Change, request: KeyEdit, key: Key) -> Key:
    """Change a key: its label, owner, rights, expiry or spend cap."""
    columns = await _facts(change, request, key.tenant_id)
    if request.expires is not None:
        columns["expires_at"] = instant(request.expires, change.now)
    return await change.of(KeyStore).update(key.id, columns)


@operation(
    "keys.rotate",
    KeyRotate,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    way_back="The old key stays valid during its grace; the new one can be revoked.",
    on=KEY,
    check=rules.check_rotate,
    makes_secret=True,
)
async def rotate(change: Change, request: KeyRotate, key: Key) -> Made:
    """Rotate a key: a new one replaces it after a grace period."""
    until = rules.grace_end(key, change.now, _until(request, change.now))
    return await _succeed(change, key, {"rotated_at": change.now, "grace_until": until})


def _until(request: KeyRotate, now: datetime) -> datetime:
    return instant(request.grace, now) or now


async def _succeed(change: Change, key: Key, marks: Record) -> Made:
    """The old key first: the home accepts a successor only for a key that is marked as rotated."""
    await change.of(KeyStore).update(key.id, marks)
    rights = {name: getattr(key, name) for name in COPIED}
    expires = rules.successor_expiry(key, change.now)
    return Made(*await make_key(change, rights | {"rotated_from": key.id, "expires_at": expires}))


@operation(
    "keys.grace",
    KeyGrace,
    role="operator",
    risk=Risk.CONFIRM,
    key="g",
    undo="keys.grace",
    undo_request=lambda row: {"grace": (row.before or {}).get("grace_until")},
    on=KEY,
    check=rules.check_grace,
)
async def grace(change: Change, request: KeyGrace, key: Key) -> Key:
    """Shorten or extend a rotated key's grace; 0 ends it now."""
    until = rules.grace_end(key, change.now, _until(request, change.now))
    return await change.of(KeyStore).update(key.id, {"grace_until": until})


@operation(
    "keys.disable",
    OneKey,
    role="operator",
    risk=Risk.CONFIRM,
    key="d",
    undo="keys.enable",
    on=KEY,
    check=rules.check_disable,
)
async def disable(change: Change, request: OneKey, key: Key) -> Key:
    """Disable a key: it is refused until it is enabled again."""
    return await change.of(KeyStore).update(key.id, {"disabled_at": change.now})


@operation(
    "keys.enable",
    OneKey,
    role="operator",
    risk=Risk.CONFIRM,
    key="u",
    undo="keys.disable",
    on=KEY,
    check=rules.check_enable,
)
async def enable(change: Change, request: OneKey, key: Key) -> Key:
    """Enable a disabled key."""
    return await change.of(KeyStore).update(key.id, {"disabled_at": None})


@operation(
    "keys.revoke",
    OneKey,
    role="operator",
    risk=Risk.TYPED,
    key="x",
    needs_reason=True,
    on=KEY,
    check=rules.check_not_revoked,
)
async def revoke(change: Change, request: OneKey, key: Key) -> Key:
    """Revoke a key: no call with it is admitted again."""
    return await change.of(KeyStore).update(key.id, {"revoked_at": change.now, "revoked_reason": change.reason})


@operation(
    "keys.leak",
    OneKey,
    role="operator",
    risk=Risk.TYPED,
    key="l",
    needs_reason=True,
    on=KEY,
    check=rules.check_leak,
    makes_secret=True,
)
async def leak(change: Change, request: OneKey, key: Key) -> Made:
    """Answer a leak: disable the key, make a new one, keep its calls as evidence."""
    # End its grace too, so that enabling the key by mistake does not bring it back.
    marks = {"disabled_at": change.now, "grace_until": change.now}
    made: Made | None = None
    if key.rotated_at is None:
        made = await _succeed(change, key, marks | {"rotated_at": change.now})
        successor = made.row.id
    else:
        await change.of(KeyStore).update(key.id, marks)
        successor = key.rotated_to
    kept = await change.of(KeyStore).record_leak(key, successor, change.reason or "")
    result = {"id": key.id, "display": key.display, "tenant_id": key.tenant_id, "successor_id": successor} | kept
    return Made(result, made.secret if made else None)
