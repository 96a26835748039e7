"""Controls: only fresh evidence of every kind that is needed shows that one is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controlplane.errors import Usage
from controlplane.evidence.controls import Control, read, shipped, standing, why
from controlplane.evidence.list import CONTROLS
from controlplane.evidence.model import Evidence
from controlplane.evidence.words import kind_words, size_words

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CONTROL = Control("CC8.1", "SOC 2", "Changes are tested", ("junit", "sarif"), 30 * DAY, "production")


def made(kind: str, ago: timedelta, **more: object) -> Evidence:
    base = Evidence(
        1, "ab" * 32, 9, "a.xml", kind, "2.4.0", None, "production", NOW - ago, "none", "", 1, NOW, "ana", None
    )
    return replace(base, **more)  # type: ignore[arg-type]


def test_every_kind_is_needed_and_fresh() -> None:
    young, old = made("junit", DAY), made("sarif", 29 * DAY)
    whole = standing(CONTROL, [young, old], NOW)
    assert (whole.state, whole.oldest, whole.due, whole.lacking) == ("fresh", old.at, NOW + DAY, ())
    assert standing(CONTROL, [young, old], NOW + DAY).state == "stale", "at that moment it is not fresh any more"
    assert standing(CONTROL, [young], NOW).state == "missing"
    assert standing(CONTROL, [young], NOW).lacking == ("sarif",)
    assert standing(CONTROL, [young], NOW).due is None
    assert standing(replace(CONTROL, evidence=()), [young], NOW).state == "unmapped"
    newer = made("sarif", DAY, id=2)
    assert standing(CONTROL, [old, newer, young], NOW).found[1].evidence == newer


@pytest.mark.parametrize(
    "not_counted",
    [{"withdrawn_at": NOW}, {"environment": "staging"}, {"id": 2, "environment": "produc"}],
)
def test_what_is_withdrawn_or_of_another_environment_does_not_count(not_counted: dict[str, object]) -> None:
    control = replace(CONTROL, evidence=("junit",))
    assert standing(control, [made("junit", DAY)], NOW).state == "fresh"
    assert standing(control, [made("junit", DAY, **not_counted)], NOW).state == "missing"
    anywhere = replace(control, environment="")
    assert standing(anywhere, [made("junit", DAY, environment="staging")], NOW).state == "fresh"


def test_a_control_may_ask_for_a_signature_that_was_verified() -> None:
    control = replace(CONTROL, evidence=("junit",), signed=True)
    for signature, state in (("good", "fresh"), ("unverified", "missing"), ("none", "missing")):
        assert standing(control, [made("junit", DAY, signature=signature)], NOW).state == state
    assert why(standing(control, [], NOW), NOW) == [
        "SOC 2 CC8.1: missing",
        "It needs evidence of production from the last 30d, with a signature that was verified:",
        "✕ junit: none",
    ]
    assert why(standing(CONTROL, [made("junit", 31 * DAY), made("sarif", DAY)], NOW), NOW)[2:] == [
        "~ junit: number 1, 31 d ago, too old",
        "● sarif: number 1, 1 d ago",
    ]


def test_the_shipped_controls_are_read_and_their_kinds_can_be_filtered_by() -> None:
    assert {each.framework for each in shipped()} == {"SOC 2", "ISO 27001"}
    assert len(shipped()) > 8 and all(each.evidence for each in shipped())
    missing = standing(shipped()[0], [], NOW)
    assert CONTROLS.opens(missing) == ("evidence", "?kind:urn:watchfloor:evidence-bundle:v1")


GOOD = '[[control]]\nid = "A"\nframework = "F"\ntitle = "T"\nevidence = ["junit"]\nfresh = "1d"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x", "cannot be read as TOML"),
        ("[" * 5000, "cannot be read as TOML"),
        ("[other]\n", "no such table"),
        ("control = [1]", "expected a table"),
        ("control = 3", "expected tables"),
        ("[control]\n", "expected tables"),
        (GOOD + GOOD, "A is there twice"),
        (GOOD.replace('fresh = "1d"', ""), "fresh is missing"),
        (GOOD.replace('"1d"', '"soon"'), "control 1"),
        (GOOD.replace('"1d"', '"1s"'), "between a minute and ten years"),
        (GOOD.replace('"1d"', "1"), "fresh cannot be 1"),
        (GOOD.replace('"A"', '"a b"'), "id cannot be"),
        (GOOD.replace('["junit"]', '["a b"]'), "evidence cannot be"),
        (GOOD + 'signed = "yes"\n', "signed cannot be yes"),
        (GOOD + "weight = 1\n", "no field weight"),
        (GOOD + 'environment = "Prod"\n', "environment cannot be"),
    ],
)
def test_a_file_of_controls_with_a_fault_is_not_used(text: str, fault: str) -> None:
    assert read(GOOD, "controls.toml")[0].fresh == DAY
    with pytest.raises(Usage, match="is not used") as found:
        read(text, "controls.toml")
    assert fault in found.value.message


def test_kinds_and_sizes_in_words() -> None:
    assert kind_words("https://slsa.dev/provenance/v1") == "provenance/v1"
    assert kind_words("urn:watchfloor:evidence-bundle:v1") == "bundle"
    assert kind_words("junit\x1b") == "junit␛"
    assert [size_words(number) for number in (0, 999, 1000, 1234, 5_670_000, 8 * 10**12)] == [
        "0 B", "999 B", "1 kB", "1.23 kB", "5.67 MB", "8 TB",
    ]  # fmt: skip
