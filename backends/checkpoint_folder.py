"""The folder that one home's signed checkpoints are written to, one file each, and the key that signs them.

The file `trusted-keys` beside them says whose they are: the public keys, each with the name of the trail that it signs.
It is written with the first checkpoint, and nothing that a home says changes it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.secrets.sources import first_line, read_checked
from controlplane.audit.checkpoints import MAX_CHECKPOINT_CHARACTERS, Checkpoint, PublicKey, SigningKey, read
from controlplane.errors import Refusal, Usage

SUFFIX = ".checkpoint"
KEY_FILE = "audit-signing.key"
TRUSTED = "trusted-keys"
MAX_KEYS = 100


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints of one home. Files are only added, and never named after anything that the home says."""

    path: Path

    def trusted(self) -> list[PublicKey]:
        """The keys that are pinned here; none while nothing is signed. Raises Refusal."""
        return _trusted(self.path / TRUSTED)

    def trust(self, key: PublicKey) -> None:
        """Pin the first key, before anything is signed. Raises Refusal when there are checkpoints but no pinned key."""
        if any(self.path.glob(f"*{SUFFIX}")):
            raise _unpinned(self.path)
        _write(self.path / TRUSTED, f"{key}\n")

    def last(self, key: PublicKey) -> tuple[Checkpoint, str] | None:
        """The longest checkpoint that this key signed. Raises Refusal when that one is damaged: it is not skipped."""
        for path in sorted(self.path.glob(f"*-{key.id.hex()}{SUFFIX}"), reverse=True):
            note = _note(path)
            try:
                return read(note, [key]), note
            except Refusal as refusal:
                raise _spoiled(path, refusal) from None
        return None

    def add(self, key: PublicKey, checkpoint: Checkpoint, note: str) -> Path:
        """Write it whole or not at all; it is on the disk when this returns."""
        path = self.path / f"{checkpoint.size:019}-{key.id.hex()}{SUFFIX}"
        _write(path, note)
        return path

    def read_all(self, keys: Sequence[PublicKey]) -> Iterator[Checkpoint | None]:
        """Every checkpoint in the folder and below it; None for one that none of these keys signed.

        Subfolders that are pinned to other trails belong to other homes and are skipped. Raises Refusal for a damaged
        checkpoint.
        """
        if not self.path.is_dir():
            raise Refusal("checkpoints_missing", f"{self.path} is not a folder.", "--checkpoints FOLDER")
        origins = {key.origin for key in keys}
        others = {
            path.parent
            for path in self.path.rglob(TRUSTED)
            if path.parent != self.path and not origins & {key.origin for key in _trusted(path)}
        }
        for path in sorted(self.path.rglob(f"*{SUFFIX}")):
            if path.parent in others:
                continue
            try:
                yield read(_note(path), keys)
            except Refusal as refusal:
                if refusal.code != "checkpoint_unsigned":
                    raise _spoiled(path, refusal) from None
                yield None


def _trusted(path: Path) -> list[PublicKey]:
    try:
        with path.open(encoding="utf-8") as file:
            lines = file.read(MAX_KEYS * 500).splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal("trusted_keys_unreadable", f"{path} cannot be read: {type(error).__name__}.") from None
    try:
        return [PublicKey.parse(line) for line in lines if line.strip()]
    except Usage:
        raise Refusal(
            "trusted_keys_unreadable",
            f"{path} holds a line that is not a public key.",
            "Each line is one key, NAME+ID+KEY, as audit checkpoint prints it.",
        ) from None


def _unpinned(folder: Path) -> Refusal:
    return Refusal(
        "checkpoints_unpinned",
        f"{folder} holds checkpoints, but the file {TRUSTED}, which says whose they are, is missing.",
        "Put it back from a copy: one public key a line, as audit checkpoint printed it.",
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            with scratch.open("x", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.link(scratch, path)  # unlike a rename it replaces nothing
        finally:
            scratch.unlink(missing_ok=True)
        _settle(path.parent)
    except OSError as error:
        raise Refusal(
            "checkpoint_unwritable",
            f"{path} cannot be written: {error.strerror}.",
            "The setting checkpoints names the folder.",
        ) from None


def _note(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_CHECKPOINT_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal("checkpoint_unreadable", f"{path} cannot be read: {type(error).__name__}.") from None


def _spoiled(path: Path, refusal: Refusal) -> Refusal:
    return Refusal(refusal.code, f"{path}: {refusal.message}", "Compare it with the copies that lie elsewhere.")


def _settle(folder: Path) -> None:
    """Flush the folder: until then a new file's name is not on the disk."""
    with contextlib.suppress(OSError):  # not every system opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def signing_key(folder: Path, *, make: bool) -> SigningKey | None:
    """This account's key, kept beside the settings with mode 0600. `make`: make it when there is none.

    Raises Refusal.
    """
    path = folder / KEY_FILE
    if not path.exists():
        if not make:
            return None
        _make(path)
    line = first_line(read_checked(path, 0o077), str(path))
    try:
        seed = bytes.fromhex(line)
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise Refusal("secret_unusable", f"{path} holds no signing key.", "Move it away: a new one is made.")
    return SigningKey(seed)


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another worker was first: its key is used
                os.link(scratch, path)
        finally:
            scratch.unlink()
    except OSError as error:
        raise Refusal("secret_unusable", f"{path} cannot be written: {error.strerror}.") from None
