"""Evidence in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.evidence.bundles import BUNDLE
from controlplane.formatting import count, relative
from controlplane.lists import Line
from controlplane.text import UNKNOWN, clean

if TYPE_CHECKING:
    from controlplane.evidence.model import Evidence, Publication

SHORT = {BUNDLE: "bundle"}
UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def kind_words(kind: str) -> str:
    """A kind in short: the end of a predicate's type says what it is."""
    if kind in SHORT:
        return SHORT[kind]
    if "://" not in kind:
        return clean(kind, 200)
    parts = [part for part in kind.partition("://")[2].split("/") if part]
    return clean("/".join(parts[-2:]), 200)


def size_words(number: int) -> str:
    """ "999 B", "1.23 kB", "1 MB": three digits."""
    power = next(power for power in range(len(UNITS)) if number < 999.5 * 1000**power)
    return f"{number / 1000**power:.3g} {UNITS[power]}"


def fact_lines(evidence: Evidence, now: datetime) -> list[Line]:
    signature = {
        "good": f"● verified, by the key {clean(evidence.signer, 80)}",
        "unverified": "? it is signed, and nobody had the key",
        "none": "○ it has none",
    }[evidence.signature]
    about = clean(evidence.subject or UNKNOWN, 300)
    lines: list[Line] = [
        f"kind         {kind_words(evidence.kind)}",
        (f"  {clean(evidence.kind, 200)}", "muted") if kind_words(evidence.kind) != evidence.kind else "",
        f"about        {about}",
        f"             {evidence.subject_sha256}" if evidence.subject_sha256 else "",
        f"environment  {evidence.environment}",
        f"found out    {evidence.at:%Y-%m-%d %H:%M:%S} UTC, {relative(evidence.at, now)}",
        f"signature    {signature}",
        f"file         {clean(evidence.name, 200)}",
        f"size         {count(evidence.bytes)} bytes",
        f"SHA-256      {evidence.sha256[:32]}",
        f"             {evidence.sha256[32:]}",
        f"recorded     {evidence.recorded_at:%Y-%m-%d %H:%M:%S} UTC by {clean(evidence.recorded_by, 80)}",
    ]
    if evidence.withdrawn_at is not None:
        lines.insert(0, (f"✕ withdrawn {relative(evidence.withdrawn_at, now)}: it no longer counts", "bad"))
    return [line for line in lines if line]


def why_of(evidence: Evidence, now: datetime) -> list[Line]:
    """Whether it counts, and what is known of it only because somebody said so."""
    counts = "it counts for the controls of its kind"
    if evidence.withdrawn_at is not None:
        counts = "it no longer counts: it was withdrawn"
    return [
        (f"evidence {evidence.id}: {counts}", "title"),
        f"{clean(evidence.recorded_by, 80)} recorded it; the home guards that the row stays as it was recorded.",
        "What the file says is proved by the file alone: watchfloor evidence verify FILE",
    ]


def publication_lines(publication: Publication, now: datetime) -> list[Line]:
    read_back = "not yet"
    if publication.published_at is not None:
        read_back = f"{publication.published_at:%Y-%m-%d %H:%M:%S} UTC, {relative(publication.published_at, now)}"
    lines: list[Line] = [
        f"state        {publication.state}",
        f"target       {clean(publication.target, 300)}",
        f"evidence     {publication.evidence_id}, {clean(publication.subject or kind_words(publication.kind), 200)}",
        f"SHA-256      {publication.sha256[:32]}",
        f"             {publication.sha256[32:]}",
        f"read back    {read_back}",
        f"files        {count(publication.objects)}",
        f"tries        {count(publication.attempts)} by job {publication.job_id}",
        f"asked for    {publication.created_at:%Y-%m-%d %H:%M:%S} UTC by {clean(publication.created_by, 80)}",
    ]
    if publication.error:
        lines.append((clean(publication.error, 1000), "bad" if publication.state == "failed" else "warn"))
    return lines


def attestation_lines(attestation: Mapping[str, Any] | None) -> list[Line]:
    """What the provider says of each file, beside our own SHA-256."""
    if attestation is None:
        return [("nothing was read back yet", "muted")]
    lines: list[Line] = []
    for each in attestation.get("objects", []):
        said = f"ETag {each.get('etag') or UNKNOWN}, version {each.get('version') or UNKNOWN}"
        lines += [clean(each.get("path"), 100), (clean(f"  {str(each.get('sha256'))[:16]}…  {said}", 200), "muted")]
    return lines


def publication_why(publication: Publication, now: datetime) -> list[Line]:
    words = {
        "waiting": "a worker takes it when it is next, or after the pause that follows a failed try",
        "running": "a worker has it; when that one is lost, another goes on with it",
        "published": "every file was read back, and is what was signed",
        "failed": "all its tries failed; it is among the dead letters of :queues as well",
        "canceled": "it was canceled before a worker took it",
    }
    lines: list[Line] = [(f"publication {publication.id}: {publication.state}", "title"), words[publication.state]]
    if publication.error:
        lines.append(clean(publication.error, 1000))
    return lines
