"""SLSA provenance: by whom an artefact was built, as a signed in-toto statement says.

Sources: https://slsa.dev/spec/v1.0/provenance and https://slsa.dev/spec/v0.2/provenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane import jsontext
from controlplane.errors import Refusal
from controlplane.evidence.envelopes import IN_TOTO, MAX_ENVELOPE_BYTES, Envelope, Key
from controlplane.evidence.statements import Statement

PREFIX = "https://slsa.dev/provenance/"


@dataclass(frozen=True)
class Provenance:
    """`signers`: the trusted keys that signed it; empty: none has, and nothing else in it is known to be so.
    `builder`: "" when it names none. `subjects`: SHA-256 in hex.
    """

    signers: tuple[str, ...]
    type: str
    builder: str
    subjects: tuple[str, ...]


def read(text: bytes, keys: Sequence[Key]) -> Provenance:
    """Of a DSSE envelope, alone or in a bundle of Sigstore.

    Raises Refusal `envelope_unreadable`, `statement_unreadable`.
    """
    envelope = Envelope.parse(_unwrapped(text))
    try:
        signers = tuple(key.name for key in envelope.verified(keys))
    except Refusal as refusal:
        if refusal.code != "envelope_unsigned":
            raise
        signers = ()
    if envelope.type != IN_TOTO:
        raise Refusal("statement_unreadable", "The envelope holds no in-toto statement.")
    statement = Statement.parse(envelope.payload)
    subjects = tuple(each.sha256 for each in statement.subjects if each.sha256)
    return Provenance(signers, statement.type, _builder(statement), subjects)


def _unwrapped(text: bytes) -> bytes:
    if len(text) > MAX_ENVELOPE_BYTES:
        return text  # it is refused as an envelope
    try:
        found: Any = jsontext.read(text)
    except ValueError:
        return text
    inner = found.get("dsseEnvelope") if isinstance(found, dict) else None
    return jsontext.write(inner) if isinstance(inner, dict) else text


def _builder(statement: Statement) -> str:
    """runDetails.builder.id since version 1, builder.id before."""
    predicate: Any = statement.predicate
    details = predicate.get("runDetails", predicate)
    builder = details.get("builder") if isinstance(details, Mapping) else None
    named = builder.get("id") if isinstance(builder, Mapping) else None
    return named if isinstance(named, str) and statement.type.startswith(PREFIX) else ""
