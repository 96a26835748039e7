import asyncio
from typing import Any

import psycopg
import pytest
from textual.pilot import Pilot

from controlplane.listing import Count, Query
from controlplane.tenants.model import TenantDirectory
from screens.area import AreaScreen
from screens.dialogs.confirm import Confirm
from screens.dialogs.fields import FieldsForm
from screens.lists import COUNT_INTERVAL_SECONDS, ListScreen
from screens.widgets.table import WindowTable
from tests.backends.keys import make_keys
from tests.postgres import Database
from tests.screens.console import command, confirm, console, quiet, text, type_in, until


def fill(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('zed', 'Zed')")


async def test_t_shows_times_whole_in_every_form(database: Database) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        app.run_command("audit")
        await until(pilot, lambda: "sql.insert" in text(pilot))
        assert "CHANGED" in text(pilot) and "THING" in text(pilot)
        await pilot.press("t")
        await until(pilot, lambda: "Z  " in text(pilot))
        first = text(pilot).splitlines()[3]
        assert first.lstrip("› ")[:20].endswith("Z") and "…" not in first[:25]
        await pilot.press("t")
        await until(pilot, lambda: "+00:00" in text(pilot))


async def test_escape_clears_the_filter_first_and_never_leaves_an_empty_screen(database: Database) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        app.run_command("tenants id:zed")
        await quiet(pilot)
        assert "Acme" not in text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "Acme" in text(pilot))
        await pilot.press("escape", "escape")
        await quiet(pilot)
        assert "Acme" in text(pilot) and app.area is not None


async def test_an_empty_list_says_whether_a_filter_hides_something(database: Database) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        app.run_command("projects")
        await until(pilot, lambda: "No projects yet" in text(pilot))
        app.run_command("projects id:nothing")
        await until(pilot, lambda: "Press esc to clear the filter" in text(pilot))


async def test_a_message_that_does_not_fit_is_read_with_w(database: Database) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        app.run_command("sort-of-a-command-that-does-not-exist-and-has-a-name-longer-than-the-line")
        await until(pilot, lambda: "w: all" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "tab completes" in text(pilot))


async def test_a_list_that_is_come_back_to_is_read_again_at_once(database: Database) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        await until(pilot, lambda: "tenants  3" in text(pilot))
        app.run_command("projects")
        await quiet(pilot)
        with psycopg.connect(database.owner) as connection:
            connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('new', 'New')")
        app._read_news = lambda: None  # type: ignore[method-assign] - neither hint nor tick
        await pilot.press("1")
        await until(pilot, lambda: "New" in text(pilot) and "tenants  4" in text(pilot), 1.5)


