"""Programs of Debian's that tests need: where none is installed, its package is unpacked beside the tests' own.

`make setup` fetches them. Where a package cannot be had, the tests that need it say so and are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDERS = ("usr/bin", "usr/sbin")


def place(package: str) -> Path:
    return Path(sys.prefix) / package


def program(name: str, package: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(str(place(package) / f) for f in FOLDERS))


def libraries(package: str) -> dict[str, str]:
    """The environment in which a program finds the libraries that were unpacked beside it."""
    return os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(map(str, place(package).glob("usr/lib/*-linux-gnu*")))}


def fetch(package: str, programs: tuple[str, ...], *libraries: str) -> None:
    """Needs no rights but for the lists of packages, which are brought up to date where that is allowed."""
    tools = all(map(shutil.which, ("apt-get", "dpkg-deb")))
    if all(program(name, package) for name in programs) or not tools:
        return
    with tempfile.TemporaryDirectory() as scratch:
        for command in (["download"], ["update"], ["download"]):
            words = ["apt-get", "-qq", *command, *([package, *libraries] if command == ["download"] else [])]
            subprocess.run(words, cwd=scratch, check=False, timeout=300, stderr=subprocess.DEVNULL)
            if len(packages := list(Path(scratch).glob("*.deb"))) > len(libraries):
                for each in packages:
                    subprocess.run(["dpkg-deb", "--extract", each, place(package)], check=True, timeout=120)
                return


def main(package: str, programs: tuple[str, ...], *libraries: str) -> None:
    fetch(package, programs, *libraries)
    if not all(program(name, package) for name in programs):
        print(f"no {package} could be had here: the tests that need it will be skipped", file=sys.stderr)
