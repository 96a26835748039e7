"""The table over a list of a million rows: moving, refreshing, marks, foreign text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from textual.geometry import Region
from textual.pilot import Pilot

from controlplane.errors import HomeUnreachable
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from screens.widgets.table import WindowTable
from screens.widgets.window import LIMIT
from tests.screens.desk import Desk, settled, strips, texts
from tests.screens.million import COLUMNS, MILLION, Million, Thing

ALL = Query()
EVEN = Query((Term("word", ("even",)),))
LAST = f"t{MILLION - 1:07d}"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A table in a program, with a hand on its clock."""

    def __init__(self, pilot: Pilot[None], table: WindowTable[Thing], listing: Million, clock: Clock) -> None:
        self.pilot, self.table, self.listing, self.clock = pilot, table, listing, clock
        assert isinstance(pilot.app, Desk)
        self.said = pilot.app.said

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await settled(self.pilot, self.table)

    async def refresh(self, later: float = 10) -> None:
        self.clock.now += later
        await self.table.refresh_rows()
        await settled(self.pilot, self.table)

    @property
    def at(self) -> str | None:
        row = self.table.cursor_row
        return row.key if row else None

    def line(self, key: str) -> int:
        return next((y for y, text in enumerate(texts(self.table)) if key in text), -1)


@asynccontextmanager
async def staged(
    listing: Million | None = None, query: Query = ALL, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Stage]:
    listing, clock = listing or Million(), Clock()
    table = WindowTable(COLUMNS, empty="No tenants yet.", clock=clock)
    async with Desk(table).run_test(size=size) as pilot:
        table.focus()
        table.show(listing, query)
        if listing.gate.is_set():
            await settled(pilot, table)
        yield Stage(pilot, table, listing, clock)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_first_page_is_on_the_screen_after_one_read(size):
    async with staged(size=size) as stage:
        lines = texts(stage.table)
        assert len(lines) == size[1]
        assert all(len(line) == size[0] for line in lines)
        assert lines[0].split()[:2] == ["TENANT", "NAME"]
        assert lines[1].startswith("›  t0000000 ")
        assert ("MORE" in lines[0]) == (size[0] == 120)
        assert stage.at == "t0000000"
        assert [start for start, _, _ in stage.listing.reads] == [None] if size[1] == 24 else True
        assert ("loaded", 2026) in stage.said and ("highlighted", "t0000000") in stage.said


async def test_keys_move_by_row_page_and_end():
    async with staged() as stage:
        for keys, key in (
            (["j", "down", "j"], "t0000003"),
            (["k", "up"], "t0000001"),
            (["pagedown"], "t0000023"),
            (["pageup"], "t0000001"),
            (["end"], LAST),
            (["k"], f"t{MILLION - 2:07d}"),
            (["home"], "t0000000"),
            (["up"], "t0000000"),
            (["G"], LAST),
            (["down"], LAST),
            (["g"], "t0000000"),
        ):
            await stage.press(*keys)
            assert stage.at == key, keys
            assert texts(stage.table)[stage.line(key)].startswith("›")


async def test_moving_within_the_rows_held_reads_nothing_and_waits_for_nothing():
    async with staged() as stage:
        stage.listing.reads.clear()
        stage.listing.gate.clear()  # nothing more can be read
        for _ in range(30):
            stage.table.action_move(1)
        assert stage.at == "t0000030"
        assert stage.line("t0000030") == 23
        assert stage.listing.reads == []
        stage.listing.gate.set()


async def test_the_end_is_one_page_read_backward_and_home_one_forward():
    async with staged() as stage:
        stage.listing.reads.clear()
        await stage.press("end")
        assert stage.listing.reads == [(None, True, 100)]
        assert stage.line(LAST) == 23
        stage.listing.reads.clear()
        await stage.press("home")
        assert stage.listing.reads == [(None, False, 100)]
        assert stage.line("t0000000") == 1


async def test_the_window_slides_without_holes_and_never_holds_more_than_its_limit():
    async with staged(Million(600)) as stage:
        seen = [row.key for row in stage.table.rows_in_sight]
        while stage.at != "t0000599":
            stage.table.action_page(1)
            await settled(stage.pilot, stage.table)
            seen += [row.key for row in stage.table.rows_in_sight if row.key not in seen]
            assert len(stage.table._paging.window) <= LIMIT
        assert seen == [f"t{n:07d}" for n in range(600)]
        assert len(stage.listing.reads) == 6
        back = [row.key for row in stage.table.rows_in_sight]
        while stage.at != "t0000000":
            stage.table.action_page(-1)
            await settled(stage.pilot, stage.table)
            back = [row.key for row in stage.table.rows_in_sight if row.key not in back] + back
        assert back == seen


