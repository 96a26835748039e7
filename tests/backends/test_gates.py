"""Gates in a real home: every kind looks at the real thing, and the verdict is the home's."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from app.gating import conninfo_of
from app.settings import Profile, load
from backends.postgres.home import Home
from backends.postgres.other_databases import OtherDatabases
from controlplane.errors import NotFound, NotPermitted, Refusal, Usage
from controlplane.gates.deciding import Result, decide
from controlplane.gates.document import GateSpec, canonical, read, sha256
from controlplane.gates.judged import Judged
from controlplane.gates.model import GateDirectory, RunDirectory, WaiverDirectory
from controlplane.gates.standing import decision_of
from controlplane.gates.summary import inputs_sha256
from controlplane.listing import Query
from controlplane.sealing import Sealing
from tests.backends.gates import apply, begin, do, ran
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.controlplane.proofs import ARTEFACT, DSSE_KEY, MINISIGN, MINISIGN_KEY
from tests.controlplane.test_proofs import BUILDER, pem, sealed
from tests.controlplane.test_proofs import statement as built_by
from tests.postgres import Database
from tests.receivers import receiving, says


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('beta', 'Beta')")
        yield connect


@pytest.fixture
async def admin(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("admin"))
    await home.open()
    yield home
    await home.close()


@pytest.fixture
async def operator(database: Database, admin: Home) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    await home.open()
    yield home
    await home.close()


REPORT = b'<testsuite><testcase name="a"/><testcase name="b"/></testsuite>'
FORKS = "import os, time; os.fork(); time.sleep(99)"
TENANTS = "SELECT id FROM wf.tenant_list"


async def test_every_kind_looks_at_the_real_thing(admin: Home, operator: Home, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_bytes(REPORT)
    (tmp_path / "out.xml").symlink_to("/etc/passwd")
    (tmp_path / "shop.whl").write_bytes(ARTEFACT)
    (tmp_path / "shop.whl.minisig").write_bytes(MINISIGN)
    builder = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "shop.intoto.json").write_text(json.dumps(sealed(builder, built_by())))
    recorded = {"kind": "evidence", "artefact": "test-report"}
    signed = {"kind": "signature", "file": "shop.whl", "signature": "shop.whl.minisig", "key": MINISIGN_KEY}
    built = {"kind": "provenance", "file": "shop.whl", "provenance": "shop.intoto.json", "keys": [pem(builder)],
             "builders": [BUILDER]}  # fmt: skip
    for number, (kind, signer) in enumerate([("test-report", "0f8c"), ("test-report", ""), ("runbook", "")]):
        await do(operator, "evidence.add", sha256=f"{number:064}", bytes=1, name="x", kind=kind, environment="staging",
                 signature="good" if signer else "unverified", signer=signer)  # fmt: skip
    answers = says("200 OK", b'{"errors": {"share": 0.25}}')
    async with receiving(answers) as good, receiving(says("503 Down")) as down:
        at = f"http://127.0.0.1:{good.port}/"
        operator.sealing = Sealing(None, (f"http://127.0.0.1:{good.port}", f"http://127.0.0.1:{down.port}"))
        http, sql = {"kind": "http", "url": at}, {"kind": "sql"}
        share = http | {"path": "$.errors.share"}
        program = {"kind": "command", "run": [sys.executable, "-c", "print('{\"n\": 3}')"]}
        wanted: dict[str, tuple[dict[str, Any], str, str, float | None]] = {
            "sql-none": (sql | {"sql": TENANTS + " WHERE id = 'gamma'"}, "pass", "", 0),
            "sql-some": (sql | {"sql": TENANTS + ";"}, "fail", "", 3),
            "sql-value": (sql | {"sql": "SELECT count(*) AS value FROM wf.tenant_list", "at_least": 2}, "pass", "", 3),
            "sql-no-data": (sql | {"sql": "SELECT 1 AS value WHERE false", "at_least": 2}, "inconclusive", "no_data",
                            None),
            "sql-broken": (sql | {"sql": "SELECT nope"}, "inconclusive", "error", None),
            "sql-writes": (sql | {"sql": "WITH x AS (DELETE FROM wf.tenants RETURNING 1) SELECT * FROM x"},
                           "inconclusive", "error", None),
            "sql-private": (sql | {"sql": "SELECT owner_email FROM wf.tenants"}, "inconclusive", "error", None),
            "sql-two-statements": (sql | {"sql": "SELECT 1) d; DROP TABLE wf.tenants; SELECT (1"}, "inconclusive",
                                   "error", None),
            "sql-elsewhere": (sql | {"sql": TENANTS, "database": "other"}, "inconclusive", "not_here", None),
            "sql-slow": (sql | {"sql": "SELECT pg_sleep(60)", "limit": 1}, "inconclusive", "time_limit", None),
            "http-up": (http, "pass", "", 200),
            "http-down": (http | {"url": f"http://127.0.0.1:{down.port}/"}, "fail", "", 503),
            "http-value": (share | {"at_most": 0.5}, "pass", "", 0.25),
            "http-over": (share | {"at_most": 0.1}, "fail", "", 0.25),
            "http-misnamed": (http | {"path": "$.errors.shares", "at_most": 1}, "inconclusive", "unknown_metric", None),
            "http-forbidden": (http | {"url": "https://169.254.169.254/latest"}, "inconclusive", "error", None),
            "command": (program | {"path": "$.n", "equals": 3}, "pass", "", 3),
            "command-fails": ({"kind": "command", "run": [sys.executable, "-c", "exit(4)"]}, "fail", "", 4),
            "command-absent": ({"kind": "command", "run": ["no-such-program"]}, "inconclusive", "error", None),
            "command-hangs": ({"kind": "command", "run": [sys.executable, "-c", FORKS], "limit": 1}, "inconclusive",
                              "time_limit", None),
            "objective": ({"kind": "objective"}, "inconclusive", "unknown_metric", None),
            "letters": ({"kind": "queue", "at_most": 0}, "pass", "", 0),
            "oldest": ({"kind": "queue", "measure": "oldest", "at_most": 60}, "pass", "", 0),
            "late": ({"kind": "queue", "measure": "late_jobs", "at_most": 0}, "pass", "", 0),
            "no-such-queue": ({"kind": "queue", "source": "x", "at_most": 0}, "inconclusive", "unknown_metric", None),
            "keys": ({"kind": "keys"}, "pass", "", 0),
            "alerts": ({"kind": "alerts"}, "inconclusive", "no_data", None),
            "audit": ({"kind": "audit"}, "inconclusive", "no_data", None),
            "junit": ({"kind": "junit", "file": "report.xml"}, "pass", "", 0),
            "junit-absent": ({"kind": "junit", "file": "x/report.xml"}, "inconclusive", "no_data", None),
            "junit-link": ({"kind": "junit", "file": "out.xml"}, "inconclusive", "error", None),
            "sbom-no-json": ({"kind": "sbom", "file": "report.xml"}, "inconclusive", "error", None),
            "evidence": (recorded, "pass", "", None),
            "evidence-unsigned": (recorded | {"artefact": "runbook"}, "fail", "", None),
            "evidence-elsewhere": (recorded | {"environment": "production"}, "inconclusive", "no_data", None),
            "signature": (signed, "pass", "", 1),
            "signature-of-other": (signed | {"file": "report.xml"}, "fail", "", 0),
            "signature-absent": (signed | {"signature": "x.minisig"}, "inconclusive", "no_data", None),
            "signature-no-signature": (signed | {"signature": "report.xml"}, "inconclusive", "error", None),
            "provenance": (built, "pass", "", 1),
            "provenance-of-other": (built | {"builders": ["https://other"]}, "fail", "", 1),
            "provenance-not-about-it": (built | {"file": "report.xml"}, "fail", "", 1),
            "provenance-by-nobody": (built | {"keys": [DSSE_KEY]}, "fail", "", 0),
            "provenance-absent": (built | {"provenance": "x.json"}, "inconclusive", "no_data", None),
            "provenance-no-envelope": (built | {"provenance": "report.xml"}, "inconclusive", "error", None),
            "manual": ({"kind": "manual", "question": "Is it?"}, "inconclusive", "unanswered", None),
        }  # fmt: skip
        await apply(admin, *({"name": name} | check for name, (check, *_) in wanted.items()))
        whole = await ran(operator, await begin(operator), tmp_path, commands=True)
    found = {name: each.judged for name, each in whole.results.items()}
    aged = {name for name in wanted if name.startswith("evidence")}
    assert {name: (each.state, each.because, None if name in aged else each.value) for name, each in found.items()} == {
        name: tuple(rest) for name, (_, *rest) in wanted.items()
    }
    assert found["evidence"].words.startswith("evidence 1, ") and (found["evidence"].value or 0) < 900
    assert whole.run.verdict == "NO_GO" == decision_of(whole).verdict
    assert whole.run.inputs_sha256 == inputs_sha256(whole.definition_sha256, whole.results)
    assert "127.0.0.1" not in str(found["http-forbidden"]) and "public addresses only" in found["http-forbidden"].words
    assert not [p for p in psutil.process_iter(["cmdline"]) if "time.sleep(99)" in " ".join(p.info["cmdline"] or ())]
    again = await ran(operator, await begin(operator), tmp_path)
    assert again.results["command"].judged.because == "not_here", "no program runs that nobody let run"


async def test_another_database_is_only_read(database: Database, psql: Psql) -> None:
    def check(sql: str, **more: Any) -> Any:
        item = {"name": "a", "kind": "sql", "sql": sql, "database": "shop", **more}
        return GateSpec.model_validate({"name": "shop", "owner": "ana", "checks": [item]}).checks[0]

    ask = OtherDatabases(lambda name: database.owner, counted=True)
    assert (await ask(check("SELECT id FROM wf.tenants"))).observed == {"rows": 3, "capped": False, "sample": []}
    value = (await ask(check("SELECT 7 AS value, 'ana@acme.example' AS email", at_most=9))).observed
    assert value["sample"] == [{"value": 7}], "what a login of this machine may see is not for everybody in the home"
    sampled = OtherDatabases(lambda name: database.owner, counted=False)
    assert (await sampled(check("SELECT * FROM generate_series(1, 99)"))).observed | {"sample": []} == {
        "rows": 21, "capped": True, "sample": []
    }  # fmt: skip
    for bad in (
        "SELECT 1) d, (SELECT 1) s; COMMIT; DELETE FROM wf.tenants; SELECT (1",
        "WITH x AS (DELETE FROM wf.tenants RETURNING 1) SELECT * FROM x",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT nope",
    ):
        with pytest.raises(Refusal, match="The SQL failed"):
            await ask(check(bad))
    with pytest.raises(TimeoutError):
        await ask(check("SELECT pg_sleep(30)", limit=1))
    assert one(psql("owner"), "SELECT count(*) FROM wf.tenants") == (3,)
    away = OtherDatabases(lambda name: "host=127.0.0.1 port=1 user=x password=hunter2", counted=True)
    seen = (await away(check("SELECT 1"))).observed
    assert seen["trouble"] == "error" and "hunter2" not in str(seen)


STATES = ("pass", "fail", "inconclusive")


async def test_the_home_and_the_domain_decide_alike(admin: Home, operator: Home, psql: Psql) -> None:
    """wf.gate_decision against controlplane.gates.deciding, over random runs."""
    rng, runs = random.Random(7), operator.of(RunDirectory)
    names = [f"c{number}" for number in range(4)]
    await apply(admin, *({"name": n, "required": n != "c3", "freshness": "1h"} for n in names))
    for n, until in (("c0", "1h"), ("c1", "2h"), ("c3", "3h")):
        await do(operator, "waivers.create", gate="shop", environment="staging", check_name=n, until=until)
    waivers = (await operator.of(WaiverDirectory).page(Query())).rows
    await do(operator, "waivers.create", gate="shop", environment="production", check_name="c0", until="1h")
    seen = set()
    for _ in range(25):
        number = await begin(operator, environment=rng.choice(("staging", "production")))
        for n in names:
            if rng.random() < 0.9:
                text = canonical({"found": True, "value": rng.randrange(9)})
                judged = Judged(rng.choices(STATES, (6, 1, 1))[0])  # type: ignore[arg-type]
                at = operator.clock.now() - timedelta(seconds=rng.choice((0, 0, 0, 7200)))
                await runs.record(number, Result(n, judged, text, sha256(text), at))
        verdict = await runs.decide(number)
        whole = await runs.whole(number)
        assert whole.run.decided_at is not None
        decision = decide(read(whole.definition), whole.results, whole.waivers, whole.run.environment,
                          whole.run.decided_at)  # fmt: skip
        assert decision.verdict == verdict == whole.run.verdict
        conditions = [
            {"check": e.check, "state": e.state, "owner": e.owner, "due": f"{e.due:%Y-%m-%dT%H:%M:%SZ}"}
            for e in decision.conditions
        ]
        assert conditions == whole.run.conditions
        assert whole.run.inputs_sha256 == inputs_sha256(whole.definition_sha256, whole.results)
        seen.add(verdict)
    assert seen == {"GO", "GO_WITH_CONDITIONS", "NO_GO", "INCONCLUSIVE"} and len(waivers) == 3


FOUND = "SELECT wf.record_gate_check({}, '{}', 'pass', '', 0, '', '', '', '{}', {}, 0)"


def found(run: int, name: str = "a", observed: str = "{}", at: str = "now()") -> str:
    return FOUND.format(run, name, observed, at)


async def test_a_verdict_cannot_be_claimed(admin: Home, operator: Home, psql: Psql) -> None:
    await apply(admin, {"name": "a"}, {"name": "m", "kind": "manual", "question": "Is it?"})
    run = await begin(operator)
    mine, theirs, owner = psql("operator"), psql("admin"), psql("owner")
    for role in ("viewer", "support", "operator", "admin", "worker", "service"):
        denied(
            psql(role),
            "UPDATE wf.gate_runs SET state = 'decided', verdict = 'GO'",
            "INSERT INTO wf.gate_runs (gate, gate_version, environment, ends_by) VALUES ('shop', 1, 'staging', now())",
            "INSERT INTO wf.gate_checks (run_id, name, kind, state, observed, observed_at)"
            f" VALUES ({run}, 'a', 'queue', 'pass', '{{}}', now())",
            "UPDATE wf.gate_checks SET state = 'pass'",
            "DELETE FROM wf.gate_runs",
            "TRUNCATE wf.gate_checks",
            "UPDATE wf.gate_versions SET definition = '{}'",
            "INSERT INTO wf.gate_latest (gate, environment, name, run_id) VALUES ('shop', 'production', 'a', 1)",
            "UPDATE wf.gate_waivers SET ends_at = now() + interval '1 year'",
            "UPDATE wf.gate_waivers SET approved_by = 'ana'",
            "DELETE FROM wf.gate_answers",
        )
    denied(psql("worker"), "SELECT wf.begin_gate_run('shop', 'staging', 'full', NULL, NULL)")
    refused(psql("worker"), "gate_run_not_yours", found(run))  # it records what it finds by a schedule, and no more
    refused(psql("worker"), "gate_run_not_yours", f"SELECT wf.decide_gate_run({run})")
    for role in ("viewer", "support", "service"):
        denied(psql(role), found(run), f"SELECT wf.decide_gate_run({run})",
               "SELECT wf.begin_gate_run('shop', 'staging', 'full', NULL, NULL)",
               "SELECT wf.gate_rows('shop', 1, 'a', 'staging', true)")  # fmt: skip
    refused(theirs, "gate_run_not_yours", found(run))
    refused(theirs, "gate_run_not_yours", f"SELECT wf.decide_gate_run({run})")
    refused(mine, "gate_check_unknown", found(run, "nope"))
    refused(mine, "gate_check_observed", found(run, observed="[]"))
    refused(mine, "gate_check_observed", f"SELECT wf.record_gate_check({run}, 'a', 'pass', '', 0, '', '', '', "
            "jsonb_build_object('x', repeat('x', 70000))::text, now(), 0)")  # fmt: skip
    for value in ("'NaN'", "'Infinity'"):
        infinite = f"SELECT wf.record_gate_check({run}, 'a', 'pass', '', {value}, '', '', '', '{{}}', now(), 0)"
        refused(mine, "gate_check_value", infinite)
    # A manual check is answered by a person, whoever records it; and nothing is seen in the future.
    mine.execute(found(run, "m"))
    mine.execute(found(run, "a", at="'2100-01-01'"))
    assert one(mine, "SELECT state, because FROM wf.gate_checks WHERE name = 'm'") == ("inconclusive", "unanswered")
    assert one(mine, "SELECT observed_at <= clock_timestamp() FROM wf.gate_checks WHERE name = 'a'") == (True,)
    with pytest.raises(errors.UniqueViolation):
        mine.execute(found(run, "a"))
    # Not even the owner of the tables writes a verdict that does not follow.
    refused(owner, "gate_verdict_follows", "UPDATE wf.gate_runs SET state = 'decided', verdict = 'GO'")
    for statement in ("UPDATE wf.gate_checks SET state = 'pass'", "DELETE FROM wf.gate_checks",
                      "TRUNCATE wf.gate_runs CASCADE", "DELETE FROM wf.gate_versions"):  # fmt: skip
        denied(owner, statement)
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        mine.execute(f"BEGIN ISOLATION LEVEL {level}".encode())
        refused(mine, "gate_isolation", f"SELECT wf.decide_gate_run({run})")
        mine.execute("ROLLBACK")
    assert one(mine, f"SELECT wf.decide_gate_run({run})") == ("INCONCLUSIVE",)
    assert one(mine, f"SELECT wf.decide_gate_run({run})") == ("INCONCLUSIVE",), "once, and the same"
    refused(mine, "gate_run_over", found(run, "a"))
    refused(owner, "gate_run_over", "UPDATE wf.gate_runs SET verdict = 'GO'")
    row = "SELECT operation, out_of_band, after ->> 'verdict' FROM wf.audit WHERE noun = 'decisions' ORDER BY seq DESC"
    assert one(psql("viewer"), row) == ("gates.decide", False, "INCONCLUSIVE")
    # One that never ended stays without a verdict.
    late = await begin(operator)
    owner.execute("ALTER TABLE wf.gate_runs DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.gate_runs SET ends_by = now() - interval '1 second' WHERE state = 'running'")
    owner.execute("ALTER TABLE wf.gate_runs ENABLE TRIGGER guard")
    refused(mine, "gate_run_over", found(late, "a"))
    refused(mine, "gate_run_late", f"SELECT wf.decide_gate_run({late})")
    assert (await operator.of(RunDirectory).get(late)).state == "lost"


async def test_a_waiver_needs_a_reason_an_end_and_in_production_a_second_person(
    admin: Home, operator: Home, psql: Psql
) -> None:
    await apply(admin, {"name": "a", "kind": "sql", "sql": TENANTS})
    mine, theirs = psql("operator"), psql("admin")
    make = (
        "INSERT INTO wf.gate_waivers (gate, check_name, environment, reason, ends_at) VALUES ('shop', {}) RETURNING id"
    )
    soon = "now() + interval '1 hour'"
    for constraint, given in (
        ("waiver_reason", f"'a', 'staging', ' ', {soon}"),
        ("waiver_past", "'a', 'staging', 'x', now()"),
        ("waiver_length", "'a', 'staging', 'x', now() + interval '15 days'"),
        ("waiver_environment", f"'a', 'Production', 'x', {soon}"),
        ("waiver_environment", f"'a', 'prod', 'x', {soon}"),
        ("gate_check_unknown", f"'b', 'staging', 'x', {soon}"),
    ):
        refused(mine, constraint, make.format(given))
    with pytest.raises(errors.NotNullViolation):
        mine.execute(make.format("'a', 'staging', 'x', NULL"))
    denied(psql("support"), make.format(f"'a', 'staging', 'x', {soon}"))
    made = await do(operator, "waivers.create", "tonight", gate="shop", environment="production", check_name="a",
                    until="6h")  # fmt: skip
    number, version = made.result["id"], made.result["version"]
    board = admin.of(GateDirectory)
    await ran(operator, await begin(operator, environment="production"))
    assert (await board.get("shop", "production")).standing == "NO_GO", "nobody has agreed yet"
    with pytest.raises(NotPermitted, match="second person"):
        await do(operator, "waivers.approve", id=number, version=version)
    refused(mine, "waiver_second_person", f"UPDATE wf.gate_waivers SET approved_at = now() WHERE id = {number}")
    await do(admin, "waivers.approve", id=number, version=version)
    row = await board.get("shop", "production")
    assert row.standing == "GO_WITH_CONDITIONS" and row.decision is not None, "without another run"
    assert [each.check for each in row.decision.conditions] == ["a"]
    assert row.closes_at == row.decision.checks[0].waiver.ends_at  # type: ignore[union-attr]
    assert one(mine, "SELECT created_by <> approved_by FROM wf.gate_waivers") == (True,)
    refused(theirs, "waiver_fixed", "UPDATE wf.gate_waivers SET approved_at = NULL")
    await do(admin, "waivers.end", id=number, version=version + 1)
    assert (await board.get("shop", "production")).standing == "NO_GO"
    refused(mine, "waiver_over", "UPDATE wf.gate_waivers SET ended_at = NULL")
    with pytest.raises(Refusal, match="over"):
        await do(admin, "waivers.end", id=number, version=version + 2)


async def test_gates_are_kept_as_versions_and_a_person_answers(admin: Home, operator: Home, psql: Psql) -> None:
    manual = {"name": "m", "kind": "manual", "question": "Is it?", "freshness": "1d"}
    board, runs = admin.of(GateDirectory), operator.of(RunDirectory)
    await apply(admin, manual)
    assert (await board.get("shop", "staging")).standing == "never"
    first = await ran(operator, await begin(operator))
    assert first.run.verdict == "INCONCLUSIVE"
    answer = {"gate": "shop", "environment": "staging", "check_name": "m"}
    with pytest.raises(Refusal, match="reason"):
        await do(operator, "gates.answer", "", **answer, answer="pass")
    await do(operator, "gates.answer", "seen", **answer, answer="pass")
    assert (await board.get("shop", "staging")).standing == "GO", "at once, without another run"
    assert (await ran(operator, await begin(operator))).run.verdict == "GO"
    assert (await board.get("shop", "production")).standing == "never", "what was found elsewhere says nothing here"
    refused(psql("operator"), "gate_not_manual",
            "INSERT INTO wf.gate_answers (gate, check_name, environment, answer, reason)"
            " VALUES ('shop', 'x', 'staging', 'pass', 'x')")  # fmt: skip
    again = await apply(admin, manual)
    assert again.result["unchanged"] == 1 and not again.rows
    changed = await apply(admin, manual, {"name": "late", "measure": "late_jobs"})
    assert "shop: check late is new" in changed.result["notes"]
    row = await board.get("shop", "staging")
    assert (row.version, row.standing) == (2, "INCONCLUSIVE"), "what an older version found says nothing of this one"
    [gate] = psql("viewer").execute("SELECT version, sha256 = encode(sha256(convert_to(definition, 'UTF8')), 'hex'),"
                                    " definition FROM wf.gate_versions WHERE version = 1").fetchall()  # fmt: skip
    assert gate[:2] == (1, True) and read(gate[2]).check("m")
    assert (await runs.whole(first.run.id)).definition == gate[2], "a run keeps the version that it was made with"
    with pytest.raises(NotPermitted):
        await apply(operator, manual, name="other")
    denied(psql("operator"), "UPDATE wf.gates SET definition = '{}'")
    for bad in ("{}", "[", '{"name": "shop", "checks": []}', "{}" + " " * 140_000):
        with pytest.raises(errors.CheckViolation):
            psql("admin").execute("UPDATE wf.gates SET definition = %s", [bad])
    with pytest.raises(Refusal, match="beyond the gate"):
        await ran(operator, await begin(operator, batch_size=2, batch_index=1))
    half = await ran(operator, await begin(operator, batch_size=1, batch_index=1))
    assert (list(half.results), half.run.verdict) == (["late"], "INCONCLUSIVE")
    assert (await board.get("shop", "staging")).standing == "GO", "the answer, and what the batch found"
    await do(admin, "gates.retire", gate="shop")
    with pytest.raises(NotFound):
        await begin(operator)
    assert (await board.get("shop", "staging")).standing == "retired"
    with pytest.raises(Refusal, match="retired"):
        await do(admin, "gates.retire", gate="shop")
    with pytest.raises(NotFound):
        await board.get("nope", "staging")
    with pytest.raises(Usage):
        await begin(operator, environment="prod")


def test_the_database_of_a_profile_is_reached_as_the_profile_says() -> None:
    stage = Profile("stage", "postgresql://ana@db.example:6432/shop", "staging", False)
    settings = dataclasses.replace(load(), profiles={"stage": stage})
    assert conninfo_to_dict(conninfo_of("stage", settings)) == {
        "user": "ana", "host": "db.example", "port": "6432", "dbname": "shop"
    }  # fmt: skip
    with pytest.raises(NotFound, match=r"no profile prod\. Profiles: stage"):
        conninfo_of("prod", settings)
