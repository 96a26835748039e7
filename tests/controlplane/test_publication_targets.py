"""What a target can do, how fast it is used, whether what it holds is still what was attested, and what is swept up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Refusal
from controlplane.evidence.publishing import Stored, Target, checkpoint_key, publish
from controlplane.evidence.targets import (
    Abilities,
    Held,
    Lock,
    Pace,
    Progress,
    Unfinished,
    attested,
    first_to_end,
    probe,
    sweep,
    verify_published,
    with_locks,
)
from tests.controlplane.test_publishing import BUNDLE, FILES, TARGET, Bucket, Outage, files

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@dataclass
class Place(Bucket):
    """`lock`: of what is new; None: it cannot be asked."""

    lock: Lock | None = None
    asks: bool = True
    digests: bool = True
    left: list[Unfinished] = field(default_factory=list)
    replaces: bool = False

    def create(self, key: str, content: bytes) -> Stored | None:
        if self.replaces:
            self.objects.pop(key, None)
        return super().create(key, content)

    def held(self, keys: Sequence[str]) -> Mapping[str, Held]:
        self._may()
        return {key: Held(self.lock) for key in keys}

    def refuses_wrong_digest(self, key: str) -> bool:
        self._may()
        return self.digests

    def _may(self) -> None:
        if not self.asks:
            raise Refusal("target_unasked", "It was not asked.")

    def read_range(self, key: str, start: int, end: int, etag: str | None) -> bytes | None:
        self._call(f"range {key} {start}-{end}", True)
        found = self.objects.get(key)
        return None if found is None or hashlib.md5(found).hexdigest() != etag else found[start:end]

    def unfinished(self, before: datetime) -> Sequence[Unfinished]:
        return [each for each in self.left if each.since < before]

    def give_up(self, upload: Unfinished) -> None:
        self._call(f"give up {upload.key}", True)
        self.left.remove(upload)


def test_what_a_target_can_do_is_found_out_by_trying() -> None:
    place = Place(lock=Lock("COMPLIANCE", NOW + timedelta(days=40)))
    assert probe(place, TARGET, NOW) == Abilities(True, True, True, True, "COMPLIANCE", 40.0)
    assert probe(place, TARGET, NOW).creates and [*place.objects] == ["probes/2026-11"], "once a month"
    assert probe(Place(digests=False), TARGET, NOW) == Abilities(True, True, False, False)
    assert probe(Place(asks=False), TARGET, NOW) == Abilities(True, True, None, None), "not known is not no"


def test_a_target_that_replaces_or_loses_is_not_used() -> None:
    with pytest.raises(Refusal) as found:
        probe(Place(replaces=True), TARGET, NOW)
    assert found.value.code == "target_unfit"

    class Losing(Place):
        def look(self, key: str) -> Stored | None:
            return None

    with pytest.raises(Refusal) as found:
        probe(Losing(), TARGET, NOW)
    assert found.value.code == "target_failed"


def test_the_lock_of_all_is_the_one_that_ends_first_and_none_when_one_has_none() -> None:
    place = Place()
    attestation = publish(place, TARGET, BUNDLE, FILES)
    early, late = Lock("GOVERNANCE", NOW), Lock("COMPLIANCE", NOW + timedelta(days=1))
    locks = {FILES[0].key: Held(late), FILES[1].key: Held(early, "3"), attestation["manifest"]["key"]: Held(late)}
    told = with_locks(attestation, locks)
    assert told["lock"] == {"mode": "GOVERNANCE", "until": "2026-11-30T12:00:00Z"}
    assert [each["lock"]["mode"] for each in told["objects"]] == ["COMPLIANCE", "GOVERNANCE", "COMPLIANCE"]
    assert [each.get("metageneration") for each in told["objects"]] == [None, "3", None]
    assert with_locks(attestation, {**locks, FILES[0].key: Held()})["lock"] is None
    assert with_locks(attestation, {})["lock"] is None and first_to_end([]) is None


@given(st.lists(st.integers(0, 5000), max_size=20), st.integers(1, 1000))
def test_no_more_bytes_pass_than_the_rate_says(pieces: list[int], rate: int) -> None:
    """At any moment: what has passed is at most the rate times the time, and the piece that is under way."""
    clock, passed = [0.0], 0

    def wait(seconds: float) -> None:
        clock[0] += seconds

    pace = Pace(float(rate), lambda: clock[0], wait)
    for piece in pieces:
        pace(piece)
        assert passed <= rate * clock[0] + 1e-6
        passed += piece


def test_without_a_rate_nothing_waits_and_both_can_be_broken_off() -> None:
    waits: list[float] = []
    Pace(None, lambda: 0.0, waits.append)(10**9)
    assert waits == [0.0]

    def stop(seconds: float) -> None:
        raise Outage

    with pytest.raises(Outage):
        Pace(1.0, lambda: 0.0, stop)(1)


def changed(place: Place, key: str) -> None:
    place.objects[key] = b"F" + place.objects[key][1:]


def shorter(place: Place, key: str) -> None:
    place.objects[key] = place.objects[key][1:]


def gone(place: Place, key: str) -> None:
    del place.objects[key]


@pytest.mark.parametrize(
    ("change", "words"),
    [(changed, "its ETag is another"), (shorter, "it has 4 bytes"), (gone, "it is gone")],
)
def test_what_is_not_as_it_was_attested_is_named(change: Callable[[Place, str], None], words: str) -> None:
    place = Place()
    attestation = publish(place, TARGET, BUNDLE, FILES)
    good = verify_published(place, attestation, part=2)
    assert (good.objects, good.bytes, good.faulty) == (2, 11, 0)
    ranges = [call for call in place.calls if call.startswith(f"range {FILES[0].key}")]
    assert [call.split()[-1] for call in ranges] == ["0-2", "2-4", "4-5"]
    change(place, FILES[0].key)
    bad = verify_published(place, attestation)
    assert bad.faulty == 1 and words in bad.faults[0]["fault"] and bad.faults[0]["path"] in ("a", "c")


def test_a_provider_without_etags_is_held_to_the_content() -> None:
    class Silent(Place):
        def look(self, key: str) -> Stored | None:
            found = super().look(key)
            return found and Stored(found.size)

        def read_range(self, key: str, start: int, end: int, etag: str | None) -> bytes | None:
            return self.objects[key][start:end]

    place = Silent()
    attestation: Any = publish(place, TARGET, BUNDLE, FILES)
    for each in attestation["objects"]:
        each["etag"] = each["version"] = None
    changed(place, FILES[1].key)
    assert [each["fault"] for each in verify_published(place, attestation).faults] == ["its content is another one"]


def test_a_verification_goes_on_after_the_last_whole_object_wherever_it_was_broken_off() -> None:
    place = Place()
    attestation = publish(place, TARGET, BUNDLE, files(a=b"first", b=b"second", d=b"third!!"))
    total = sum(each["bytes"] for each in attested(attestation))
    place.calls.clear()
    verify_published(place, attestation, part=2)
    for step in range(1, len(place.calls) + 1):
        place.calls, place.fails_at, progress = [], step, Progress()
        with pytest.raises(Outage):
            verify_published(place, attestation, progress=progress, part=2)
        assert progress.bytes == sum(each["bytes"] for each in attested(attestation)[: progress.objects])
        place.fails_at = 0
        verify_published(place, attestation, progress=progress, part=2)
        assert (progress.objects, progress.bytes, progress.faulty) == (3, total, 0)


def test_a_sweep_says_what_it_would_end_before_it_ends_it() -> None:
    old, new = (Unfinished(f"data/{hours}", str(hours), NOW - timedelta(hours=hours)) for hours in (30, 1))
    place = Place(left=[old, new])
    dry = sweep(place, NOW - timedelta(hours=24), False)
    assert dry == {"found": 1, "removed": 0, "remove": False,
                   "items": [{"key": "data/30", "since": "2026-11-29T06:00:00Z"}]}  # fmt: skip
    assert place.left == [old, new]
    assert sweep(place, NOW - timedelta(hours=24), True)["removed"] == 1 and place.left == [new]


def test_a_checkpoint_is_published_by_itself_and_two_that_differ_are_both_kept() -> None:
    place, notes = Place(), [b"trail\n41\nhead\nnumber 7\n", b"trail\n41\nhead\nnumber 8\n", b"\xff", b"trail\nx\n"]
    for number, note in enumerate(notes):
        publish(place, TARGET, f"{number:064x}", FILES, checkpoint=note)
    kept = sorted(key for key in place.objects if key.startswith("checkpoints/"))
    assert len(kept) == 4 == len({checkpoint_key(note) for note in notes}) and kept[-1].startswith(
        "checkpoints/0000000000000000041-"
    )
    writes = [call for call in place.calls if call.startswith("create")][:2]
    assert "checkpoints/" in writes[0] and "bundles/" in writes[1], "the manifest stays the last"
    assert Target.parse("s3://bucket/prod") == TARGET
