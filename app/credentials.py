"""What reaches the places that evidence is published to: the credential of the settings, else the machine's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from controlplane.errors import Refusal
from controlplane.secrets import Finding, Secrets

if TYPE_CHECKING:
    from app.settings import Credential, Settings
    from backends.evidence.remotes import ObjectRemote
    from controlplane.evidence.publishing import Target

SECRETS = {"s3": "secret_access_key", "az": "account_key", "gs": "service_account_key"}
"""What the store of a provider calls the secret."""


def opening(settings: Settings) -> Callable[[Target], ObjectRemote]:
    """Reaches a target. What it returns blocks for seconds while a keyring or a command is asked, and raises NotFound,
    Refusal when the secret cannot be read.
    """
    from app.profiles import open_vault
    from backends.evidence.remotes import ObjectRemote

    vault = open_vault(settings) if settings.credentials else None

    def open_(target: Target) -> ObjectRemote:
        found = credential_of(settings, target)
        return ObjectRemote(target, None if found is None or vault is None else _options(found, target, vault))

    return open_


def credential_of(settings: Settings, target: Target) -> Credential | None:
    """The credential of a place; of two, that of the place nearest to it. None: it is the machine's own."""
    from controlplane.evidence.publishing import Target

    fitting = [each for each in settings.credentials.values() if target.within([Target.parse(each.target)])]
    return max(fitting, key=lambda each: len(each.target), default=None)


def finding(credential: Credential, vault: Secrets) -> Finding:
    subject = f"credential {credential.name}"
    try:
        return Finding(subject, "good", f"found in {vault.resolve(credential.name, credential.secret).source}")
    except Refusal as refusal:
        return Finding(subject, "bad", refusal.why[0])


def _options(credential: Credential, target: Target, vault: Secrets) -> dict[str, Any]:
    try:
        secret = vault.resolve(credential.name, credential.secret).value
    except Refusal as refusal:
        raise type(refusal)(
            refusal.code,
            f"The credential {credential.name}, for {target}, cannot be read: {refusal.why[0]}.",
            "watchfloor secrets doctor",
            refusal.why,
        ) from None
    options: dict[str, Any] = {SECRETS[target.scheme]: secret}
    if target.scheme == "s3":
        options["access_key_id"] = credential.user
        if credential.region:
            options["region"] = credential.region
    if credential.endpoint:
        options["endpoint"] = credential.endpoint
    return options
