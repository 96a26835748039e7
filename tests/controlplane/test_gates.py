"""What a check's observation means, what a gate comes to, and that a summary alone says the same again."""

from __future__ import annotations

import json
import math
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Refusal, Usage
from controlplane.gates import standing, summary
from controlplane.gates.deciding import EXIT_CODES, decide, in_effect
from controlplane.gates.document import GateSpec, canonical, read, schema, whole, written
from controlplane.gates.engine import batch
from controlplane.gates.judging import MAX_NAMES, judge, trouble
from controlplane.gates.model import Answer, GateRow
from controlplane.gates.operations import GatesApply, differences
from controlplane.gates.shipped.texts import ORDER, text
from controlplane.gates.words import check_words, compared, opening_lines, why_lines
from controlplane.registry import named
from tests.controlplane.gates import NOW, gate, results, saw, waiver
from tests.controlplane.proofs import COSIGN_KEY, MINISIGN_KEY

NOTHING: dict[str, Any] = {}
HTTP = {"kind": "http", "url": "https://shop.example/health", "at_most": None}
JSON = HTTP | {"path": "$.error.share", "at_most": 1.5, "unit": "%"}
COMMAND = {"kind": "command", "run": ["smoke"], "at_most": None}
SQL = {"kind": "sql", "sql": "SELECT 1", "at_most": None}
OBJECTIVE = {"kind": "objective"}
ALERTS = {"kind": "alerts"}
KEYS = {"kind": "keys", "at_most": 1}
AUDIT = {"kind": "audit"}
JUNIT = {"kind": "junit", "file": "report.xml"}
SBOM = {"kind": "sbom", "file": "bom.json"}
VULNERABILITIES = {"kind": "vulnerabilities", "file": "trivy.json"}
EVIDENCE = {"kind": "evidence", "artefact": "junit"}
SIGNATURE = {"kind": "signature", "file": "shop.whl", "signature": "shop.whl.minisig", "key": MINISIGN_KEY}
PROVENANCE = {"kind": "provenance", "file": "shop.whl", "provenance": "shop.intoto.json", "keys": [COSIGN_KEY],
              "builders": ["https://ci.example/builder@v1"]}  # fmt: skip
RECORDED = {
    "id": 7,
    "environment": "staging",
    "sha256": "ab" * 32,
    "signature": "good",
    "signer": "0f8c",
    "age_seconds": 60,
}
SIGNED = {"tool": "minisign", "key": "AD9A", "holds": True, "comment": "2.4.0"}
BUILT = {"signers": ["0f8c"], "type": "https://slsa.dev/provenance/v1", "builder": "https://ci.example/builder@v1",
         "about_it": True}  # fmt: skip
MANUAL = {"kind": "manual", "question": "Was it rehearsed?"}
ANSWERS = {"objectives": [{"id": 1, "label": "checkout", "state": "ok", "left": 0.5}]}


def objective(state: str, left: float | None = None) -> dict[str, Any]:
    return {"objectives": [*ANSWERS["objectives"], {"id": 2, "label": "search", "state": state, "left": left}]}


def without_limit(check: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in check.items() if value is not None} | {"name": "it"}


def judged(check: dict[str, Any], observed: dict[str, Any]) -> tuple[str, str, float | None]:
    spec = without_limit(check)
    found = GateSpec.model_validate({"name": "shop", "owner": "ana", "checks": [spec]}).checks[0]
    said = judge(found, observed)
    assert said.state == "inconclusive" or (said.threshold and not said.because), "a verdict says what it was held to"
    return said.state, said.because, said.value


