"""A bundle: files, and beside them a signed statement that names each of them by its SHA-256.

All that is in the statement is in the bundle, and nothing else is. Verifying needs the key, and no network.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from controlplane.audit.checkpoints import Checkpoint, read
from controlplane.errors import Refusal
from controlplane.evidence import slices
from controlplane.evidence.envelopes import Ed25519Key, Key, Signer, opened, seal
from controlplane.evidence.slices import Slice
from controlplane.evidence.statements import Statement, Subject
from controlplane.text import clean

BUNDLE = "urn:watchfloor:evidence-bundle:v1"
"""The type of a bundle's predicate, and so the kind of evidence that it is."""
ENVELOPE = "bundle.dsse.json"
TRAIL, CHECKPOINT = "audit/trail", "audit/checkpoint"
MAX_NAME = 100
MAX_FILES = 50_000
MAX_CHECKPOINT_BYTES = 8000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def is_name(name: str) -> bool:
    """Whether a file of a bundle may be called this: below the bundle, and the same on every file system."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None and name.lower() != ENVELOPE


@dataclass(frozen=True)
class Entry:
    """Something that lies in a bundle. `read`: its content in pieces; None: it is no regular file, but `what`."""

    name: str
    read: Callable[[], Iterable[bytes]] | None
    what: str = "file"


class Container(Protocol):
    """Where a bundle is: a folder or one file."""

    def envelope(self) -> bytes | None:
        """The text of the statement's envelope; None when there is none. Raises Refusal."""
        ...

    def entries(self) -> Iterator[Entry]:
        """All that is beside the envelope, by name. Raises Refusal."""
        ...


@dataclass(frozen=True)
class Fault:
    """The first thing that is wrong. `file`: where; "" for the bundle itself."""

    code: str
    file: str
    words: str


@dataclass
class Report:
    """What was found out about a bundle. Nothing of it is to be believed when there is a fault.

    `sha256`: of its envelope, by which the registry knows it. `signer`: the id of the key that signed it. `trail`: its
    audit rows; None: it has none, or they were not reached. `checkpoint`: in words, why no checkpoint vouches for them.
    """

    fault: Fault | None = None
    sha256: str = ""
    signer: str = ""
    predicate: Mapping[str, Any] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    trail: Slice | None = None
    checkpoint: str = ""


def index(subjects: Iterable[Subject], predicate: Mapping[str, Any], signer: Signer) -> bytes:
    """The envelope of a bundle of these files; the same files and predicate always give the same one."""
    files = tuple(sorted(subjects, key=lambda each: each.name))
    return seal(Statement(files, BUNDLE, predicate).payload(), signer)


def verify(container: Container, keys: Sequence[Key]) -> Report:
    """Verify all of a bundle, or up to the first fault."""
    report = Report()
    try:
        _verify(container, keys, report)
    except _Found as found:
        report.fault = found.fault
    except Refusal as refusal:
        report.fault = Fault(refusal.code, ENVELOPE, refusal.message)
    return report


class _Found(Exception):
    def __init__(self, code: str, file: str, words: str) -> None:
        self.fault = Fault(code, clean(file, 200), words)


