"""One publication on the command line, with its attestation; and one target, with what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli.lists import Told, text_lines
from controlplane.evidence.model import Publication, PublicationDirectory, PublicationTarget
from controlplane.evidence.words import attestation_lines, publication_lines, target_why

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_publication(plane: ControlPlane, publication: Publication) -> Told:
    """Show a publication, and what the provider says of each of its files beside our own SHA-256."""
    attestation = await plane.of(PublicationDirectory).attestation(publication.id)
    lines = [*publication_lines(publication, plane.clock.now()), "", *attestation_lines(attestation)]
    return Told({"attestation": attestation}, text_lines(lines))


async def show_target(plane: ControlPlane, target: PublicationTarget) -> Told:
    """Show what a target can do, as a probe found out, and what was swept up there."""
    return Told(lines=text_lines(target_why(target, plane.clock.now())))
