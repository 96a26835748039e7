"""Header, title and footer: what they keep when there is no room, and that they are painted only when they change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.text import cells, clean
from screens.widgets.bars import FooterBar, HeaderBar, TitleLine, breadcrumbs, fitting
from tests.screens.desk import Desk, strips, texts
from tests.screens.test_table import HOSTILE

HINTS = (("enter", "open"), ("a", "act"), ("/", "filter"), (":", "command"), ("w", "why"), ("?", "help"))
WIDTHS = (120, 80, 60, 40, 1)


def header(bar, **changes):
    told = {"environment": "PROD", "read_only": True, "crumbs": ["acme-prod", "tenants", "acme"], "link": "live 1s"}
    bar.show(**{**told, **changes})


async def shown(bar, show, widths=WIDTHS):
    """The line of the bar at each width."""
    lines = {}
    async with Desk(bar).run_test(size=(widths[0], 5)) as pilot:
        for width in widths:
            await pilot.resize_terminal(width, 5)
            await pilot.pause()
            show()
            (lines[width],) = texts(bar)
            assert cells(lines[width]) == width
    return lines


async def test_the_header_keeps_environment_and_link_and_lets_counts_go():
    bar = HeaderBar()
    counts = ["3 alerts", "12 dead", "INC-41: ana has the conn"]
    lines = await shown(bar, lambda: header(bar, counts=counts))
    assert lines[120].startswith(" PROD  RO  acme-prod › tenants › acme ")
    assert lines[120].endswith("  live 1s  3 alerts  12 dead  INC-41: ana has the conn ")
    assert "12 dead" in lines[80] and "INC-41" not in lines[80]
    assert "alerts" not in lines[40] and lines[40].startswith(" PROD  RO") and lines[40].endswith(" live 1s ")


async def test_the_header_says_how_the_link_is_in_words_and_tone():
    bar = HeaderBar()
    async with Desk(bar).run_test(size=(80, 5)):
        looks = []
        for link in ("live 1s", "stale 42s", "offline, retry in 8s"):
            header(bar, link=link)
            (strip,) = strips(bar)
            assert strip.text.endswith(f"  {link} ")
            looks.append(next(segment.style for segment in strip if segment.text.startswith(link)))
        assert len(set(looks)) == 3
        header(bar, environment="STAGING", read_only=False)
        assert texts(bar)[0].startswith(" STAGING   acme-prod")


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40).map(clean), max_size=5), st.integers(0, 120))
def test_breadcrumbs_fit(names, width):
    text = breadcrumbs(names, width)
    assert cells(text) <= width
    if cells(" › ".join(names)) <= width:
        assert text == " › ".join(names)


def test_long_breadcrumbs_are_cut_in_the_middle_then_the_middle_ones_go():
    names = ["prod", "tenants", "a-very-long-name-of-a-tenant-0042"]
    assert breadcrumbs(names, 35) == "prod › tenants › a-very-lo…ant-0042"
    assert breadcrumbs(["first-one", "second-one", "third-one"], 24) == "firs…one › … › thir…one"


async def test_the_footer_drops_hints_from_the_last_and_keeps_help():
    bar = FooterBar()
    lines = await shown(bar, lambda: bar.show(hints=HINTS, role="operator"))
    assert lines[80] == " enter open  a act  / filter  : command  w why  ? help".ljust(70) + " operator "
    assert "w why" not in lines[60] and "? help" in lines[60] and "enter open" in lines[60]
    assert "? help" in lines[40] and ": command" not in lines[40]


@given(
    st.lists(st.tuples(st.sampled_from("abcde?"), st.text("xyz", max_size=9)), unique_by=lambda hint: hint[0]),
    st.integers(0, 99),
)
def test_hints_fit_and_are_dropped_from_the_end(hints, width):
    kept = fitting(hints, width)
    others = [hint for hint in hints if hint[0] != "?"]
    left = [hint for hint in kept if hint[0] != "?"]
    assert left == others[: len(left)]
    assert [hint for hint in kept if hint[0] == "?"] == [hint for hint in hints if hint[0] == "?"]


async def test_what_happened_takes_the_place_of_the_hints():
    bar = FooterBar()
    said = "revoked; refused everywhere after 0.4 s"
    lines = await shown(bar, lambda: bar.show(hints=HINTS, role="operator", said=said, tone="good"))
    assert lines[80].startswith(f" {said} ") and lines[80].endswith(" operator ")
    assert "enter" not in lines[80]


async def test_the_title_says_what_is_shown_of_all_and_in_which_order():
    bar = TitleLine()
    told = {
        "noun": "tenants",
        "count": "38 of 1,204",
        "filter": "/status:suspended plan:growth",
        "order": "sort errors ↓",
    }
    lines = await shown(bar, lambda: bar.show(**told))
    assert lines[80].startswith(" tenants  38 of 1,204  /status:suspended plan:growth ")
    assert lines[80].endswith(" sort errors ↓ ")
    assert "38 of 1,204" in lines[40] and "/status" in lines[40]


async def test_a_filter_that_cannot_be_read_is_said_in_its_own_words():
    bar = TitleLine()
    fault = "There is no field plam. Fields: plan, status."
    lines = await shown(
        bar, lambda: bar.show(noun="tenants", count="38", filter="/plam:x", fault=fault, order="sort id ↑")
    )
    assert f"/plam:x  ! {fault}" in lines[80] and "sort" not in lines[80]
    assert "! There is" in lines[40]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_foreign_text_is_inert_in_every_bar(hostile):
    head, title, foot = HeaderBar(), TitleLine(), FooterBar()
    for bar, show in (
        (head, lambda: header(head, environment=hostile, crumbs=[hostile, hostile], link=hostile, counts=[hostile])),
        (title, lambda: title.show(noun=hostile, count=hostile, filter=hostile, fault=hostile, order=hostile)),
        (foot, lambda: foot.show(hints=[(hostile, hostile)], role=hostile, said=hostile)),
    ):
        lines = await shown(bar, show, widths=(80,))
        assert lines[80].isprintable()


async def test_a_bar_is_painted_only_when_its_text_changed(monkeypatch):
    bar, regions = HeaderBar(), []
    async with Desk(bar).run_test(size=(80, 5)) as pilot:
        header(bar)
        await pilot.pause()
        monkeypatch.setattr(bar, "refresh", lambda *asked, **_: regions.extend(asked))
        header(bar)
        assert regions == []
        header(bar, link="live 2s")
        assert [(region.x, region.width) for region in regions] == [(72, 7)]
