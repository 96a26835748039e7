"""A file of newly made secrets that only its owner can read: one JSON document a line."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from controlplane.errors import Conflict, Refusal

UNWRITABLE = "secrets_unwritable"
TOLD = ("id", "name", "tenant_id", "env", "display", "rotated_from", "successor_id")


def keep_unshown(made: dict[str, Any], secret: str) -> Path:
    """Keep a secret that could not be shown, and say where. Raises as SecretsFile does."""
    from platformdirs import user_state_path

    path = user_state_path("watchfloor", appauthor=False) / "secrets-not-shown.jsonl"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(UNWRITABLE, f"{path.parent} cannot be made: {error.strerror}.") from None
    with SecretsFile(path, append=True) as file:
        file.keep([(made, secret)])
    return path


def _line(made: Mapping[str, Any], secret: str) -> str:
    return json.dumps({name: made[name] for name in TOLD if made.get(name) is not None} | {"secret": secret}) + "\n"


class SecretsFile:
    """When `keep` returns, the secrets are on the disk. It blocks.

    A new file must not exist yet; with `append` the file must be open to its owner alone. Raises Conflict
    `secrets_file_exists`, Refusal `secrets_file_open_to_others`, `secrets_unwritable`.
    """

    def __init__(self, path: Path, *, append: bool = False) -> None:
        self.path = path
        self._new = not append
        new = os.O_EXCL if not append else 0
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | new
            self._descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            raise Conflict(
                "secrets_file_exists", f"{path} exists already and was left as it is.", "Name a new file."
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            self._check()
            self._end_line()
            self._sync_folder()
        except BaseException:
            self.close()
            raise

    def keep(self, secrets: Sequence[tuple[Mapping[str, Any], str]]) -> None:
        """Each with what is told of its key."""
        self._append("".join(_line(made, secret) for made, secret in secrets).encode())

    def close(self) -> None:
        """Remove a new file that is still empty, so that the next try can use its name."""
        if self._new and os.fstat(self._descriptor).st_size == 0:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def __enter__(self) -> SecretsFile:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _check(self) -> None:
        state = os.fstat(self._descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o077:
            raise Refusal(
                "secrets_file_open_to_others",
                f"{self.path} is not a file that only you can read and write.",
                f"chmod 600 {self.path}, or name another file.",
            )

    def _end_line(self) -> None:
        """End a partial line that a killed program left: its secret was not committed either."""
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            self._append(b"\n")

    def _append(self, data: bytes) -> None:
        size = os.fstat(self._descriptor).st_size
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, size)  # leave no partial line
            raise self._unwritable(error) from None

    def _sync_folder(self) -> None:
        folder = os.open(self.path.absolute().parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _unwritable(self, error: OSError) -> Refusal:
        return Refusal(UNWRITABLE, f"{self.path} cannot be written: {error.strerror}.", "Make room, or name another.")
