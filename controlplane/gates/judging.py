"""What follows from what was observed: pure, so that the same function judges now, and years later from files alone.

What is observed is a JSON object of a form of its own for each kind; `controlplane/gates/observing.py` and the adapters
make it. An observation {"trouble": word, "words": …} says why there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from controlplane.formatting import count_words, spell
from controlplane.gates.checks import (
    AlertsCheck,
    AuditCheck,
    Check,
    CommandCheck,
    EvidenceCheck,
    HttpCheck,
    JunitCheck,
    KeysCheck,
    Limited,
    ManualCheck,
    ObjectiveCheck,
    ProvenanceCheck,
    QueueCheck,
    SbomCheck,
    SignatureCheck,
    SqlCheck,
    VulnerabilitiesCheck,
)
from controlplane.gates.judged import WHY, Because, Judged, State
from controlplane.text import clean

MAX_NAMES = 20
Observed = Mapping[str, Any]


def trouble(because: Because, words: str) -> dict[str, Any]:
    """An observation that says why there is none."""
    return {"trouble": because, "words": clean(words, 400)}


def judge(check: Check, observed: Observed) -> Judged:
    """Judge an observation. Whatever is wrong with it is inconclusive: nothing that errs ever passes."""
    word = observed.get("trouble")
    if word is not None:
        because = word if isinstance(word, str) and word in WHY else "error"
        return _unknown(because, str(observed.get("words", "")), threshold_of(check), unit_of(check))
    try:
        return JUDGES[type(check)](check, observed)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return _unknown("error", f"the observation cannot be read: {type(error).__name__}", threshold_of(check))


def threshold_of(check: Check) -> str:
    if isinstance(check, Limited):
        if check.at_most is not None:
            return f"at most {_amount(check.at_most, check)}"
        if check.at_least is not None:
            return f"at least {_amount(check.at_least, check)}"
        if check.equals is not None:
            return f"equals {_word(check.equals)}"
    if isinstance(check, SqlCheck):
        return "no row"
    if isinstance(check, HttpCheck):
        return "status " + " or ".join(map(str, check.status))
    if isinstance(check, CommandCheck):
        return "exit " + " or ".join(map(str, check.exit))
    if isinstance(check, ObjectiveCheck):
        return "none fires" if check.left_at_least is None else f"at least {check.left_at_least:g} left"
    if isinstance(check, KeysCheck | JunitCheck):
        return f"at most {check.at_most}"
    if isinstance(check, AlertsCheck):
        return f"none at {check.severity} or above"
    if isinstance(check, AuditCheck):
        return f"signed within {spell(check.signed_within)}"
    if isinstance(check, SbomCheck):
        return f"at least {check.components_at_least}, all named with a version"
    if isinstance(check, VulnerabilitiesCheck):
        return ", ".join(f"{name} at most {limit}" for name, limit in _limits(check).items())
    if isinstance(check, EvidenceCheck):
        return f"at most {spell(check.freshness)}{', its signature verified' if check.signed else ''}"
    if isinstance(check, SignatureCheck):
        return "1, by the key that is named"
    if isinstance(check, ProvenanceCheck):
        return f"1 by a key that is named, built by {clean(' or '.join(check.builders), 200)}"
    return "a person says that it is so"


def _amount(limit: float, check: Limited) -> str:
    return spell(limit) if unit_of(check) == "s" else f"{limit:,g}"


def _word(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return clean(value, 100) if isinstance(value, str) else f"{value:g}"


def unit_of(check: Check) -> str:
    if isinstance(check, QueueCheck):
        return check.unit or {"oldest": "s", "late_jobs": "jobs"}.get(check.measure, "messages")
    if isinstance(check, Limited) and check.unit:
        return check.unit
    if isinstance(check, SqlCheck):
        return "" if check.held else "rows"
    names: dict[type, str] = {
        ObjectiveCheck: "objectives", KeysCheck: "keys", AlertsCheck: "alerts", AuditCheck: "s", JunitCheck: "tests",
        SbomCheck: "components", VulnerabilitiesCheck: "findings", EvidenceCheck: "s", SignatureCheck: "signatures",
        ProvenanceCheck: "signatures",
    }  # fmt: skip
    return names.get(type(check), "")


def _unknown(because: Any, words: str, threshold: str = "", unit: str = "", value: float | None = None) -> Judged:
    return Judged("inconclusive", because, value, threshold, unit, clean(words, 400))


def _held(check: Limited, value: Any, found: bool = True) -> Judged:
    """A value against its limit."""
    threshold, unit = threshold_of(check), unit_of(check)
    if not found:
        return _unknown("unknown_metric", "there is no such value", threshold, unit)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return _unknown("no_data", "the value is not known", threshold, unit)
    if check.equals is not None:
        same = value == check.equals and isinstance(value, bool) == isinstance(check.equals, bool)
        number = None if isinstance(value, bool | str) else _number(value)
        return Judged("pass" if same else "fail", "", number, threshold, unit, clean(f"it is {value}", 200))
    number = _number(value)
    if number is None:
        return _unknown("error", f"it is no number: {clean(value, 60)}", threshold, unit)
    good = number <= check.at_most if check.at_most is not None else number >= (check.at_least or 0.0)
    return Judged("pass" if good else "fail", "", number, threshold, unit)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < 1e300 else None


def _sql(check: SqlCheck, seen: Observed) -> Judged:
    rows = int(seen["rows"])
    if check.held:
        if rows == 0:
            return _unknown("no_data", "the statement gives no row", threshold_of(check), unit_of(check))
        if rows > 1:
            return _unknown("error", "the statement gives more than one row", threshold_of(check), unit_of(check))
        [row] = seen["sample"]
        return _held(check, row.get("value"), "value" in row)
    more = "at least " if seen.get("capped") else ""
    words = f"{more}{rows:,} found" if rows else ""
    if "since" in seen:
        number = count_words(int(seen["changes"]), "change")
        told = f"only what {number} since run {int(seen['run'])} touched was looked at"
        words = f"{words}; {told}" if words else told
    return Judged("fail" if rows else "pass", "", float(rows), "no row", unit_of(check), words)


def _http(check: HttpCheck, seen: Observed) -> Judged:
    status, ms = int(seen["status"]), float(seen["ms"])
    if status not in check.status:
        wanted = "status " + " or ".join(map(str, check.status))
        return Judged("fail", "", float(status), wanted, "", f"it answered {status}")
    if check.within_ms is not None and ms > check.within_ms:
        return Judged("fail", "", round(ms, 1), f"at most {check.within_ms:g}", "ms", "it answered too slowly")
    if not check.path:
        if check.within_ms is not None:
            return Judged("pass", "", round(ms, 1), f"at most {check.within_ms:g}", "ms")
        return Judged("pass", "", float(status), threshold_of(check))
    return _within(check, seen)


def _within(check: HttpCheck | CommandCheck, seen: Observed) -> Judged:
    if not seen.get("json"):
        return _unknown("error", "its output is not JSON", threshold_of(check), unit_of(check))
    return _held(check, seen.get("value"), bool(seen.get("found")))


def _command(check: CommandCheck, seen: Observed) -> Judged:
    code = int(seen["exit"])
    if code not in check.exit:
        wanted = "exit " + " or ".join(map(str, check.exit))
        ended = f"it ended with {code}" if code >= 0 else f"signal {-code} ended it"
        return Judged("fail", "", float(code), wanted, "", ended)
    return _within(check, seen) if check.path else Judged("pass", "", float(code), threshold_of(check))


def _objective(check: ObjectiveCheck, seen: Observed) -> Judged:
    threshold, found = threshold_of(check), list(seen["objectives"])
    if not found:
        return _unknown("unknown_metric", "no objective matches", threshold, "objectives")
    firing = [each for each in found if each["state"] in ("page", "ticket")]
    if firing:
        burning = clean(", ".join(str(each["label"]) for each in firing[:MAX_NAMES]), 300)
        return Judged("fail", "", float(len(firing)), "none fires", "objectives", f"burns its budget: {burning}")
    lefts = [float(each["left"]) * 100 for each in found if each["left"] is not None]
    if check.left_at_least is not None and lefts and min(lefts) < check.left_at_least:
        return Judged("fail", "", round(min(lefts), 3), threshold, "%", "the least budget that is left")
    for state, because in (("insufficient data", "no_traffic"), ("unknown", "no_data")):
        names = [str(each["label"]) for each in found if each["state"] == state]
        if names:
            return _unknown(because, f"nothing is known of {', '.join(names[:MAX_NAMES])}", threshold, "objectives")
    if check.left_at_least is not None:
        if len(lefts) < len(found):
            return _unknown("no_data", "a budget is not known", threshold, "%")
        return Judged("pass", "", round(min(lefts), 3), threshold, "%")
    return Judged("pass", "", 0.0, threshold, "objectives", f"{len(found)} looked at")


def _queue(check: QueueCheck, seen: Observed) -> Judged:
    return _held(check, seen.get("value"), bool(seen.get("found", True)))


def _keys(check: KeysCheck, seen: Observed) -> Judged:
    stale, late = int(seen["stale"]), int(seen["late"])
    number, words = stale + late, f"{stale} too old, {late} late in their rotation"
    return Judged("pass" if number <= check.at_most else "fail", "", float(number), threshold_of(check), "keys", words)


def _alerts(check: AlertsCheck, seen: Observed) -> Judged:
    threshold, firing = threshold_of(check), int(seen["firing"])
    if firing:
        return Judged("fail", "", float(firing), threshold, "alerts", f"{firing} open")
    if not seen["evaluated"]:
        return _unknown("no_data", "no detector was evaluated lately", threshold, "alerts")
    if int(seen["unknown"]):
        return _unknown("no_data", f"of {seen['unknown']} open ones nothing is known now", threshold, "alerts")
    return Judged("pass", "", 0.0, threshold, "alerts")


def _audit(check: AuditCheck, seen: Observed) -> Judged:
    threshold, signed = threshold_of(check), seen["signed_seconds"]
    if seen["trouble_words"]:
        return Judged("fail", "", None, threshold, "s", clean(seen["trouble_words"], 300))
    if signed is None:
        return _unknown("no_data", "there is no checkpoint", threshold, "s")
    words = f"signed to row {seen['signed']} of {seen['written']}"
    good = float(signed) <= check.signed_within and not seen["late"]
    return Judged("pass" if good else "fail", "", round(float(signed), 1), threshold, "s", words)


def _junit(check: JunitCheck, seen: Observed) -> Judged:
    threshold, tests, skipped = threshold_of(check), int(seen["tests"]), int(seen["skipped"])
    bad = int(seen["failures"]) + int(seen["errors"])
    words = f"{tests} tests: {seen['failures']} failed, {seen['errors']} in error, {skipped} skipped"
    if bad > check.at_most:
        named = f"; {', '.join(map(str, seen['failed'][:3]))}" if seen["failed"] else ""
        return Judged("fail", "", float(bad), threshold, "tests", clean(words + named, 400))
    if tests - skipped <= 0:
        return _unknown("no_data", f"{words}: none was carried out", threshold, "tests")
    if check.skipped_at_most is not None and skipped > check.skipped_at_most:
        return Judged("fail", "", float(skipped), f"at most {check.skipped_at_most} skipped", "tests", words)
    return Judged("pass", "", float(bad), threshold, "tests", words)


def _sbom(check: SbomCheck, seen: Observed) -> Judged:
    threshold, components, bare = threshold_of(check), int(seen["components"]), int(seen["incomplete"])
    words = f"{seen['format']}: {components} components, {bare} without name or version"
    good = components >= check.components_at_least and not bare
    return Judged("pass" if good else "fail", "", float(components), threshold, "components", words)


def _limits(check: VulnerabilitiesCheck) -> dict[str, int]:
    limits = {name: getattr(check, name) for name in ("critical", "high", "medium", "low", "unknown")}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _vulnerabilities(check: VulnerabilitiesCheck, seen: Observed) -> Judged:
    threshold, counts = threshold_of(check), seen["counts"]
    words = ", ".join(f"{int(counts.get(name, 0))} {name}" for name in ("critical", "high", "medium", "low", "unknown"))
    over = [int(counts.get(name, 0)) for name, limit in _limits(check).items() if int(counts.get(name, 0)) > limit]
    if over:
        return Judged("fail", "", float(sum(over)), threshold, "findings", words)
    if not seen["scanned"]:
        return _unknown("no_data", "the report names nothing that was looked at", threshold, "findings")
    return Judged("pass", "", 0.0, threshold, "findings", words)


def _evidence(check: EvidenceCheck, seen: Observed) -> Judged:
    threshold, number = threshold_of(check), seen["id"]
    if number is None:
        return _unknown("no_data", f"no {check.artefact} is recorded for {seen['environment']}", threshold, "s")
    verified, age = seen["signature"] == "good", float(seen["age_seconds"])
    words = f"evidence {int(number)}, sha256 {str(seen['sha256'])[:12]}…, " + (
        f"signed by {seen['signer']}" if verified else "its signature was not verified"
    )
    return Judged("pass" if verified or not check.signed else "fail", "", age, threshold, "s", clean(words, 300))


def _signature(check: SignatureCheck, seen: Observed) -> Judged:
    holds = seen["holds"] is True
    said = f"{seen['tool']}, key {seen['key']}" + (f": {seen['comment']}" if seen["comment"] else "")
    words = said if holds else f"{said} did not sign this file"
    return Judged("pass" if holds else "fail", "", float(holds), threshold_of(check), unit_of(check), clean(words, 300))


def _provenance(check: ProvenanceCheck, seen: Observed) -> Judged:
    """Only of what a trusted key has signed is anything believed."""
    signers, builder = list(seen["signers"]), str(seen["builder"])
    wrong = ""
    if not signers:
        wrong = "none of the keys has signed it"
    elif not builder:
        wrong = f"it names no builder: it is {seen['type']}"
    elif builder not in check.builders:
        wrong = f"it was built by {builder}"
    elif seen["about_it"] is not True:
        wrong = f"it is not about {check.file}"
    words = wrong or f"built by {builder}, signed by {', '.join(map(str, signers))}"
    state: State = "fail" if wrong else "pass"
    return Judged(state, "", float(len(signers)), threshold_of(check), unit_of(check), clean(words, 400))


def _manual(check: ManualCheck, seen: Observed) -> Judged:
    if seen.get("answer") not in ("pass", "fail"):
        return _unknown("unanswered", check.question, threshold_of(check))
    words = clean(f"{seen['by']}: {seen['reason']}", 400)
    return Judged("pass" if seen["answer"] == "pass" else "fail", "", None, threshold_of(check), "", words)


JUDGES: dict[type, Callable[[Any, Observed], Judged]] = {
    SqlCheck: _sql,
    HttpCheck: _http,
    CommandCheck: _command,
    ObjectiveCheck: _objective,
    QueueCheck: _queue,
    KeysCheck: _keys,
    AlertsCheck: _alerts,
    AuditCheck: _audit,
    JunitCheck: _junit,
    SbomCheck: _sbom,
    VulnerabilitiesCheck: _vulnerabilities,
    EvidenceCheck: _evidence,
    SignatureCheck: _signature,
    ProvenanceCheck: _provenance,
    ManualCheck: _manual,
}
