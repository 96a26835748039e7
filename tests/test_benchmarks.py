"""The benchmarks run, and say what they found. Only bytes are judged here: they are the same everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
MOST_BYTES = {
    "bytes for a start": 10_240,
    "bytes for an idle minute": 0,
    "bytes for five changed cells": 512,
    "bytes for ten changed rows": 1024,
    "bytes for a dialog": 10_240,
}
KINDS = ("start to the first row", "key to last paint", "resident memory", "bytes for", "import against")
KINDS += ("authenticate, ", "admit, ", "a page of the stale keys", "from a revocation to the first refusal")
KINDS += (
    "jobs that do nothing",
    "40 alerts at once",
    "from firing to received",
    "audit rows chained",
    "latency of 168 steps drawn",
    "ingest of JSON lines",
)
KINDS += ("one minute of", "a day of 10,000 rows taken away")
KINDS += ("exact counts of stale keys", "all detectors evaluated once")
KINDS += ("a bundle of 4 MiB verified", "10 × 64 KiB published to S3")
KINDS += ("a change in one console painted in 2 others", "80 events of 8 writers", "a note of 50 KB")
KINDS += ("from the return of a link to a whole timeline",)
KINDS += ("a gate of 50 checks", "consistency of 200 tenants")
KINDS += ("audit nowhereword", "keys label:nothing", "longest wait of 4 writers")


@pytest.mark.timeout(600)
def test_a_quick_pass_measures_every_claim(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--small", "--json", str(results)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    document = json.loads(results.read_text())
    figures = {figure["claim"]: figure for figure in document["figures"]}
    for kind in KINDS:
        assert any(claim.startswith(kind) for claim in figures), f"nothing says {kind}"
        assert kind in done.stdout
    for figure in figures.values():
        assert figure["ours"] >= 0 and figure["unit"] in (
            "s",
            "ms",
            "MB",
            "MB/s",
            "B",
            "rows/s",
            "calls/s",
            "jobs/s",
            "deliveries/s",
        )
        assert figure["other"] is None or figure["ratio"] is None or figure["ratio"] > 0
        assert (figure["met"] is None) == (figure["aim"] == "")
    for figure in figures.values():  # facts, whatever the machine
        assert figure["met"] or figure["aim"] not in ("none skipped", "equals the server's"), figure
    for claim, most in MOST_BYTES.items():
        assert figures[claim]["ours"] <= most, claim
    assert document["small"] is True
    assert {"cores", "load", "python", "textual", "psycopg"} <= document["machine"].keys()
    assert document["date"].endswith("+00:00")
