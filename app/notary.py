"""Where this machine keeps checkpoints of a home's audit trail, and what it signs them with."""

from __future__ import annotations

from pathlib import Path

from app.embedded import folder_of
from app.homes import HomeChoice
from app.settings import Settings, config_folder
from backends.checkpoint_folder import CheckpointFolder, signing_key
from backends.postgres.notary import Notary


def checkpoint_folder(choice: HomeChoice, settings: Settings) -> CheckpointFolder:
    if settings.checkpoints:
        return CheckpointFolder(settings.path.parent / Path(settings.checkpoints).expanduser())
    if choice.kind == "folder":
        return CheckpointFolder(folder_of(choice) / "checkpoints")
    from platformdirs import user_data_path

    return CheckpointFolder(user_data_path("watchfloor", appauthor=False) / "checkpoints")


def notary_of(conninfo: str, choice: HomeChoice, settings: Settings) -> Notary:
    """With this account's key, which is made when there is none; a home in whose folder a key is (a demonstration)
    is signed with that, and its checkpoints are in the folder too. Raises Refusal.
    """
    if choice.kind == "folder" and (key := signing_key(folder := folder_of(choice), make=False)) is not None:
        return Notary(conninfo, CheckpointFolder(folder / "checkpoints"), key)
    key = signing_key(config_folder(), make=True)
    assert key is not None
    return Notary(conninfo, checkpoint_folder(choice, settings), key)
