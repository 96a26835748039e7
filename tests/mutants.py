"""How much of what the rules decide is noticed by their fast tests: `python -m tests.mutants 80 --seed 1`.

Each mutant is one small fault in one module of rules: a comparison turned, a sign, a number, an `and` for an `or`. It
is written into a copy of the tree, never into the tree, and the tests of tests/controlplane are run until one fails:
first the files that import the module, then those that import its neighbours, then the others. What survives is
printed. Some mutants change nothing that could be seen: they are counted as survivors all the same.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TESTS = Path("tests/controlplane")
LEFT_OUT = (".*", "__pycache__", "node_modules", "results", "*.egg-info", "build")
RULES = (
    *("rules.py", "checks.py", "periods.py", "proration.py", "currencies.py", "activity.py"),
    *("secret.py", "verify.py", "grammar.py", "patterns.py", "formatting.py", "words.py"),
    *("judging.py", "deciding.py", "jsonpath.py"),
    *(
        "measures.py",
        "happenings.py",
        "anomalies.py",
        "saturation.py",
        "tops.py",
        "charts.py",
        "chartviews.py",
        "cursors.py",
    ),
    *("decide.py", "holds.py", "telling.py", "escalation.py", "matching.py", "windows.py", "policy.py", "replay.py"),
    *("matchers.py", "weekly.py", "zones.py", "calendar.py", "document.py", "union.py"),
    *("addresses.py", "retries.py", "signing.py", "targets.py", "templates.py", "verdicts.py", "webhook.py"),
    *("model.py", "routes.py", "combined.py", "jsonlines.py", "mapped.py", "nova.py", "parsing.py", "entries.py"),
)
"""The modules of controlplane, by their file's name, that hold decisions and ask nobody."""
LONGEST = 600
"""Seconds. A mutant may run forever; then it was noticed."""

TURNED: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    **{ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt)},
    **{ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,)},
    **{ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.And: (ast.Or,), ast.Or: (ast.And,)},
    **{ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,)},
    **{ast.FloorDiv: (ast.Div,), ast.USub: (ast.UAdd,)},
}


class Place(NamedTuple):
    """Where a mutant is made: which decision of a module, and which of its changes."""

    path: Path
    decision: int
    change: int


class Mutant(NamedTuple):
    line: int
    before: str
    after: str
    source: str


def modules(tree: Path) -> list[Path]:
    found = sorted(path for path in (tree / "controlplane").rglob("*.py") if path.name in RULES)
    missing = {*RULES} - {path.name for path in found}
    assert not missing, f"no module is called {', '.join(sorted(missing))} any more"
    return [path.relative_to(tree) for path in found]


def places(tree: Path, path: Path) -> Iterator[Place]:
    for number, node in enumerate(_decisions(ast.parse((tree / path).read_text()))):
        for change in range(len(_changed(node))):
            yield Place(path, number, change)


def mutant(tree: Path, place: Place) -> Mutant:
    module = ast.parse((tree / place.path).read_text())
    node = next(itertools.islice(_decisions(module), place.decision, None))
    line, before = node.lineno, ast.unparse(node)
    name, value = _changed(node)[place.change]
    setattr(node, name, value)
    return Mutant(line, before, ast.unparse(node), ast.unparse(module))


def _decisions(node: ast.AST) -> Iterator[ast.expr]:
    """What can be changed, in order. Annotations, decorators and protocols decide nothing."""
    if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.expr) and _changed(child):
                yield child
            if isinstance(child, ast.AST):
                yield from _decisions(child)


def _changed(node: ast.expr) -> list[tuple[str, object]]:
    """The ways to change it: a field and its other value."""
    match node:
        case ast.Compare(ops=ops):
            return [("ops", [*ops[:i], to(), *ops[i + 1 :]]) for i, op in enumerate(ops) for to in TURNED[type(op)]]
        case ast.UnaryOp(op=ast.Not()):
            return [("operand", ast.UnaryOp(ast.Not(), node.operand))]
        case ast.BoolOp() | ast.BinOp() | ast.UnaryOp():
            return [("op", to()) for to in TURNED.get(type(node.op), ())]
        case ast.Constant(value=bool()):
            return [("value", not node.value)]
        case ast.Constant(value=int() | float() as number):
            return [("value", number + 1)]
    return []


def tests_of(tree: Path, path: Path) -> list[list[str]]:
    """The files of fast tests: those that import the module, those that import others of its room, and the rest."""
    module = path.with_suffix("").as_posix().replace("/", ".")
    room = module.rpartition(".")[0] + "."
    groups: list[list[str]] = [[], [], []]
    for test in sorted((tree / TESTS).glob("test_*.py")):
        found = [node for node in ast.walk(ast.parse(test.read_text())) if isinstance(node, ast.ImportFrom)]
        named = {
            name for node in found for name in (node.module, *(f"{node.module}.{each.name}" for each in node.names))
        }
        near = any(name and name.startswith(room) for name in named)
        groups[0 if module in named else 1 if near else 2].append(str(test))
    return [group for group in groups if group]


def passes(tree: Path, files: Iterable[str], seed: int) -> bool:
    """Whether no test of these fails in that tree."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "--no-header", "--timeout=60"]
    command += ["-p", "no:cacheprovider", f"--hypothesis-seed={seed}", *files]
    try:
        done = subprocess.run(
            command, cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, capture_output=True, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("number", type=int, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--only", default="", metavar="TEXT", help="of modules whose path holds this")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        every = [place for path in modules(tree) if asked.only in str(path) for place in places(tree, path)]
        chosen = random.Random(asked.seed).sample(every, min(asked.number, len(every)))
        print(f"{len(chosen)} of {len(every):,} mutants, seed {asked.seed}", flush=True)
        assert passes(tree, [str(TESTS)], asked.seed), "the tests fail without a mutant"
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # what is compiled by now is of the modules without a mutant
        killed = sum(not _survives(tree, place, asked.seed) for place in chosen)
    print(f"{killed} of {len(chosen)} killed: {killed / len(chosen):.0%}")


def _survives(tree: Path, place: Place, seed: int) -> bool:
    file, made = tree / place.path, mutant(tree, place)
    original = file.read_text()
    file.write_text(made.source)
    survived = all(passes(tree, files, seed) for files in tests_of(tree, place.path))
    file.write_text(original)
    if survived:
        print(f"{place.path}:{made.line}: {made.before} → {made.after}", flush=True)
    return survived


if __name__ == "__main__":
    main()