CASES = [
    (SQL, {"rows": 0, "sample": []}, ("pass", "", 0.0)),
    (SQL, {"rows": 21, "capped": True, "sample": [{"id": 1}]}, ("fail", "", 21.0)),
    (SQL | {"at_most": 5}, {"rows": 1, "sample": [{"value": 4}]}, ("pass", "", 4.0)),
    (SQL | {"at_most": 5}, {"rows": 1, "sample": [{"value": 6}]}, ("fail", "", 6.0)),
    (SQL | {"at_most": 5}, {"rows": 0, "sample": []}, ("inconclusive", "no_data", None)),
    (SQL | {"at_most": 5}, {"rows": 1, "sample": [{"value": None}]}, ("inconclusive", "no_data", None)),
    (SQL | {"at_most": 5}, {"rows": 1, "sample": [{"valeu": 1}]}, ("inconclusive", "unknown_metric", None)),
    (SQL | {"at_most": 5}, {"rows": 2, "sample": [{"value": 1}, {"value": 1}]}, ("inconclusive", "error", None)),
    (SQL | {"at_most": 5}, {"rows": 1, "sample": [{"value": "many"}]}, ("inconclusive", "error", None)),
    (SQL | {"at_least": 5}, {"rows": 1, "sample": [{"value": 10**400}]}, ("inconclusive", "error", None)),
    (SQL | {"equals": "on"}, {"rows": 1, "sample": [{"value": "on"}]}, ("pass", "", None)),
    (SQL | {"equals": True}, {"rows": 1, "sample": [{"value": 1}]}, ("fail", "", 1.0)),
    (HTTP, {"status": 200, "ms": 3.0}, ("pass", "", 200.0)),
    (HTTP, {"status": 503, "ms": 3.0}, ("fail", "", 503.0)),
    (HTTP | {"within_ms": 100}, {"status": 200, "ms": 100.1}, ("fail", "", 100.1)),
    (HTTP | {"within_ms": 100}, {"status": 200, "ms": 99.9}, ("pass", "", 99.9)),
    (JSON, {"status": 200, "ms": 1, "json": True, "found": True, "value": 1.5}, ("pass", "", 1.5)),
    (JSON, {"status": 200, "ms": 1, "json": True, "found": True, "value": 1.6}, ("fail", "", 1.6)),
    (JSON, {"status": 200, "ms": 1, "json": True, "found": False, "value": None},
     ("inconclusive", "unknown_metric", None)),
    (JSON, {"status": 200, "ms": 1, "json": True, "found": True, "value": None}, ("inconclusive", "no_data", None)),
    (JSON, {"status": 200, "ms": 1, "json": False}, ("inconclusive", "error", None)),
    (COMMAND, {"exit": 0}, ("pass", "", 0.0)),
    (COMMAND, {"exit": 3}, ("fail", "", 3.0)),
    (COMMAND, {"exit": -9}, ("fail", "", -9.0)),
    (COMMAND | {"path": "$.n", "at_least": 2}, {"exit": 0, "json": True, "found": True, "value": 2},
     ("pass", "", 2.0)),
    (COMMAND | {"path": "$.n", "at_least": 2}, {"exit": 0, "json": False}, ("inconclusive", "error", None)),
    (OBJECTIVE, ANSWERS, ("pass", "", 0.0)),
    (OBJECTIVE, objective("page", -0.1), ("fail", "", 1.0)),
    (OBJECTIVE, objective("insufficient data"), ("inconclusive", "no_traffic", None)),
    (OBJECTIVE, objective("unknown"), ("inconclusive", "no_data", None)),
    (OBJECTIVE, {"objectives": []}, ("inconclusive", "unknown_metric", None)),
    (OBJECTIVE | {"left_at_least": 40}, ANSWERS, ("pass", "", 50.0)),
    (OBJECTIVE | {"left_at_least": 60}, ANSWERS, ("fail", "", 50.0)),
    (OBJECTIVE | {"left_at_least": 40}, objective("ok"), ("inconclusive", "no_data", None)),
    ({"kind": "queue", "at_most": 0}, {"found": True, "value": 0}, ("pass", "", 0.0)),
    ({"kind": "queue", "at_most": 0}, {"found": True, "value": 1}, ("fail", "", 1.0)),
    ({"kind": "queue", "at_most": 0, "source": "x"}, {"found": False, "value": None},
     ("inconclusive", "unknown_metric", None)),
    (KEYS, {"stale": 1, "late": 0}, ("pass", "", 1.0)),
    (KEYS, {"stale": 1, "late": 1}, ("fail", "", 2.0)),
    (ALERTS, {"firing": 0, "unknown": 0, "evaluated": True}, ("pass", "", 0.0)),
    (ALERTS, {"firing": 2, "unknown": 0, "evaluated": False}, ("fail", "", 2.0)),
    (ALERTS, {"firing": 0, "unknown": 0, "evaluated": False}, ("inconclusive", "no_data", None)),
    (ALERTS, {"firing": 0, "unknown": 1, "evaluated": True}, ("inconclusive", "no_data", None)),
    (AUDIT, {"trouble_words": None, "signed_seconds": 60, "signed": 9, "written": 9, "late": False},
     ("pass", "", 60.0)),
    (AUDIT, {"trouble_words": None, "signed_seconds": 90000, "signed": 9, "written": 9, "late": False},
     ("fail", "", 90000.0)),
    (AUDIT, {"trouble_words": "row 3 was changed", "signed_seconds": 60, "signed": 9, "written": 9, "late": True},
     ("fail", "", None)),
    (AUDIT, {"trouble_words": None, "signed_seconds": None, "signed": None, "written": 9, "late": False},
     ("inconclusive", "no_data", None)),
    (JUNIT, {"tests": 5, "failures": 0, "errors": 0, "skipped": 1, "failed": []}, ("pass", "", 0.0)),
    (JUNIT, {"tests": 5, "failures": 0, "errors": 1, "skipped": 0, "failed": ["a.b"]}, ("fail", "", 1.0)),
    (JUNIT, {"tests": 0, "failures": 0, "errors": 0, "skipped": 0, "failed": []}, ("inconclusive", "no_data", None)),
    (JUNIT, {"tests": 2, "failures": 0, "errors": 0, "skipped": 2, "failed": []}, ("inconclusive", "no_data", None)),
    (JUNIT | {"skipped_at_most": 0}, {"tests": 2, "failures": 0, "errors": 0, "skipped": 1, "failed": []},
     ("fail", "", 1.0)),
    (SBOM, {"format": "SPDX", "components": 3, "incomplete": 0}, ("pass", "", 3.0)),
    (SBOM, {"format": "SPDX", "components": 3, "incomplete": 1}, ("fail", "", 3.0)),
    (SBOM, {"format": "SPDX", "components": 0, "incomplete": 0}, ("fail", "", 0.0)),
    (VULNERABILITIES, {"counts": {"low": 9}, "scanned": 1}, ("pass", "", 0.0)),
    (VULNERABILITIES, {"counts": {"high": 2, "low": 9}, "scanned": 1}, ("fail", "", 2.0)),
    (VULNERABILITIES, {"counts": {}, "scanned": 0}, ("inconclusive", "no_data", None)),
    (EVIDENCE, RECORDED, ("pass", "", 60.0)),
    (EVIDENCE, RECORDED | {"signature": "unverified", "signer": ""}, ("fail", "", 60.0)),
    (EVIDENCE | {"signed": False}, RECORDED | {"signature": "none", "signer": ""}, ("pass", "", 60.0)),
    (EVIDENCE, {"id": None, "environment": "staging"}, ("inconclusive", "no_data", None)),
    (EVIDENCE, {"id": 7}, ("inconclusive", "error", None)),
    (SIGNATURE, SIGNED, ("pass", "", 1.0)),
    (SIGNATURE, SIGNED | {"holds": False}, ("fail", "", 0.0)),
    (SIGNATURE, SIGNED | {"holds": "yes"}, ("fail", "", 0.0)),
    (SIGNATURE, {"tool": "minisign"}, ("inconclusive", "error", None)),
    (SIGNATURE, trouble("no_data", "There is no file shop.whl."), ("inconclusive", "no_data", None)),
    (PROVENANCE, BUILT, ("pass", "", 1.0)),
    (PROVENANCE, BUILT | {"signers": []}, ("fail", "", 0.0)),
    (PROVENANCE, BUILT | {"builder": "https://ci.example/builder@v2"}, ("fail", "", 1.0)),
    (PROVENANCE, BUILT | {"builder": ""}, ("fail", "", 1.0)),
    (PROVENANCE, BUILT | {"about_it": False}, ("fail", "", 1.0)),
    (PROVENANCE, {"signers": ["x"]}, ("inconclusive", "error", None)),
    (PROVENANCE, trouble("no_data", "There is no file shop.intoto.json."), ("inconclusive", "no_data", None)),
    (MANUAL, {"answer": "pass", "by": "ana", "reason": "yes"}, ("pass", "", None)),
    (MANUAL, {"answer": "fail", "by": "ana", "reason": "no"}, ("fail", "", None)),
    (MANUAL, {"answer": None}, ("inconclusive", "unanswered", None)),
]  # fmt: skip
EVERY = [SQL, HTTP, COMMAND, OBJECTIVE, {"kind": "queue", "at_most": 0}, KEYS, ALERTS, AUDIT, JUNIT, SBOM,
         VULNERABILITIES, EVIDENCE, SIGNATURE, PROVENANCE, MANUAL]  # fmt: skip


