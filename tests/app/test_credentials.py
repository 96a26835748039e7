"""Credentials of the settings, by the real keyring library, for a real S3 and the stores of the other providers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.credentials import opening
from app.evidence import publisher_of
from app.homes import HomeChoice
from app.settings import Settings, read
from backends.evidence.remotes import ObjectRemote
from controlplane.errors import NotFound
from controlplane.evidence.publishing import Target
from tests import seaweed
from tests.app.commands import Cli
from tests.backends.test_evidence_files import SIGNER, written
from tests.backends.test_secrets import InMemory, desktop, headless
from tests.seaweed import KEY, S3, SECRET

__all__ = ["desktop", "headless"]
ENTRY = ("watchfloor", "archive")
SURROUNDINGS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT", "AWS_ALLOW_HTTP")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with seaweed.serving() as server:
        yield server


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SURROUNDINGS:
        monkeypatch.delenv(name, raising=False)


def text(folder: Path, endpoint: str) -> str:
    return f"""
evidence = "{folder}"
publish_to = ["s3://evidence/prod"]
[credentials.archive]
target = "s3://evidence"
user = "{KEY}"
secret = "keyring:watchfloor/archive"
endpoint = "{endpoint}"
region = "us-east-1"
"""


def settings(folder: Path, endpoint: str) -> Settings:
    return read(text(folder, endpoint), folder / "settings.toml")


def test_a_worker_publishes_and_a_person_verifies_with_what_the_keyring_holds(
    s3: S3, tmp_path: Path, cli: Cli, desktop: type[InMemory]
) -> None:
    desktop.entries[ENTRY] = SECRET
    writer = written(tmp_path / "bundle")
    sha256, target = writer.envelope_sha256, Target.parse("s3://evidence/prod")
    writer.move(tmp_path / sha256)
    publisher = publisher_of(
        HomeChoice("folder", str(tmp_path / "home"), None, "test"), settings(tmp_path, s3.endpoint)
    )
    attestation = publisher.publish(sha256, target)
    assert attestation["created"] and SECRET not in f"{attestation} {publisher!r}"
    (tmp_path / "settings.toml").write_text(text(tmp_path, s3.endpoint))
    cli.monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(tmp_path / "settings.toml"))
    address = f"s3://evidence/prod/bundles/{sha256}.json"
    held = cli("evidence", "verify", address, "--public-key", str(SIGNER.public), "--json")
    assert held.code == 0, held
    [attested] = held.document["item"]["attested"]
    assert attested["signer"] == "", "the worker's key was not given"
    for words in (("settings", "show"), ("secrets", "doctor")):
        said = cli(*words)
        assert "archive" in said.out and SECRET not in said.out, words
    desktop.entries.clear()
    refused = cli("evidence", "verify", address, "--public-key", str(SIGNER.public))
    assert refused.code not in (0, 1) and "credential archive" in refused.err
    assert "keyring:watchfloor/archive" in refused.err, "it says where it looked"


def test_only_the_place_of_a_credential_and_below_are_reached_with_it(
    tmp_path: Path, desktop: type[InMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    desktop.entries |= {ENTRY: "one", ("watchfloor", "nearer"): "two"}
    more = """[credentials.nearer]
target = "s3://evidence/prod/eu"
user = "near"
secret = "keyring:watchfloor/nearer"
[credentials.azure]
target = "az://account/box"
secret = "keyring:watchfloor/archive"
[credentials.google]
target = "gs://bucket"
secret = "keyring:watchfloor/archive"
endpoint = "https://storage.example"
"""
    found: dict[str, Any] = {}
    monkeypatch.setattr(
        ObjectRemote, "__init__", lambda self, target, options=None: found.update({str(target): options})
    )
    known = read(text(tmp_path, "https://s3.example") + more, tmp_path / "settings.toml")
    for place in (
        "s3://evidence/prod",
        "s3://evidence/prod/eu/x",
        "s3://evidence2",
        "az://account/box/a",
        "gs://bucket",
    ):
        opening(known)(Target.parse(place))
    assert found == {
        "s3://evidence/prod": {
            "secret_access_key": "one", "access_key_id": KEY, "region": "us-east-1", "endpoint": "https://s3.example",
        },
        "s3://evidence/prod/eu/x": {"secret_access_key": "two", "access_key_id": "near"},
        "s3://evidence2": None,
        "az://account/box/a": {"account_key": "one"},
        "gs://bucket": {"service_account_key": "one", "endpoint": "https://storage.example"},
    }  # fmt: skip
    desktop.entries.clear()
    with pytest.raises(NotFound, match=r"credential azure, for az://account/box/a, cannot be read: keyring:watchfloor"):
        opening(known)(Target.parse("az://account/box/a"))
