"""Bundles on a disk: no link is followed, nothing may lie beside what was signed, and a file of them has one form."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.evidence.archive import BundleArchive, pack
from backends.evidence.folder import BundleFolder, BundleWriter, clear_abandoned, collecting
from controlplane.audit.checkpoints import SigningKey
from controlplane.errors import Refusal, Usage
from controlplane.evidence.bundles import ENVELOPE, Container, index, verify
from controlplane.evidence.envelopes import Ed25519Signer

ORIGIN = "watchfloor/audit/0f8c"
SIGNER = Ed25519Signer.of(SigningKey(bytes(range(32))), ORIGIN)
FILES = {"alerts.ndjson": b'{"id":1}\n', "audit/notes": b"x" * 3000, "empty": b""}


def written(folder: Path) -> BundleWriter:
    writer = BundleWriter(folder)
    for name, content in FILES.items():
        with writer.open(name) as file:
            file.write(content)
    writer.finish(index(writer.subjects, {"trail": ORIGIN}, SIGNER))
    return writer


def fault(bundle: Container) -> tuple[str, str] | None:
    found = verify(bundle, [SIGNER]).fault
    return None if found is None else (found.code, found.file)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    written(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_is_what_was_written_and_the_same_every_time(bundle: Path, tmp_path: Path) -> None:
    report = verify(BundleFolder(bundle), [SIGNER])
    assert (report.fault, report.files, report.bytes) == (None, 3, 3009)
    again = written(tmp_path / "again")
    assert again.envelope_sha256 == report.sha256
    assert (again.path / ENVELOPE).read_bytes() == (bundle / ENVELOPE).read_bytes()
    with pytest.raises(Usage, match="is there already"):
        BundleWriter(bundle)


def test_what_is_no_file_is_refused_and_never_followed(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "notes").write_bytes(FILES["audit/notes"])
    for name, make, code in (
        ("also", lambda path: path.symlink_to(bundle / "empty"), "not_a_file"),
        ("also", lambda path: path.symlink_to(tmp_path / "nowhere"), "not_a_file"),
        ("also", lambda path: path.symlink_to(tmp_path / "outside"), "not_a_file"),
        ("also", os.mkfifo, "not_a_file"),
        ("also", Path.mkdir, "not_a_file"),
        ("also", Path.touch, "file_extra"),
        (".hidden", Path.touch, "file_extra"),
        ("audit/also", Path.touch, "file_extra"),
    ):
        path = bundle / name
        make(path)  # type: ignore[operator]
        assert fault(BundleFolder(bundle)) == (code, name)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert fault(BundleFolder(bundle)) is None
    (bundle / "audit" / "notes").unlink()
    (bundle / "audit" / "notes").symlink_to(tmp_path / "outside" / "notes")
    assert fault(BundleFolder(bundle)) == ("not_a_file", "audit/notes"), "although its content is the same"
    (bundle / "audit" / "notes").unlink()
    (bundle / "audit").rmdir()
    (bundle / "audit").symlink_to(tmp_path / "outside")
    assert fault(BundleFolder(bundle)) == ("not_a_file", "audit")


def test_an_envelope_that_is_a_link_is_none(bundle: Path, tmp_path: Path) -> None:
    (bundle / ENVELOPE).rename(tmp_path / "elsewhere")
    assert fault(BundleFolder(bundle)) == ("envelope_missing", ENVELOPE)
    (bundle / ENVELOPE).symlink_to(tmp_path / "elsewhere")
    assert fault(BundleFolder(bundle)) == ("envelope_missing", ENVELOPE)


def test_one_file_of_it_is_a_tar_that_anybody_unpacks(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar"
    assert pack(bundle, file) == file.stat().st_size
    assert verify(BundleArchive(file), [SIGNER]) == verify(BundleFolder(bundle), [SIGNER])
    with tarfile.open(file) as tar:
        assert tar.getnames() == [ENVELOPE, *FILES]
        tar.extractall(tmp_path / "unpacked", filter="data")
    assert fault(BundleFolder(tmp_path / "unpacked")) is None
    with pytest.raises(Usage, match="is there already"):
        pack(bundle, file)


def test_no_bit_of_the_file_is_without_meaning(bundle: Path, tmp_path: Path) -> None:
    file, whole = tmp_path / "bundle.tar", tmp_path / "whole.tar"
    pack(bundle, whole)
    content = whole.read_bytes()
    for place in range(3, len(content), 37):  # headers, files, what is between them, the end
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        assert fault(BundleArchive(file)) is not None, place
    for other in (content[:-1], content + b"\0", content[:-1024], content[:700], b""):
        file.write_bytes(other)
        assert fault(BundleArchive(file)) is not None


def test_a_foreign_tar_with_links_and_ways_out_is_refused(bundle: Path, tmp_path: Path) -> None:
    for name, kind in (("../evil", tarfile.REGTYPE), ("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)):
        file = tmp_path / f"{kind!r}.tar"
        with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
            info = tarfile.TarInfo(ENVELOPE)
            envelope = (bundle / ENVELOPE).read_bytes()
            info.size, info.mode = len(envelope), 0o644
            tar.addfile(info, io.BytesIO(envelope))
            evil = tarfile.TarInfo(name)
            evil.type, evil.linkname, evil.mode = kind, "/etc/passwd" if kind != tarfile.REGTYPE else "", 0o644
            tar.addfile(evil)
        assert fault(BundleArchive(file)) in (("file_extra", "../evil"), ("archive_changed", ENVELOPE))


def test_what_cannot_be_read_or_written_is_said(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as found:
        list(BundleFolder(tmp_path / "nowhere").entries())
    assert found.value.code == "evidence_unreadable"
    with pytest.raises(Refusal) as found:
        BundleWriter(bundle / "empty" / "below")
    assert found.value.code == "evidence_unwritable"


def test_what_a_killed_program_was_collecting_is_removed_and_nothing_that_is_held_or_new(tmp_path: Path) -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    code = (
        "import os, signal, sys; from pathlib import Path; from backends.evidence.folder import BundleWriter\n"
        "with BundleWriter(Path(sys.argv[1])).open('audit/trail') as file: file.write(b'half')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed, held, new = (collecting(tmp_path) for _ in range(3))
    assert subprocess.run([sys.executable, "-c", code, str(killed)]).returncode == -signal.SIGKILL
    writer, other = BundleWriter(held), BundleWriter(new)
    other.release()
    bundle = written(tmp_path / "ab")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / ".collecting-link").symlink_to(outside)
    for hours, folder in ((2, killed), (2, held), (0.5, new)):
        at = (now - timedelta(hours=hours)).timestamp()
        for each in (*folder.rglob("*"), folder):
            os.utime(each, (at, at))
    assert clear_abandoned(tmp_path, now) == [killed] and not killed.exists()
    assert held.exists() and new.exists() and bundle.path.exists() and outside.exists()
    writer.release()
    assert clear_abandoned(tmp_path, now) == [held]
    assert clear_abandoned(tmp_path / "nothing", now) == []
