"""Publishing a bundle: its files under their SHA-256, then a manifest that is only ever created; then all is read back.

    PREFIX/data/sha256/9f/9f86d0…       a file; two bundles that share one store it once
    PREFIX/checkpoints/NAME             the checkpoint of the audit trail that the bundle holds
    PREFIX/bundles/1b4f0e….json         the manifest of the bundle whose envelope has this SHA-256

Whoever is killed on the way leaves files that no manifest names; the next one goes on with those that are there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from controlplane.errors import Refusal, Usage
from controlplane.evidence import canonical
from controlplane.evidence.bundles import Hashing
from controlplane.text import clean

SCHEMES = ("file", "s3", "gs", "az")
MAX_TARGET = 300
MAX_FILES = 1000
AT_ONCE, SMALL = 8, 1 << 20
"""So many files of at most so many bytes are under way together; what is larger goes alone."""
CHECKPOINTS = "checkpoints/"
MANIFEST = "urn:watchfloor:evidence-manifest:v1"
T = TypeVar("T")
Check = Callable[[int], None]
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class Target:
    """Where to publish. `place`: a bucket, an account and its container, or a folder from the root; and a prefix."""

    scheme: str
    place: str

    def __str__(self) -> str:
        return f"{self.scheme}://{'/' if self.scheme == 'file' else ''}{self.place}"

    @classmethod
    def parse(cls, text: str) -> Target:
        """Raises Usage `target_unreadable`, which repeats nothing of it: it may hold a secret."""
        scheme, colon, place = text.strip().rstrip("/").partition("://")
        place = place[1:] if scheme == "file" and place.startswith("/") else place if scheme != "file" else ""
        least = 1 if scheme == "az" else 0
        known = colon and scheme in SCHEMES and len(text) <= MAX_TARGET and place.count("/") >= least
        if not known or not _PLACE.fullmatch(place):
            raise Usage(
                "target_unreadable",
                "That is no place to publish to.",
                "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX or file:///FOLDER, of letters,"
                " digits, '.', '_' and '-'; credentials are named in the settings or the surroundings, never here.",
            )
        return cls(scheme, place)

    def within(self, others: Iterable[Target]) -> bool:
        """Whether it is one of these places, or below one."""
        return any(
            each.scheme == self.scheme and (self.place == each.place or self.place.startswith(each.place + "/"))
            for each in others
        )


@dataclass(frozen=True)
class File:
    """A file of a bundle, as its statement has it."""

    path: str
    sha256: str
    size: int
    read: Callable[[], Iterable[bytes]]

    @property
    def key(self) -> str:
        return f"data/sha256/{self.sha256[:2]}/{self.sha256}"


@dataclass(frozen=True)
class Stored:
    """What a provider says of an object. None: it says nothing of it."""

    size: int | None = None
    etag: str | None = None
    version: str | None = None


class Remote(Protocol):
    """A target. Its methods block, may be called from several threads at once, and raise Refusal `target_failed` when
    it cannot be reached or refuses.
    """

    def look(self, key: str) -> Stored | None:
        """None: there is no such object."""
        ...

    def put(self, key: str, pieces: Iterable[bytes], size: int) -> Stored: ...

    def create(self, key: str, content: bytes) -> Stored | None:
        """None: there is such an object already, and it stays as it is."""
        ...

    def read(self, key: str) -> tuple[Stored, Iterable[bytes]] | None:
        """What the provider says of an object, and its content in pieces; None: there is no such object."""
        ...


def manifest_of(sha256: str, files: Sequence[File]) -> bytes:
    return canonical.document(
        {
            "type": MANIFEST,
            "bundle": sha256,
            "files": [{"path": each.path, "sha256": each.sha256, "bytes": each.size} for each in files],
        }
    )


def checkpoint_key(note: bytes) -> str:
    """Two checkpoints of one trail at the same row that differ are both kept: the trail's verification finds that."""
    size = note.split(b"\n")[1:2]
    number = int(size[0]) if size and re.fullmatch(rb"[0-9]{1,19}", size[0]) else 0
    return f"{CHECKPOINTS}{number:019}-{hashlib.sha256(note).hexdigest()[:16]}.checkpoint"


