"""In-toto statements, version 1: what was found out (the predicate) about which artefacts (the subjects).

Source: https://github.com/in-toto/attestation, spec/v1/statement.md. Subjects are matched by their digest alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlplane import jsontext
from controlplane.errors import Refusal
from controlplane.evidence import canonical

STATEMENT = "https://in-toto.io/Statement/v1"
STATEMENT_0 = "https://in-toto.io/Statement/v0.1"
"""Older tools write it; its fields are the same."""


@dataclass(frozen=True)
class Subject:
    """`sha256`: in hex; "" when it has only digests of other kinds."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Statement:
    subjects: tuple[Subject, ...]
    type: str
    predicate: Mapping[str, Any]

    def payload(self) -> bytes:
        return canonical.document(
            {
                "_type": STATEMENT,
                "subject": [{"name": each.name, "digest": {"sha256": each.sha256}} for each in self.subjects],
                "predicateType": self.type,
                "predicate": self.predicate,
            }
        )

    @classmethod
    def parse(cls, payload: bytes) -> Statement:
        """Of any predicate type. Raises Refusal `statement_unreadable`."""
        try:
            found: Any = jsontext.read(payload)
            if found["_type"] not in (STATEMENT, STATEMENT_0) or not found["subject"]:
                raise ValueError
            subjects = tuple(_subject(each) for each in found["subject"])
            type, predicate = found["predicateType"], found.get("predicate")
            predicate = {} if predicate is None else predicate
            if not isinstance(type, str) or not type or not isinstance(predicate, dict):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refusal("statement_unreadable", "This is not an in-toto statement with a subject.") from None
        return cls(subjects, type, predicate)


def _subject(found: Any) -> Subject:
    digests, name = found["digest"], found.get("name", "")
    if not isinstance(digests, dict) or not digests or not isinstance(name, str):
        raise ValueError
    sha256 = digests.get("sha256", "")
    if not isinstance(sha256, str):
        raise ValueError
    return Subject(name, sha256.lower())
