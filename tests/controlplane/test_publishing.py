"""Publishing: whatever happens on the way, a manifest only ever names what is there, and what is there is what was
signed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from controlplane.errors import Refusal, Usage
from controlplane.evidence import publishing
from controlplane.evidence.publishing import MAX_FILES, File, Remote, Stored, Target, manifest_of

TARGET = Target.parse("s3://bucket/prod")
BUNDLE = "ab" * 32


class Outage(Exception):
    pass


@dataclass
class Bucket:
    """A provider in memory. `fails_at`: the call that fails, after or before it had its effect."""

    objects: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fails_at: int = 0
    after: bool = False

    def _call(self, what: str, before: bool) -> None:
        if before:
            self.calls.append(what)
        if len(self.calls) == self.fails_at and before is not self.after:
            raise Outage

    def look(self, key: str) -> Stored | None:
        self._call(f"look {key}", True)
        found = self.objects.get(key)
        return None if found is None else Stored(len(found), hashlib.md5(found).hexdigest(), "v1")

    def put(self, key: str, pieces: Iterable[bytes], size: int) -> Stored:
        self._call(f"put {key}", True)
        self.objects[key] = b"".join(pieces)
        self._call("", False)
        return Stored(size)

    def create(self, key: str, content: bytes) -> Stored | None:
        self._call(f"create {key}", True)
        if key in self.objects:
            return None
        self.objects[key] = content
        self._call("", False)
        return Stored(len(content))

    def read(self, key: str) -> tuple[Stored, Iterable[bytes]] | None:
        self._call(f"read {key}", True)
        found = self.objects.get(key)
        if found is None:
            return None
        return Stored(len(found), hashlib.md5(found).hexdigest(), "v1"), [found[:3], found[3:]]


def files(**content: bytes) -> list[File]:
    return [
        File(name, hashlib.sha256(each).hexdigest(), len(each), lambda each=each: [each])  # type: ignore[misc]
        for name, each in content.items()
    ]


def publish(
    remote: Remote, target: Target, sha256: str, of: list[File], check: Callable[[int], None] = lambda number: None
) -> Mapping[str, Any]:
    """One file after another, so that the calls are in order."""
    return publishing.publish(remote, target, sha256, of, check, at_once=1)


FILES = files(a=b"first", b=b"second", c=b"first")


def test_data_first_the_manifest_last_and_the_provider_beside_our_own_hash() -> None:
    bucket = Bucket()
    attestation = publish(bucket, TARGET, BUNDLE, FILES)
    writes = [call for call in bucket.calls if not call.startswith(("look", "read"))]
    assert [call.split()[0] for call in writes] == ["put", "put", "create"], "what is the same is stored once"
    assert writes[-1] == f"create bundles/{BUNDLE}.json"
    manifest = json.loads(bucket.objects[f"bundles/{BUNDLE}.json"])
    assert [(each["path"], each["sha256"]) for each in manifest["files"]] == [
        (each.path, each.sha256) for each in FILES
    ]
    assert attestation["target"] == "s3://bucket/prod" and (attestation["written"], attestation["created"]) == (2, True)
    assert [each["path"] for each in attestation["objects"]] == ["a", "b", "c"]
    first = attestation["objects"][0]
    assert first["sha256"] == FILES[0].sha256 and first["key"] == FILES[0].key and first["bytes"] == 5
    assert (first["etag"], first["version"]) == (hashlib.md5(b"first").hexdigest(), "v1")


def test_the_same_bundle_twice_writes_nothing() -> None:
    bucket = Bucket()
    publish(bucket, TARGET, BUNDLE, FILES)
    before, bucket.calls = dict(bucket.objects), []
    again = publish(bucket, TARGET, BUNDLE, FILES)
    assert (again["written"], again["created"]) == (0, False) and bucket.objects == before
    assert not [call for call in bucket.calls if call.startswith("put")]
    del bucket.objects[FILES[1].key]
    assert publish(bucket, TARGET, BUNDLE, FILES)["written"] == 1, "what was lost is put back"


@pytest.mark.parametrize("after", [False, True])
def test_a_fault_at_any_step_leaves_no_manifest_of_what_is_not_there_and_the_next_try_ends_well(after: bool) -> None:
    whole = Bucket()
    publish(whole, TARGET, BUNDLE, FILES)
    for step in range(1, len(whole.calls) + 1):
        bucket = Bucket(fails_at=step, after=after)
        try:
            publish(bucket, TARGET, BUNDLE, FILES)
        except Outage:
            pass
        else:
            assert after, "only calls that write fail after their effect"
        if f"bundles/{BUNDLE}.json" in bucket.objects:
            assert {each.key for each in FILES} <= bucket.objects.keys(), step
        bucket.fails_at = 0
        attestation = publish(bucket, TARGET, BUNDLE, FILES)
        assert bucket.objects == whole.objects and len(attestation["objects"]) == 3


class Lying(Bucket):
    """It says that it stored what it did not."""

    def put(self, key: str, pieces: Iterable[bytes], size: int) -> Stored:
        made = super().put(key, pieces, size)
        self.objects[key] = self.lie(self.objects[key])
        return made

    def lie(self, content: bytes) -> bytes:
        return content[:-1] + b"?"


class Truncating(Lying):
    def lie(self, content: bytes) -> bytes:
        return content[:-1]


class Losing(Bucket):
    def read(self, key: str) -> tuple[Stored, Iterable[bytes]] | None:
        if key.startswith("data"):
            self.objects.pop(key, None)
        return super().read(key)


@pytest.mark.parametrize("kind", [Lying, Truncating, Losing])
def test_what_is_not_given_back_as_it_was_is_not_published(kind: type[Bucket]) -> None:
    with pytest.raises(Refusal) as found:
        publish(kind(), TARGET, BUNDLE, FILES)
    assert found.value.code == "published_differs"


def test_a_file_that_changes_meanwhile_and_another_manifest_are_refused() -> None:
    changing = [*FILES[:1], File("b", FILES[1].sha256, 6, lambda: [b"sec0nd"])]
    bucket = Bucket()
    with pytest.raises(Refusal) as found:
        publish(bucket, TARGET, BUNDLE, changing)
    assert found.value.code == "file_changed" and f"bundles/{BUNDLE}.json" not in bucket.objects
    bucket = Bucket({f"bundles/{BUNDLE}.json": manifest_of(BUNDLE, FILES[:1])})
    with pytest.raises(Refusal) as found:
        publish(bucket, TARGET, BUNDLE, FILES)
    assert found.value.code == "manifest_differs"
    with pytest.raises(Refusal, match="at most 1,000"):
        publish(bucket, TARGET, BUNDLE, FILES * MAX_FILES)


def test_it_can_be_broken_off_between_two_files_and_within_one() -> None:
    bucket, left = Bucket(), [2]

    def check(number: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Outage

    with pytest.raises(Outage):
        publish(bucket, TARGET, BUNDLE, FILES, check)
    assert len(bucket.objects) == 1
    left[0] = 1
    with pytest.raises(Outage):
        publish(Bucket(), TARGET, BUNDLE, FILES, check)


@pytest.mark.parametrize(
    "text", ["s3://bucket", "s3://bucket/a/b.c-d", "gs://b/x", "az://account/container", "file:///srv/e"]
)
def test_a_target_is_read(text: str) -> None:
    assert str(Target.parse(f" {text}/ ")) == text


@pytest.mark.parametrize(
    "text",
    ["", "s3://", "s3:/b", "http://b/x", "s3://key:s3cret@bucket", "s3://bucket?X-Amz-Signature=s3cret", "s3://b/#s3cret",
     "s3://b/../x", "s3://b//x", "file://host/x", "file:///", "file:///a/../etc", "az://account", "s3://b/.s3cret",
     "s3://b/a b", "s3://" + "x" * 300, "memory:///x", "S3://b", "s3://b/ü", "s3://b/a\nb"],
)  # fmt: skip
def test_no_target_holds_a_secret_or_leads_up_and_none_is_repeated(text: str) -> None:
    with pytest.raises(Usage) as found:
        Target.parse(text)
    assert found.value.code == "target_unreadable" and "s3cret" not in str(found.value)


def test_a_worker_publishes_below_the_places_of_its_settings() -> None:
    allowed: list[Any] = [Target.parse("s3://bucket/prod"), Target.parse("file:///srv/evidence")]
    for text, inside in (
        ("s3://bucket/prod", True),
        ("s3://bucket/prod/2026", True),
        ("s3://bucket/production", False),
        ("s3://bucket", False),
        ("gs://bucket/prod", False),
        ("file:///srv/evidence/x", True),
        ("file:///srv", False),
    ):
        assert Target.parse(text).within(allowed) is inside, text
    assert not Target.parse("s3://bucket/prod").within([])


def test_many_small_files_go_at_once_and_the_first_fault_ends_it() -> None:
    many = files(**{f"f{n}": str(n).encode() for n in range(40)}, large=b"x" * (publishing.SMALL + 1))
    bucket = Bucket()
    attestation = publishing.publish(bucket, TARGET, BUNDLE, many)
    assert [each["path"] for each in attestation["objects"]] == [each.path for each in many]
    assert attestation["written"] == 41 and [call for call in bucket.calls if call.startswith("put")][-1].endswith(
        many[-1].key
    )
    changing = [*many[:-1], File("bad", many[-1].sha256, 1, lambda: [b"!"])]
    with pytest.raises(Refusal, match="bad changed"):
        publishing.publish(Bucket(), TARGET, BUNDLE, changing)