async def test_a_count_that_is_under_way_is_not_ended_by_a_refresh(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        tenants, going, let_go = app.session.require_plane().of(TenantDirectory), asyncio.Event(), asyncio.Event()
        count = tenants.count

        async def slow(query: Query) -> Count:
            going.set()
            await let_go.wait()
            return await count(query)

        monkeypatch.setattr(tenants, "count", slow)
        area = app.area
        assert isinstance(area, ListScreen)
        area.filter_entered("id:zed")
        await asyncio.wait_for(going.wait(), 5)
        await area.refresh_data()
        let_go.set()
        await until(pilot, lambda: "1 of 3" in text(pilot), COUNT_INTERVAL_SECONDS / 2)


async def test_an_act_asked_for_before_the_rows_are_there_is_on_the_row_that_comes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        tenants, let_go = app.session.require_plane().of(TenantDirectory), asyncio.Event()
        page = tenants.page

        async def slow(*args: Any, **more: Any) -> Any:
            await let_go.wait()
            return await page(*args, **more)

        monkeypatch.setattr(tenants, "page", slow)
        app.run_command("tenants id:zed")
        await until(pilot, lambda: isinstance(app.area, ListScreen) and app.area.filter_text == "id:zed")
        await pilot.press("a", "r")
        let_go.set()
        await until(pilot, lambda: "rename zed" in text(pilot))


async def test_choosing_an_order_is_calm(database: Database) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        await pilot.press("S")
        lines = text(pilot).splitlines()
        assert " sort by  n name  i id  s status " in lines[1] and "!" not in lines[1]
        assert "o protected  h changed" in lines[-1]
        await pilot.press("escape")
        assert "sort name" in text(pilot).splitlines()[1] and app.area.sort == "name"
        app.area.post_message(WindowTable.HeadingClicked(app.area.table, "owner"))
        await until(pilot, lambda: "Owner cannot be sorted: it is masked. Filter with owner:…" in text(pilot))
        app.area.post_message(WindowTable.HeadingClicked(app.area.table, "err"))
        await until(pilot, lambda: "sort err ↓" in text(pilot))


async def test_what_has_become_too_many_is_shown_in_its_own_order_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    make_keys(database.owner, 3)
    async with console(database) as (app, pilot):
        app.run_command("keys")
        await until(pilot, lambda: "wf_live_3" in text(pilot))
        app.area.post_message(WindowTable.HeadingClicked(app.area.table, "label"))
        await until(pilot, lambda: "sort label ↑" in text(pilot) and "wf_live_3" in text(pilot))
        monkeypatch.setattr("backends.postgres.paging.MAX_SORTED", 2)
        await pilot.press("r")
        await until(pilot, lambda: "filter them to sort by label" in text(pilot) and "sort created ↓" in text(pilot))
        assert "wf_live_3" in text(pilot)


async def test_every_order_has_a_letter_of_its_own(database: Database) -> None:
    fill(database)
    async with console(database) as (app, _):
        assert app.area.sort_letters() == {
            "n": "name",
            "i": "id",
            "s": "status",
            "p": "plan",
            "r": "region",
            "c": "created",
            "h": "changed",
            "o": "protected",
            "e": "err",
            "q": "req",
            "9": "p95",
        }


async def begin_to_create(pilot: Pilot[None], name: str) -> None:
    await pilot.press("a")
    await until(pilot, lambda: "display name" in text(pilot))
    await pilot.press("n")
    await until(pilot, lambda: "id *" in text(pilot))
    await type_in(pilot, name)


async def test_a_n_creates_another_tenant_whatever_row_the_cursor_is_on(database: Database) -> None:
    fill(database)
    async with console(database) as (_, pilot):
        await until(pilot, lambda: "Acme" in text(pilot))
        await begin_to_create(pilot, "newone")
        await pilot.press(*["enter"] * 7)  # through the fields that may stay empty
        await confirm(pilot)
        await until(pilot, lambda: "create newone · audit" in text(pilot))


async def test_a_n_creates_another_project_of_the_tenant_under_the_cursor(database: Database) -> None:
    fill(database)
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'web', 'Web')")
    async with console(database) as (app, pilot):
        app.run_command("projects")
        await until(pilot, lambda: "Web" in text(pilot))
        await begin_to_create(pilot, "api")
        await pilot.press("enter", "enter")
        await confirm(pilot)
        await until(pilot, lambda: "create acme/api · audit" in text(pilot))


async def test_a_slow_reading_is_let_finish_and_followed_by_one(database: Database) -> None:
    """Hints come every few seconds, and faster in a war room."""
    async with console(database) as (app, pilot):
        screen, gate, readings = app.screen, asyncio.Event(), []
        assert isinstance(screen, AreaScreen)

        async def slow() -> None:
            readings.append("begun")
            await gate.wait()
            readings.append("done")

        screen.refresh_data = slow  # type: ignore[method-assign]
        for _ in range(3):
            screen.news()
            await pilot.pause()
        assert readings == ["begun"]
        gate.set()
        await quiet(pilot)
        assert readings == ["begun", "done"] * 2


async def test_errors_are_sorted_with_the_most_first_and_the_unknown_last(database: Database) -> None:
    fill(database)
    with psycopg.connect(database.owner) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name) VALUES ('some', 'Some')")
        connection.execute(
            "UPDATE wf.tenant_activity SET per_minute = 9, error_share = share, until = now() FROM"
            " (VALUES ('acme', 0.1), ('zed', 0.5)) v (id, share) WHERE tenant_id = v.id"
        )

    def order(pilot: Pilot[None]) -> list[str]:
        return [name for line in text(pilot).splitlines() for name in ("acme", "zed", "some") if f" {name} " in line]

    async with console(database) as (app, pilot):
        await until(pilot, lambda: "Acme" in text(pilot))
        await pilot.press("S", "e")
        await until(pilot, lambda: order(pilot) == ["zed", "acme", "some"])
        await pilot.press("e")  # again reverses, and does not export
        await until(pilot, lambda: app.area.descending is False)
        await quiet(pilot)
        assert not isinstance(app.screen, FieldsForm)
        await pilot.press("j", "e")
        await until(pilot, lambda: isinstance(app.screen, FieldsForm))


