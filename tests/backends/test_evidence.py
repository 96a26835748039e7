"""The registry of evidence: what was recorded stays, in any session; and bundles of a real home."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backends.checkpoint_folder import CheckpointFolder
from backends.evidence.folder import BundleFolder, BundleWriter
from backends.postgres.evidence import NEWEST
from backends.postgres.home import Home
from backends.postgres.notary import Notary
from controlplane.audit.checkpoints import SigningKey
from controlplane.errors import Conflict, NotPermitted, Refusal
from controlplane.evidence.bundles import TRAIL, verify
from controlplane.evidence.collecting import Wanted, collect
from controlplane.evidence.controls import read
from controlplane.evidence.envelopes import Ed25519Signer
from controlplane.evidence.model import CoverageDirectory, EvidenceDirectory
from controlplane.filters.grammar import parse
from controlplane.gates.summary import read as read_summary
from controlplane.gates.summary import recompute
from controlplane.listing import Query
from controlplane.nouns import list_named
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from tests.backends.gates import apply, begin, ran
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.postgres import Database

PRIVATE = SigningKey(bytes(range(32)))
INSERT = "INSERT INTO wf.evidence (sha256, bytes, name, kind, environment, at, signature, signer) VALUES ({})"
ROW = "'{}', 1, 'a.xml', 'junit', 'production', now(), 'none', ''"
SHA = "ab" * 32


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


@asynccontextmanager
async def opened(database: Database, role: str) -> AsyncIterator[Home]:
    home = Home(database.login(role))
    await home.open()
    try:
        yield home
    finally:
        await home.close()


async def do(home: Home, name: str, /, **fields: object) -> Outcome:
    operation = named(name)
    return await execute(home, operation, operation.parse(fields), Call("a test"))


def record(sha256: str = SHA, **more: object) -> dict[str, object]:
    return {"sha256": sha256, "bytes": 9, "name": "a.xml", "kind": "junit", "environment": "production", **more}


def test_what_was_recorded_stays(psql: Psql) -> None:
    """Guarded by the home alone: with psql, in every role."""
    operator, admin, owner = psql("operator"), psql("admin"), psql("owner")
    for role in ("viewer", "support", "worker", "service"):
        denied(psql(role), INSERT.format(ROW.format(SHA)))
    operator.execute(INSERT.format(ROW.format(SHA)))
    assert one(psql("viewer"), "SELECT recorded_by, withdrawn_at, version FROM wf.evidence") == ("t_operator", None, 1)
    trail = "SELECT actor, operation, out_of_band FROM wf.audit WHERE noun = 'evidence' ORDER BY seq DESC LIMIT 1"
    assert one(psql("viewer"), trail) == ("t_operator", "sql.insert", True)
    for role in ("viewer", "support", "operator", "admin", "worker"):
        denied(psql(role), "DELETE FROM wf.evidence", "TRUNCATE wf.evidence")
        for change in ("at = now()", "sha256 = repeat('c', 64)", "recorded_by = 'ana'", "version = 9"):
            denied(psql(role), f"UPDATE wf.evidence SET {change}")
    denied(operator, "INSERT INTO wf.evidence (sha256, recorded_by) VALUES (repeat('c', 64), 'ana')",
           "INSERT INTO wf.evidence (sha256, recorded_at) VALUES (repeat('c', 64), '2020-01-01')")  # fmt: skip
    denied(owner, "DELETE FROM wf.evidence", "TRUNCATE wf.evidence CASCADE")
    refused(owner, "evidence_fixed", "UPDATE wf.evidence SET signature = 'good', signer = 'x'")
    refused(operator, "evidence_fixed", "UPDATE wf.evidence SET withdrawn_at = NULL")

    refused(operator, "evidence_taken", INSERT.format(ROW.format(SHA)))
    other = "cd" * 32
    for constraint, row in (
        ("evidence_sha256", ROW.format("CD" * 32)),
        ("evidence_bytes", ROW.format(other).replace(" 1,", " -1,")),
        ("evidence_name", ROW.format(other).replace("a.xml", "../a")),
        ("evidence_kind", ROW.format(other).replace("junit", "a b")),
        ("evidence_environment", ROW.format(other).replace("production", "Prod")),
        ("evidence_signature", ROW.format(other).replace("'none', ''", "'great', ''")),
        ("evidence_signer", ROW.format(other).replace("'none', ''", "'good', ''")),
        ("evidence_future", ROW.format(other).replace("now()", "now() + interval '1 hour'")),
        ("moment_range", ROW.format(other).replace("now()", "'infinity'")),
    ):
        refused(operator, constraint, INSERT.format(row))
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        with pytest.raises(psycopg.errors.CheckViolation), operator.transaction():
            operator.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            operator.execute("UPDATE wf.evidence SET withdrawn_at = '2020-01-01' WHERE withdrawn_at IS NULL")
            operator.execute("UPDATE wf.evidence SET withdrawn_at = '2020-01-02'")

    admin.execute(INSERT.format(ROW.format(other)))
    operator.execute(f"UPDATE wf.evidence SET withdrawn_at = '2020-01-01' WHERE sha256 = '{SHA}'")
    assert one(
        admin, "SELECT withdrawn_at > now() - interval '1 minute' FROM wf.evidence WHERE withdrawn_at IS NOT NULL"
    )[0]
    refused(admin, "evidence_withdrawn", f"UPDATE wf.evidence SET withdrawn_at = now() WHERE sha256 = '{SHA}'")
    operator.execute(INSERT.format(ROW.format(SHA)))  # a withdrawn one does not stand in the way


async def test_evidence_is_recorded_listed_and_covers_controls(database: Database, psql: Psql) -> None:
    bundle = read(
        '[[control]]\nid="A"\nframework="SOC 2"\ntitle="T"\nevidence=["junit"]\nfresh="1d"\nenvironment="production"\n'
        '[[control]]\nid="B"\nframework="SOC 2"\ntitle="T"\nevidence=["junit","sarif"]\nfresh="1d"\n'
        '[[control]]\nid="C"\nframework="SOC 2"\ntitle="T"\nevidence=["junit"]\nfresh="1d"\nsigned=true\n', "c"
    )  # fmt: skip
    async with opened(database, "operator") as home:
        home.controls = lambda: bundle
        made = await do(home, "evidence.add", **record(about="2.4.0"))
        assert made.undo is not None and made.undo.operation == "evidence.withdraw"
        assert made.rows[0].operation == "evidence.add" and not made.rows[0].out_of_band
        with pytest.raises(Conflict) as taken:
            await do(home, "evidence.add", **record())
        assert taken.value.code == "evidence_taken"
        with pytest.raises(Refusal) as future:
            await do(home, "evidence.add", **record("cd" * 32, at="2h"))
        assert future.value.code == "evidence_future"
        await do(home, "evidence.add", **record("ef" * 32, environment="staging", signature="good", signer="k"))
        coverage = home.of(CoverageDirectory)
        page = await coverage.page(Query((), "state"))
        assert [(row.control.id, row.state) for row in page.rows] == [("B", "missing"), ("A", "fresh"), ("C", "fresh")]
        declared, listing = list_named("evidence"), home.of(EvidenceDirectory)
        for text, found in (
            ("kind:junit", 2), ("about:2.4.0", 1), ("env:staging", 1), ("signature:good", 1), ("2.4", 1),
            (f"sha256:{SHA}", 1), ("age<1d", 2), ("id:1", 1), ("by:t_operator", 2), ("junit", 2), ("withdrawn>1d", 0),
        ):  # fmt: skip
            assert (await listing.count(Query(parse(text, declared.fields)))).number == found, text
        first = await listing.page(Query((), "age", True), limit=1)
        second = await listing.page(Query((), "age", True), start=first.positions[0], limit=1)
        assert [first.rows[0].environment, second.rows[0].environment] == ["staging", "production"]
    async with opened(database, "support") as home:
        with pytest.raises(NotPermitted):
            await do(home, "evidence.add", **record("01" * 32))
    async with opened(database, "admin") as home:
        await do(home, "evidence.withdraw", id=1)
        home.controls = lambda: bundle
        assert (await home.of(CoverageDirectory).page(Query((), "id"))).rows[0].state == "missing"


def test_the_newest_of_each_kind_is_found_by_an_index(psql: Psql) -> None:
    owner = psql("owner")
    owner.execute(
        "INSERT INTO wf.evidence (sha256, bytes, name, kind, environment, at)"
        " SELECT encode(sha256(n::text::bytea), 'hex'), 1, 'a', 'kind-' || n % 5, 'production',"
        " now() - n * interval '1 minute' FROM generate_series(1, 5000) n"
    )
    owner.execute("ANALYZE wf.evidence")
    values = {"kinds": ["kind-1", "kind-2", "none"], "environments": ["", "production"]}
    plan = "\n".join(line for (line,) in owner.execute(b"EXPLAIN (ANALYZE, BUFFERS) " + NEWEST.as_bytes(owner), values))
    assert "evidence_newest" in plan and "Seq Scan" not in plan, plan


def bundle_of(home: Home, folder: Path, now: datetime) -> Awaitable[Mapping[str, Any]]:
    writer = BundleWriter(folder)
    wanted = Wanted("release", "2.4.0", "production", now - timedelta(days=1))
    return collect(home, wanted, writer, lambda origin: Ed25519Signer.of(PRIVATE, origin), now)


async def test_a_bundle_of_a_home_holds_its_trail_masked_and_bound_to_the_published_checkpoint(
    database: Database, psql: Psql, tmp_path: Path
) -> None:
    async with opened(database, "admin") as home:
        await do(home, "tenants.create", id="acme", name="Acme", owner_email="ana@acme.example")
        await do(home, "keys.create", tenant_id="acme", label="ci")
        await apply(home, {"name": "a"})
        await ran(home, await begin(home))
        newest = await ran(home, await begin(home))
        notary = Notary(database.login("worker"), CheckpointFolder(tmp_path / "checkpoints"), PRIVATE)
        signed = await notary.sign()
        await do(home, "tenants.suspend", id="acme")
        psql("owner").execute("SELECT wf.chain_audit()")
        now = home.clock.now().replace(microsecond=0)
        predicate = await bundle_of(home, tmp_path / "one", now)
        [gate] = (tmp_path / "one" / "gates").iterdir()
        assert gate.name == f"run-{newest.run.id}.json"
        assert recompute([read_summary(gate.read_text())]).verdict == newest.run.verdict == "GO"
        assert signed is not None
        key = Ed25519Signer.of(PRIVATE, signed.checkpoint.origin)
        report = verify(BundleFolder(tmp_path / "one"), [key])
        assert report.fault is None and report.trail is not None
        assert (report.trail.signed_to, report.trail.to) == (signed.checkpoint.size, signed.checkpoint.size + 1)
        assert predicate["audit"]["signed_to"] == signed.checkpoint.size and predicate["audit"]["unchained"] == 0
        trail = (tmp_path / "one" / TRAIL).read_text()
        assert "a•••@acme.example" in trail and "ana@acme.example" not in trail
        await bundle_of(home, tmp_path / "two", now)
        files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
        assert len(files) == 12
        for name in files:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    async with opened(database, "viewer") as home:  # a late window begins where the checkpoint ends
        later = await bundle_of(home, tmp_path / "three", now + timedelta(days=2))
        assert later["audit"]["after"] == signed.checkpoint.size
        report = verify(BundleFolder(tmp_path / "three"), [key])
        assert report.trail is not None and report.trail.signed_to == signed.checkpoint.size
        assert "ana@acme.example" not in "".join(p.read_text() for p in (tmp_path / "three").rglob("*") if p.is_file())
        hours = [json.loads(line) for line in (tmp_path / "three" / "telemetry.ndjson").read_text().splitlines()]
        assert {each["n"] for each in hours} == {None}, "nothing is known, which is not zero"
