"""Recording evidence, and withdrawing what was recorded by mistake."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.evidence.bundles import BUNDLE
from controlplane.evidence.model import (
    Evidence,
    EvidenceStore,
    Publication,
    PublicationStore,
    PublicationTarget,
    SignatureState,
    TargetStore,
)
from controlplane.evidence.publishing import Target
from controlplane.evidence.refusals import (
    EVIDENCE_FUTURE,
    EVIDENCE_WITHDRAWN,
    NO_BUNDLE,
    PUBLICATION_TRANSITION,
    PUBLICATION_VERIFYING,
    TARGET_SWEEPING,
)
from controlplane.formatting import parse_moment
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.tenants.operations import Version

if TYPE_CHECKING:
    from controlplane.changes import Change

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
AHEAD = timedelta(minutes=5)
"""How far another machine's clock may be ahead of the home's."""


class EvidenceAdd(Request):
    subject = ("sha256",)
    makes = ("sha256",)
    sha256: Annotated[Sha256, Field(description="the SHA-256 of the file, in hex")]
    bytes: Annotated[int, Field(ge=0, le=10**15, description="its size")]
    name: Annotated[str, Field(min_length=1, max_length=200, description="its name")]
    kind: Annotated[
        str, Field(pattern=r"^[!-~]{1,200}$", description="the type of its in-toto predicate, or a word: junit, sarif")
    ]
    about: Annotated[str, Field(max_length=400, description="what it is about: a release, an incident")] = ""
    about_sha256: Annotated[Sha256 | None, Field(description="the SHA-256 of the artefact that it is about")] = None
    environment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", description="production, staging, …")]
    at: Annotated[str, Field(max_length=60, description="its time: 2026-11-30T10:00, or now")] = "now"
    signature: Annotated[SignatureState, Field(description="as you found it")] = "none"
    signer: Annotated[str, Field(max_length=400, description="the id of the key, when the signature is good")] = ""


class OneEvidence(Request):
    id: Annotated[int, Field(ge=1, description="the number of the evidence")]
    version: Version


EVIDENCE = Subject(Evidence, lambda change, request: change.of(EvidenceStore).lock(request.id))


def check_there(evidence: Evidence, now: datetime) -> None:
    """Raises Refusal `evidence_withdrawn`."""
    if evidence.withdrawn_at is not None:
        raise EVIDENCE_WITHDRAWN()


@operation(
    "evidence.add",
    EvidenceAdd,
    role="operator",
    risk=Risk.CONFIRM,
    key="n",
    undo="evidence.withdraw",
)
async def add(change: Change, request: EvidenceAdd) -> Evidence:
    """Record a file as evidence, by its SHA-256; the file itself stays where it is."""
    at = parse_moment(request.at, change.now)
    if at > change.now + AHEAD:
        raise EVIDENCE_FUTURE()
    columns: Record = {
        "sha256": request.sha256,
        "bytes": request.bytes,
        "name": request.name,
        "kind": request.kind,
        "subject": request.about,
        "subject_sha256": request.about_sha256,
        "environment": request.environment,
        "at": at,
        "signature": request.signature,
        "signer": request.signer,
    }
    return await change.of(EvidenceStore).create(columns)


@operation(
    "evidence.withdraw",
    OneEvidence,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    on=EVIDENCE,
    check=check_there,
    way_back="Record it again.",
)
async def withdraw(change: Change, request: OneEvidence, evidence: Evidence) -> Evidence:
    """Withdraw evidence: it no longer counts, and stays in the list."""
    return await change.of(EvidenceStore).update(evidence.id, {"withdrawn_at": change.now})


class EvidencePublish(OneEvidence):
    makes_a = "publication"
    target: Annotated[str, Field(min_length=1, max_length=300, description="s3://…, gs://…, az://… or file:///…")]


class OnePublication(Request):
    id: Annotated[int, Field(ge=1, description="the number of the publication")]
    version: Version


PUBLICATION = Subject(Publication, lambda change, request: change.of(PublicationStore).lock(request.id))
"""It is not locked: a worker may have it meanwhile, so the home checks its state again."""


def check_publish(evidence: Evidence, now: datetime) -> None:
    """Raises Refusal `evidence_withdrawn`, `no_bundle`."""
    check_there(evidence, now)
    if evidence.kind != BUNDLE:
        raise NO_BUNDLE()


def _check_state(*states: str) -> Callable[[Publication, datetime], None]:
    def check(publication: Publication, now: datetime) -> None:
        if publication.state not in states:
            raise PUBLICATION_TRANSITION(f"The publication is {publication.state}: that cannot be done to it now.")

    return check


@operation(
    "evidence.publish",
    EvidencePublish,
    role="operator",
    risk=Risk.CONFIRM,
    key="p",
    on=EVIDENCE,
    check=check_publish,
    writes="publications",
    way_back="Until it is published, cancel it; what is published stays there.",
)
async def publish(change: Change, request: EvidencePublish, evidence: Evidence) -> Record:
    """Publish a bundle: a worker uploads it, reads it back, and records what the provider says of each file."""
    return _result(await change.of(PublicationStore).publish(evidence.id, str(Target.parse(request.target))))


@operation(
    "evidence.cancel",
    OnePublication,
    role="operator",
    risk=Risk.CONFIRM,
    key="c",
    on=PUBLICATION,
    check=_check_state("waiting", "running"),
    writes="publications",
    way_back="Publish it again: evidence republish.",
)
async def cancel(change: Change, request: OnePublication, publication: Publication) -> Record:
    """Cancel a publication that waits or runs."""
    return _result(await change.of(PublicationStore).change("cancel", publication.id))


@operation(
    "evidence.republish",
    OnePublication,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    on=PUBLICATION,
    check=_check_state("failed", "canceled", "published"),
    writes="publications",
    way_back="Until it is published, cancel it.",
)
async def republish(change: Change, request: OnePublication, publication: Publication) -> Record:
    """Publish again what failed or was canceled; or check that what is published is still complete."""
    return _result(await change.of(PublicationStore).change("republish", publication.id))


def _result(publication: Publication) -> Record:
    told = ("id", "evidence_id", "target", "state", "version")
    return {name: getattr(publication, name) for name in told}


def check_verify(publication: Publication, now: datetime) -> None:
    """Raises Refusal `publication_verifying`."""
    if publication.published_at is None or publication.verification in ("waiting", "running"):
        raise PUBLICATION_VERIFYING()


@operation(
    "evidence.verify-remote",
    OnePublication,
    role="operator",
    risk=Risk.CONFIRM,
    key="v",
    on=PUBLICATION,
    check=check_verify,
    writes="publications",
    way_back="It only reads.",
)
async def verify_remote(change: Change, request: OnePublication, publication: Publication) -> Record:
    """Verify what is published: a worker reads all of it again, by ranges, and compares it with its attestation."""
    return _result(await change.of(PublicationStore).verify(publication.id))


class OneTarget(Request):
    subject = ("target",)
    target: Annotated[str, Field(min_length=1, max_length=300, description="s3://…, gs://…, az://… or file:///…")]
    version: Version


class TargetLimit(OneTarget):
    priority: Annotated[int | None, Field(ge=1, le=9, description="1 goes first, 9 last; usually 5")] = None
    rate: Annotated[int | None, Field(ge=0, le=10_000_000, description="kB a second at most; 0: no limit")] = None
    keep_days: Annotated[
        int | None, Field(ge=0, le=36_600, description="how many days it must stay locked there; 0: none")
    ] = None


class TargetSweep(OneTarget):
    hours: Annotated[int, Field(ge=1, le=8760, description="only uploads that were begun so long ago")] = 24
    remove: Annotated[bool, Field(description="end them; otherwise they are only found")] = False


TARGET = Subject(PublicationTarget, lambda change, request: change.of(TargetStore).lock(request.target))


@operation(
    "evidence.limit",
    TargetLimit,
    role="operator",
    risk=Risk.CONFIRM,
    key="l",
    on=TARGET,
    writes="targets",
    way_back="Set it back.",
)
async def limit(change: Change, request: TargetLimit, target: PublicationTarget) -> Record:
    """Set a target's limits: its priority, its rate, and how long evidence must stay locked there."""
    priority = target.priority if request.priority is None else request.priority
    rate = target.rate if request.rate is None else request.rate or None
    keep = target.keep_days if request.keep_days is None else request.keep_days or None
    return _of_target(await change.of(TargetStore).limit(target.target, priority, rate, keep))


def check_sweep(target: PublicationTarget, now: datetime) -> None:
    """Raises Conflict `target_sweeping`."""
    if target.sweep in ("waiting", "running"):
        raise TARGET_SWEEPING()


@operation(
    "evidence.sweep",
    TargetSweep,
    role="operator",
    risk=Risk.CONFIRM,
    key="s",
    on=TARGET,
    check=check_sweep,
    writes="targets",
    way_back="What was ended is uploaded again by the next try.",
)
async def sweep(change: Change, request: TargetSweep, target: PublicationTarget) -> Record:
    """Sweep a target: find uploads that a killed worker left unfinished; with remove, abort them."""
    return _of_target(await change.of(TargetStore).sweep(target.target, request.hours, request.remove))


def _of_target(target: PublicationTarget) -> Record:
    return {name: getattr(target, name) for name in ("target", "priority", "rate", "sweep", "version")}