def test_each_kind_passes_fails_or_says_why_nothing_is_known() -> None:
    for check, observed, expected in CASES:
        assert judged(check, observed) == expected, (check, observed)


def test_a_check_that_errs_never_passes() -> None:
    """Argo Rollouts #4479: all measurements failed, and it was a success."""
    for check in EVERY:
        for word in ("error", "time_limit", "no_data", "no_traffic", "unknown_metric", "not_here", "what is this"):
            state, because, value = judged(check, trouble(word, "it broke"))  # type: ignore[arg-type]
            assert (state, value) == ("inconclusive", None) and because in (word, "error")
        assert judged(check, NOTHING)[0] == "inconclusive"


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted({name for _, seen, _ in CASES for name in seen})), JUNK, max_size=6))
def test_whatever_is_observed_is_judged(observed: dict[str, Any]) -> None:
    for check in EVERY:
        state, because, value = judged(check, observed)
        assert value is None or math.isfinite(value)
        assert (state == "inconclusive") == bool(because)


# What a gate comes to

A, B, C = {"name": "a"}, {"name": "b"}, {"name": "c", "required": False}


def verdict(definition: Any, found: dict[str, Any], *waivers: Any, environment: str = "staging", at: Any = NOW) -> str:
    return decide(definition, found, waivers, environment, at).verdict


