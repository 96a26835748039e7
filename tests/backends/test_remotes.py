"""Publishing to what speaks S3, Azure's and Google's protocols: what is sent, what a target is found to do, and what
comes of outages, slow, truncated and wrong answers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped,unused-ignore]
import obstore
import pytest
from moto.server import ThreadedMotoServer

from backends.evidence import remotes
from backends.evidence.published import PublishedBundle
from backends.evidence.publisher import Publisher
from backends.evidence.remotes import ObjectRemote
from backends.evidence.signing import with_query
from controlplane.errors import Refusal
from controlplane.evidence.bundles import index, verify
from controlplane.evidence.publishing import Target, checkpoint_key
from controlplane.evidence.targets import Progress, Provider
from tests import azurite, clouds, seaweed
from tests.backends.test_evidence_files import SIGNER, written
from tests.clouds import ACCOUNT, Asked, Azure, Between, Cloud, Google
from tests.seaweed import KEY, S3, SECRET

PART = 5 << 20


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with seaweed.serving() as server:
        yield server


@pytest.fixture
def between(s3: S3) -> Iterator[Between]:
    with clouds.serving(Between(s3.endpoint.removeprefix("http://"))) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotes, "PART", PART)


def options(s3: S3, through: Between | None = None, **client: Any) -> dict[str, Any]:
    found = s3.options | {"retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=60)}}
    found["client_options"] = {**found["client_options"], **client}
    return found if through is None else found | {"endpoint": through.endpoint}


def bundle(folder: Path, large: int = 0) -> str:
    """A bundle in a worker's evidence folder; returns its SHA-256."""
    writer = written(folder / "bundle")
    if large:
        (folder / "bundle" / "bundle.dsse.json").unlink()
        with writer.open("large") as file:
            file.write(b"x" * large)
        writer.finish(index(writer.subjects, {"trail": SIGNER.public.origin}, SIGNER))
    writer.move(folder / writer.envelope_sha256)
    return writer.envelope_sha256


def publisher(folder: Path, place: str, more: dict[str, Any], **given: Any) -> tuple[Publisher, Target]:
    target = Target.parse(place)

    def open_(asked: Target) -> Provider:
        return ObjectRemote(asked, more)

    return Publisher(folder, [target], open_, **given), target


def client(s3: S3) -> Any:
    return boto3.client(
        "s3", endpoint_url=s3.endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
    )


def test_every_put_and_every_part_carries_the_checksum_of_what_it_holds(
    s3: S3, between: Between, tmp_path: Path
) -> None:
    """A lenient server hides a missing one (versitygw#1776), so it is asserted here."""
    sha256 = bundle(tmp_path, PART + 9)
    publish, target = publisher(tmp_path, "s3://evidence/checksums", options(s3, between))
    publish.publish(sha256, target)
    sent = [asked for asked in between.asked if asked.method == "PUT"]
    parts = [asked for asked in sent if "partNumber" in asked.query]
    assert len(parts) == 2 and len(sent) > 6
    for asked in sent:
        digest = base64.b64encode(hashlib.sha256(asked.body).digest()).decode()
        assert asked.headers["x-amz-checksum-sha256"] == digest, asked.path
        assert "x-amz-checksum-sha256" in asked.headers["authorization"], "it is signed as well"
    [end] = [asked for asked in between.asked if asked.method == "POST" and "uploadId" in asked.query]
    assert end.body.count(b"<ChecksumSHA256>") == 2
    manifests = [asked for asked in sent if "/bundles/" in asked.path]
    assert [asked.headers["if-none-match"] for asked in manifests] == ["*"] and sent[-1] is manifests[0], (
        "it is the last"
    )


