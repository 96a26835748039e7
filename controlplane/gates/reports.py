"""A run for what CI reads: JUnit XML and SARIF. Every text in them is inert, and legal in its format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from controlplane.gates.judged import WHY
from controlplane.gates.model import CheckRow, GateRun
from controlplane.gates.words import value_words
from controlplane.text import clean

LEVELS = {"fail": "error", "inconclusive": "warning", "stale": "warning", "waived": "note", "running": "warning"}


def told(row: CheckRow) -> str:
    parts = [
        row.state,
        value_words(row),
        row.threshold and f"held to {row.threshold}",
        WHY.get(row.because, ""),
        row.words,
    ]
    return clean("; ".join(filter(None, parts)), 600)


def junit_xml(run: GateRun, rows: Sequence[CheckRow]) -> str:
    """A failure for what fails, an error for what is not known, skipped for what is waived. An advisory check that does
    not pass is skipped too: it closes nothing.
    """
    open_ = [row for row in rows if row.state == "waived" or (not row.required and row.state != "pass")]
    failed = [row for row in rows if row.state == "fail" and row not in open_]
    errors = [row for row in rows if row.state not in ("pass", "fail") and row not in open_]
    suite = f"{run.gate} in {run.environment}"
    counts = f'tests="{len(rows)}" failures="{len(failed)}" errors="{len(errors)}" skipped="{len(open_)}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites name={_attribute('watchfloor gates')} {counts}>",
        f" <testsuite name={_attribute(suite)} {counts} timestamp={_attribute(f'{run.started_at:%Y-%m-%dT%H:%M:%S}')}>",
    ]
    for row in rows:
        head = f'  <testcase classname={_attribute(run.gate)} name={_attribute(row.name)} time="{row.seconds or 0:.3f}"'
        words = told(row)
        kind = "skipped" if row in open_ else "failure" if row in failed else "error" if row in errors else ""
        if not kind:
            lines.append(head + "/>")
        else:
            lines += [head + ">", f"   <{kind} message={_attribute(words)}>{escape(words)}</{kind}>", "  </testcase>"]
    return "\n".join([*lines, " </testsuite>", "</testsuites>", ""])


def sarif(run: GateRun, rows: Sequence[CheckRow]) -> str:
    rules = [
        {
            "id": row.name,
            "shortDescription": {"text": clean(row.means or row.name, 300)},
            "properties": {"owner": row.owner},
        }
        for row in rows
    ]
    results = [
        {
            "ruleId": row.name,
            "level": LEVELS[row.state] if row.required else "note",
            "message": {"text": told(row)},
            "partialFingerprints": {"check/v1": f"{run.gate}/{run.environment}/{row.name}"},
            **({"suppressions": [{"kind": "external", "justification": f"waiver {row.waiver}"}]} if row.waiver else {}),
        }
        for row in rows
        if row.state != "pass"
    ]
    driver = {"name": "watchfloor gates", "rules": rules}
    properties = {"gate": run.gate, "environment": run.environment, "run": run.id, "verdict": run.verdict}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results, "properties": properties}],
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _attribute(text: str) -> str:
    return quoteattr(clean(text, 1000))