def test_a_gate_is_open_only_when_everything_required_passes_or_is_waived() -> None:
    shop = gate(A, B, C)
    assert verdict(shop, results(shop, a=0, b=0, c=0)) == "GO"
    assert verdict(shop, results(shop, a=0, b=0, c=3)) == "GO_WITH_CONDITIONS"
    assert verdict(shop, results(shop, a=1, b=0, c=0)) == "NO_GO"
    assert verdict(shop, results(shop, a=1, b=trouble("error", ""), c=0)) == "NO_GO"
    assert verdict(shop, results(shop, a=0, b=trouble("error", ""), c=0)) == "INCONCLUSIVE"
    assert verdict(shop, results(shop, a=0, c=0)) == "INCONCLUSIVE", "one is missing, as while a run is going on"
    assert verdict(shop, {}) == "INCONCLUSIVE"
    broken_off = results(shop, a=0, b=trouble("not_run", "its run was broken off"), c=0)
    assert verdict(shop, broken_off) == "INCONCLUSIVE", "Argo Rollouts #2158, #943: what was broken off is no success"
    assert verdict(shop, results(shop, a=0, b=1, c=0), waiver("b")) == "GO_WITH_CONDITIONS"
    assert [EXIT_CODES[each] for each in ("GO", "GO_WITH_CONDITIONS", "NO_GO", "INCONCLUSIVE")] == [0, 10, 20, 30]


def test_conditions_have_an_owner_and_a_date() -> None:
    shop = gate(A, B, C | {"owner": "ben", "due": "2d"})
    decision = decide(shop, results(shop, a=0, b=1, c=1), [waiver("b", 60)], "staging", NOW)
    told = [(each.check, each.state, each.owner, each.due - NOW) for each in decision.conditions]
    assert told == [("b", "waived", "ana", timedelta(minutes=1)), ("c", "fail", "ben", timedelta(days=2))]


