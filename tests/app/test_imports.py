"""What the console and the commands may load: whoever waits for the first paint or the answer waits for all of it.

Times differ from machine to machine; what is imported does not. The times are measured in `benchmarks/`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.nouns import NOUNS
from tests.app.commands import Cli
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
    *("pyrage", "rapidfuzz", "yaml", "cryptography"),
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


@pytest.fixture(scope="module", params=["the overview", "the welcome"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the modules that were loaded at the first paint: of a home that is there, or to be made."""
    names = tmp_path_factory.mktemp("start") / "modules"
    home = names.with_name("home")
    if request.param == "the overview":
        (home / "data").mkdir(parents=True)
    environment = {"PYTHONPATH": str(CHECKOUT), "HOME": str(names.parent), "XDG_CONFIG_HOME": str(names.parent)}
    environment["WATCHFLOOR_HOME"] = str(home)
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


READS = """
import sys
from backends.postgres.stores import implementing, readers
import controlplane.routes.ringing, controlplane.runs.left
from controlplane.alerts.model import AlertDirectory
from controlplane.approvals.model import ApprovalDirectory
from controlplane.impersonations.model import ImpersonationDirectory
from controlplane.incidents.model import IncidentDirectory
from controlplane.overview.model import OverviewSource
from controlplane.presence.model import PresenceDirectory
from controlplane.queues.model import CauseDirectory
from controlplane.queues.sources import SourceDirectory
from controlplane.runs.model import RunDirectory

for port in (OverviewSource, AlertDirectory, CauseDirectory, IncidentDirectory, ApprovalDirectory, SourceDirectory,
             ImpersonationDirectory, PresenceDirectory, RunDirectory):
    implementing(port, readers())
print("\\n".join(sys.modules))
"""


def test_a_console_that_only_reads_loads_no_operation() -> None:
    """What the header says and what is looked for in the background: 10 MB and 0.1 s less than with operations."""
    done = subprocess.run([sys.executable, "-c", READS], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    loaded = {*done.stdout.split()}
    assert not loaded & {"pydantic", "controlplane.operations", "controlplane.registry"}
    assert not of_nouns(loaded) & {"tenants", "keys", "deliveries", "routes", "subscriptions", "webhooks", "evidence"}


def is_empty(name: str) -> bool:
    """A package's empty `__init__.py`, which costs next to nothing."""
    package = CHECKOUT.joinpath(*name.split("."), "__init__.py")
    return package.exists() and not package.stat().st_size


def test_the_first_paint_needs_few_modules(loaded: set[str]) -> None:
    own = {name for name in loaded if name.partition(".")[0] in OURS and not is_empty(name)}
    assert len({"screens.overview", "screens.welcome"} & own) == 1, "one of them was painted"
    assert len(own) <= MOST_OWN_MODULES, sorted(own)
    installed = {name for name in loaded if name.partition(".")[0] in MAY}
    assert len(installed) <= MOST_MODULES, sorted(installed - own)


COMMAND = """
import atexit, sys
atexit.register(lambda: print("\\n".join(sys.modules), file=sys.stderr))
from app.__main__ import main
main(sys.argv[1:])
"""
HEAVY = {"asyncio", "pydantic", "psycopg", "rich", "textual", "logging", "subprocess", "importlib.metadata"}
NEVER_BY_COMMAND = {"rich", "textual", "plotext", "keyring", "httpx", "rapidfuzz", "yaml", "screens", "themes"}
NOT_BY_COMMAND = {
    *("app.cli.helping", "backends.postgres.live", "controlplane.keys.secret"),
    *("controlplane.approvals.model", "controlplane.runbooks.model", "controlplane.runs.model"),
}
"""Parts of the program that these commands have no use for, though what they load has to do with them."""
NOT_BY_READING = {
    *("pydantic", "cryptography", "app.cli.asking", "controlplane.operations", "controlplane.previewed"),
    *("controlplane.audit.model", "controlplane.jobs.model"),
}
MOST_MODULES_OF_A_READING = 80


def loaded_by(*words: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout
    return {*done.stderr.split()}


@pytest.mark.parametrize("line", ["--version", "--help", "tenants --help", "completion bash"])
def test_what_needs_no_home_loads_next_to_nothing(line: str) -> None:
    found = loaded_by(*line.split())
    assert not found & (HEAVY | NEVER_BY_COMMAND)
    assert not {name for name in found if name.startswith(("backends.", "controlplane.tenants", "app.contexts"))}


def of_nouns(loaded: set[str]) -> set[str]:
    """The nouns whose backends were loaded."""
    nouns = {place.partition(":")[0] for noun in NOUNS for place in (*noun.readers, *noun.writers)}
    return {name.removeprefix("backends.postgres.") for name in loaded & nouns}


def test_a_command_loads_its_own_noun_alone(cli: Cli) -> None:
    cli.done("tenants", "create", "acme")
    listed, shown = loaded_by("tenants", "list", "--json"), loaded_by("tenants", "show", "acme", "--json")
    for found in (listed, shown):
        assert not found & (NEVER_BY_COMMAND | NOT_BY_COMMAND | NOT_BY_READING | {"controlplane.exports"})
        assert of_nouns(found) == {"tenants"}
        assert (
            len([name for name in found if name.partition(".")[0] in OURS | {"backends"}]) <= MOST_MODULES_OF_A_READING
        )
    changed = loaded_by("tenants", "rename", "acme", "--name", "Acme", "--yes", "--json")
    assert not changed & (NEVER_BY_COMMAND | NOT_BY_COMMAND | {"cryptography", "controlplane.keys.operations"})
    assert of_nouns(changed) == {"tenants"}


@pytest.mark.parametrize("line", ["keys stale", "telemetry series", "telemetry anomalies acme"])
def test_a_report_loads_no_operations(cli: Cli, line: str) -> None:
    cli.done("tenants", "create", "acme")
    assert not loaded_by(*line.split(), "--json") & (NEVER_BY_COMMAND | NOT_BY_COMMAND | NOT_BY_READING)
