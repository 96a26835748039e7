"""A gate's definition as it is kept, what its file leaves out, and values in JSON documents by their path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controlplane.errors import Usage
from controlplane.gates.document import MAX_CHECKS, GateSpec, read, whole, written
from controlplane.gates.jsonpath import MAX_SEGMENTS, find, segments
from tests.controlplane.gates import gate


def test_a_definition_of_another_version_says_what_cannot_be_read() -> None:
    shop = gate({"name": "a"})
    assert read(written(shop)) == shop
    fields = json.loads(written(shop)) | {f"field{n}": n for n in range(9)}
    with pytest.raises(Usage) as refused:
        read(json.dumps(fields))
    assert refused.value.code == "gate_unreadable" and refused.value.message.count("field") == 5


# A value in a document


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", (True, {"a": [1, {"p 95": 2}], "n": None})),
        ("$.a[0]", (True, 1)),
        ("$.a[-2]", (True, 1)),
        ("$.a[1]['p 95']", (True, 2)),
        ("$.n", (True, None)),
        ("$.a[2]", (False, None)),
        ("$.a[-3]", (False, None)),
        ("$.a.b", (False, None)),
        ("$.b", (False, None)),
        ("$[0]", (False, None)),
        ("$.n.x", (False, None)),
    ],
)
def test_a_path_finds_one_value_or_none(path: str, found: tuple[bool, Any]) -> None:
    assert find({"a": [1, {"p 95": 2}], "n": None}, path) == found


def test_a_path_is_of_names_and_numbers_and_bounded() -> None:
    assert segments("$.a[-1]['it\\'s'][\"\\\\\"]") == ["a", -1, "it's", "\\"]
    assert len(segments("$" + ".a" * MAX_SEGMENTS)) == MAX_SEGMENTS
    for wrong in ("", "a", "$a", "$.", "$.a[*]", "$..a", "$.a b", "$" + ".a" * (MAX_SEGMENTS + 1)):
        with pytest.raises(ValueError, match="a path"):
            segments(wrong)


@pytest.mark.parametrize(
    ("check", "defaults"),
    [
        (
            {"at_most": 0},
            {"freshness": 86_400, "limit": 30, "due": 604_800, "required": True, "measure": "dead_letters"},
        ),
        ({"kind": "http", "url": "https://shop.example"}, {"status": [200], "within_ms": None, "path": ""}),
        ({"kind": "command", "run": ["true"]}, {"exit": [0], "path": ""}),
        ({"kind": "keys"}, {"at_most": 0}),
        ({"kind": "audit"}, {"signed_within": 86_400}),
        ({"kind": "alerts"}, {"severity": "error"}),
        ({"kind": "junit", "file": "report.xml"}, {"at_most": 0, "skipped_at_most": None}),
        ({"kind": "sbom", "file": "bom.json"}, {"components_at_least": 1}),
        (
            {"kind": "vulnerabilities", "file": "trivy.json"},
            {"critical": 0, "high": 0, "medium": None, "low": None, "unknown": 0},
        ),
    ],
)
def test_what_a_gate_file_leaves_out_is_the_strict_default(check: dict[str, Any], defaults: dict[str, Any]) -> None:
    made = gate({"name": "x", **check}).check("x")
    assert made is not None
    kept = made.model_dump()
    assert {name: kept[name] for name in defaults} == defaults


def test_a_gate_has_at_most_200_checks_with_those_it_includes() -> None:
    other = gate({"name": "a"}, name="other")
    checks = [{"kind": "queue", "at_most": 0, "name": f"c{n}"} for n in range(MAX_CHECKS)]

    def made(number: int) -> int:
        spec = {"name": "shop", "owner": "ana", "checks": checks[:number], "include": [{"gate": "other"}]}
        return len(whole(GateSpec.model_validate(spec), {"other": other}).checks)

    assert MAX_CHECKS == 200 and made(MAX_CHECKS - 1) == MAX_CHECKS
    with pytest.raises(Usage, match="it has 201 checks; 200 are the most"):
        made(MAX_CHECKS)
