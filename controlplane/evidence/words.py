"""Evidence in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.evidence.bundles import BUNDLE
from controlplane.formatting import count, relative
from controlplane.lists import Line
from controlplane.text import UNKNOWN, clean

if TYPE_CHECKING:
    from controlplane.evidence.attestations import Attested
    from controlplane.evidence.model import Evidence, Publication, PublicationTarget

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
        f"{clean(evidence.recorded_by, 80)} recorded it; the home lets nobody change that.",
        "Only the file proves what it says: watchfloor evidence verify FILE",
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
        f"tries        {count(publication.attempts)}{f', by job {publication.job_id}' if publication.attempts else ''}",
        f"asked for    {publication.created_at:%Y-%m-%d %H:%M:%S} UTC by {clean(publication.created_by, 80)}",
    ]
    if publication.published_at is not None:
        lines.append(f"locked       {lock_words(publication.lock_mode, publication.locked_until, now)}")
        lines += verification_lines(publication, now)
    if publication.error:
        lines.append((clean(publication.error, 1000), "bad" if publication.state == "failed" else "warn"))
    return lines


def lock_words(mode: str | None, until: datetime | None, now: datetime) -> str:
    if until is None:
        return "? no lock is known: it could be removed there"
    return f"until {until:%Y-%m-%d %H:%M} UTC, {relative(until, now)} ({clean(mode or UNKNOWN, 40)})"


def verification_lines(publication: Publication, now: datetime) -> list[Line]:
    """Whether what was published is still there, as it was last read again, and how far that has come."""
    state, total = publication.verification, publication.bytes or 0
    done = publication.verified_bytes or 0
    if state == "never":
        return [("verified     not since (press a, then v)", "muted")]
    if state in ("waiting", "running"):
        share = f"{100 * done // total} %" if total else UNKNOWN
        return [f"verified     {state}: {size_words(done)} of {size_words(total)} read ({share})"]
    if state == "failed":
        return [(f"verified     its tries failed: {clean(publication.verify_error or '', 400)}", "bad")]
    at = publication.verified_at
    when = UNKNOWN if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC, {relative(at, now)}"
    if state == "good":
        return [f"verified     ● everything is as it was attested: {when}"]
    lines: list[Line] = [(f"verified     ✕ {count(publication.faults)} of its files not as attested: {when}", "bad")]
    for each in publication.fault_list or ():
        lines.append((f"  {clean(each.get('path'), 100)}: {clean(each.get('fault'), 200)}", "bad"))
    return lines


def lock_days(target: PublicationTarget) -> str:
    """For how long what is new is locked."""
    return "yes" if target.lock_days is None else f"{target.lock_days:.3g} d"


def target_why(target: PublicationTarget, now: datetime) -> list[Line]:
    lines: list[Line] = [(clean(target.target, 300), "title")]
    if target.probed_at is None:
        lines.append("what it can do is found out before the first publication")
    for has, good, bad in (
        (
            target.creates,
            "an object is made only where there is none",
            "what is there can be replaced by a second upload",
        ),
        (target.versions, "what is replaced or removed is kept as a version", "what is replaced or removed is gone"),
        (
            target.digests,
            "what arrives damaged is refused on arrival",
            "damage on the way is found only when it is read back",
        ),
        (
            target.locks,
            f"what is new is locked ({clean(target.lock_mode or '', 40)}) for {target.lock_days or 0:g} days",
            "nothing is locked by itself: whoever may write there may remove it",
        ),
    ):
        if target.probed_at is not None:
            lines.append(f"? not known: {good}" if has is None else f"● {good}" if has else (f"✕ {bad}", "warn"))
    rate = "no limit of its rate" if target.rate is None else f"at most {count(target.rate)} kB a second, one at a time"
    lines.append(f"priority {target.priority} (1 goes first, 9 last), {rate}")
    if target.keep_days is not None:
        short = target.probed_at is not None and (not target.locks or (target.lock_days or 0) < target.keep_days)
        words = f"what is published there must stay locked for {count(target.keep_days)} days"
        lines.append((f"✕ {words}: it locks for less", "bad") if short else words)
    if target.sweep_error:
        lines.append((f"sweeping failed: {clean(target.sweep_error, 400)}", "bad"))
    if target.swept_at is not None:
        did = f"{count(target.swept_removed)} ended" if target.sweep_remove else "nothing ended: it was a dry run"
        lines.append(f"swept {relative(target.swept_at, now)}: {count(target.swept_found)} unfinished uploads, {did}")
        lines += [
            f"  {clean(each.get('since'), 30)} {clean(each.get('key'), 120)}" for each in target.swept_items or ()
        ]
    return lines


def attestation_lines(attestation: Mapping[str, Any] | None) -> list[Line]:
    """What the provider says of each file, beside our own SHA-256."""
    if attestation is None:
        return [("nothing was read back yet", "muted")]
    lines: list[Line] = []
    if isinstance(signed := attestation.get("signed"), dict):
        lines += [
            f"signed by the key {clean(signed.get('signer'), 80)}",
            (f"  {clean(signed.get('key'), 120)}", "muted"),
        ]
    for each in attestation.get("objects", []):
        said = f"ETag {each.get('etag') or UNKNOWN}, version {each.get('version') or UNKNOWN}"
        if lock := each.get("lock"):
            said += f", {lock.get('mode')} until {str(lock.get('until'))[:10]}"
        lines += [clean(each.get("path"), 100), (clean(f"  {str(each.get('sha256'))[:16]}…  {said}", 200), "muted")]
    return lines


def attested_lines(attested: Sequence[Attested]) -> list[str]:
    """What the signed attestations of a published bundle come to."""
    lines = []
    for each in attested:
        if each.fault:
            lines.append(f"✕ {each.file}: {each.fault}")
        elif not each.signer:
            lines.append(f"? {each.file}: it is an attestation by a key that was not given")
        else:
            lock = f"locked until {each.until} ({each.mode})" if each.until else "not known to be locked"
            lines.append(f"● published at {each.target}, {lock}, attests the key {each.signer}")
    return [clean(each, 600) for each in lines] or ["? no attestation of its publication is there"]


def publication_why(publication: Publication, now: datetime) -> list[Line]:
    words = {
        "waiting": "a worker takes it when it is next, or after the pause that follows a failed try",
        "running": "a worker has it; if that one dies, another continues",
        "published": "every file was read back, and is what was signed",
        "failed": "all its tries failed; it is among the dead letters of :queues as well",
        "canceling": "its worker stops within seconds, unless it is done by then",
        "canceled": "it was canceled; files that were uploaded stay, but no manifest names them",
    }
    lines: list[Line] = [(f"publication {publication.id}: {publication.state}", "title"), words[publication.state]]
    if publication.error:
        lines.append(clean(publication.error, 1000))
    return lines
