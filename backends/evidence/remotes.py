"""Targets that evidence is published to: S3, GCS, Azure and folders, through one library.

Credentials are given, or come from the provider's own chain (environment, files, the machine's identity); never from a
URL.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from backends.evidence import questions
from controlplane.errors import Refusal
from controlplane.evidence.bundles import MAX_CHECKPOINT_BYTES
from controlplane.evidence.publishing import CHECKPOINTS, Stored, Target
from controlplane.evidence.targets import Held, Unfinished
from controlplane.text import clean

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore, S3Store

PART = 8 << 20
PARTS_AT_ONCE = 4
"""Together: what one upload holds in memory, whatever its size."""
MAX_LISTED = 100
REQUEST_SECONDS = "120 seconds"
CLIENT: dict[str, Any] = {"timeout": REQUEST_SECONDS, "connect_timeout": "10 seconds"}


def _plain_http(endpoint: str) -> dict[str, Any]:
    """Whoever names an endpoint without TLS means it. What its surroundings say of that, the library forgets when it is
    given other options.
    """
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true") or endpoint.startswith("http://")
    return {"allow_http": True} if allowed else {}


def _store(target: Target, options: Mapping[str, Any]) -> ObjectStore:
    from obstore.store import AzureStore, LocalStore, from_url

    if target.scheme == "file":
        return LocalStore(f"/{target.place}", mkdir=True)
    if target.scheme == "az":  # in the library's own form the account is not in the address
        account, container, *prefix = target.place.split("/", 2)
        return AzureStore(container, account_name=account, prefix="".join(prefix) or None, **options)
    if target.scheme == "s3":  # where an object is locked by default, each part needs its checksum
        options = {"checksum_algorithm": "SHA256", **options}
    return from_url(str(target), **options)


class ObjectRemote:
    """Implements `Remote` with the library's blocking calls: its asynchronous ones may abort a program at its end."""

    def __init__(self, target: Target, options: Mapping[str, Any] | None = None) -> None:
        """`options`: for the store, where its surroundings do not say them. Raises Refusal `target_failed`."""
        self.target = target
        self._secret = (options or {}).get("secret_access_key") or os.environ.get("AWS_SECRET_ACCESS_KEY")
        plain = _plain_http(str((options or {}).get("endpoint", "")))
        more: dict[str, Any] = {"client_options": CLIENT | plain, **(options or {})}
        with self._asked():
            self._store = _store(target, more)
            place, _, prefix = target.place.partition("/")
            whole = replace(target, place=place) if target.scheme == "s3" else target
            self._bucket, self._prefix = _store(whole, more), prefix + "/" if prefix else ""

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

    def read_range(self, key: str, start: int, end: int, etag: str | None) -> bytes | None:
        import obstore
        from obstore.exceptions import PreconditionError

        with self._asked():
            try:
                options: Any = {"range": (start, end), **({} if etag is None else {"if_match": etag})}
                return bytes(obstore.get(self._store, key, options=options).bytes())
            except (FileNotFoundError, PreconditionError):
                return None

    def checkpoints(self) -> Iterator[bytes]:
        """The checkpoints of trails that were published here. Raises Refusal."""
        import obstore

        with self._asked():
            names = [each["path"] for page in obstore.list(self._store, prefix=CHECKPOINTS) for each in page]
            for name in sorted(names):
                options: Any = {"range": (0, MAX_CHECKPOINT_BYTES)}
                yield bytes(obstore.get(self._store, name, options=options).bytes())

    def below(self, folder: str) -> Sequence[str]:
        """The keys in a folder, at most MAX_LISTED. Raises Refusal `target_failed`."""
        import obstore

        found: list[str] = []
        with self._asked():
            for page in obstore.list(self._store, prefix=folder):
                found += [each["path"] for each in page]
                if len(found) >= MAX_LISTED:
                    break
        return sorted(found)[:MAX_LISTED]

    def held(self, keys: Sequence[str]) -> Mapping[str, Held]:
        if self.target.scheme == "file":
            return {key: Held() for key in keys}
        read = "GET" if self.target.scheme == "az" else "HEAD"  # the library gives HEAD no rights there; reading may
        return questions.held(self.target, {key: self._signed(read, key) for key in keys})

    def refuses_wrong_digest(self, key: str) -> bool:
        if self.target.scheme == "file":
            return False
        return questions.refuses_wrong_digest(self.target, self._signed("PUT", key))

    def unfinished(self, before: datetime) -> Sequence[Unfinished]:
        if self.target.scheme == "file":
            return questions.unfinished_files(Path(f"/{self.target.place}"), before)
        secret = self._secret_of_s3()
        return questions.unfinished(self.target, self._prefix, self._signed("GET", "", self._bucket), secret, before)

    def give_up(self, upload: Unfinished) -> None:
        if self.target.scheme == "file":
            questions.remove_unfinished(Path(f"/{self.target.place}"), upload)
        else:
            url = self._signed("DELETE", upload.key)
            questions.give_up(self.target, url, self._secret_of_s3(), upload)

    def _signed(self, method: Any, key: str, store: Any = None) -> str:
        """An address that is good for some minutes. Raises Refusal `target_unasked`."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            return obstore.sign(cast("S3Store", store or self._store), method, key, questions.GOOD_FOR)
        except (BaseError, ValueError, TypeError):
            raise questions.unasked(self.target, "this worker's credentials cannot sign for it") from None

    def _secret_of_s3(self) -> str:
        if self.target.scheme == "az":
            raise questions.unasked(self.target, "Azure drops what was not finished by itself, after a week")
        if self.target.scheme != "s3" or not self._secret:
            raise questions.unasked(
                self.target,
                "only for S3, with a key in the worker's settings or surroundings: give the bucket a rule for it",
            )
        return str(self._secret)

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
