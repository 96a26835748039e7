"""Files below a folder that a gate's checks look at: reports of tools, signed artefacts and their provenance."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import Any

from controlplane.errors import NotFound, Refusal
from controlplane.evidence import provenance, signatures
from controlplane.evidence.envelopes import MAX_ENVELOPE_BYTES
from controlplane.evidence.signatures import MAX_SIGNATURE_BYTES, Digests, PemKey
from controlplane.gates import files
from controlplane.gates.checks import JunitCheck, ProvenanceCheck, SbomCheck, SignatureCheck, VulnerabilitiesCheck
from controlplane.gates.judging import trouble
from controlplane.gates.observing import Seen

PIECE_BYTES = 1 << 20
MAX_ARTEFACT_BYTES = 8 << 30


class Artefacts:
    """A link, or a path that leaves the folder, is refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def report(self, check: JunitCheck | SbomCheck | VulnerabilitiesCheck) -> Seen:
        return await self._seen(lambda: self._report(check))

    async def signature(self, check: SignatureCheck) -> Seen:
        return await self._seen(lambda: self._signature(check))

    async def provenance(self, check: ProvenanceCheck) -> Seen:
        return await self._seen(lambda: self._provenance(check))

    async def _seen(self, look: Any) -> Seen:
        try:
            observed, at = await asyncio.to_thread(look)
        except NotFound as absent:
            return Seen(trouble("no_data", absent.message))
        return Seen(observed, at)

    def _report(self, check: JunitCheck | SbomCheck | VulnerabilitiesCheck) -> tuple[Mapping[str, Any], datetime]:
        content, at = self._read(check.file, files.MAX_BYTES)
        return files.observed(check.kind, content) | {"file": check.file}, at

    def _signature(self, check: SignatureCheck) -> tuple[Mapping[str, Any], datetime]:
        digests = self._digests(check.file)
        text, at = self._read(check.signature, MAX_SIGNATURE_BYTES)
        signed = signatures.read(check.key, text, digests)
        observed = {"tool": signed.tool, "key": signed.key, "holds": signed.holds, "comment": signed.comment}
        return observed | {
            "sha256": digests.sha256.hex(),
            "bytes": digests.size,
            "signature_sha256": hashlib.sha256(text).hexdigest(),
        }, at

    def _provenance(self, check: ProvenanceCheck) -> tuple[Mapping[str, Any], datetime]:
        sha256 = self._digests(check.file).sha256.hex()
        text, at = self._read(check.provenance, MAX_ENVELOPE_BYTES)
        found = provenance.read(text, [PemKey(each) for each in check.keys])
        return {
            "signers": list(found.signers),
            "type": found.type[:200],
            "builder": found.builder[:500],
            "about_it": sha256 in found.subjects,
            "sha256": sha256,
            "provenance_sha256": hashlib.sha256(text).hexdigest(),
        }, at

    def _digests(self, name: str) -> Digests:
        with self._open(name) as file:
            if os.fstat(file.fileno()).st_size > MAX_ARTEFACT_BYTES:
                raise Refusal("artefact_unreadable", f"{name} is larger than {MAX_ARTEFACT_BYTES:,} bytes.")
            return Digests.of(_pieces(file))

    def _read(self, name: str, most: int) -> tuple[bytes, datetime]:
        """One byte more than `most`, so that whoever reads it sees that it is too large."""
        with self._open(name) as file:
            return file.read(most + 1), datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)

    def _open(self, name: str) -> BufferedReader:
        folder = self._folder.resolve()
        path = folder / name
        try:
            if not path.resolve().is_relative_to(folder):
                raise Refusal("artefact_outside", f"{name} leads out of the folder.", "Name a file within it.")
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound("artefact_absent", f"There is no file {name}.") from None
        except OSError as error:
            raise Refusal("artefact_unreadable", f"{name} cannot be read: {error.strerror}.") from None
        file = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise Refusal("artefact_unreadable", f"{name} is not a plain file.")
        return file


def _pieces(file: BufferedReader) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece
