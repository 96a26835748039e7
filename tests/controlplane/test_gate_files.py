"""What a gate reads of the files of tools, and of JSON by a path: little, and never more than it can bear."""

from __future__ import annotations

import json

import pytest

from controlplane.errors import Refusal
from controlplane.gates import files, jsonpath


def test_junit_counts_errors_and_a_repeated_case_once() -> None:
    report = b"""<testsuites><testsuite><testcase classname="a" name="x"/><testcase classname="a" name="y"><failure/>
    </testcase><testcase classname="a" name="y"/><testcase classname="b" name="x"><error/></testcase>
    <testcase name="z"><skipped/></testcase></testsuite></testsuites>"""
    found = files.junit(report)
    assert (found["tests"], found["failures"], found["errors"], found["skipped"]) == (4, 0, 1, 1)
    assert found["failed"] == ["b.x"]
    for bad in (b"", b"<html/>", b'<!DOCTYPE x [<!ENTITY a "aaa">]><testsuite>&a;</testsuite>', b"<a" * 100_000,
                b"<testsuite>" + b"<a>" * 200):  # fmt: skip
        with pytest.raises(Refusal, match="cannot be read"):
            files.junit(bad)


def test_bills_of_materials_and_vulnerabilities_are_counted() -> None:
    bom = {"bomFormat": "CycloneDX", "components": [{"name": "a", "version": "1", "components": [{"name": "b"}]}]}
    assert files.sbom(json.dumps(bom).encode()) == {"format": "CycloneDX", "components": 2, "incomplete": 1}
    spdx = {"spdxVersion": "SPDX-2.3", "packages": [{"name": "a", "versionInfo": "NOASSERTION"}, 7]}
    assert files.sbom(json.dumps(spdx).encode()) == {"format": "SPDX", "components": 1, "incomplete": 1}
    trivy = {"Results": [{"Vulnerabilities": [{"Severity": "HIGH"}, {"Severity": "odd"}]}, {}]}
    assert files.vulnerabilities(json.dumps(trivy).encode())["counts"] == {
        "critical": 0, "high": 1, "medium": 0, "low": 0, "unknown": 1
    }  # fmt: skip
    sarif = {"version": "2.1.0", "runs": [{"tool": {"driver": {"rules": [
        {"id": "R", "properties": {"security-severity": "9.8"}}]}},
        "results": [{"ruleId": "R"}, {"ruleId": "S", "level": "warning"}]}]}  # fmt: skip
    counts = files.vulnerabilities(json.dumps(sarif).encode())["counts"]
    assert (counts["critical"], counts["medium"]) == (1, 1)
    for reader in (files.sbom, files.vulnerabilities):
        for bad in (b"[]", b"{}", b"[" * 100_000, b"\xff"):
            with pytest.raises(Refusal):
                reader(bad)


def test_a_path_finds_one_value_or_none() -> None:
    document = {"a": [{"b c": 1}, {"d": None}], "it's": True}
    assert jsonpath.find(document, "$.a[0]['b c']") == (True, 1)
    assert jsonpath.find(document, '$.a[-1]["d"]') == (True, None)
    assert jsonpath.find(document, "$['it\\'s']") == (True, True)
    assert jsonpath.find(document, "$.a[7].x") == (False, None)
    assert jsonpath.find(document, "$") == (True, document)
    for bad in ("a", "$.", "$[*]", "$..a", "$[?@.a]", "$['a", "$" + ".a" * 40):
        with pytest.raises(ValueError):
            jsonpath.check_path(bad)
