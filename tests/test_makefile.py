"""What `make` does, read from its dry run: the first screen needs Python and the package index alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


def would_run(target: str) -> str:
    """Every command, as if nothing had been made yet."""
    words = ["make", "--dry-run", "--always-make", "--no-print-directory", target]
    return subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


def pins(name: str) -> set[tuple[str, ...]]:
    """Each package with its hashes."""
    blocks = re.findall(r"^(\S+==\S+)((?: \\\n +--hash=\S+)+)", (CHECKOUT / name).read_text(), re.M)
    return {(package, *sorted(re.findall(r"--hash=(\S+)", hashes))) for package, hashes in blocks}


def test_the_demonstration_needs_python_and_make_alone() -> None:
    commands = would_run("demo")
    assert "watchfloor demo" in commands and "requirements.txt" in commands
    for needless in ("npm", "node", "prometheus", "apt", "requirements-dev", "ruff"):
        assert needless not in commands
    assert all(each in would_run("setup") for each in ("npm", "prometheus", "requirements-dev"))


def test_what_is_installed_is_seen() -> None:
    for quiet in ("--quiet", " -q", "/dev/null"):
        assert quiet not in would_run("setup")


def test_the_packages_of_every_file_are_those_that_the_tests_run_with() -> None:
    of_tests = pins("requirements-dev.txt")
    for name in ("requirements.txt", "requirements-build.txt"):
        assert pins(name) and pins(name) <= of_tests, name
