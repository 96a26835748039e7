"""Every kind of job that a worker does: each noun brings its own."""

from __future__ import annotations

from collections.abc import Mapping

from controlplane.jobs.engine import Kind
from controlplane.nouns import NOUNS, load


def kinds() -> Mapping[str, Kind]:
    return {kind.name: kind for noun in NOUNS if noun.jobs for kind in load(noun.jobs)}
