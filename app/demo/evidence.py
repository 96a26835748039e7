"""What the demonstration can prove: a bundle of its last release, attestations, and a control that nothing shows."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from app.demo.audit import Step, act, do
from app.demo.estate import Estate
from app.demo.site import Homes, Site
from backends.checkpoint_folder import signing_key
from backends.evidence.folder import BundleWriter
from backends.evidence.publisher import Publisher
from backends.postgres.home import Home
from controlplane.errors import Usage
from controlplane.evidence.bundles import BUNDLE
from controlplane.evidence.collecting import Wanted, collect
from controlplane.evidence.envelopes import Ed25519Signer
from controlplane.evidence.list import EVIDENCE
from controlplane.evidence.model import EvidenceDirectory
from controlplane.evidence.publishing import Target
from controlplane.filters.grammar import parse
from controlplane.listing import Query

RELEASE = "2.4.0"
RECORDED = (
    ("ana", "provenance.json", "https://slsa.dev/provenance/v1", RELEASE, 2, "unverified"),
    ("ana", "tests.json", "https://in-toto.io/attestation/test-result/v0.1", RELEASE, 2, "unverified"),
    ("ben", "semgrep.sarif", "sarif", "2.3.0", 40, "none"),
    ("ben", "sbom.cdx.json", "cyclonedx", RELEASE, 2, "none"),
    ("chi", "access-review.pdf", "access-review", "third quarter", 70, "none"),
)
"""Who, the file, its kind, what it is about, how many days ago, its signature."""


def steps(estate: Estate) -> list[Step]:
    made: list[Step] = []
    for who, name, kind, about, days, signature in RECORDED:
        fields: dict[str, Any] = {"sha256": hashlib.sha256(f"{estate.seed} {name}".encode()).hexdigest()}
        fields |= {"bytes": 4000 + 731 * len(name), "name": name, "kind": kind, "about": about}
        fields |= {"environment": "production", "signature": signature}
        fields["at"] = f"{estate.now - timedelta(days=days):%Y-%m-%d %H:%M}"
        made.append((who, "evidence.add", fields, ""))
    return made


def seed(estate: Estate, site: Site) -> None:
    site.report("evidence: a bundle of the last release")
    act(site, *steps(estate))
    if site.folder is not None:
        site.run(partial(_proved, site.folder))


async def _proved(folder: Path, homes: Homes) -> None:
    await do(homes, await _bundle(homes["chi"], folder))


async def _bundle(home: Home, folder: Path) -> Step:
    """Collect a real one into the home's folder, signed with the demonstration's key."""
    key = signing_key(folder, make=True)
    assert key is not None
    now = home.clock.now().replace(microsecond=0)
    writer = BundleWriter(folder / "evidence" / ".collecting")
    wanted = Wanted("release", RELEASE, "production", now - timedelta(days=7))
    predicate = await collect(home, wanted, writer, lambda origin: Ed25519Signer.of(key, origin), now)
    writer.move(folder / "evidence" / writer.envelope_sha256)
    fields = {"sha256": writer.envelope_sha256, "bytes": writer.bytes, "name": f"release-{RELEASE}", "kind": BUNDLE}
    fields |= {"about": RELEASE, "environment": "production", "at": f"{now:%Y-%m-%dT%H:%M:%S}", "signature": "good"}
    return "chi", "evidence.add", fields | {"signer": key.public(predicate["trail"]).id.hex()}, "the weekly bundle"


PUBLISHED = """
UPDATE wf.publications SET published_at = now(), attestation = %s, version = version + 1
WHERE target = %s
"""
PROBED = """
UPDATE wf.publication_targets SET probed_at = now(), creates = %s, versions = %s, digests = %s, locks = %s,
  version = version + 1 WHERE target = %s
"""


async def publish(homes: Homes, site: Site) -> None:
    """Publish it beside the home when that is shown, for a prepared home is copied to other folders. The home's worker
    has no such target in its settings.
    """
    found = (
        await homes["chi"].of(EvidenceDirectory).page(Query(parse(f"kind:{BUNDLE}", EVIDENCE.fields), "age"), limit=1)
    )
    with psycopg.connect(site.owner) as owner:
        there = owner.execute("SELECT EXISTS (SELECT FROM wf.publications)").fetchone()
    folder = site.folder
    if folder is None or there == (True,) or not found.rows:
        return
    try:
        target = Target.parse(f"file://{folder / 'published'}")
    except Usage:
        return  # the folder has a name that no target has
    sha256 = found.rows[0].sha256
    await do(homes, ("chi", "evidence.publish", {"id": found.rows[0].id, "target": str(target)}, ""))
    key = signing_key(folder, make=True)
    assert key is not None
    publisher = Publisher(folder / "evidence", [target], sign=lambda origin: Ed25519Signer.of(key, origin))
    able = await asyncio.to_thread(publisher.probe, target)
    attestation = await asyncio.to_thread(publisher.publish, sha256, target)
    with site.change("evidence.probed", "") as owner:
        owner.execute(PROBED, [able.creates, able.versions, able.digests, able.locks, str(target)])
    with site.change("evidence.published", "") as owner:
        owner.execute(PUBLISHED, [Jsonb(attestation), str(target)])
        owner.execute("DELETE FROM wf.jobs WHERE kind = 'publish_evidence'")
