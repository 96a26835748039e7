"""What the console says of evidence and of what was published: signed or not, withdrawn or not, read back or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.evidence.bundles import BUNDLE
from controlplane.evidence.model import Evidence, Publication
from controlplane.evidence.words import (
    attestation_lines,
    fact_lines,
    kind_words,
    publication_lines,
    publication_why,
    size_words,
    why_of,
)
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts, is_inert, texts

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHA256 = "ab" * 16 + "cd" * 16
EVIDENCE = Evidence(
    4, SHA256, 1234, "slsa.json", "https://slsa.dev/provenance/v1", "shop:2.0", "ef" * 32, "production", NOW - 2 * HOUR,
    "good", "build", 1, NOW - HOUR, "ana", None,
)  # fmt: skip
PUBLICATION = Publication(
    9, 4, SHA256, BUNDLE, "shop:2.0", "s3://evidence/2.0", 31, "waiting", 2, None, None, None, None, None, None, None,
    None, None, None, None, None, None, 1, NOW - HOUR, "ana", NOW,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (BUNDLE, "bundle"),
        ("sbom", "sbom"),
        ("https://slsa.dev/provenance/v1", "provenance/v1"),
        ("https://in-toto.io//attestation//test-result/v0.1/", "test-result/v0.1"),
        ("https://example.com", "example.com"),
        (HOSTILE, SHOWN),
        (f"https://a/{HOSTILE}", f"a/{SHOWN}"),
    ],
)
def test_a_kind_is_said_by_the_end_of_its_type(kind: str, words: str) -> None:
    assert kind_words(kind) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.23 kB"), (999_499, "999 kB"), (999_500, "1 MB")),
        *((12_345_678, "12.3 MB"), (1_000_000_000, "1 GB"), (5_000_000_000_000, "5 TB")),
    ],
)
def test_a_size_has_three_digits(number: int, words: str) -> None:
    assert size_words(number) == words


def test_the_facts_of_evidence() -> None:
    assert fact_lines(EVIDENCE, NOW) == [
        "kind         provenance/v1",
        ("  https://slsa.dev/provenance/v1", "muted"),
        "about        shop:2.0",
        f"             {'ef' * 32}",
        "environment  production",
        "found out    2026-03-04 10:00:00 UTC, 2 h ago",
        "signature    ● verified, by the key build",
        "file         slsa.json",
        "size         1,234 bytes",
        f"SHA-256      {'ab' * 16}",
        f"             {'cd' * 16}",
        "recorded     2026-03-04 11:00:00 UTC by ana",
    ]
    short = fact_lines(replace(EVIDENCE, kind="sbom", subject="", subject_sha256=None), NOW)
    assert short[:3] == ["kind         sbom", "about        –", "environment  production"]
    gone = replace(EVIDENCE, withdrawn_at=NOW - HOUR)
    assert fact_lines(gone, NOW)[0] == ("✕ withdrawn 1 h ago: it no longer counts", "bad")


@pytest.mark.parametrize(
    ("signature", "words"), [("unverified", "? it is signed, and nobody had the key"), ("none", "○ it has none")]
)
def test_only_a_verified_signature_is_good(signature: Any, words: str) -> None:
    assert f"signature    {words}" in fact_lines(replace(EVIDENCE, signature=signature), NOW)


def test_why_it_counts_or_does_not() -> None:
    assert why_of(EVIDENCE, NOW)[0] == ("evidence 4: it counts for the controls of its kind", "title")
    gone = why_of(replace(EVIDENCE, withdrawn_at=NOW), NOW)
    assert gone[0] == ("evidence 4: it no longer counts: it was withdrawn", "title")
    assert is_inert(why_of(replace(EVIDENCE, recorded_by=HOSTILE), NOW))
    hostile = replace(EVIDENCE, kind=HOSTILE, subject=HOSTILE, signer=HOSTILE, name=HOSTILE, recorded_by=HOSTILE)
    assert is_inert(fact_lines(hostile, NOW))


def test_what_is_not_read_back_is_not_shown_as_published() -> None:
    assert publication_lines(PUBLICATION, NOW) == [
        "state        waiting",
        "target       s3://evidence/2.0",
        "evidence     4, shop:2.0",
        f"SHA-256      {'ab' * 16}",
        f"             {'cd' * 16}",
        "read back    not yet",
        "files        –",
        "tries        2, by job 31",
        "asked for    2026-03-04 11:00:00 UTC by ana",
    ]
    done = replace(PUBLICATION, subject="", published_at=NOW, objects=3, attempts=None)
    lines = publication_lines(done, NOW)
    assert lines[2] == "evidence     4, bundle" and lines[5:8] == [
        "read back    2026-03-04 12:00:00 UTC, now",
        "files        3",
        "tries        –",
    ]


@pytest.mark.parametrize(("state", "tone"), [("failed", "bad"), ("waiting", "warn"), ("running", "warn")])
def test_the_error_of_the_last_try_is_told(state: Any, tone: str) -> None:
    tried = replace(PUBLICATION, state=state, error=HOSTILE)
    assert publication_lines(tried, NOW)[-1] == (SHOWN, tone) and publication_why(tried, NOW)[-1] == SHOWN


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("waiting", "a worker takes it"),
        ("running", "a worker has it"),
        ("published", "every file was read back"),
        ("failed", "all its tries failed"),
        ("canceled", "it was canceled"),
    ],
)
def test_why_it_is_in_its_state(state: Any, words: str) -> None:
    title, why = publication_why(replace(PUBLICATION, state=state), NOW)
    assert title == (f"publication 9: {state}", "title") and why[: len(words)] == words


def test_what_the_provider_says_stands_beside_our_hash() -> None:
    assert attestation_lines(None) == [("nothing was read back yet", "muted")]
    known = {"path": HOSTILE, "sha256": SHA256, "etag": "e1", "version": None}
    assert texts(attestation_lines({"objects": [known]})) == [SHOWN, f"  {'ab' * 8}…  ETag e1, version –"]
    assert attestation_lines({}) == attestation_lines({"signed": 7}) == []
    assert texts(attestation_lines({"signed": {"signer": "0f8c", "key": HOSTILE}})) == [
        "signed by the key 0f8c",
        f"  {SHOWN}",
    ]


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    evidence = replace(EVIDENCE, kind=f"https://a/{LONG}", subject=LONG, signer=LONG, name=LONG, recorded_by=LONG)
    assert cuts(fact_lines(evidence, NOW)) == [198, 190, 300, 80, 200, 80]
    assert cuts([kind_words(LONG)]) == [200] and cuts(why_of(evidence, NOW)) == [80]
    publication = replace(PUBLICATION, target=LONG, subject=LONG, created_by=LONG, error=LONG)
    assert cuts(publication_lines(publication, NOW)) == [300, 200, 80, 1000]
    assert cuts(publication_lines(replace(publication, subject="", kind=LONG), NOW))[1] == 200
    assert cuts(publication_why(publication, NOW)) == [1000]
    assert cuts(attestation_lines({"objects": [{"path": LONG, "sha256": SHA256, "etag": LONG}]})) == [100, 174]
