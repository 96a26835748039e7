"""What files of tools say, as little of them as a check needs: JUnit XML, CycloneDX and SPDX, Trivy and SARIF.

Every file is foreign: its size is bounded before it is read, XML takes no entity, and what it says is only counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from xml.parsers import expat

from controlplane import jsontext
from controlplane.errors import Refusal
from controlplane.text import clean

MAX_BYTES = 32 * 1024 * 1024
MAX_NAMES = 20
MAX_DEPTH = 64
SEVERITIES = ("critical", "high", "medium", "low", "unknown")


def unreadable(words: str) -> Refusal:
    return Refusal("artefact_unreadable", f"The file cannot be read: {clean(words, 200)}.")


class _Junit:
    """Counts test cases. One that stands there twice, as after a retry, counts once, by its last outcome."""

    def __init__(self) -> None:
        self.cases: dict[tuple[str, str], str] = {}
        self.case: tuple[str, str] | None = None
        self.depth = 0
        self.root = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise unreadable(f"nested deeper than {MAX_DEPTH} levels")
        name = name.rpartition(":")[2]
        self.root = self.root or name
        if name == "testcase":
            self.case = (attributes.get("classname", ""), attributes.get("name", ""))
            self.cases[self.case] = "passed"
        elif self.case is not None and name in ("failure", "error", "skipped"):
            worse = {"passed": 0, "skipped": 1, "failure": 2, "error": 3}
            if worse[name] > worse[self.cases[self.case]]:
                self.cases[self.case] = name

    def end(self, name: str) -> None:
        self.depth -= 1
        if name.rpartition(":")[2] == "testcase":
            self.case = None


def junit(content: bytes) -> dict[str, Any]:
    """Raises Refusal `artefact_unreadable`."""
    found = _Junit()
    parser = expat.ParserCreate()

    def refuse(*given: object) -> None:
        raise unreadable("a document type is not taken")

    parser.StartElementHandler, parser.EndElementHandler = found.start, found.end
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise unreadable(f"line {error.lineno}: it is not XML") from None
    if found.root not in ("testsuites", "testsuite"):
        raise unreadable("it is not a JUnit report")
    outcomes = list(found.cases.values())
    failed = [
        f"{case[0]}.{case[1]}".strip(".") for case, outcome in found.cases.items() if outcome in ("failure", "error")
    ]
    return {
        "tests": len(outcomes),
        "failures": outcomes.count("failure"),
        "errors": outcomes.count("error"),
        "skipped": outcomes.count("skipped"),
        "failed": [clean(each, 200) for each in failed[:MAX_NAMES]],
    }


def sbom(content: bytes) -> dict[str, Any]:
    """Raises Refusal `artefact_unreadable`."""
    document = _json(content)
    if document.get("bomFormat") == "CycloneDX":
        kind, components = "CycloneDX", list(_nested(_items(document, "components")))
        bare = sum(1 for each in components if not (_text(each.get("name")) and _text(each.get("version"))))
    elif _text(document.get("spdxVersion")):
        kind, components = "SPDX", [each for each in _items(document, "packages") if isinstance(each, dict)]
        bare = sum(1 for each in components if not (_text(each.get("name")) and _text(each.get("versionInfo"))))
    else:
        raise unreadable("it is neither CycloneDX nor SPDX JSON")
    return {"format": kind, "components": len(components), "incomplete": bare}


def vulnerabilities(content: bytes) -> dict[str, Any]:
    """Raises Refusal `artefact_unreadable`."""
    document = _json(content)
    if isinstance(document.get("runs"), list) and "sarif" in str(document.get("$schema", "sarif")).lower():
        counts, scanned, kind = _sarif(document)
    elif "Results" in document or document.get("ArtifactName"):
        results = [each for each in _items(document, "Results") if isinstance(each, dict)]
        found = [v for each in results for v in _items(each, "Vulnerabilities") if isinstance(v, dict)]
        counts = _counts(str(each.get("Severity", "unknown")) for each in found)
        scanned, kind = len(results), "Trivy"
    else:
        raise unreadable("it is neither Trivy's JSON nor SARIF")
    return {"format": kind, "counts": counts, "scanned": scanned}


def _sarif(document: Mapping[str, Any]) -> tuple[dict[str, int], int, str]:
    words = []
    runs = [each for each in document["runs"] if isinstance(each, dict)]
    for run in runs:
        driver = (run.get("tool") or {}).get("driver") if isinstance(run.get("tool"), dict) else None
        rules = {r.get("id"): r for r in _items(driver or {}, "rules") if isinstance(r, dict)}
        for result in _items(run, "results"):
            if isinstance(result, dict):
                words.append(_sarif_severity(result, rules.get(result.get("ruleId")) or {}))
    return _counts(words), len(runs), "SARIF"


def _sarif_severity(result: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    """By the CVSS score of `security-severity`, as GitHub reads it; without one by the level."""
    for each in (result, rule):
        properties = each.get("properties")
        score = properties.get("security-severity") if isinstance(properties, dict) else None
        try:
            number = float(str(score))
        except ValueError:
            continue
        return "critical" if number >= 9 else "high" if number >= 7 else "medium" if number >= 4 else "low"
    return {"error": "high", "warning": "medium", "note": "low"}.get(str(result.get("level", "")), "unknown")


def _counts(words: Iterator[str] | Sequence[str]) -> dict[str, int]:
    counts = dict.fromkeys(SEVERITIES, 0)
    for word in words:
        name = word.lower()
        counts[name if name in counts else "unknown"] += 1
    return counts


def _nested(components: Sequence[Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    for each in components:
        if isinstance(each, dict):
            yield each
            yield from _nested(_items(each, "components"), depth + 1)


def _items(document: Mapping[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    return found if isinstance(found, list) else []


def _text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() not in ("", "NOASSERTION")


def _json(content: bytes) -> Mapping[str, Any]:
    try:
        document = jsontext.read(content)
    except ValueError as error:
        raise unreadable(str(error)) from None
    if not isinstance(document, dict):
        raise unreadable("it is not a JSON object")
    return document


READERS: Mapping[str, Callable[[bytes], dict[str, Any]]] = {
    "junit": junit,
    "sbom": sbom,
    "vulnerabilities": vulnerabilities,
}


def observed(kind: str, content: bytes) -> dict[str, Any]:
    """What a file of a kind says, with the SHA-256 of the file. Raises Refusal `artefact_unreadable`."""
    if len(content) > MAX_BYTES:
        raise unreadable(f"it is larger than {MAX_BYTES:,} bytes")
    return READERS[kind](content) | {"sha256": hashlib.sha256(content).hexdigest()}
