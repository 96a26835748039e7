"""The lists of evidence: what is recorded, the newest first; and the controls, those that nothing fresh shows first."""

from __future__ import annotations

from datetime import datetime

from controlplane.evidence import controls
from controlplane.evidence.controls import STATES, Standing, State
from controlplane.evidence.model import (
    CoverageDirectory,
    Evidence,
    EvidenceDirectory,
    Publication,
    PublicationDirectory,
    PublicationState,
    PublicationTarget,
    SweepState,
    TargetDirectory,
    VerificationState,
)
from controlplane.evidence.refusals import NO_CONTROL, NO_EVIDENCE, NO_PUBLICATION, NO_TARGET
from controlplane.evidence.words import kind_words, lock_days, publication_why, size_words, target_why, why_of
from controlplane.lists import COUNT, ID, TEXTS, TIME, UNTIL, Cell, Column, Line, ListOf, Status, choice, status
from controlplane.text import UNKNOWN, clean

SIGNATURES: dict[str, Status] = {
    "good": Status("●", "good"),
    "unverified": Status("?", "unknown", "not verified"),
    "none": Status("○", "muted"),
}
COVERAGE: dict[State, Status] = {
    "missing": Status("✕", "bad"),
    "stale": Status("~", "warn"),
    "unmapped": Status("?", "unknown"),
    "fresh": Status("●", "good"),
}
assert tuple(COVERAGE) == STATES


def _about(evidence: Evidence, now: datetime) -> Cell:
    words = clean(evidence.subject or UNKNOWN, 300)
    return Cell(f"{words} (withdrawn)", "muted") if evidence.withdrawn_at else Cell(words)


EVIDENCE: ListOf[Evidence] = ListOf(
    "evidence",
    Evidence,
    of=lambda plane: plane.of(EvidenceDirectory),
    order="-age",
    summary="List what is recorded as evidence, the newest first.",
    means="Files that prove something, by their SHA-256, and who recorded them. :coverage shows what is missing.",
    nothing="Nothing is recorded yet. watchfloor evidence collect makes a bundle; a, then n, records a file.",
    missing=NO_EVIDENCE,
    label=lambda evidence: f"evidence {evidence.id}",
    opens=lambda evidence: ("evidence", evidence.key),
    why=why_of,
    columns=(
        Column("kind", priority=1, width=18, grow=True, cell=lambda e, now: kind_words(e.kind)),
        Column("subject", priority=1, width=14, title="ABOUT", grow=True, cell=_about, also=("about",)),
        Column("environment", priority=3, width=11, title="ENV", also=("env",)),
        Column("age", TIME, priority=2, field="at", sorts=True, what="the time that it is about"),
        Column("signature", status(SIGNATURES), priority=4, width=14),
        Column("by", priority=5, width=10, field="recorded_by"),
        Column("name", priority=6, width=16, grow=True),
        Column("bytes", COUNT, priority=8, width=8, title="SIZE", filters=False,
               cell=lambda e, now: size_words(e.bytes)),
        Column("sha256", priority=10, width=14, cell=lambda e, now: e.sha256[:12]),
        Column("id", ID, priority=7, width=5, title="NO", sorts=True),
        Column("signer"),
        Column("recorded", TIME, field="recorded_at"),
        Column("withdrawn", TIME, field="withdrawn_at", what="when it was withdrawn"),
    ),
)  # fmt: skip


PUBLISHED: dict[PublicationState, Status] = {
    "failed": Status("✕", "bad"),
    "running": Status("◐", "warn", "publishing"),
    "waiting": Status("◐", "warn"),
    "published": Status("●", "good"),
    "canceling": Status("◐", "warn"),
    "canceled": Status("○", "muted"),
}

VERIFIED: dict[VerificationState, Status] = {
    "bad": Status("✕", "bad"),
    "failed": Status("✕", "bad", "no answer"),
    "running": Status("◐", "warn", "reading"),
    "waiting": Status("◐", "warn"),
    "good": Status("●", "good"),
    "never": Status("?", "unknown"),
}

PUBLICATIONS: ListOf[Publication] = ListOf(
    "publications",
    Publication,
    of=lambda plane: plane.of(PublicationDirectory),
    order="-age",
    summary="List what was published where, the newest first.",
    means="Evidence in S3, GCS, Azure and folders: uploaded by a worker, and read back before it counts as published.",
    nothing="Nothing was published yet. In :evidence press a, then p.",
    missing=NO_PUBLICATION,
    label=lambda publication: f"publication {publication.id}",
    opens=lambda publication: ("publications", publication.key),
    why=publication_why,
    columns=(
        Column("state", status(PUBLISHED), priority=1, width=12),
        Column("target", priority=1, width=24, grow=True),
        Column("about", priority=2, width=14, field="subject", grow=True),
        Column("age", TIME, priority=3, field="created_at", sorts=True),
        Column("published", TIME, priority=4, field="published_at", what="when it was last read back"),
        Column("attempts", COUNT, priority=5, width=5, title="TRIES"),
        Column("objects", COUNT, priority=6, width=7, title="FILES"),
        Column("locked", UNTIL, priority=6, width=8, field="locked_until", what="when the first of its locks ends"),
        Column("verification", status(VERIFIED), priority=7, width=12),
        Column("verified", TIME, field="verified_at", what="when it was last read again"),
        Column("error", priority=7, width=20, grow=True, cell=lambda p, now: clean(p.error or "", 400)),
        Column("bytes", COUNT, filters=False, priority=9, width=8, title="SIZE",
               cell=lambda p, now: UNKNOWN if p.bytes is None else size_words(p.bytes)),
        Column("evidence", ID, priority=8, width=8, field="evidence_id", value=lambda p: str(p.evidence_id)),
        Column("id", ID, priority=8, width=5, title="NO", value=lambda p: p.key, sorts=True),
        Column("by", field="created_by"),
    ),
)  # fmt: skip