def test_a_bucket_that_locks_by_default_is_found_out_used_and_attested(s3: S3, tmp_path: Path) -> None:
    s3_client = client(s3)
    s3_client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 40}}
    s3_client.put_object_lock_configuration(
        Bucket="locked", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    sha256 = bundle(tmp_path, PART + 9)
    publish, target = publisher(tmp_path, "s3://locked/prod", options(s3), sign=lambda origin: SIGNER)
    able = publish.probe(target)
    assert (able.creates, able.versions, able.digests, able.locks, able.mode) == (True, True, True, True, "COMPLIANCE")
    assert able.days is not None and 39 < able.days <= 41
    attestation = publish.publish(sha256, target)
    for each in (*attestation["objects"], attestation["manifest"]):
        assert each["version"] and each["lock"]["mode"] == "COMPLIANCE", each
        said = s3_client.head_object(Bucket="locked", Key=f"prod/{each['key']}")
        assert f"{said['ObjectLockRetainUntilDate'].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" == each["lock"]["until"]
    assert attestation["lock"]["until"] == min(each["lock"]["until"] for each in attestation["objects"])
    again = publish.publish(sha256, target)
    assert (again["written"], again["created"]) == (0, False) and again["objects"] == attestation["objects"]
    assert again["signed"] == attestation["signed"], "the same facts are the same statement"
    published = PublishedBundle(ObjectRemote(target, options(s3)), sha256)
    assert verify(published, [SIGNER]).fault is None
    [signed] = published.attested([SIGNER])
    assert (signed.mode, signed.until, signed.fault) == ("COMPLIANCE", attestation["lock"]["until"], "")
    # WORM against stolen credentials (restic#2202): a version stays, whoever asks.
    first = attestation["objects"][0]
    with pytest.raises(s3_client.exceptions.ClientError, match="AccessDenied"):
        s3_client.delete_object(Bucket="locked", Key=f"prod/{first['key']}", VersionId=first["version"])
    s3_client.delete_object(Bucket="locked", Key=f"prod/{first['key']}")  # only a mark: what it hides is still there
    gone = publish.verify(target, attestation, Progress())
    assert gone.faults == [{"path": first["path"], "fault": "it is gone"}]


def test_a_plain_bucket_is_found_to_lock_nothing(s3: S3, tmp_path: Path) -> None:
    publish, target = publisher(tmp_path, "s3://evidence/plain", options(s3))
    assert replace(publish.probe(target)).record() == {
        "creates": True, "versions": False, "digests": True, "locks": False, "mode": None, "days": None,
    }  # fmt: skip
    attestation = publish.publish(bundle(tmp_path), target)
    assert attestation["lock"] is None and {each["lock"] for each in attestation["objects"]} == {None}


def kept_beside(remote: ObjectRemote) -> None:
    """Checkpoints are stored by themselves, and read again from below the prefix."""
    notes = [b"trail\n41\nhead\n", b"trail\n7\nhead\n"]
    for note in notes:
        assert remote.create(checkpoint_key(note), note) is not None
    assert remote.create(checkpoint_key(notes[0]), notes[0]) is None
    assert list(remote.checkpoints()) == sorted(notes, key=checkpoint_key)


def test_moto_is_served_as_well(tmp_path: Path) -> None:
    """Another server, so that nothing leans on what is peculiar to one. (With a default retention it takes only an MD5,
    which the library does not send; S3 takes the SHA-256.)
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        other = S3("http://{}:{}".format(*server.get_host_and_port()))
        client(other).create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        publish, target = publisher(tmp_path, "s3://locked/prod", options(other))
        able = publish.probe(target)
        assert (able.creates, able.versions, able.locks) == (True, True, False), "what is new is not locked by itself"
        sha256 = bundle(tmp_path, PART + 9)
        attestation = publish.publish(sha256, target)
        assert attestation["lock"] is None and all(each["version"] for each in attestation["objects"])
        assert publish.publish(sha256, target)["written"] == 0
        assert publish.verify(target, attestation, Progress()).faulty == 0
        kept_beside(ObjectRemote(target, options(other)))
    finally:
        server.stop()


def test_a_target_that_replaces_what_should_be_made_once_is_not_used(s3: S3, between: Between, tmp_path: Path) -> None:
    publish, target = publisher(tmp_path, "s3://evidence/replaces", options(s3, between))

    class Replacing(ObjectRemote):
        def create(self, key: str, content: bytes) -> Any:
            return self.put(key, [content], len(content))

    with pytest.raises(Refusal) as found:
        replace(publish, open=lambda asked: Replacing(asked, options(s3))).probe(target)
    assert found.value.code == "target_unfit"


def test_uploads_that_nobody_finished_are_found_and_ended_and_no_others(s3: S3, tmp_path: Path) -> None:
    s3_client, key = client(s3), f"data/sha256/ab/{'ab' * 32}"
    for name in (f"swept/{key}", f"swept/{key[:-2]}cd", "swept/of-somebody-else", f"other/{key}"):
        begun = s3_client.create_multipart_upload(Bucket="evidence", Key=name)
        s3_client.upload_part(Bucket="evidence", Key=name, UploadId=begun["UploadId"], PartNumber=1, Body=b"z")
    publish, target = publisher(tmp_path, "s3://evidence/swept", options(s3))
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert publish.sweep(target, soon - timedelta(hours=1), True)["found"] == 0, "they are too new"
    dry = publish.sweep(target, soon, False)
    assert (dry["found"], dry["removed"], dry["items"][0]["key"]) == (2, 0, key)
    assert publish.sweep(target, soon, True)["removed"] == 2 and publish.sweep(target, soon, True)["found"] == 0
    left = s3_client.list_multipart_uploads(Bucket="evidence")["Uploads"]
    assert {each["Key"] for each in left} == {"swept/of-somebody-else", f"other/{key}"}


def test_memory_is_bounded_however_large_a_file_is() -> None:
    """What was read of it and not yet taken by the target is at most the parts under way, and the next one."""
    with clouds.serving(Google()) as cloud:
        remote, read = ObjectRemote(Target.parse("gs://bucket"), cloud.options), 0

        def pieces() -> Iterator[bytes]:
            nonlocal read
            for _ in range(10 * PART >> 20):
                read += 1 << 20
                taken = sum(len(each) for upload in cloud.parts.values() for each in upload.values())
                assert read - taken <= (remotes.PARTS_AT_ONCE + 2) * PART
                yield bytes(1 << 20)

        remote.put("large", pieces(), 10 * PART)
        assert read == 10 * PART == len(cloud.objects["/bucket/large"].content)


def test_our_signature_is_that_of_the_library(s3: S3) -> None:
    store: Any = ObjectRemote(Target.parse("s3://evidence/a"), options(s3))._store
    url = obstore.sign(store, "GET", "x y/ü+z", timedelta(minutes=1))
    assert sorted(with_query(url, "GET", {}, SECRET).split("&")) == sorted(url.split("&"))


Breaks = Callable[[Asked], str | None]


def when(method: str, part: str, broken: str) -> Breaks:
    return lambda asked: broken if asked.method == method and part in asked.path else None


@pytest.mark.parametrize(
    ("breaks", "code"),
    [
        (when("PUT", "/data/", "outage"), "target_failed"),
        (when("PUT", "/data/", "busy"), "target_failed"),
        (when("PUT", "/bundles/", "outage"), "target_failed"),
        (when("PUT", "/data/", "etag"), "published_differs"),
        (when("GET", "/data/", "etag"), "published_differs"),
        (when("GET", "/data/", "changed"), "published_differs"),
        (when("GET", "/data/", "truncated"), "target_failed"),
        (when("GET", "/bundles/", "truncated"), "target_failed"),
        (when("GET", "/data/", "outage"), "target_failed"),
    ],
)
def test_whatever_breaks_is_said_and_the_next_try_ends_well(
    s3: S3, between: Between, tmp_path: Path, breaks: Breaks, code: str
) -> None:
    sha256, place = bundle(tmp_path), f"s3://evidence/{tmp_path.name}"
    publish, target = publisher(tmp_path, place, options(s3, between))
    between.breaks = breaks
    with pytest.raises(Refusal) as found:
        publish.publish(sha256, target)
    assert found.value.code == code and SECRET not in str(found.value)
    between.breaks = lambda asked: None
    attestation = publish.publish(sha256, target)
    good, _ = publisher(tmp_path, place, options(s3))
    assert good.verify(target, attestation, Progress()).faulty == 0


def test_an_answer_that_never_comes_ends_after_its_time(s3: S3, between: Between, tmp_path: Path) -> None:
    sha256 = bundle(tmp_path)
    publish, target = publisher(tmp_path, "s3://evidence/slow", options(s3, between, timeout="200ms"))
    between.breaks = lambda asked: "slow"
    with pytest.raises(Refusal, match="cannot be reached"):
        publish.publish(sha256, target)


def test_a_server_that_is_busy_for_a_moment_is_asked_again(s3: S3, between: Between, tmp_path: Path) -> None:
    left = [2]

    def busy(asked: Asked) -> str | None:
        left[0] -= 1
        return "busy" if left[0] >= 0 else None

    backoff = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=2), "base": 2}
    retries = {"max_retries": 5, "backoff": backoff, "retry_timeout": timedelta(seconds=60)}
    publish, target = publisher(tmp_path, "s3://evidence/busy", options(s3, between) | {"retry_config": retries})
    between.breaks = busy
    assert publish.publish(bundle(tmp_path), target)["created"] and left[0] < 0


def test_azurite_holds_a_bundle_once_and_says_so(tmp_path: Path) -> None:
    with azurite.serving() as found:
        sha256 = bundle(tmp_path, PART + 9)
        publish, target = publisher(tmp_path, f"az://{ACCOUNT}/{azurite.CONTAINER}/prod", found)
        able = publish.probe(target)
        assert able.creates and able.digests
        attestation = publish.publish(sha256, target)
        assert attestation["created"] and all(each["etag"] for each in attestation["objects"])
        again = publish.publish(sha256, target)
        assert (again["written"], again["created"]) == (0, False)
        assert publish.verify(target, attestation, Progress()).faulty == 0
        remote = ObjectRemote(target, found)
        [changed, *_] = [each["key"] for each in attestation["objects"]]
        obstore.put(remote._store, changed, b"something else")
        assert publish.verify(target, attestation, Progress()).faulty == 1


@pytest.mark.parametrize(
    ("cloud", "place", "version", "mode"),
    [(Azure(), "az://account/bucket/prod", "v", "locked"), (Google(), "gs://bucket/prod", "", "GOVERNANCE")],
)
def test_azure_and_google_take_it_in_parts_and_say_how_it_is_held(
    cloud: Cloud, place: str, version: str, mode: str, tmp_path: Path
) -> None:
    cloud.locked = "Sat, 30 Jan 2027 00:00:00 GMT" if isinstance(cloud, Azure) else "2027-01-30T00:00:00Z"
    with clouds.serving(cloud):
        sha256 = bundle(tmp_path, PART + 9)
        publish, target = publisher(tmp_path, place, cloud.options)  # type: ignore[attr-defined]
        able = publish.probe(target)
        assert (able.creates, able.versions, able.digests, able.locks, able.mode) == (True, True, True, True, mode)
        attestation = publish.publish(sha256, target)
        assert attestation["lock"] == {"mode": mode, "until": "2027-01-30T00:00:00Z"} and not cloud.parts
        for each in attestation["objects"]:
            kept = cloud.objects[f"/bucket/prod/{each['key']}"]
            assert (each["etag"], each["version"]) == (kept.etag, f"{version}{kept.generation}")
            assert hashlib.sha256(kept.content).hexdigest() == each["sha256"]
            assert each.get("metageneration") == ("1" if isinstance(cloud, Google) else None)
        assert publish.publish(sha256, target)["written"] == 0
        assert publish.verify(target, attestation, Progress()).faulty == 0
        kept_beside(ObjectRemote(target, cloud.options))  # type: ignore[attr-defined]
        large = next(each for each in attestation["objects"] if each["path"] == "large")
        ranges = [
            asked.headers["range"] for asked in cloud.asked if large["key"] in asked.path and "range" in asked.headers
        ]
        assert ranges == [f"bytes=0-{PART + 8}"]
        kept = cloud.objects[f"/bucket/prod/{large['key']}"]
        cloud.objects[f"/bucket/prod/{large['key']}"] = replace(kept, content=b"y" + kept.content[1:])
        assert (
            publish.verify(target, attestation, Progress()).faults[0]["fault"]
            == "it was replaced: its ETag is another one"
        )
        with pytest.raises(Refusal) as found:
            publish.sweep(target, datetime(2027, 1, 1, tzinfo=UTC), True)
        assert found.value.code == "target_unasked"