def test_what_passed_too_long_ago_is_stale_and_what_failed_stays_failed() -> None:
    shop = gate(A | {"freshness": "1h"}, B | {"freshness": "1h"})
    old = {name: saw(shop, name, {"value": 0}, ago=3600) for name in "ab"}
    assert verdict(shop, old) == "GO", "on the second it still holds"
    assert verdict(shop, old, at=NOW + timedelta(seconds=1)) == "INCONCLUSIVE"
    failed = old | {"a": saw(shop, "a", {"value": 1}, ago=99_999)}
    assert verdict(shop, failed) == "NO_GO"


def test_in_production_a_waiver_opens_nothing_until_a_second_person_agrees() -> None:
    alone = waiver("a", environment="production")
    assert not in_effect(alone, NOW)
    agreed = waiver("a", environment="production", approved_at=NOW, approved_by="ben")
    assert in_effect(agreed, NOW) and not in_effect(agreed, NOW - timedelta(seconds=1))
    assert in_effect(waiver("a"), NOW)
    assert not in_effect(waiver("a", 0), NOW), "at its end it is over"
    assert not in_effect(waiver("a", ended_at=NOW, ended_by="ben"), NOW)
    shop = gate(A)
    other = [waiver("a", gate="other"), waiver("b"), waiver("a", environment="production")]
    assert verdict(shop, results(shop, a=1), *other) == "NO_GO"


def test_when_an_open_gate_closes_by_itself_is_known() -> None:
    shop = gate(A | {"freshness": "1d"}, B)
    found = results(shop, a=0, b=1)
    closes = standing.closes_at(shop, found, [waiver("b", 7200)], "staging", NOW)
    assert closes == NOW + timedelta(hours=2)
    longer = [waiver("b", 10 * 86_400)]
    closes = standing.closes_at(shop, found, longer, "staging", NOW)
    assert closes is not None and 0 < (closes - NOW - timedelta(days=1)).total_seconds() < 1, "then a is stale"
    assert standing.closes_at(shop, found, [], "staging", NOW) is None, "it is closed already"


def test_a_persons_answer_counts_at_once_and_the_newest_does() -> None:
    """Argo Rollouts #3015: stuck after an inconclusive measurement."""
    shop = gate(MANUAL | {"name": "m"})
    ran = {"m": saw(shop, "m", {"answer": None}, ago=60)}
    yes = Answer("m", "pass", "done", NOW, "ben")
    assert verdict(shop, ran) == "INCONCLUSIVE"
    assert verdict(shop, standing.with_answers(shop, ran, [yes])) == "GO"
    earlier = Answer("m", "fail", "no", NOW - timedelta(hours=1), "ben")
    assert verdict(shop, standing.with_answers(shop, ran, [earlier])) == "INCONCLUSIVE", "the run is newer"


# A summary alone


def summarised(shop: Any, found: Any, *waivers: Any, **about: Any) -> dict[str, Any]:
    decision = decide(shop, found, waivers, "staging", NOW)
    run = {"run": 1, "gate": "shop", "version": 1, "environment": "staging", "mode": "full",
           "batch_size": None, "batch_index": None, "started_at": summary.stamp(NOW), "by": "ana"}  # fmt: skip
    made = summary.summary_of(run | about, written(shop), decision, found, waivers)
    return json.loads(json.dumps(made))


def test_a_decision_is_computed_again_from_the_summary_alone() -> None:
    rng = random.Random(4)
    shop = gate(A, B, C)
    for _ in range(40):
        found = results(shop, **{n: rng.choice((0, 1, trouble("error", ""))) for n in "abc" if rng.random() < 0.9})
        waivers = [waiver(n, rng.choice((-5, 900)), id=ord(n)) for n in "abc" if rng.random() < 0.3]
        made = summarised(shop, found, *waivers)
        again = summary.recompute([summary.read(json.dumps(made))])
        assert again.verdict == made["verdict"]
        assert [each.state for each in again.checks] == [each["state"] for each in made["checks"]]