def ability_cell(has: bool | None, words: str = "yes") -> Cell:
    if has is None:
        return Cell("? unknown", "unknown")
    return Cell(f"● {words}", "good") if has else Cell("✕ no", "warn")


SWEPT: dict[SweepState, Status] = {
    "failed": Status("✕", "bad"),
    "running": Status("◐", "warn"),
    "waiting": Status("◐", "warn"),
    "done": Status("●", "good"),
    "never": Status("◌", "muted"),
}

TARGETS: ListOf[PublicationTarget] = ListOf(
    "targets",
    PublicationTarget,
    of=lambda plane: plane.of(TargetDirectory),
    order="target",
    summary="List where evidence is published to, and what each place can do.",
    means="Where evidence is published to: what a probe showed, the priority, unfinished uploads.",
    nothing="Nothing was published yet. In :evidence press a, then p.",
    key=("target",),
    missing=NO_TARGET,
    opens=lambda target: ("publications", f"?target:{target.target}"),
    why=target_why,
    columns=(
        Column("target", priority=1, width=24, grow=True, sorts=True),
        Column("locks", priority=2, width=10, filters=False, cell=lambda t, now: ability_cell(t.locks, lock_days(t)),
               what="whether new objects are locked, and for how long"),
        Column("versions", priority=3, width=9, filters=False, cell=lambda t, now: ability_cell(t.versions),
               what="whether replaced or removed objects are kept"),
        Column("creates", priority=4, width=9, filters=False, cell=lambda t, now: ability_cell(t.creates),
               what="whether an existing object cannot be replaced"),
        Column("digests", priority=5, width=9, filters=False, cell=lambda t, now: ability_cell(t.digests),
               what="whether a damaged upload is refused"),
        Column("probed", TIME, priority=4, field="probed_at", what="when it was last tested"),
        Column("priority", COUNT, priority=5, width=4, title="PRIO", what="1 goes first, 9 last"),
        Column("rate", COUNT, priority=6, width=8, title="KB/S", what="kB a second at most; empty: any"),
        Column("keep", COUNT, priority=8, width=5, field="keep_days", what="days that evidence must stay locked there"),
        Column("published", COUNT, priority=3, width=9),
        Column("pending", COUNT, priority=7, width=7),
        Column("failed", COUNT, priority=3, width=6),
        Column("sweep", status(SWEPT), priority=8, width=9),
        Column("swept", TIME, priority=9, field="swept_at", what="when it was last swept"),
        Column("unfinished", COUNT, priority=9, width=6, field="swept_found", title="FOUND",
               what="what the sweep found"),
        Column("by", field="created_by"),
    ),
)  # fmt: skip


def _why(standing: Standing, now: datetime) -> list[Line]:
    first, *rest = controls.why(standing, now)
    return [(first, "title"), *rest]


CONTROLS: ListOf[Standing] = ListOf(
    "coverage",
    Standing,
    of=lambda plane: plane.of(CoverageDirectory),
    order="state",
    summary="List the controls, those without fresh evidence first.",
    means="What auditors ask for, and whether there is fresh evidence. ✕ there is none; ~ it is too old;"
    " ? no kind of evidence is named for it.",
    nothing="The file of controls is empty.",
    missing=NO_CONTROL,
    name="controls",
    label=lambda standing: standing.control.id,
    opens=lambda standing: ("evidence", f"?kind:{','.join(standing.control.evidence)}")
    if standing.control.evidence else None,
    why=_why,
    operations=(),
    record=lambda standing, now: as_record(standing),
    search=lambda standing: (standing.control.id, standing.control.framework, standing.control.title),
    few=True,
    columns=(
        Column("state", status(COVERAGE), priority=1, width=11, sorts=True, rank=lambda s: STATES.index(s.state)),
        Column("id", priority=1, width=8, title="CONTROL", sorts=True, value=lambda s: s.control.id),
        Column("framework", choice("SOC 2", "ISO 27001"), priority=3, width=10, value=lambda s: s.control.framework),
        Column("title", priority=2, width=22, grow=True, title="WHAT IT ASKS FOR", value=lambda s: s.control.title),
        Column("age", TIME, priority=2, title="SHOWN", field="oldest", what="when the oldest of its evidence was found",
               rank=lambda s: None if s.oldest is None else s.oldest.timestamp()),
        Column("due", UNTIL, priority=4, what="until when it is fresh",
               rank=lambda s: None if s.due is None else s.due.timestamp()),
        Column("lacking", TEXTS, priority=5, width=20, grow=True, title="NOTHING OF",
               cell=lambda s, now: " ".join(map(kind_words, s.lacking))),
        Column("environment", priority=10, width=11, title="ENV", value=lambda s: s.control.environment or "any"),
        Column("kind", TEXTS, value=lambda s: s.control.evidence, what="the kinds that it takes"),
    ),
)  # fmt: skip


def as_record(standing: Standing) -> dict[str, object]:
    """Every field, flat, for `d`, exports and `--json`."""
    control = standing.control
    return {
        "id": control.id,
        "framework": control.framework,
        "title": control.title,
        "state": standing.state,
        "environment": control.environment or None,
        "signed": control.signed,
        "fresh_seconds": int(control.fresh.total_seconds()),
        "oldest": standing.oldest,
        "due": standing.due,
        "evidence": [
            {"kind": each.kind, "id": each.evidence and each.evidence.id, "at": each.evidence and each.evidence.at}
            for each in standing.found
        ],
    }
