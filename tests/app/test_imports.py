"""What the console may load before its first paint: a person at the other end of a link waits for all of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.terminal.driver import Terminal

CHECKOUT = Path(__file__).parents[2]
# The console connects right after its first paint: what is loaded then is what that paint has cost.
PROGRAM = """
import sys
from app.start import read
from app import console

def painted(self):
    with open(sys.argv[1], "w") as file:
        file.write("\\n".join(sys.modules))
    self.exit()

console.Watchfloor.connect_context = painted
console.run(read([]))
"""
OURS = {"app", "screens", "controlplane", "themes"}
MAY = {*OURS, "textual", "rich", "typing_extensions", "platformdirs"}
NEVER = {
    *("psycopg", "psycopg_pool", "psycopg_binary", "pydantic", "pydantic_core", "httpx", "keyring", "plotext"),
    *("cyclopts", "pyrage", "rapidfuzz", "yaml", "cryptography"),
    *("httpcore", "certifi", "aiosmtplib", "minijinja", "controlplane.deliveries.model"),
    *("backends", "app.cli", "app.contexts", "app.demo", "screens.dialogs", "controlplane.operations"),
    *(
        "controlplane.registry",
        "rich.markdown",
        "textual.widgets._markdown",
        "hashlib",
        "tomllib",
        "importlib.metadata",
    ),
}
MOST_MODULES = 260
MOST_OWN_MODULES = 50


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the modules that were loaded at the first paint."""
    names = tmp_path_factory.mktemp("start") / "modules"
    environment = {"PYTHONPATH": str(CHECKOUT), "HOME": str(names.parent), "XDG_CONFIG_HOME": str(names.parent)}
    with Terminal([sys.executable, "-c", PROGRAM, str(names)], env=environment) as terminal:
        terminal.wait(20)
        assert terminal.first_paint() > 0
    return set(names.read_text().split("\n"))


def test_only_known_packages_are_loaded_before_the_first_paint(loaded: set[str]) -> None:
    found = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) - MAY - {"sitecustomize"}
    assert not {name for name in found if not name.startswith("_")}, "import them when they are first used"


def test_nothing_heavy_is_loaded_before_the_first_paint(loaded: set[str]) -> None:
    found = sorted(name for name in loaded if name in NEVER or any(name.startswith(f"{never}.") for never in NEVER))
    assert not found, "import them when they are first used"


def is_empty(name: str) -> bool:
    """A package's empty `__init__.py`, which costs next to nothing."""
    package = CHECKOUT.joinpath(*name.split("."), "__init__.py")
    return package.exists() and not package.stat().st_size


def test_the_first_paint_needs_few_modules(loaded: set[str]) -> None:
    own = {name for name in loaded if name.partition(".")[0] in OURS and not is_empty(name)}
    assert "screens.overview" in own, "the overview was painted"
    assert len(own) <= MOST_OWN_MODULES, sorted(own)
    installed = {name for name in loaded if name.partition(".")[0] in MAY}
    assert len(installed) <= MOST_MODULES, sorted(installed - own)
