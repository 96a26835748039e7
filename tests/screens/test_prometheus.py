"""Charts and commands on a real Prometheus, as a settings file names it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from app.contexts import prometheus_of
from app.settings import Settings, read
from backends.prometheus.mapping import read_mapping
from screens.telemetry.screen import TelemetryScreen
from tests import prometheus
from tests.app.commands import Cli, url_of
from tests.postgres import Database
from tests.screens.console import command, console, quiet, text, until
from tests.screens.test_snapshots import NARROW, WIDE, frozen, steps

PAGE = Path(__file__).parents[2] / "docs" / "prometheus.md"
WINDOW = "window:2026-01-05T00:30..2026-01-05T02:00"
needs_prometheus = pytest.mark.skipif(
    not all(map(prometheus.program, prometheus.NEEDED)), reason="no Prometheus is here: make setup"
)


@pytest.fixture(scope="module")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus.running(folder, prometheus.history()) as url:
        path = folder / "prometheus.toml"
        path.write_text(prometheus.MAPPING.format(url=url, scrape=prometheus.SCRAPE, timeout=10))
        yield path


def test_the_files_of_the_page_are_read(tmp_path: Path) -> None:
    profile, mapping = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M)
    assert read(profile, Path("settings.toml")).profiles["acme-prod"].prometheus == "prometheus.toml"
    (tmp_path / "prometheus.toml").write_text(mapping)
    assert read_mapping(tmp_path / "prometheus.toml").labels["route"] == "handler"


def test_the_codes_of_the_page_are_those_of_the_program() -> None:
    folder = Path(__file__).parents[2]
    sources = [*(folder / "backends" / "prometheus").glob("*.py"), folder / "controlplane" / "telemetry" / "reading.py"]
    raised = set(re.findall(r'"((?:no_prometheus|prometheus_|mapping_)\w*)"', "".join(p.read_text() for p in sources)))
    assert raised == set(re.findall(r"`((?:no_prometheus|prometheus_|mapping_)\w*)`", PAGE.read_text("utf-8")))


@needs_prometheus
async def test_a_chart_by_key_and_by_word(database: Database, mapping: Path) -> None:
    settings = Settings(mapping.parent / "settings.toml")
    _elsewhere(mapping)
    async with console(database, link="test/telemetry", settings=settings) as (app, pilot):
        assert app.session.plane is not None
        await command(pilot, f"telemetry tenant:acme {WINDOW}")
        await pilot.press("s")
        await until(pilot, lambda: "No Prometheus is named" in text(pilot))
        app.session.plane.prometheus = _prometheus(app, str(mapping), settings)  # type: ignore[misc]
        await command(pilot, f"telemetry tenant:acme source:prometheus {WINDOW}")
        screen = app.screen
        assert isinstance(screen, TelemetryScreen)
        await until(pilot, lambda: "prometheus" in text(pilot) and "no data 01:00–01:20" in text(pilot))
        assert "source:prometheus" in screen.view_link()
        await pilot.press("w")
        await until(pilot, lambda: "increase() over each step is an estimate" in text(pilot))
        await pilot.press("escape", "s")
        await until(pilot, lambda: screen.view.source == "home" and "prometheus" not in text(pilot))
        app.session.plane.prometheus = _prometheus(app, "other.toml", settings)  # type: ignore[misc]
        await pilot.press("s")
        await until(pilot, lambda: "cannot be asked" in text(pilot))
        await quiet(pilot)


@needs_prometheus
def test_a_profile_names_its_prometheus(cli: Cli, mapping: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, password = url_of(cli.database.login("viewer"))
    settings = mapping.with_name("settings.toml")
    settings.write_text(f'[profiles.here]\nurl = "{url}"\nenvironment = "staging"\nprometheus = "{mapping.name}"\n')
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(settings))
    monkeypatch.setenv("PGPASSWORD", password)
    words = ["--tenant", "acme", "--start", "2026-01-05T00:30Z", "--end", "2026-01-05T02:00Z", "--home", "here"]
    found = cli.done("telemetry", "series", *words, "--source", "prometheus", "--step", "10m")["items"]
    assert [item["n"] for item in found][1:3] == [1680, 1680] and found[4]["n"] is None
    assert cli("telemetry", "series", *words).code == 4, "the home knows no acme"
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    assert all(item["n"] is None for item in cli.done("telemetry", "series", *words)["items"])
    drawn = cli("telemetry", "export", *words, "--source", "prometheus", "--format", "svg").out
    assert drawn.startswith("<svg") and "as prometheus counted" in drawn
    assert cli("telemetry", "series", *words, "--source", "prometheus", "--by", "tenant").code == 2
    monkeypatch.setenv("WATCHFLOOR_HOME", url)
    refused = cli("telemetry", "series", "--source", "prometheus")
    assert refused.code == 2 and "no_prometheus" in refused.err


@pytest.fixture
def partial(tmp_path: Path) -> Iterator[Path]:
    """A mapping file of one whose answers lack something, and which says so."""
    values = [[datetime(2026, 1, 5, 1, n, tzinfo=UTC).timestamp(), "5"] for n in range(1, 31)]
    found = json.dumps([{"metric": {"code": "200", "le": "1"}, "values": values}])
    body = f'{{"status":"success","data":{{"resultType":"matrix","result":{found}}},"warnings":["store 2 was away"]}}'
    with prometheus.saying(body.encode()) as url:
        path = tmp_path / "prometheus.toml"
        path.write_text(prometheus.MAPPING.format(url=url, scrape=prometheus.SCRAPE, timeout=10))
        yield path


def test_what_may_be_missing_is_said_by_every_command(cli: Cli, partial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.log_in("viewer")
    settings = partial.with_name("settings.toml")
    url = url_of(cli.database.login("viewer"))[0]
    settings.write_text(f'[profiles.here]\nurl = "{url}"\nenvironment = "staging"\nprometheus = "{partial.name}"\n')
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(settings))
    words = ["--source", "prometheus", "--start", "2026-01-05T01:00Z", "--end", "2026-01-05T01:30Z", "--home", "here"]
    shown = cli("telemetry", "series", *words)
    assert shown.code == 0 and "prometheus says: store 2 was away" in shown.err
    assert cli.done("telemetry", "series", *words)["notes"] == ["store 2 was away"]
    for form in ("csv", "json", "ndjson", "svg"):
        written = cli("telemetry", "export", *words, "--format", form).out
        assert "store 2 was away" in written, form
    assert json.loads(cli("telemetry", "export", *words, "--json").out)["notes"] == "store 2 was away"
    assert cli.done("telemetry", "series")["notes"] == []


async def test_what_may_be_missing_stands_on_the_chart_and_in_its_export(database: Database, partial: Path) -> None:
    settings = Settings(partial.with_name("settings.toml"))
    async with console(database, link="test/telemetry", settings=settings) as (app, pilot):
        app.session.plane.prometheus = _prometheus(app, str(partial), settings)  # type: ignore
        await command(pilot, "telemetry source:prometheus window:2026-01-05T01:00..2026-01-05T01:30")
        await until(pilot, lambda: "store 2 was away" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "it says: store 2 was away" in text(pilot))
        await pilot.press("escape", "e")
        await until(pilot, lambda: "30 steps of all tenants" in text(pilot))
        await pilot.press("c", "enter")
        path = partial.with_name("shown.csv")
        app.screen.query_one("#ask-path", Input).value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: path.exists() and "written" in text(pilot))
        assert "notes: store 2 was away" in path.read_text().splitlines()[0]
        await command(pilot, "telemetry source:prometheus window:2026-01-05T03:00..2026-01-05T03:30")
        await until(pilot, lambda: "no data here, and prometheus says: store 2 was away" in text(pilot))


@pytest.fixture
def cli(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(database, monkeypatch, capsys)


@needs_prometheus
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_how_it_looks(database: Database, mapping: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    async def prepared(pilot: Any) -> None:
        await until(pilot, lambda: pilot.app.session.plane is not None)
        settings = Settings(mapping.with_name("settings.toml"))
        pilot.app.session.plane.prometheus = _prometheus(pilot.app, str(mapping), settings)
        await steps(f":telemetry tenant:acme source:prometheus {WINDOW}", "tab", "tab", "tab")(pilot)

    assert snap_compare(frozen(database), terminal_size=size, run_before=prepared)


def _prometheus(app: Any, path: str, settings: Settings) -> Any:
    return prometheus_of(path, "test", settings, None, app.session.plane.clock)


def _elsewhere(mapping: Path) -> None:
    """A mapping file to where nobody listens."""
    mapping.with_name("other.toml").write_text(mapping.read_text().replace("http://127", "http://localhost:1/127"))
