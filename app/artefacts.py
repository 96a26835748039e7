"""What a file is as evidence: its SHA-256, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app.evidence import container_of, keys_of
from backends.evidence.archive import SUFFIX
from backends.evidence.folder import pieces, readable
from controlplane.errors import Refusal, Usage
from controlplane.evidence import bundles
from controlplane.evidence.bundles import BUNDLE
from controlplane.evidence.envelopes import IN_TOTO, MAX_ENVELOPE_BYTES, Envelope
from controlplane.evidence.model import SignatureState
from controlplane.evidence.statements import Statement
from controlplane.formatting import parse_time
from controlplane.text import clean

if TYPE_CHECKING:
    from app.homes import HomeChoice


@dataclass(frozen=True)
class Described:
    """What is recorded of a file, but for the environment where the file itself does not say it."""

    sha256: str
    bytes: int
    name: str
    kind: str
    about: str
    about_sha256: str | None
    at: datetime
    signature: SignatureState
    signer: str
    environment: str | None = None


def described(
    path: Path, kind: str | None, choice: Callable[[], HomeChoice], public: Sequence[str], shared: str | None
) -> Described:
    """Blocks. Raises Usage `evidence_missing`, `kind_needed`, `evidence_says_itself`; Refusal, also for a bundle that
    does not verify.
    """
    if path.is_dir() or path.name.endswith(SUFFIX):
        return _bundle(path, choice, public, shared)
    if not path.is_file():
        raise Usage("evidence_missing", f"There is no file or folder {clean(path, 400)}.")
    sha256, size, content = _hashed(path.resolve())
    with readable(path):
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    name = clean(path.name, 200)
    try:
        signature, signer, statement = _attestation(content, public, shared)
    except Refusal as refusal:
        if refusal.code == "envelope_unsigned":
            raise
        if kind is None:
            raise Usage(
                "kind_needed", f"{clean(path, 400)} is no attestation that says what it is.", "Say it: --kind junit"
            ) from None
        return Described(sha256, size, name, kind, "", None, at, "none", "")
    if kind not in (None, statement.type):
        raise _says_itself("kind", statement.type)
    first = statement.subjects[0]
    about, about_sha256 = clean(first.name, 400), first.sha256 or None
    return Described(sha256, size, name, statement.type, about, about_sha256, at, signature, signer)


def _says_itself(what: str, said: str) -> Usage:
    return Usage(
        "evidence_says_itself", f"The file itself says its {what}: {clean(said, 200)}.", f"Leave --{what} out."
    )


def _hashed(path: Path) -> tuple[str, int, bytes]:
    """SHA-256 and size of a file; its content, as far as it may be an attestation."""
    hashing = bundles.Hashing(pieces(path))
    content = b"".join(hashing.limited(MAX_ENVELOPE_BYTES))
    hashing.finish()
    return hashing.hexdigest(), hashing.bytes, content


def _attestation(content: bytes, public: Sequence[str], shared: str | None) -> tuple[SignatureState, str, Statement]:
    """Raises Refusal: it is none, or its signature is not by the keys that were given."""
    try:
        envelope = Envelope.parse(content)
    except Refusal:
        return "none", "", Statement.parse(content)
    if envelope.type != IN_TOTO:
        raise Refusal("statement_unreadable", "This envelope holds no in-toto statement.")
    statement = Statement.parse(envelope.payload)
    if not public and shared is None:
        return "unverified", "", statement
    keys = keys_of(_nobody, public, shared, None)
    [signer, *_] = envelope.verified(keys)
    return "good", signer.name, statement


def _nobody() -> HomeChoice:
    raise AssertionError("keys were given")


def _bundle(path: Path, choice: Callable[[], HomeChoice], public: Sequence[str], shared: str | None) -> Described:
    try:
        envelope = container_of(path).envelope()
    except Refusal:
        envelope = None
    report = bundles.verify(container_of(path), keys_of(choice, public, shared, envelope))
    if (fault := report.fault) is not None:
        raise Refusal(
            "evidence_refused", f"It does not verify, so it is not recorded: {fault.file}: {fault.words} [{fault.code}]"
        )
    said = report.predicate
    about = clean(said.get("subject", ""), 400)
    name = clean(path.resolve().name, 200)
    at = parse_time(str(said.get("collected_at")))
    of = str(said.get("environment") or "") or None
    return Described(report.sha256, report.bytes, name, BUNDLE, about, None, at, "good", report.signer, of)
