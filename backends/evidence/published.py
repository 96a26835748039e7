"""A bundle where it was published, read by its manifest's address: nothing is kept on this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from backends.evidence.remotes import ObjectRemote
from controlplane import jsontext
from controlplane.errors import Refusal, Usage
from controlplane.evidence.attestations import Attested, folder_of, verify_attestations
from controlplane.evidence.bundles import ENVELOPE, Entry
from controlplane.evidence.envelopes import MAX_ENVELOPE_BYTES, Key
from controlplane.evidence.publishing import MAX_FILES, File, Stored, Target

MAX_MANIFEST_BYTES = 1 << 20
_ADDRESS = re.compile(r"(?P<target>.+)/bundles/(?P<bundle>[0-9a-f]{64})\.json")


class Reads(Protocol):
    def below(self, folder: str) -> Sequence[str]: ...

    def read(self, key: str) -> tuple[Stored, Iterable[bytes]] | None: ...


class PublishedBundle:
    """Implements `Container`. The manifest only says where to look: what counts is what the envelope has signed."""

    def __init__(self, remote: Reads, bundle: str) -> None:
        self.remote = remote
        self.bundle = bundle
        self._files: dict[str, str] = {}

    @classmethod
    def at(cls, address: str, open: Callable[[Target], Reads] = ObjectRemote) -> PublishedBundle:
        """`address`: s3://BUCKET/PREFIX/bundles/SHA256.json, and so on. Raises Usage, Refusal `target_failed`."""
        found = _ADDRESS.fullmatch(address.strip())
        if found is None:
            raise Usage(
                "bundle_address_unreadable",
                "That is not the address of a published bundle.",
                "TARGET/bundles/SHA256.json: watchfloor publications show NUMBER has both.",
            )
        return cls(open(Target.parse(found["target"])), found["bundle"])

    def envelope(self) -> bytes | None:
        """Raises Refusal `manifest_unreadable`."""
        there = self.remote.read(f"bundles/{self.bundle}.json")
        if there is None:
            return None
        self._files = _files(_most(there[1], MAX_MANIFEST_BYTES))
        content = self._content(ENVELOPE, MAX_ENVELOPE_BYTES + 1)
        return None if content is None else b"".join(content)

    def entries(self) -> Iterator[Entry]:
        for name in sorted(self._files):
            if name != ENVELOPE and (content := self._content(name)) is not None:
                yield Entry(name, lambda content=content: content)  # type: ignore[misc]

    def attested(self, keys: Sequence[Key]) -> list[Attested]:
        """Its attestations, once the bundle was verified. Raises Refusal `target_failed`."""
        found = [(name, partial(self._attestation, name)) for name in self.remote.below(folder_of(self.bundle))]
        return verify_attestations(found, self.bundle, self._files, keys)

    def _attestation(self, key: str) -> bytes:
        there = self.remote.read(key)
        return b"" if there is None else _most(there[1], MAX_ENVELOPE_BYTES + 1)

    def _content(self, name: str, most: int | None = None) -> Iterable[bytes] | None:
        """None: it is not there."""
        if name not in self._files:
            return None
        there = self.remote.read(File(name, self._files[name], 0, lambda: ()).key)
        return None if there is None else there[1] if most is None else [_most(there[1], most)]


def _files(text: bytes) -> dict[str, str]:
    """SHA-256 by path."""
    try:
        listed: list[Mapping[str, Any]] = jsontext.read(text)["files"]
        found = {each["path"]: each["sha256"] for each in listed[: MAX_FILES + 1]}
        if len(found) == len(listed) <= MAX_FILES and all(
            isinstance(path, str) and re.fullmatch("[0-9a-f]{64}", sha256) for path, sha256 in found.items()
        ):
            return found
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Refusal("manifest_unreadable", "Its manifest cannot be read.")


def _most(pieces: Iterable[bytes], most: int) -> bytes:
    taken = b""
    for piece in pieces:
        taken += piece[: most - len(taken)]
        if len(taken) >= most:
            break
    return taken
