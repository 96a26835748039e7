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


PublicationState = Literal["waiting", "running", "published", "failed", "canceled"]


@dataclass(frozen=True, slots=True)
class Publication(ById):
    """Evidence at a target. `error`: that of the last attempt, until it is published; `objects`, `bytes`: of what was
    read back, None before. `attempts`: None when its job is gone; done ones are kept for a day.
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


class CoverageDirectory(Listing[Standing], Protocol):
    async def controls(self) -> Sequence[Control]:
        """The controls that evidence is held against. Raises Usage `controls_unreadable`."""
        ...