def _verify(container: Container, keys: Sequence[Key], report: Report) -> None:
    text = container.envelope()
    if text is None:
        raise _Found("envelope_missing", ENVELOPE, "It is missing: this is not a bundle, or not all of one.")
    report.sha256 = hashlib.sha256(text).hexdigest()
    payload, signer = opened(text, keys)
    statement = Statement.parse(payload)
    wanted = _wanted(statement)
    origin = statement.predicate.get("trail")
    if isinstance(signer, Ed25519Key) and signer.public.origin != origin:
        raise _Found(
            "trail_of_another", ENVELOPE, f"It is of {clean(origin, 200)}, and the key signs for another trail."
        )
    report.signer, report.predicate = signer.name, statement.predicate
    checkpoint: Checkpoint | None = None
    left = iter(sorted(wanted))
    expected = next(left, None)
    for entry in container.entries():
        while expected is not None and expected < entry.name:
            raise _Found("file_missing", expected, "It is signed, and it is not there.")
        if entry.read is None:
            raise _Found("not_a_file", entry.name, f"It is a {entry.what}; a bundle holds files alone.")
        if entry.name != expected:
            raise _Found("file_extra", entry.name, "It is there, and it was not signed.")
        expected = next(left, None)
        hashing, broken = Hashing(entry.read()), None
        if entry.name == CHECKPOINT:
            checkpoint = _checkpoint(b"".join(hashing.limited(MAX_CHECKPOINT_BYTES)), keys, report)
        elif entry.name == TRAIL:
            broken = _walk(hashing, checkpoint, report)
        hashing.finish()
        if hashing.hexdigest() != wanted[entry.name]:
            raise _Found("file_changed", entry.name, "It is not the file that was signed.")
        if broken is not None:
            raise broken
        report.files += 1
        report.bytes += hashing.bytes
    if expected is not None:
        raise _Found("file_missing", expected, "It is signed, and it is not there.")
    if report.trail is not None and report.trail.origin != origin:
        raise _Found("trail_of_another", TRAIL, "Its rows are of another trail than the bundle.")


def _wanted(statement: Statement) -> dict[str, str]:
    """SHA-256 by name."""
    if statement.type != BUNDLE:
        raise _Found("not_a_bundle", ENVELOPE, f"It is a statement of another type, {clean(statement.type, 200)}.")
    wanted = {each.name: each.sha256 for each in statement.subjects}
    if len({name.lower() for name in wanted}) < len(statement.subjects) or len(wanted) > MAX_FILES:
        raise _Found("bundle_unreadable", ENVELOPE, "It names a file twice, or too many files.")
    for name, sha256 in wanted.items():
        if not is_name(name):
            raise _Found(
                "name_refused", name, "A file of a bundle cannot have this name: it might lead outside the bundle."
            )
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise _Found("bundle_unreadable", name, "It has no SHA-256.")
    return wanted


class Hashing:
    """Pieces of a file on their way to somebody, hashed and counted as they pass."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._hash = hashlib.sha256()
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._hash.update(piece)
            self.bytes += len(piece)
            yield piece

    def limited(self, most: int) -> Iterator[bytes]:
        """The first pieces, at most so many bytes; the rest is hashed alone."""
        taken = 0
        for piece in self:
            if taken < most:
                yield piece[: most - taken]
            taken += len(piece)

    def lines(self, longest: int = 16 << 20) -> Iterator[bytes]:
        """Its lines, each with its line break. Raises Refusal `slice_unreadable` for one that is longer."""
        rest = b""
        for piece in self:
            *whole, rest = (rest + piece).split(b"\n")
            yield from (line + b"\n" for line in whole)
            if len(rest) > longest:
                raise Refusal("slice_unreadable", "It has a line that is too long.")
        if rest:
            yield rest

    def finish(self) -> None:
        for _ in self:
            pass

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _checkpoint(note: bytes, keys: Sequence[Key], report: Report) -> Checkpoint | None:
    """The checkpoint, when one of the keys signed it."""
    try:
        return read(note.decode(), [each.public for each in keys if isinstance(each, Ed25519Key)])
    except Refusal as refusal:
        if refusal.code != "checkpoint_unsigned":
            raise _Found(refusal.code, CHECKPOINT, refusal.message) from None
        report.checkpoint = "its checkpoint is by a key that was not given"
    except UnicodeDecodeError:
        raise _Found("checkpoint_unreadable", CHECKPOINT, "This is not a checkpoint.") from None
    return None


def _walk(hashing: Hashing, checkpoint: Checkpoint | None, report: Report) -> _Found | None:
    """What is wrong with the rows; it is told only of the file that was signed."""
    try:
        report.trail = slices.walk(hashing.lines(), checkpoint)
    except Refusal as refusal:
        return _Found(refusal.code, TRAIL, refusal.message)
    if checkpoint is None and not report.checkpoint:
        report.checkpoint = "no checkpoint was signed by then"
    elif checkpoint is not None and report.trail.signed_to is None:
        report.checkpoint = "its checkpoint is of rows before these"
    return None