async def test_end_takes_back_a_key_that_comes_before_its_answer():
    async with staged() as stage:
        stage.listing.gate.clear()
        await stage.pilot.press("end", "j")
        stage.listing.gate.set()
        await settled(stage.pilot, stage.table)
        assert stage.at == "t0000001"


async def test_rows_inserted_above_leave_the_cursor_on_its_row():
    async with staged() as stage:
        await stage.press("j", "j", "j")
        stage.listing.odd = {-2.0: "new-a", -1.0: "new-b"}
        await stage.refresh()
        assert stage.at == "t0000003"
        assert stage.line("new-a") == 1 and stage.line("t0000003") == 6


async def test_rows_inserted_above_what_is_in_sight_move_nothing():
    async with staged() as stage:
        await stage.press("pagedown", "pagedown", "pagedown")
        before = texts(stage.table)
        stage.listing.odd = {3.5: "new"}
        await stage.refresh()
        assert texts(stage.table) == before


async def test_a_row_that_went_away_is_shown_as_gone_once_and_cannot_be_opened():
    async with staged() as stage:
        await stage.press("j", "j")
        stage.listing.gone = {2, 5}
        await stage.refresh()
        gone = texts(stage.table)[3]
        assert gone.startswith("›  t0000002") and "(gone)" in gone and "name of" not in gone
        assert "(gone)" in texts(stage.table)[6]
        assert stage.at is None
        stage.table.mark_loaded()
        stage.table.set_marks([*stage.table.marks, "t0000002"])
        assert "t0000001" in stage.table.visible_marks() and "t0000002" not in stage.table.visible_marks()
        await stage.press("enter")
        assert not [said for said in stage.said if said[0] == "opened"]
        await stage.refresh()
        assert "(gone)" not in "".join(texts(stage.table))
        assert stage.at == "t0000003"
        await stage.press("enter")
        assert ("opened", "t0000003") in stage.said


async def test_a_list_that_became_empty_says_so():
    async with staged(Million(3)) as stage:
        stage.listing.gone = {0, 1, 2}
        await stage.refresh()
        assert "".join(texts(stage.table)).count("(gone)") == 3
        await stage.refresh()
        assert any("No tenants yet." in line for line in texts(stage.table))
        stage.listing.gone = set()
        await stage.refresh()
        assert stage.at == "t0000000"


async def test_the_rest_of_the_list_went_away_while_at_its_end():
    async with staged(Million(1000)) as stage:
        await stage.press("end")
        stage.listing.gone = set(range(500, 1000))
        await stage.refresh()
        await stage.refresh()
        assert stage.at is not None and int(stage.at[1:]) < 500


async def test_a_second_reading_that_was_overtaken_by_a_page_is_dropped():
    asked, late = asyncio.Event(), asyncio.Event()

    class Late(Million):
        """Answers a second reading last."""

        async def page(self, query, **options):
            page = await super().page(query, **options)
            if options.get("inclusive"):
                asked.set()
                await late.wait()
            return page

    async with staged(Late(1000)) as stage:
        again = asyncio.create_task(stage.table.refresh_rows())
        await asked.wait()
        stage.table.action_move(60)  # a page more is read meanwhile
        await settled(stage.pilot, stage.table)
        loaded = stage.said.count(("loaded", 2026))
        stage.clock.now += 10
        late.set()
        await again
        await settled(stage.pilot, stage.table)
        assert stage.said.count(("loaded", 2026)) == loaded
        assert stage.at == "t0000060"
        assert len(stage.table._paging.window) == 200


@pytest.fixture
def refreshed(monkeypatch: pytest.MonkeyPatch) -> list[Region]:
    """The regions that are asked to be painted again; a whole widget is an empty one."""
    regions: list[Region] = []
    refresh: Callable[..., WindowTable[Thing]] = WindowTable.refresh

    def recorded(self, *asked, **options):
        regions.extend(asked or [Region()])
        return refresh(self, *asked, **options)

    monkeypatch.setattr(WindowTable, "refresh", recorded)
    return regions