def alterations(made: dict[str, Any]) -> Any:
    """The document with one thing changed."""
    for path in (("verdict",), ("inputs_sha256",), ("definition_sha256",), ("checks", 0, "state"), ("gate",),
                 ("checks", 0, "observed"), ("checks", 0, "observed_sha256"), ("definition",), ("decided_at",),
                 ("waivers", 0, "ends_at"), ("conditions", 0, "due"), ("waivers", 0, "created_at")):  # fmt: skip
        other = json.loads(json.dumps(made))
        node: Any = other
        for part in path[:-1]:
            node = node[part]
        last, value = path[-1], node[path[-1]]
        node[last] = {
            "verdict": "GO",
            "state": "waived",
            "decided_at": "2036-01-01T00:00:00Z",
            "ends_at": "2020-01-01T00:00:00Z",
            "due": "2030-01-01T00:00:00Z",
            "created_at": "2030-01-01T00:00:00Z",
        }.get(str(last), str(value).replace("0", "1", 1) if "sha" in str(last) else str(value).replace("a", "b", 1))
        if node[last] == value:
            node[last] = value[:-1] + ("0" if value[-1] != "0" else "1")
        yield path, other


def test_an_altered_summary_does_not_agree_with_itself() -> None:
    shop = gate(A, B, C)
    made = summarised(shop, results(shop, a=0, b=1, c=0), waiver("b"))
    assert summary.recompute([summary.read(json.dumps(made))]).verdict == "GO_WITH_CONDITIONS"
    for path, other in alterations(made):
        with pytest.raises(Refusal) as refused:
            summary.recompute([summary.read(json.dumps(other))])
        assert refused.value.code in ("summary_altered", "summary_unreadable", "gate_unreadable"), path
    with pytest.raises(Usage, match="no summary"):
        summary.read("[]")


