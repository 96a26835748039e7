"""Whose key is this? Checked offline first; then the home is asked for its hash. The secret stays in this module."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from controlplane.audit.model import Record
from controlplane.errors import NotFound, Refusal
from controlplane.formatting import relative
from controlplane.keys import secret
from controlplane.keys.model import Key, KeyDirectory
from controlplane.keys.pasted import as_pasted
from controlplane.tenants.model import TenantDirectory

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

MAX_PASTED_CHARACTERS = 65_536


@dataclass(frozen=True)
class Verdict:
    """`tenant_status`: a good key of a suspended tenant is refused all the same."""

    key: Key
    tenant_status: str

    def record(self) -> Record:
        key = self.key
        return {
            "id": key.id,
            "display": key.display,
            "env": key.env,
            "tenant_id": key.tenant_id,
            "tenant_status": self.tenant_status,
            "project_id": key.project_id,
            "state": key.state,
            "expires_at": key.expires_at,
            "grace_until": key.grace_until,
            "rotated_to": key.rotated_to,
            "revoked_reason": key.revoked_reason,
        }


def check(pasted: str, prefix: str) -> None:
    """Refuse what cannot be a key, without asking the home. A key of another system has no checksum of ours."""
    pasted = as_pasted(pasted)
    if not pasted or len(pasted) > MAX_PASTED_CHARACTERS:
        raise Refusal("key_missing", "There is no key in what was given.", "Paste one key, on one line.")
    if pasted.startswith((f"{prefix}_live_", f"{prefix}_test_")) and not secret.is_whole(pasted):
        raise Refusal(
            "key_checksum",
            "Not a key: its checksum is wrong. A letter was lost, changed or added.",
            "Copy it again, all of it.",
        )


async def verify(plane: ControlPlane, pasted: str) -> Verdict:
    """Raises Refusal `key_missing`, `key_checksum`; NotFound `no_such_key`. None of them repeats the secret."""
    pasted = as_pasted(pasted)
    check(pasted, plane.key_prefix)
    key = await plane.of(KeyDirectory).of_hash(secret.digest(pasted))
    if key is None:
        whole = "Its checksum is right, but this" if secret.is_whole(pasted) else "This"
        raise NotFound("no_such_key", f"{whole} control plane has no such key.", "Is it of another environment?")
    return Verdict(key, (await plane.of(TenantDirectory).get(key.tenant_id)).status)


def words(verdict: Verdict, now: datetime) -> list[str]:
    """The verdict for a person."""
    key = verdict.key
    lines = [f"{key.display}, a {key.env} key: {key.state}", f"id        {key.id}"]
    lines.append(f"tenant    {key.tenant_id} ({verdict.tenant_status})")
    lines.append(f"project   {key.project_id or 'all of the tenant'}")
    expiry = "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M} UTC"
    lines.append(f"expires   {expiry}{'' if key.expires_at is None else f' ({relative(key.expires_at, now)})'}")
    if key.grace_until:
        lines.append(f"rotated   good until {key.grace_until:%Y-%m-%d %H:%M} UTC; successor {key.rotated_to}")
    if key.revoked_reason:
        lines.append(f"revoked   {key.revoked_reason}")
    return lines
