"""One piece of evidence, with where it was published; and one publication, with what was read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.evidence.list import PUBLICATIONS
from controlplane.evidence.model import Evidence, Publication, PublicationDirectory
from controlplane.evidence.words import attestation_lines, fact_lines, publication_lines, publication_why, why_of
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.lists import Line
from screens.detail import DetailScreen
from screens.panes import Facts, Seen, TablePane, timeline

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

SHOWN = ("state", "target", "published", "attempts")


class EvidenceScreen(DetailScreen[Evidence]):
    noun = "evidence"
    numbered = True
    rows = Evidence
    means = "One piece of evidence: which file, what it is about, who recorded it, and what was done to it since."
    panes = (
        Facts("evidence", lambda seen: fact_lines(seen.thing, seen.now)),
        TablePane(
            "publications",
            PUBLICATIONS,
            tuple(column for column in PUBLICATIONS.table if column.name in SHOWN),
            lambda key: Query((Term("is", (key,), "evidence"),), "age", descending=True),
            "It was published nowhere yet. Press a, then p.",
        ),
        timeline("thing", "evidence"),
    )
    grid, widths = ("evidence publications", "evidence timeline"), "2fr 3fr"

    @property
    def label(self) -> str:
        return f"evidence {self.thing_id}"

    def why(self, seen: Seen[Evidence]) -> list[Line]:
        return why_of(seen.thing, seen.now)


@dataclass(frozen=True)
class PublicationRead:
    """A publication with its attestation."""

    publication: Publication
    attestation: Mapping[str, Any] | None


class PublicationScreen(DetailScreen[PublicationRead]):
    noun = "publications"
    numbered = True
    rows = Publication
    means = "One publication: where it is, how its tries went, and what the provider says of each file."
    panes = (
        Facts("publication", lambda seen: publication_lines(seen.thing.publication, seen.now)),
        Facts("attestation", lambda seen: attestation_lines(seen.thing.attestation)),
        timeline("thing", "publications"),
    )
    grid, widths = ("publication attestation", "publication timeline"), "2fr 3fr"

    async def read(self, plane: ControlPlane) -> PublicationRead:
        found = plane.of(PublicationDirectory)
        return PublicationRead(await found.get(int(self.thing_id)), await found.attestation(int(self.thing_id)))

    def row_of(self, thing: PublicationRead) -> Publication:
        return thing.publication

    @property
    def label(self) -> str:
        return f"publication {self.thing_id}"

    def why(self, seen: Seen[PublicationRead]) -> list[Line]:
        return publication_why(seen.thing.publication, seen.now)