async def test_q_goes_back_and_on_the_first_screen_asks_to_leave(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.dialogs.confirm.DEAD_SECONDS", 0.0)
    fill(database)
    async with console(database) as (app, pilot):
        await until(pilot, lambda: "Acme" in text(pilot))
        app.run_command("test/tenants/acme")
        await until(pilot, lambda: "› acme" in text(pilot))
        await pilot.press("q")
        await until(pilot, lambda: "› acme" not in text(pilot) and "Zed" in text(pilot))
        while not isinstance(app.screen, Confirm):
            await pilot.press("q")
            await quiet(pilot)
        assert "Nothing ends with the console" in text(pilot)
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, Confirm))
        assert app.context is not None
        app.context = app.context._replace(ends="All of it ends with this console.")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "All of it ends" in text(pilot) and "Nothing ends" not in text(pilot)
        await pilot.press("y")
        await until(pilot, lambda: app._exit)


async def test_the_help_names_every_command(database: Database) -> None:
    from screens.dialogs.help import help_lines

    async with console(database) as (app, _):
        lines = [line if isinstance(line, str) else line[0] for line in help_lines(app.area)]
        for name in app.commands():
            assert any(line.startswith(f"  :{name} ") for line in lines), name
        assert any("  q  " in line and "leave" in line for line in lines)
        titles = [line for line in lines if line and not line.startswith(" ")]
        assert titles.index("Keys here") < next(n for n, t in enumerate(titles) if t.startswith("Commands"))
        keys = lines[lines.index("Keys here") + 1 : lines.index("", lines.index("Keys here"))]
        assert any("j ↓ " in line for line in keys) and any("shift+↑" in line for line in keys)
        assert max(map(len, keys)) <= 76 and not any("_" in line for line in keys), "symbols, not their names"


async def test_the_help_is_searched(database: Database) -> None:
    async with console(database) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: "Keys here" in text(pilot))
        await pilot.press("slash", *"leave")
        await until(pilot, lambda: ":quit" in text(pilot) and "PgDn" not in text(pilot))
        await pilot.press(*"xyz")
        await until(pilot, lambda: "No match for leavexyz" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "PgDn" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.area)


async def test_back_and_forward_through_where_one_was_with_cursor_and_filter(database: Database) -> None:
    fill(database)

    def here(app: Any) -> tuple[str, str, str]:
        left = app.area.as_view()
        return app.area.noun, left.filter, left.row

    async with console(database) as (app, pilot):
        await command(pilot, "tenants e")
        await pilot.press("j")
        await quiet(pilot)
        first = here(app)
        assert first == ("tenants", "e", "default")
        await pilot.press("9")
        await command(pilot, "tenants id:zed")
        await pilot.press("enter")
        await until(pilot, lambda: "› zed" in text(pilot))
        seen = []
        for _ in range(4):
            await pilot.press("left_square_bracket")
            await quiet(pilot)
            seen.append((app.area.noun, len(app.screen_stack)))
        assert seen == [("tenants", 2), ("audit", 2), ("tenants", 2), ("tenants", 2)]
        await pilot.press("right_square_bracket")
        await quiet(pilot)
        assert here(app) == first, "with the filter and the cursor that it was left with"
        await pilot.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
        await until(pilot, lambda: "› zed" in text(pilot))
        await pilot.press("right_square_bracket")
        assert "the last view" in text(pilot)
        await pilot.press("left_square_bracket")
        await quiet(pilot)
        assert here(app)[:2] == ("tenants", "id:zed")


async def test_a_click_on_a_heading_sorts_by_it_the_worst_first(database: Database) -> None:
    fill(database)
    async with console(database) as (app, pilot):
        area: Any = app.area
        heads = text(pilot).splitlines()[2]
        for title, sort in (("ERR%", "err"), ("NAME", "name"), ("STATUS", "status")):
            await pilot.click(area.table, offset=(heads.index(title) + 1, 0))
            await quiet(pilot)
            assert area.sort == sort, title
            assert area.descending is (sort == "err"), "measures begin with the largest"
