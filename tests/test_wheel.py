"""The wheel, installed alone in a clean venv outside the checkout, works: nothing rests on the source tree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.postgres import scratch_folder

CHECKOUT = Path(__file__).parent.parent


def run(*words: str | Path, cwd: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WATCHFLOOR"))}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=clean | environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def lay_in(site: Path) -> None:
    """What the product runs on and nothing else, as it is installed here: `make setup` took it by its hashes."""
    lines = re.findall(r"^\w.*?(?= \\$)", (CHECKOUT / "requirements.txt").read_text(), re.MULTILINE)
    for asked in map(Requirement, lines):
        if asked.marker is not None and not asked.marker.evaluate():
            continue
        installed = distribution(asked.name)
        assert installed.version in asked.specifier, f"{asked.name}: run make setup"
        for file in installed.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                source, there = str(installed.locate_file(file)), site / file
                there.parent.mkdir(parents=True, exist_ok=True)
                try:
                    there.hardlink_to(source)
                except OSError:  # another disk
                    shutil.copy2(source, there)


@pytest.mark.timeout(300)
def test_the_wheel_alone_opens_a_home_and_lists_its_tenants(tmp_path: Path) -> None:
    pip = ["-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(sys.executable, *pip, "wheel", CHECKOUT, "--no-deps", "--no-build-isolation", "-w", tmp_path, cwd=tmp_path)
    (wheel,) = tmp_path.glob("watchfloor-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", "clean", cwd=tmp_path)
    python = tmp_path / "clean" / "bin" / "python"
    there: list[str | Path] = [sys.executable, *pip, "--python", python]  # our own: to give the venv one takes long
    (site,) = (tmp_path / "clean" / "lib").glob("python*/site-packages")
    lay_in(site)
    run(*there, "install", "--no-deps", "--no-compile", wheel, cwd=tmp_path)
    run(*there, "check", cwd=tmp_path)
    watchfloor = python.with_name("watchfloor")

    names = [each["name"] for each in json.loads(run(watchfloor, "operations", "--json", cwd=tmp_path))["items"]]
    assert "tenants.suspend" in names

    folder = scratch_folder()
    home = str(folder / "home")
    try:
        run(watchfloor, "tenants", "create", "acme", "--json", "--home", home, cwd=tmp_path)
        listed = json.loads(run(watchfloor, "tenants", "list", "--json", "--home", home, cwd=tmp_path))
    finally:
        run(watchfloor, "home", "destroy", "--yes", "--home", home, cwd=tmp_path)
        shutil.rmtree(folder)
    assert [each["id"] for each in listed["items"]] == ["acme", "default"]
