"""Passwords in one file encrypted with age (age-encryption.org): the store of a machine without a keyring.

Inside is a mapping of names to texts, JSON or TOML, so that `age` itself can make and read the file. It is
opened by an identity file (mode 0600, made on the first `set`), or by a passphrase where the file was made with
one. No message holds what is inside.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backends.secrets.sources import read_checked
from controlplane import jsontext
from controlplane.errors import NotFound, Refusal
from controlplane.secrets import Finding


class AgeFile:
    """`ask` asks for the passphrase on the terminal; None where nobody can be asked. It asks once: a right passphrase
    is kept in memory; after a wrong one the file is refused.

    Raises NotFound `secret_not_found` (no file, no such entry) and Refusal `secret_unusable`.
    """

    def __init__(self, path: Path, identity: Path, ask: Callable[[str], str] | None = None) -> None:
        self.path = path
        self._identity = identity
        self._ask = ask
        self._passphrase = ""
        self._unusable = ""
        self._last: tuple[bytes, dict[str, str]] | None = None

    def get(self, key: str) -> str:
        entries = self._read()
        if not entries.get(key):
            raise NotFound("secret_not_found", f"{self.path} has no entry {key!r}")
        return entries[key]

    def set(self, key: str, value: str) -> None:
        with self._alone():
            try:
                entries = self._read()
            except NotFound:
                entries = {}
            self._write({**entries, key: value})

    def remove(self, key: str) -> bool:
        """False when there was nothing to remove."""
        if not self.path.exists():
            return False
        with self._alone():
            entries = self._read()
            if key not in entries:
                return False
            del entries[key]
            self._write(entries)
            return True

    def finding(self) -> Finding:
        try:
            entries = self._read()
        except NotFound as refusal:
            return Finding("encrypted file", "unknown", refusal.message)
        except Refusal as refusal:
            return Finding("encrypted file", "bad", refusal.message)
        by = "a passphrase" if self._passphrase else str(self._identity)
        return Finding("encrypted file", "good", f"{self.path} opens with {by}; entries: {len(entries)}")

    def _read(self) -> dict[str, str]:
        # Others may read the encrypted file, but anyone who can write it could put a password of their own there.
        sealed = read_checked(self.path, 0o022)
        if self._last is None or self._last[0] != sealed:  # a passphrase takes seconds to try, by design
            opened = self._open_by_passphrase if _by_passphrase(sealed) else self._open_by_identity
            self._last = sealed, self._entries(opened(sealed))
        return dict(self._last[1])

    def _entries(self, inside: bytes) -> dict[str, str]:
        try:
            text = inside.decode()
            entries = jsontext.read(text) if text.lstrip().startswith("{") else tomllib.loads(text)
            if isinstance(entries, dict) and all(isinstance(value, str) for value in entries.values()):
                return dict(entries)
        except (ValueError, RecursionError):  # the error's text repeats parts of the content
            pass
        raise Refusal("secret_unusable", f"{self.path} does not hold a JSON or TOML mapping of names to texts")

    def _open_by_identity(self, sealed: bytes) -> bytes:
        import pyrage

        try:
            inside: bytes = pyrage.decrypt(sealed, self._identities())
            return inside
        except NotFound:
            raise Refusal(
                "secret_unusable", f"{self.path} cannot be opened: its identity file {self._identity} does not exist"
            ) from None
        except pyrage.DecryptError:
            raise Refusal(
                "secret_unusable", f"{self.path} is damaged, or encrypted for another identity than {self._identity}"
            ) from None

    def _open_by_passphrase(self, sealed: bytes) -> bytes:
        import pyrage

        if self._unusable:
            raise Refusal("secret_unusable", self._unusable)
        if not self._passphrase and self._ask is None:
            raise Refusal("secret_unusable", f"{self.path} needs its passphrase, and there is no terminal to ask on")
        passphrase = self._passphrase or (self._ask(f"Passphrase of {self.path}: ") if self._ask else "")
        try:
            inside: bytes = pyrage.passphrase.decrypt(sealed, passphrase)
        except pyrage.DecryptError:
            self._unusable = f"{self.path} is damaged, or the passphrase is wrong"
            raise Refusal("secret_unusable", self._unusable) from None
        self._passphrase = passphrase
        return inside

    def _identities(self) -> list[Any]:
        import pyrage

        lines = read_checked(self._identity, 0o177).decode(errors="replace").splitlines()
        keys = [line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-")]
        try:
            identities: list[Any] = [pyrage.x25519.Identity.from_str(key) for key in keys]
        except pyrage.IdentityError:
            identities = []
        if not identities:
            raise Refusal("secret_unusable", f"{self._identity} holds no readable AGE-SECRET-KEY- line")
        return identities

    def _write(self, entries: dict[str, str]) -> None:
        """All or nothing: the old file stays until the new one is on the disk."""
        import pyrage

        inside = json.dumps(entries).encode()
        if self._passphrase:
            sealed = pyrage.passphrase.encrypt(inside, self._passphrase)
        else:
            if not self.path.exists() and not self._identity.exists():
                self._make_identity()
            identities = self._identities()
            sealed = pyrage.encrypt(inside, [identity.to_public() for identity in identities])
        target = self.path.resolve()  # a link stays a link
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise

    def _make_identity(self) -> None:
        import pyrage

        identity = pyrage.x25519.Identity.generate()
        descriptor = os.open(self._identity, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(f"# opens {self.path}; public key: {identity.to_public()}\n{identity}\n")
                file.flush()
                os.fsync(descriptor)
        except OSError:
            self._identity.unlink()  # half of an identity would be in the way of the next
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time: two programs that store at once must not lose either password."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Refusal("secret_unusable", f"{self.path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise Refusal("secret_unusable", f"{self.path} cannot be written: {error.strerror}") from None
        finally:
            os.close(lock)


def _by_passphrase(sealed: bytes) -> bool:
    """The first recipient in age's header; armoured files hold the same, in base64."""
    head = sealed[:300]
    if head.startswith(b"-----BEGIN AGE"):
        lines = head.splitlines()[1:3]
        with suppress(ValueError):
            head = base64.b64decode(b"".join(lines))
    return b"\n-> scrypt " in head
