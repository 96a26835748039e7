"""Where this machine keeps checkpoints of a home's audit trail, and what it signs them with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from app.embedded import folder_of
from app.homes import HomeChoice
from app.settings import Settings, config_folder
from backends.checkpoint_folder import CheckpointFolder, signing_key
from controlplane.audit.checkpoints import SigningKey

if TYPE_CHECKING:
    from backends.postgres.notary import Notary


def checkpoint_folder(choice: HomeChoice, settings: Settings) -> CheckpointFolder:
    """The folder of this home's checkpoints, chosen by how the home is reached and not by what it says of itself."""
    if choice.kind == "folder" and not settings.checkpoints:
        return CheckpointFolder(folder_of(choice) / "checkpoints")
    if settings.checkpoints:
        every = settings.path.parent / Path(settings.checkpoints).expanduser()
    else:
        from platformdirs import user_data_path

        every = user_data_path("watchfloor", appauthor=False) / "checkpoints"
    return CheckpointFolder(every / hashlib.sha256(_place(choice).encode()).hexdigest()[:16])


def _place(choice: HomeChoice) -> str:
    """Where a home is: the same for every login."""
    if choice.kind == "folder":
        return str(folder_of(choice).resolve())
    from psycopg.conninfo import conninfo_to_dict

    known = conninfo_to_dict(choice.value or "")
    return f"{known.get('host') or ''}:{known.get('port') or 5432}/{known.get('dbname') or ''}".lower()


def own_key(choice: HomeChoice, *, make: bool) -> SigningKey | None:
    """This account's key; or that of the home's folder, when it has one (a demonstration has). Raises Refusal."""
    if choice.kind == "folder" and (key := signing_key(folder_of(choice), make=False)) is not None:
        return key
    return signing_key(config_folder(), make=make)


def notary_of(conninfo: str, choice: HomeChoice, settings: Settings) -> Notary:
    """A notary with this account's key, which is made when there is none. When the home's folder has a key (that of a
    demonstration has), it signs with that one and keeps its checkpoints there too. Raises Refusal.
    """
    from backends.postgres.notary import Notary

    if choice.kind == "folder" and (key := signing_key(folder := folder_of(choice), make=False)) is not None:
        return Notary(conninfo, CheckpointFolder(folder / "checkpoints"), key)
    key = signing_key(config_folder(), make=True)
    assert key is not None
    return Notary(conninfo, checkpoint_folder(choice, settings), key)
