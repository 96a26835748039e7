"""What a worker publishes: a bundle from its own evidence folder, to a place that its own settings allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from backends.evidence.folder import BundleFolder, readable
from backends.evidence.remotes import ObjectRemote
from controlplane.clock import machine_now
from controlplane.errors import Refusal
from controlplane.evidence.attestations import attest
from controlplane.evidence.bundles import CHECKPOINT, ENVELOPE, MAX_CHECKPOINT_BYTES, Hashing
from controlplane.evidence.envelopes import Envelope, Signer
from controlplane.evidence.publishing import Check, File, Target, publish
from controlplane.evidence.statements import Statement
from controlplane.evidence.targets import (
    Abilities,
    Held,
    Progress,
    Provider,
    attested,
    probe,
    sweep,
    verify_published,
    with_locks,
)
from controlplane.text import clean


@dataclass(frozen=True)
class Publisher:
    """`folder`: of bundles, each under the SHA-256 of its envelope; nothing else on this machine is ever read.
    `allowed`: where it may publish to, and below. `open`: reaches a target. `sign`: signs attestations for a trail;
    None: they are not signed.
    """

    folder: Path
    allowed: Sequence[Target]
    open: Callable[[Target], Provider] = field(default=ObjectRemote, repr=False)
    now: Callable[[], datetime] = machine_now
    sign: Callable[[str], Signer] | None = field(default=None, repr=False)

    def probe(self, target: Target, check: Check = lambda number: None) -> Abilities:
        """What the target can do. Blocks; raises Refusal."""
        return probe(self._remote(target), target, self.now())

    def publish(
        self, sha256: str, target: Target, check: Check = lambda number: None, back: Check | None = None
    ) -> Mapping[str, Any]:
        """Blocks; returns the attestation. `check`, `back`: see `controlplane.evidence.publishing.publish`. Raises
        Refusal.
        """
        remote = self._remote(target)
        files = list(self._files(sha256))
        attestation = publish(remote, target, sha256, files, check, back=back, checkpoint=_checkpoint(files))
        attestation = self._with_locks(remote, attestation)
        return attestation if self.sign is None else attest(remote, attestation, self.sign(_trail(files)))

    def _with_locks(self, remote: Provider, attestation: Mapping[str, Any]) -> Mapping[str, Any]:
        manifest = attestation["manifest"]["key"]
        try:
            held = remote.held([manifest])
            if held[manifest] != Held():  # else there is nothing to ask of the others
                held = {**held, **remote.held([each["key"] for each in attested(attestation)])}
            return with_locks(attestation, held)
        except Refusal as refusal:
            if refusal.code != "target_unasked":
                raise
            return with_locks(attestation, {})

    def verify(
        self, target: Target, attestation: Mapping[str, Any], progress: Progress, check: Check = lambda number: None
    ) -> Progress:
        """Read again what is published. Blocks; raises Refusal."""
        return verify_published(self._remote(target), attestation, check, progress)

    def sweep(
        self, target: Target, before: datetime, remove: bool, check: Check = lambda number: None
    ) -> Mapping[str, Any]:
        """End what was begun before that and never finished. Blocks; raises Refusal."""
        return sweep(self._remote(target), before, remove, check)

    def _remote(self, target: Target) -> Provider:
        if not target.within(self.allowed):
            raise Refusal(
                "target_not_allowed",
                f"This worker does not publish to {target}.",
                "Name the place in its settings: publish_to",
            )
        return self.open(target)

    def _files(self, sha256: str) -> Iterator[File]:
        """The bundle's files as they are signed, its envelope among them. What the registry's hash does not cover is
        refused. Whose signature it is, was judged when it was recorded.
        """
        path = self.folder / sha256
        bundle = BundleFolder(path)
        envelope = bundle.envelope() if path.is_dir() else None
        if envelope is None:
            raise Refusal(
                "bundle_not_here",
                f"The bundle {sha256[:12]}… is not in this worker's evidence folder.",
                f"Put its folder there, under the name {sha256}.",
            )
        hashing = Hashing([envelope])
        hashing.finish()
        if hashing.hexdigest() != sha256:
            raise Refusal("file_changed", f"The envelope of the bundle {sha256[:12]}… is not the recorded one.")
        yield File(ENVELOPE, sha256, len(envelope), lambda: [envelope])
        there = {each.name: each.read for each in bundle.entries()}
        for each in Statement.parse(Envelope.parse(envelope).payload).subjects:
            content = there.get(each.name)
            if content is None:
                raise Refusal("file_changed", f"{clean(each.name, 100)} is not in the bundle {sha256[:12]}… any more.")
            place = path / each.name
            with readable(place):
                size = place.lstat().st_size
            yield File(each.name, each.sha256, size, content)


def _trail(files: Sequence[File]) -> str:
    """Which trail the bundle says that it is of."""
    [envelope] = [each for each in files if each.path == ENVELOPE]
    return str(Statement.parse(Envelope.parse(b"".join(envelope.read())).payload).predicate.get("trail", ""))


def _checkpoint(files: Sequence[File]) -> bytes | None:
    """The checkpoint that a bundle holds; None: no trail was signed by then."""
    found = next((each for each in files if each.path == CHECKPOINT and each.size <= MAX_CHECKPOINT_BYTES), None)
    return None if found is None else b"".join(found.read())