def test_batches_together_are_exactly_one_run() -> None:
    shop = gate(*({"name": f"c{number}"} for number in range(7)))
    for size in range(1, 9):
        parts = [batch(shop, size, index) for index in range(-(-7 // size))]
        assert [check for part in parts for check in part] == shop.checks
    every = results(shop, **{check.name: 0 for check in shop.checks})
    halves = [
        summarised(shop, {n: every[n] for n in names}, batch_size=4, batch_index=place)
        for place, names in enumerate((["c0", "c1", "c2", "c3"], ["c4", "c5", "c6"]))
    ]
    read_ = [summary.read(json.dumps(each)) for each in halves]
    assert [each.verdict for each in read_] == ["INCONCLUSIVE", "INCONCLUSIVE"], "a part alone opens nothing"
    assert summary.recompute(read_).verdict == "GO"
    other = gate(A, name="other")
    with pytest.raises(Usage, match="several gates"):
        summary.recompute([read_[0], summary.read(json.dumps(summarised(other, {}, gate="other")))])


# What is written


def fault(checks: list[dict[str, Any]], **more: Any) -> str:
    with pytest.raises(Usage) as refused:
        named("gates.apply").parse({"gates": [{"name": "shop", "owner": "ana", "checks": checks} | more]})
    return str(refused.value)


def test_a_gate_file_says_what_is_wrong_and_where() -> None:
    """Chainloop #1227: a name that stands twice is an error."""
    good = {"name": "a", "kind": "queue", "at_most": 0}
    assert "gates.0: checks.1.name: the check a is there twice" in fault([good, good])
    assert "gates.0.checks.0.queue.at_mst" in fault([good | {"at_mst": 1}])
    assert "give one of" in fault([good | {"at_least": 1}])
    assert "give at_most" in fault([{"name": "a", "kind": "queue"}])
    assert "a path needs a limit" in fault([HTTP_SPEC | {"path": "$.x"}])
    assert "no password" in fault([HTTP_SPEC | {"url": "https://ana:secret@shop.example/"}])
    assert "without '..'" in fault([{"name": "a", "kind": "junit", "file": "../x"}])
    assert "below the folder" in fault([{"name": "a", "kind": "junit", "file": "/etc/passwd"}])
    assert "a path has names" in fault([HTTP_SPEC | {"path": "$..x", "at_most": 1}])
    assert "a gate needs a check" in fault([])
    for twice in ([good], [good]):
        with pytest.raises(Usage, match="the gate shop is there twice"):
            named("gates.apply").parse({"gates": [{"name": "shop", "owner": "ana", "checks": twice}] * 2})


HTTP_SPEC = {"name": "a", "kind": "http", "url": "https://shop.example/"}


def test_a_gate_that_includes_others_holds_their_checks() -> None:
    core = gate(A, C, name="core")
    spec = {"name": "release", "owner": "rel", "include": [{"gate": "core"}], "checks": [MANUAL | {"name": "m"}]}
    release = whole(GateSpec.model_validate(spec), {"core": core})
    assert [(each.name, each.owner, each.required) for each in release.checks] == [
        ("m", "rel", True), ("core/a", "ana", True), ("core/c", "ana", False)
    ]  # fmt: skip
    soft = whole(GateSpec.model_validate(spec | {"include": [{"gate": "core", "advisory": True}]}), {"core": core})
    assert [each.required for each in soft.checks] == [True, False, False]
    assert read(written(release)) == release
    for bad, words in (
        (spec | {"include": [{"gate": "nope"}]}, "which is no gate"),
        (spec | {"include": [{"gate": "core", "advisory": True}], "checks": []}, "none of its checks is required"),
    ):
        with pytest.raises(Usage, match=words):
            whole(GateSpec.model_validate(bad), {"core": core})
    with pytest.raises(Usage, match="itself includes"):
        whole(GateSpec.model_validate(spec | {"name": "x", "include": [{"gate": "release"}]}), {"release": release})


def test_the_shipped_gates_can_be_kept_and_each_check_says_its_owner() -> None:
    import yaml

    items = yaml.safe_load(text())
    request = GatesApply.model_validate({"gates": items})
    known: dict[str, Any] = {}
    for spec in request.gates:
        known[spec.name] = whole(spec, known)
    assert tuple(known) == ORDER
    assert all(check.owner for each in known.values() for check in each.checks)
    assert len(known["release"].checks) == sum(len(known[name].checks) for name in ORDER[:5]) + 1
    assert canonical(schema())


def test_the_certification_needs_every_packet_and_tells_what_is_put_off() -> None:
    import yaml

    [certification] = GatesApply.model_validate({"gates": yaml.safe_load(text(["certification"]))}).gates
    packets = whole(certification, {})
    lanes = [check.name.partition("-")[0] for check in packets.checks]
    assert (lanes.count("readiness"), lanes.count("operations"), lanes[-1]) == (9, 7, "accepted")

    def decided(*without: str) -> tuple[str, list[str]]:
        seen = {
            "evidence": RECORDED | {"signature": "none", "signer": ""}, "sql": {"rows": 0, "sample": []},
            "objective": ANSWERS, "manual": {"answer": "pass", "by": "ana", "reason": "read"},
        }  # fmt: skip
        found = {c.name: saw(packets, c.name, seen[c.kind]) for c in packets.checks if c.name not in without}
        decision = decide(packets, found, [], "production", NOW)
        return decision.verdict, [each.check for each in decision.conditions]

    assert decided() == ("GO", [])
    assert decided("operations-load", "readiness-metrics") == (
        "GO_WITH_CONDITIONS", ["readiness-metrics", "operations-load"],
    )  # fmt: skip
    for each in packets.checks:
        if each.required:
            assert decided(each.name)[0] == "INCONCLUSIVE", each.name


def test_what_an_apply_changes_is_told() -> None:
    assert differences(None, gate(A, C)) == ["shop: new, 2 checks, 1 of them required"]
    assert differences(gate(A, B), gate(A | {"at_most": 3}, C | {"required": True})) == [
        "shop: check c is new", "shop: check b is removed", "shop: check a changes in at_most"
    ]  # fmt: skip


# Words


def test_why_it_is_closed_and_the_smallest_set_that_opens_it() -> None:
    shop = gate(A, B | {"owner": "ben", "means": "no orders are lost"}, C)
    found = results(shop, a=0, b=2, c=trouble("no_data", "nobody measured"))
    decision = decide(shop, found, [], "staging", NOW)
    row = GateRow("shop", "staging", decision.verdict, 1, "f" * 64, "ana", 3, ("b",), None, NOW, 7, ("GO", "NO_GO"),
                  decision)  # fmt: skip
    told = "\n".join(line if isinstance(line, str) else line[0] for line in why_lines(row, NOW))
    for words in ("shop in staging: NO GO", "b: fail", "found 2 messages, held to at most 0", "owner ben, no orders",
                  "what must change to open it: 1 of 3", "at most 0; or it is waived", "no data: nobody"):  # fmt: skip
        assert words in told
    assert opening_lines(decide(shop, results(shop, a=0, b=0), [], "staging", NOW)) == []
    rows = [standing.check_row(each) for each in decision.checks]
    assert "2 messages (at most 0)" in check_words(rows[1], NOW), "value, unit and threshold are in every verdict"
    again = decide(shop, results(shop, a=0, b=0, c=0), [], "staging", NOW)
    after = [standing.check_row(each) for each in again.checks]
    assert [each[0] for each in compared(rows, after)] == ["b", "c"]


def test_what_opens_a_check_depends_on_why_it_is_closed() -> None:
    checks = (
        *(A, B | {"freshness": "1h"}, {"name": "c"}, {"name": "new"}),
        *(
            {"name": "tool", "kind": "command", "run": ["true"]},
            {"name": "asked", "kind": "manual", "question": "ready?"},
        ),
    )
    shop = gate(*checks)
    found = results(shop, a=2, c=trouble("no_data", "nobody measured")) | {
        "b": saw(shop, "b", {"found": True, "value": 0}, ago=7200)
    }
    told = opening_lines(decide(shop, found, [], "staging", NOW))[2:]
    assert told == [
        "  a: at most 0; or it is waived",
        "  b: it is run again",
        "  c: it gives a result (now: no data); or it is waived",
        "  new: it is run",
        "  tool: it is run with --commands",
        "  asked: somebody answers it (gates answer)",
    ]


def test_a_check_that_went_back_and_forth_is_flaky() -> None:
    states = [{"a": "pass", "b": "fail"}, {"a": "fail", "b": "fail"}, {"a": "pass", "b": "pass"}]
    assert standing.flaky(states) == ("a",)
    assert standing.flaky(states[:2]) == ()


def test_of_many_objectives_that_burn_the_first_are_named() -> None:
    shop = gate({"name": "slo", **OBJECTIVE})
    for state, words in (("page", "burns its budget: "), ("unknown", "nothing is known of ")):
        found = [{"id": n, "label": f"o{n}", "state": state, "left": None} for n in range(MAX_NAMES + 1)]
        named = ", ".join(f"o{n}" for n in range(MAX_NAMES))
        assert saw(shop, "slo", {"objectives": found}).judged.words == words + named


@pytest.mark.parametrize(("left", "state"), [(0.4, "pass"), (0.3912345, "fail"), (0.4765432, "pass")])
def test_an_objective_keeps_at_least_its_share_of_the_budget(left: float, state: str) -> None:
    shop = gate({"name": "slo", **OBJECTIVE, "left_at_least": 40})
    judged = saw(shop, "slo", objective("ok", left)).judged
    assert (judged.state, judged.value, judged.unit) == (state, round(left * 100, 3), "%")


def test_of_two_waivers_of_a_check_the_later_end_counts() -> None:
    shop = gate(B)
    for order in (1, -1):
        waivers = [waiver("b", 60), waiver("b", 7200, id=2)][::order]
        [check] = decide(shop, results(shop, b=1), waivers, "staging", NOW).checks
        assert check.waiver is not None and check.waiver.id == 2
