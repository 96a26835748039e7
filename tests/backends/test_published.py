"""A bundle verified where it is published: whatever its manifest says, only what was signed counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.evidence.published import PublishedBundle
from backends.evidence.publisher import Publisher
from controlplane.audit.checkpoints import SigningKey
from controlplane.errors import Usage
from controlplane.evidence.attestations import PUBLICATION, Attested
from controlplane.evidence.bundles import ENVELOPE, verify
from controlplane.evidence.envelopes import Ed25519Signer, Envelope, Key, seal
from controlplane.evidence.publishing import Target
from controlplane.evidence.statements import Statement, Subject
from controlplane.evidence.words import attested_lines
from tests.backends.test_evidence_files import ORIGIN, SIGNER, written


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    writer = written(tmp_path / "bundle")
    writer.move(tmp_path / writer.envelope_sha256)
    target = Target.parse(f"file://{tmp_path}/out")
    Publisher(tmp_path, [target], sign=lambda origin: SIGNER).publish(writer.envelope_sha256, target)
    return tmp_path / "out" / "bundles" / f"{writer.envelope_sha256}.json"


def fault(manifest: Path) -> tuple[str, str] | None:
    found = verify(PublishedBundle.at(f"file://{manifest}"), [SIGNER]).fault
    return None if found is None else (found.code, found.file)


def stored(manifest: Path, path: str) -> Path:
    sha256: str
    [sha256] = [each["sha256"] for each in json.loads(manifest.read_bytes())["files"] if each["path"] == path]
    return manifest.parents[1] / "data" / "sha256" / sha256[:2] / sha256


def test_it_is_whole_and_the_first_fault_is_named(manifest: Path) -> None:
    report = verify(PublishedBundle.at(f"file://{manifest}"), [SIGNER])
    assert report.fault is None and report.files == 3 and report.sha256 == manifest.stem
    stored(manifest, "audit/notes").write_bytes(b"y" * 3000)
    assert fault(manifest) == ("file_changed", "audit/notes")
    stored(manifest, "audit/notes").unlink()
    assert fault(manifest) == ("file_missing", "audit/notes")
    stored(manifest, ENVELOPE).unlink()
    assert fault(manifest) == ("envelope_missing", ENVELOPE)


def extra(files: list[Any]) -> list[Any]:
    return [*files, {"path": "zz", "sha256": files[0]["sha256"]}]


def swapped(files: list[Any]) -> list[Any]:
    return [{**each, "sha256": files[0]["sha256"]} if each["path"] != ENVELOPE else each for each in files]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (extra, "file_extra"),
        (swapped, "file_changed"),
        (lambda files: files[:1], "file_missing"),
        (lambda files: [], "envelope_missing"),
        (lambda files: [*files, files[0]], "manifest_unreadable"),
        (lambda files: [{"path": "a", "sha256": "../../etc/passwd"}], "manifest_unreadable"),
        (lambda files: [{"path": 7, "sha256": "ab" * 32}], "manifest_unreadable"),
        (lambda files: 7, "manifest_unreadable"),
    ],
)
def test_a_manifest_that_lies_helps_nobody(manifest: Path, change: Callable[[Any], Any], code: str) -> None:
    said = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**said, "files": change(said["files"])}))
    found = fault(manifest)
    assert found is not None and found[0] == code


def test_what_is_no_address_is_refused_without_repeating_it(tmp_path: Path) -> None:
    for text in ("s3://bucket/prod", "s3://key:s3cret@b/bundles/" + "ab" * 32 + ".json", "https://x/bundles/a.json"):
        with pytest.raises(Usage) as found:
            PublishedBundle.at(text)
        assert "s3cret" not in str(found.value)
    nothing = PublishedBundle.at(f"file://{tmp_path}/none/bundles/{'ab' * 32}.json")
    assert nothing.envelope() is None and list(nothing.entries()) == []


def attested(manifest: Path, *keys: Key) -> list[Attested]:
    bundle = PublishedBundle.at(f"file://{manifest}")
    assert verify(bundle, [SIGNER]).fault is None
    return bundle.attested(keys or [SIGNER])


def test_what_the_provider_said_is_signed_beside_the_manifest(manifest: Path, tmp_path: Path) -> None:
    [found] = attested(manifest)
    assert (found.signer, found.target, found.until, found.fault) == (SIGNER.name, f"file://{tmp_path}/out", "", "")
    assert attested_lines([found])[0].startswith(f"● published at file://{tmp_path}/out, not known to be locked")
    said = json.loads(Envelope.parse((manifest.parents[1] / found.file).read_bytes()).payload)
    assert said["predicateType"] == PUBLICATION and said["subject"][0]["digest"]["sha256"] == manifest.stem
    assert all(each["etag"] and "lock" in each for each in said["predicate"]["objects"])
    target = Target.parse(f"file://{tmp_path}/out")
    again = Publisher(tmp_path, [target], sign=lambda origin: SIGNER).publish(manifest.stem, target)
    assert again["signed"]["key"] == found.file and attested(manifest) == [found], "no second one of the same facts"
    other = Ed25519Signer.of(SigningKey(bytes(32)), ORIGIN)
    [unknown] = attested(manifest, other)
    assert (unknown.signer, unknown.fault) == ("", ""), "whoever signed it, nothing of it is believed"
    assert attested_lines([unknown])[0].startswith("?") and attested_lines([])[0].startswith("?")


def test_no_bit_of_an_attestation_is_without_meaning(manifest: Path) -> None:
    [found] = attested(manifest)
    file = manifest.parents[1] / found.file
    whole = file.read_bytes()
    for place in range(0, len(whole), 41):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        [changed] = attested(manifest)
        assert changed.fault or not changed.signer, place


def test_an_attestation_of_another_bundle_or_of_anything_else_is_a_fault(manifest: Path) -> None:
    [found] = attested(manifest)
    file = manifest.parents[1] / found.file
    said = Statement.parse(Envelope.parse(file.read_bytes()).payload)
    of_another = replace(said, subjects=(Subject("bundle.dsse.json", "ab" * 32),))
    of_fewer = replace(said, predicate={**said.predicate, "objects": said.predicate["objects"][1:]})
    nothing = replace(said, predicate={"objects": 7})
    for statement, words in ((of_another, "another bundle"), (of_fewer, "other files"), (nothing, "no attestation")):
        file.write_bytes(seal(statement.payload(), SIGNER))
        assert words in attested(manifest)[0].fault
    file.write_bytes(b"junk")
    assert attested(manifest)[0].fault
