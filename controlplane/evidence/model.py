"""Evidence as it is recorded: a file by its SHA-256, what it is about, and who says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.evidence.controls import Control, Standing
from controlplane.listing import ById, Listing

SignatureState = Literal["good", "unverified", "none"]


@dataclass(frozen=True, slots=True)
class Evidence(ById):
    """`kind`: the type of its in-toto predicate, or a word. `at`: when it was found out, as the file says;
    `recorded_at`: when the home was told. `signature`: as `recorded_by` found it; "unverified": nobody had the key.
    """

    id: int
    sha256: str
    bytes: int
    name: str
    kind: str
    subject: str
    subject_sha256: str | None
    environment: str
    at: datetime
    signature: SignatureState
    signer: str
    version: int
    recorded_at: datetime
    recorded_by: str
    withdrawn_at: datetime | None


class EvidenceDirectory(Listing[Evidence], Protocol):
    async def get(self, number: int) -> Evidence:
        """Raises NotFound."""
        ...

    async def newest(self, kinds: Collection[str], environments: Collection[str]) -> Sequence[Evidence]:
        """Of each kind and environment the newest that was not withdrawn, and the newest of them that is signed."""
        ...


class EvidenceStore(Protocol):
    """What the operations write through."""

    async def lock(self, number: int) -> Evidence:
        """Raises NotFound."""
        ...

    async def create(self, columns: Mapping[str, Any]) -> Evidence: ...

    async def update(self, number: int, columns: Mapping[str, Any]) -> Evidence: ...


VerificationState = Literal["waiting", "running", "failed", "good", "bad", "never"]
PublicationState = Literal["waiting", "running", "published", "failed", "canceling", "canceled"]


@dataclass(frozen=True, slots=True)
class Publication(ById):
    """Evidence at a target. `error`: that of the last attempt, until it is published; `objects`, `bytes`: of what was
    read back, None before. `attempts`: None when its job is gone; done ones are kept for a day. `locked_until`: when
    the first lock of its objects ends; None: one has none, or it is not known. `verification`: of what was published;
    `verified_…`: how far it came, `faults`: what it found.
    """

    id: int
    evidence_id: int
    sha256: str
    kind: str
    subject: str
    target: str
    job_id: int | None
    state: PublicationState
    attempts: int | None
    error: str | None
    published_at: datetime | None
    objects: int | None
    bytes: int | None
    lock_mode: str | None
    locked_until: datetime | None
    verification: VerificationState
    verified_at: datetime | None
    verified_objects: int | None
    verified_bytes: int | None
    faults: int | None
    fault_list: Sequence[Mapping[str, str]] | None
    verify_error: str | None
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime


class PublicationDirectory(Listing[Publication], Protocol):
    async def get(self, number: int) -> Publication:
        """Raises NotFound."""
        ...

    async def attestation(self, number: int) -> Mapping[str, Any] | None:
        """What was read back, with what the provider says of each object beside our own SHA-256; None before."""
        ...


class PublicationStore(Protocol):
    """What the operations write through."""

    async def lock(self, number: int) -> Publication:
        """Raises NotFound. It is not locked: a worker may have it, so the home looks again."""
        ...

    async def publish(self, evidence: int, target: str) -> Publication: ...

    async def change(self, verb: str, number: int) -> Publication:
        """`cancel` or `republish`. Raises Refusal `publication_transition`."""
        ...

    async def verify(self, number: int) -> Publication:
        """Have it verified. Raises Refusal `publication_verifying`."""
        ...


SweepState = Literal["waiting", "running", "failed", "done", "never"]


@dataclass(frozen=True, slots=True)
class PublicationTarget:
    """Where evidence is published to. `priority`: 1 goes first, 9 last; `rate`: kB a second, None: any.
    `keep_days`: how long what is published there must stay locked; None: nothing is asked for.

    `creates` … `lock_days`: what a probe showed (`controlplane.evidence.targets.Abilities`); None: not known.
    `published`, `pending`, `failed`: publications. `swept_…`: what the last sweep found and removed, `sweep_remove`:
    whether it should.
    """

    target: str
    priority: int
    rate: int | None
    keep_days: int | None
    probed_at: datetime | None
    creates: bool | None
    versions: bool | None
    digests: bool | None
    locks: bool | None
    lock_mode: str | None
    lock_days: float | None
    published: int
    pending: int
    failed: int
    sweep: SweepState
    sweep_error: str | None
    sweep_hours: int | None
    sweep_remove: bool | None
    swept_at: datetime | None
    swept_found: int | None
    swept_removed: int | None
    swept_items: Sequence[Mapping[str, str]] | None
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime

    @property
    def key(self) -> str:
        return self.target


class TargetDirectory(Listing[PublicationTarget], Protocol):
    async def get(self, target: str) -> PublicationTarget:
        """Raises NotFound."""
        ...


class TargetStore(Protocol):
    """What the operations write through."""

    async def lock(self, target: str) -> PublicationTarget:
        """Raises NotFound. It is not locked: a worker may write to it."""
        ...

    async def limit(self, target: str, priority: int, rate: int | None, keep_days: int | None) -> PublicationTarget: ...

    async def sweep(self, target: str, hours: int, remove: bool) -> PublicationTarget:
        """Raises Refusal `target_sweeping`."""
        ...


class CoverageDirectory(Listing[Standing], Protocol):
    async def controls(self) -> Sequence[Control]:
        """The controls that evidence is held against. Raises Usage `controls_unreadable`."""
        ...