async def test_a_refresh_repaints_only_the_cells_that_changed(refreshed):
    async with staged() as stage:
        refreshed.clear()
        await stage.refresh()
        assert refreshed == []
        stage.listing.errors = {"t0000004": 42, "t0000009": 43, "t0000400": 44}
        await stage.refresh()
        assert refreshed == [Region(70, 5, 8, 1), Region(70, 10, 8, 1)]
        assert texts(stage.table)[5].rstrip().endswith(" 42")


async def test_a_move_repaints_two_lines(refreshed):
    async with staged() as stage:
        await stage.press("j")
        refreshed.clear()
        await stage.press("j")
        assert {region.y for region in refreshed} == {2, 3}


async def test_the_rows_are_drawn_once_for_a_key_to_the_other_end(monkeypatch, refreshed):
    drawn = 0
    lines = WindowTable.lines

    def counted(self):
        nonlocal drawn
        drawn += 1
        return lines(self)

    monkeypatch.setattr(WindowTable, "lines", counted)
    async with staged() as stage:
        for key, other_end in (("end", LAST), ("home", "t0000000")):
            drawn = 0
            refreshed.clear()
            await stage.press(key)
            assert stage.at == other_end and drawn == 1
            assert len(refreshed) == len({region.y for region in refreshed}), "a line is cut once"


async def test_nothing_changes_its_place_while_held_or_soon_after_a_key():
    async with staged() as stage:
        await stage.press("j")
        for freeze, thaw in (
            (lambda: stage.table.hold(), lambda: stage.table.release()),
            (lambda: stage.table.action_move(0), lambda: None),
        ):
            freeze()
            stage.listing.odd, stage.listing.errors = {-1.0: "new"}, {"t0000003": 77}
            await stage.refresh(later=0.4)
            await stage.refresh(later=0.05)
            assert stage.line("new") == -1 and stage.line("t0000003") == 4
            assert " 77" in texts(stage.table)[4]
            thaw()
            await stage.refresh(later=0.1)
            assert stage.line("new") == 1
            stage.listing.odd, stage.listing.errors = {}, {}
            await stage.refresh()
            await stage.refresh()


async def test_a_row_gone_while_held_stays_gone_in_its_place():
    async with staged() as stage:
        stage.table.hold()
        stage.listing.gone = {4}
        for _ in range(3):
            await stage.refresh()
            assert "(gone)" in texts(stage.table)[5]
        stage.table.release()
        await stage.refresh()
        assert stage.line("t0000004") == -1


async def test_rows_change_their_order_at_most_every_few_seconds():
    async with staged() as stage:

        def swap(first: int, second: int) -> None:
            stage.listing.gone = {first}
            stage.listing.odd = {second + 0.5: f"t{first:07d}"}

        swap(1, 4)
        await stage.refresh()
        assert stage.line("t0000001") == 5
        swap(2, 6)
        await stage.refresh(later=1)
        assert stage.line("t0000002") == 2
        await stage.refresh(later=3)
        assert stage.line("t0000002") == 7


async def test_a_filter_keeps_the_cursor_on_its_row_and_the_old_rows_until_the_answer():
    async with staged() as stage:
        await stage.press("j", "j", "j", "j")
        before = texts(stage.table)
        stage.listing.gate.clear()
        stage.table.show(stage.listing, EVEN)
        await stage.pilot.pause()
        assert texts(stage.table) == before
        stage.listing.gate.set()
        await settled(stage.pilot, stage.table)
        assert stage.at == "t0000004"
        assert stage.line("t0000004") == 3 and stage.line("t0000003") == -1


async def test_an_answer_to_an_older_question_is_dropped():
    class Overtaken(Million):
        """The next question comes before the first one is answered."""

        async def page(self, query, **options):
            page = await super().page(query, **options)
            if not query.terms:
                self.gate.clear()
                table.show(self, EVEN)
            return page

    listing = Overtaken(50)
    table = WindowTable(COLUMNS, empty="")
    async with Desk(table).run_test() as pilot:
        table.show(listing, ALL)
        while len(listing.reads) < 2:
            await pilot.pause()
        assert table.rows_in_sight == []
        listing.gate.set()
        await settled(pilot, table)
        assert [row.key for row in table.rows_in_sight][:3] == ["t0000000", "t0000002", "t0000004"]