def publish(
    remote: Remote,
    target: Target,
    sha256: str,
    files: Sequence[File],
    check: Check = lambda number: None,
    at_once: int = AT_ONCE,
    checkpoint: bytes | None = None,
    back: Check | None = None,
) -> Mapping[str, Any]:
    """Publish a bundle, or see that it is published already; returns the attestation. `check` is told of every piece
    before it goes, by its bytes: it raises to break it off, and may wait. `back`: the same for what is read back, once
    the manifest is made; usually `check`. `at_once`: how many small files are under way. `checkpoint`: of the audit
    trail, which is published beside the manifests.

    Raises Refusal: `target_failed`, `published_differs` (what was read back is something else), `file_changed`,
    `manifest_differs`, `bundle_too_large`.
    """
    if len(files) > MAX_FILES:
        raise Refusal("bundle_too_large", f"A bundle that is published has at most {MAX_FILES:,} files.")
    manifest, name = manifest_of(sha256, files), f"bundles/{sha256}.json"
    stored = list({each.sha256: each for each in files}.values())

    def put(file: File) -> Stored | None:
        check(0)
        return _put(remote, file, check)

    said = dict(zip((each.sha256 for each in stored), _each(put, stored, at_once), strict=True))

    reading = back or check

    def read_back(file: File) -> dict[str, Any]:
        reading(0)
        return _read_back(remote, target, file, said[file.sha256], reading)

    check(0)
    if checkpoint is not None:
        remote.create(checkpoint_key(checkpoint), checkpoint)
    created = remote.create(name, manifest)
    there = remote.read(name)
    found = b"" if there is None else b"".join(_limited(there[1], len(manifest) + 1))
    if there is None or found != manifest:
        raise Refusal(
            "manifest_differs",
            f"{target} has another manifest of this bundle ({len(found):,} bytes): it stays as it is.",
        )
    objects = dict(zip((each.sha256 for each in stored), _each(read_back, stored, at_once), strict=True))
    return {
        "target": str(target),
        "bundle": sha256,
        "manifest": {"key": name, "bytes": len(manifest), "etag": there[0].etag, "version": there[0].version},
        "objects": [{"path": each.path, **objects[each.sha256]} for each in files],
        "written": sum(each is not None for each in said.values()),
        "created": created is not None,
    }


def _each(do: Callable[[File], T], files: Sequence[File], at_once: int) -> list[T]:
    """Do it to all: small files several at once, large ones one after the other, which themselves go in parts."""
    small = [each for each in files if each.size < SMALL] if at_once > 1 else []
    done: dict[str, T] = {}
    with ThreadPoolExecutor(at_once) as pool:
        waiting = {pool.submit(do, each): each for each in small}
        try:
            done |= {waiting[each].sha256: each.result() for each in as_completed(waiting)}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for each in files:
        if each.sha256 not in done:
            done[each.sha256] = do(each)
    return [done[each.sha256] for each in files]


def _checked(pieces: Iterable[bytes], check: Check) -> Iterable[bytes]:
    for piece in pieces:
        check(len(piece))
        yield piece


def _put(remote: Remote, file: File, check: Check) -> Stored | None:
    """What the provider said when it took it; None: it was there already."""
    there = remote.look(file.key)
    if there is not None and there.size == file.size:
        return None
    hashing = Hashing(_checked(file.read(), check))
    made = remote.put(file.key, hashing, file.size)
    if hashing.hexdigest() != file.sha256:
        raise Refusal("file_changed", f"{clean(file.path, 100)} changed while it was published.")
    return made


def _read_back(remote: Remote, target: Target, file: File, said: Stored | None, check: Check) -> dict[str, Any]:
    """Our own SHA-256 of what the provider gives back, beside what the provider says of it. `said`: when it took it."""
    there = remote.read(file.key)
    hashing = Hashing(() if there is None else _checked(there[1], check))
    hashing.finish()
    etag = said and said.etag and there and there[0].etag
    if there is None or hashing.hexdigest() != file.sha256 or (etag and said and etag != said.etag):
        raise Refusal("published_differs", f"{target} does not give back {clean(file.path, 100)} as it was published.")
    return {
        "key": file.key,
        "sha256": file.sha256,
        "bytes": hashing.bytes,
        "etag": there[0].etag,
        "version": there[0].version,
    }


def _limited(pieces: Iterable[bytes], most: int) -> Iterable[bytes]:
    for piece in pieces:
        yield piece[:most]
        if (most := most - len(piece)) <= 0:
            return
