"""Every kind of job that a worker does: each noun brings its own."""

from __future__ import annotations

from collections.abc import Mapping

from controlplane import nouns
from controlplane.jobs.engine import Kind


def kinds() -> Mapping[str, Kind]:
    return {kind.name: kind for noun in nouns.NOUNS if noun.jobs for kind in nouns.load(noun.jobs)}
