"""What a worker publishes: a bundle from its own evidence folder, to a place that its own settings allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.evidence.folder import BundleFolder, readable
from backends.evidence.remotes import ObjectRemote
from controlplane.errors import Refusal
from controlplane.evidence.bundles import ENVELOPE, Hashing
from controlplane.evidence.envelopes import Envelope
from controlplane.evidence.publishing import File, Remote, Target, publish
from controlplane.evidence.statements import Statement
from controlplane.text import clean


@dataclass(frozen=True)
class Publisher:
    """`folder`: of bundles, each under the SHA-256 of its envelope; nothing else on this machine is ever read.
    `allowed`: where it may publish to, and below. `open`: reaches a target.
    """

    folder: Path
    allowed: Sequence[Target]
    open: Callable[[Target], Remote] = field(default=ObjectRemote, repr=False)

    def publish(self, sha256: str, target: Target, check: Callable[[], None] = lambda: None) -> Mapping[str, Any]:
        """Blocks; returns the attestation. `check` raises to break it off. Raises Refusal."""
        if not target.within(self.allowed):
            raise Refusal(
                "target_not_allowed",
                f"This worker does not publish to {target}.",
                "Name the place in its settings: publish_to",
            )
        files = list(self._files(sha256))
        return publish(self.open(target), target, sha256, files, check)

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
