"""What a home's secrets are encrypted with here, where notices may go, and what a worker sends them with."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.embedded import folder_of
from app.homes import HomeChoice
from app.settings import Settings, config_folder
from controlplane.errors import Usage
from controlplane.sealing import Sealing

if TYPE_CHECKING:
    from backends.http.guard import Guard
    from backends.postgres.sending import Post
    from backends.smtp import Security, Smtp
    from controlplane.encryption import Keys
    from controlplane.secrets import Secret, Secrets

VARIABLE = "WATCHFLOOR_ENCRYPTION_KEY"
"""Where the key of a home by URL is looked for when no profile says where it is."""
KEY_FILE = "encryption.key"
"""Beside an embedded home's data, never in it: a copy of the database alone opens nothing."""


def sealing_of(choice: HomeChoice, settings: Settings, secrets: Secrets | None = None) -> Sealing:
    """The key is looked for when it is first needed."""
    profile = settings.profiles.get(choice.profile or "") if choice.kind == "url" else None
    allowed = profile.allowed_targets if profile else settings.allowed_targets
    load: Callable[[], Keys] | None = None
    if choice.kind == "folder":
        load = lambda: embedded_keys(choice)  # noqa: E731
    elif (profile is not None and profile.encryption_key is not None) or os.environ.get(VARIABLE):
        from app.profiles import open_vault
        from controlplane.secrets import Reference

        reference = (profile and profile.encryption_key) or Reference("env", VARIABLE)
        vault, name = secrets or open_vault(settings), profile.name if profile else "encryption key"
        load = lambda: _keys_of(vault.resolve(name, reference))  # noqa: E731
    return Sealing(load, allowed)


def _keys_of(secret: Secret) -> Keys:
    from controlplane.encryption import EncryptionKey, Keys

    return Keys([EncryptionKey.parse(secret)])


def embedded_keys(choice: HomeChoice) -> Keys:
    """The key of an embedded home; it is made when there is none. Blocks."""
    from backends.embedded.folder import kept_secret
    from controlplane.encryption import new_key
    from controlplane.secrets import Secret

    path = folder_of(choice) / KEY_FILE
    return _keys_of(Secret(kept_secret(path, new_key), str(path)))


def post_of(choice: HomeChoice, settings: Settings) -> Post:
    """What a worker sends with. It connects when something is sent first. Blocks. Raises Refusal."""
    from backends.drills import Drills
    from backends.http.client import Http
    from backends.http.guard import Guard
    from backends.postgres.sending import Post
    from backends.sending import Courier

    sealing = sealing_of(choice, settings)
    guard = Guard(sealing.allowed)
    folder = config_folder() / "drills"
    drills = Drills(folder if folder.is_dir() else None)
    return Post(sealing, Courier(guard, Http(guard), smtp_of(settings, guard), drills), settings.mail_from)


def smtp_of(settings: Settings, guard: Guard) -> Smtp | None:
    """None where no mail server is set. Raises Usage `mail_server_invalid`; NotFound, Refusal for its password."""
    if not settings.mail_server:
        return None
    from app.profiles import open_vault
    from backends.http.connections import trusted
    from backends.smtp import MailServer, Smtp

    host, _, port = settings.mail_server.rpartition(":")
    if not host or not port.isdigit() or not settings.mail_from:
        raise Usage(
            "mail_server_invalid", "mail_server is host:port, and mail_from an address.", "smtp.example.com:587"
        )
    password = ""
    if settings.mail_password is not None:
        password = open_vault(settings).resolve("mail", settings.mail_password).value
    security: Security = "tls" if port == "465" else "starttls"
    return Smtp(MailServer(host, int(port), security, settings.mail_user, password), guard, trusted())
