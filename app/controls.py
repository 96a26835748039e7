"""The controls that evidence is held against, from the file that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.errors import Usage

if TYPE_CHECKING:
    from app.settings import Settings
    from controlplane.evidence.controls import Control


def controls_of(settings: Settings) -> Callable[[], Sequence[Control]] | None:
    """Reads the file of controls that the settings name. None: they name none."""
    if not settings.controls:
        return None
    path = settings.path.parent / Path(settings.controls).expanduser()

    def load() -> Sequence[Control]:
        from controlplane.evidence.controls import MAX_FILE_BYTES, read
        from controlplane.text import clean

        try:
            with path.open("rb") as file:
                text = file.read(MAX_FILE_BYTES + 1)
            if len(text) > MAX_FILE_BYTES:
                raise ValueError
            return read(text.decode("utf-8-sig"), str(path))
        except OSError as error:
            why = error.strerror
        except ValueError:
            why = "it is too large, or not UTF-8"
        raise Usage("controls_unreadable", f"The file of controls {clean(path, 400)} cannot be read: {why}.")

    return load