async def test_another_list_never_shows_the_rows_of_the_one_before():
    async with staged() as stage:
        other = Million(5)
        other.gate.clear()
        stage.table.show(other, ALL)
        await stage.pilot.pause()
        assert stage.at is None and stage.line("t0000000") == -1
        other.gate.set()
        await settled(stage.pilot, stage.table)
        assert stage.at == "t0000000"


async def test_marks_are_by_identity_and_survive_filters_and_moves():
    async with staged() as stage:
        await stage.press("space", "space", "j", "shift+down", "shift+down")
        marks = {"t0000000", "t0000001", "t0000003", "t0000004", "t0000005"}
        assert stage.table.marks == marks
        assert texts(stage.table)[2].startswith(" ✓ t0000001")
        stage.table.show(stage.listing, EVEN)
        await settled(stage.pilot, stage.table)
        assert stage.table.marks == marks
        assert stage.table.visible_marks() == ["t0000000", "t0000004"]
        await stage.press("home", "space")
        assert stage.table.marks == marks - {"t0000000"}
        stage.table.set_marks([])
        assert stage.table.visible_marks() == []
        await stage.press("j", "j", "shift+up")
        assert stage.table.visible_marks() == ["t0000004", "t0000006"]


async def test_mark_all_marks_a_list_that_is_held_whole_and_asks_for_a_longer_one():
    async with staged(Million(60)) as stage:
        await stage.press("*")
        assert len(stage.table.marks) == 60
        assert stage.said[-1] == ("marked", 60)
        longer = Million(5000)
        stage.table.show(longer, EVEN)
        await settled(stage.pilot, stage.table)
        stage.table.set_marks([])
        await stage.press("*")
        assert not stage.table.marks
        assert ("mark all", EVEN) in stage.said
        stage.table.mark_loaded()
        assert len(stage.table.marks) == 100


async def test_a_failure_is_told_keeps_the_rows_and_is_tried_again():
    async with staged() as stage:
        before = texts(stage.table)
        stage.listing.fault = HomeUnreachable("home_unreachable", "The home does not answer.")
        await stage.refresh()
        assert stage.said[-1] == ("failed", "home_unreachable")
        assert texts(stage.table) == before
        stage.table.show(stage.listing, EVEN)
        await settled(stage.pilot, stage.table)
        assert texts(stage.table) == before
        stage.listing.fault = None
        await stage.refresh()
        assert stage.line("t0000001") == -1 and stage.line("t0000002") == 2


async def test_a_failure_at_first_is_not_an_empty_list():
    listing = Million()
    listing.fault = HomeUnreachable("home_unreachable", "The home does not answer.")
    async with staged(listing) as stage:
        shown = "".join(texts(stage.table))
        assert "No tenants yet." not in shown and "not read: The home does not answer." in shown


async def test_an_unexpected_failure_ends_neither_the_program_nor_shows_its_words():
    listing = Million()
    listing.fault = RuntimeError("postgresql://user:secret@host")
    async with staged(listing) as stage:
        assert stage.said[-1] == ("failed", "postgresql://user:secret@host")
        assert "secret" not in "".join(texts(stage.table))


async def test_waiting_is_said_after_a_while_with_seconds():
    listing = Million()
    listing.gate.clear()
    async with staged(listing) as stage:
        stage.clock.now += 0.2
        stage.table.repaint()
        assert "reading" not in "".join(texts(stage.table))
        stage.clock.now += 2
        stage.table._still_waiting()  # what the timer calls
        assert "reading, 2 s" in "".join(texts(stage.table))
        listing.gate.set()
        await settled(stage.pilot, stage.table)
        assert "reading" not in "".join(texts(stage.table))


async def test_waiting_is_said_by_a_timer():
    listing = Million()
    listing.gate.clear()
    async with staged(listing) as stage:
        stage.clock.now += 1
        for _ in range(100):
            if "reading, 1 s" in "".join(texts(stage.table)):
                break
            await stage.pilot.pause(0.05)
        else:
            pytest.fail("it was never said")
        listing.gate.set()


async def test_the_position_is_at_the_top_in_between_and_at_the_end():
    def thumb() -> list[int]:
        return [y for y, line in enumerate(texts(stage.table)) if line.endswith("▐")]

    async with staged() as stage:
        assert thumb() == [1]
        stage.table.total = 200
        for _ in range(4):
            await stage.press("pagedown")
        assert thumb()[0] in range(7, 13)
        await stage.press("end")
        assert thumb() == [23]
        stage.table.show(Million(20), ALL)
        await settled(stage.pilot, stage.table)
        assert thumb() == []


