"""What a screen shows, taken so that another console, or this one later, can show the same."""

from __future__ import annotations

from controlplane.presence.model import View
from screens.area import AreaScreen
from screens.desk import Desk
from screens.lists import ListScreen


def view_of(area: AreaScreen) -> View:
    path = area.view_link().partition("#")[0].removeprefix(f"{area.session.context}/")
    if not isinstance(area, ListScreen):
        return View(area.noun, path)
    row = area.current()
    return View(
        area.noun,
        path.partition("?")[0],
        filter=area.filter_text,
        sort=area.order_name,
        columns=area.only,
        row=row.key if row is not None else "",
    )


def show(desk: Desk, area: AreaScreen | None, view: View) -> AreaScreen | None:
    """Show the same here. `area`: the screen that is shown now; returns the one that is shown then. Raises Refusal."""
    if area is None or view_of(area).path != view.path or area.noun != view.noun:
        desk.run_command(f"{desk.session.context}/{view.path}")
        area = desk.area
    if isinstance(area, ListScreen) and area.noun == view.noun:
        if (area.filter_text, area.order_name, area.only) != (view.filter, view.sort, view.columns):
            area.show_as(view.filter, view.sort, view.columns)
        if view.row and not (area.is_readable and area.table.put_cursor(view.row)):
            area.awaited_row = view.row
    return area
