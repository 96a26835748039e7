"""Targets that evidence is published to: S3, GCS, Azure and folders, through one library.

Credentials come from the provider's own chain (environment, files, the machine's identity), never from a URL.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controlplane.errors import Refusal
from controlplane.evidence.publishing import Stored, Target
from controlplane.text import clean

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore

PART = 8 << 20
PARTS_AT_ONCE = 4
"""Together: what one upload holds in memory, whatever its size."""
REQUEST_SECONDS = "120 seconds"
CLIENT: dict[str, Any] = {"timeout": REQUEST_SECONDS, "connect_timeout": "10 seconds"}


def _plain_http() -> dict[str, Any]:
    """The library forgets this of its surroundings when it is given other options."""
    return {"allow_http": True} if os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true") else {}


def _store(target: Target, options: Mapping[str, Any]) -> ObjectStore:
    from obstore.store import AzureStore, LocalStore, from_url

    if target.scheme == "file":
        return LocalStore(f"/{target.place}", mkdir=True)
    if target.scheme == "az":  # in the library's own form the account is not in the address
        account, container, *prefix = target.place.split("/", 2)
        return AzureStore(container, account_name=account, prefix="".join(prefix) or None, **options)
    return from_url(str(target), **options)


class ObjectRemote:
    """Implements `Remote` with the library's blocking calls: its asynchronous ones may abort a program at its end."""

    def __init__(self, target: Target, options: Mapping[str, Any] | None = None) -> None:
        """`options`: for the store, where its surroundings do not say them. Raises Refusal `target_failed`."""
        self.target = target
        more: dict[str, Any] = {"client_options": CLIENT | _plain_http(), **(options or {})}
        with self._asked():
            self._store = _store(target, more)

    def look(self, key: str) -> Stored | None:
        import obstore

        with self._asked():
            try:
                found = obstore.head(self._store, key)
            except FileNotFoundError:
                return None
        return Stored(found["size"], found["e_tag"], found["version"])

    def put(self, key: str, pieces: Iterable[bytes], size: int) -> Stored:
        import obstore

        with self._asked():
            small = size < PART
            content: Any = b"".join(pieces) if small else pieces
            made = obstore.put(
                self._store, key, content, use_multipart=not small, chunk_size=PART, max_concurrency=PARTS_AT_ONCE
            )
            self._settle(key)
        return Stored(size, made["e_tag"], made["version"])

    def create(self, key: str, content: bytes) -> Stored | None:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._asked():
            try:
                made = obstore.put(self._store, key, content, mode="create")
            except (AlreadyExistsError, PreconditionError):
                return None
            self._settle(key)
        return Stored(len(content), made["e_tag"], made["version"])

    def read(self, key: str) -> tuple[Stored, Iterator[bytes]] | None:
        import obstore

        with self._asked():
            try:
                found = obstore.get(self._store, key)
            except FileNotFoundError:
                return None
            meta = found.meta
        return Stored(meta["size"], meta["e_tag"], meta["version"]), self._pieces(found)

    def _pieces(self, found: GetResult) -> Iterator[bytes]:
        with self._asked():
            for piece in found.stream(min_chunk_size=1 << 20):
                yield bytes(piece)

    def _settle(self, key: str) -> None:
        """In a folder: flush the file and its name, which the library leaves to chance."""
        if self.target.scheme == "file":
            path = Path(f"/{self.target.place}") / key
            for each in (path, path.parent):
                descriptor = os.open(each, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        """The library's errors in our words: theirs may hold addresses and what a server answered."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            said = type(error).__name__.removesuffix("Error")
            words = {
                "PermissionDenied": "it does not let this worker do that",
                "Unauthenticated": "the worker's credentials are missing or wrong",
                "NotFound": "there is no such bucket, or not all that was published",
                "FileNotFound": "there is no such bucket, or not all that was published",
            }.get(said, f"it cannot be reached or refuses ({clean(said, 40)})")
            raise Refusal("target_failed", f"{self.target}: {words}.") from None