async def test_the_first_column_stays_when_scrolled_sideways():
    async with staged() as stage:
        await stage.press("right", "right", "right")
        header = texts(stage.table)[0]
        assert "TENANT" in header and "MORE" in header and "NAME" not in header
        await stage.press("left", "left", "left")
        assert "NAME" in texts(stage.table)[0]


async def test_the_order_is_marked_at_its_column():
    async with staged(query=Query(sort="errors", descending=True)) as stage:
        assert "ERRORS↓" in texts(stage.table)[0]
        stage.table.show(stage.listing, Query(sort="name"))
        await settled(stage.pilot, stage.table)
        assert "NAME↑" in texts(stage.table)[0] and "↓" not in texts(stage.table)[0]


@pytest.mark.parametrize("size", [(50, 24), (80, 12)])
async def test_a_small_screen_has_one_line_per_row_with_two_columns_and_no_header(size):
    async with staged(size=size) as stage:
        lines = texts(stage.table)
        assert lines[0].startswith("›  t0000000 ")
        assert "name of" in lines[0] and "TENANT" not in "".join(lines)
        assert all(len(line) == size[0] for line in lines)


async def test_a_resize_keeps_the_cursor_in_sight():
    async with staged(size=(120, 40)) as stage:
        stage.table.action_move(35)
        await stage.pilot.resize_terminal(80, 24)
        await settled(stage.pilot, stage.table)
        assert stage.at == "t0000035" and stage.line("t0000035") >= 1
        assert all(len(line) == 80 for line in texts(stage.table))


HOSTILE = (
    "\x1b]52;c;ZXZpbA==\x07\x1b[2J",
    "\u202egnp.exe\u2066",
    "[@click=app.quit]x[/]",
    "[ @click=app.quit]x",
    "a[/b]c",
    "two\nlines\r\t",
    "\x9b2J\x00",
    "名前" * 20,
    "e" + "\u0301" * 300,
)


async def test_foreign_names_are_inert_and_every_line_keeps_its_width():
    listing = Million(len(HOSTILE))
    listing.names = {f"t{n:07d}": name for n, name in enumerate(HOSTILE)}
    async with staged(listing) as stage:
        for strip in strips(stage.table):
            assert strip.text.isprintable()
            assert sum(segment.cell_length for segment in strip) == 80
            assert not any(segment.style and segment.style.meta for segment in strip)
        shown = texts(stage.table)
        assert "␛]52" in shown[1] and "[@click=app.quit]x[/]" in shown[3] and "a[/b]c" in shown[5]
        await stage.press("j", "j", "j", "space")
        await stage.pilot.click(stage.table, offset=(20, 3))
        assert stage.at == "t0000002" and stage.pilot.app.is_running


async def test_a_click_moves_the_cursor_and_a_second_one_opens():
    async with staged() as stage:
        await stage.pilot.click(stage.table, offset=(10, 5))
        assert stage.at == "t0000004"
        await stage.pilot.click(stage.table, offset=(10, 6), times=2)
        assert ("opened", "t0000005") in stage.said


async def test_nothing_depends_on_colour_alone():
    async with staged() as stage:
        stage.listing.gone = {3}
        await stage.press("j", "space")
        await stage.refresh()
        lines = strips(stage.table)
        assert lines[3].text.startswith("›") and all(s.style.reverse for s in list(lines[3])[:1])
        assert lines[2].text.startswith(" ✓") and "(gone)" in lines[4].text
        stage.table.blur()
        await stage.pilot.pause()
        lines = strips(stage.table)
        assert lines[3].text.startswith("›") and not any(s.style.reverse for s in lines[3])


async def test_the_theme_reaches_the_lines():
    async with staged() as stage:
        before = strips(stage.table)[7]
        stage.pilot.app.theme = "textual-light"
        await stage.pilot.pause()
        assert strips(stage.table)[7] != before


async def test_a_move_costs_the_same_few_milliseconds_at_any_length():
    async with staged(size=(120, 40)) as stage:
        await stage.press("end")
        started = time.process_time()
        for _ in range(50):
            stage.table.action_move(-1)
            strips(stage.table)
        assert (time.process_time() - started) / 50 < 0.02  # 1 to 2 ms; room for a busy machine
