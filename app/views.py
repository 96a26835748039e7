"""Named views: a list's filter, order and columns under a name, kept in the settings file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.settings import View
from controlplane.errors import NotFound, Usage
from controlplane.text import clean
from screens.desk import Done
from screens.lists import ListScreen

if TYPE_CHECKING:
    from app.console import Watchfloor

HINT = ":view NAME, :view save NAME, :view delete NAME, :view list"


def view(app: Watchfloor, rest: str) -> None:
    """Carry out `:view …`. Raises Refusal."""
    words = rest.split()
    if words in ([], ["list"]):
        _list(app)
    elif words[0] == "save" and len(words) == 2:
        save(app, words[1])
    elif words[0] == "delete" and len(words) == 2:
        delete(app, words[1])
    elif len(words) == 1:
        show(app, _named(app, words[0]))
    else:
        raise Usage("view_unreadable", f":view does not understand {clean(rest, 60)}.", HINT)


def completions(app: Watchfloor, rest: str) -> list[str]:
    """What may follow `view `."""
    names = sorted(app.settings.views)
    offered = [*names, "save ", "delete ", "list", *(f"{verb} {name}" for verb in ("delete", "save") for name in names)]
    return [f"view {each}" for each in offered if each.startswith(rest)]


def save(app: Watchfloor, name: str) -> None:
    from app.settings_text import put_table

    if name in ("save", "delete", "list"):
        raise Usage("view_name", f"A view cannot be called {name}.", HINT)
    screen = app.area
    if not isinstance(screen, ListScreen):
        raise Usage("view_of_list", "Only a list can be kept as a view.", "Go to one, then :view save NAME")
    values: dict[str, str | list[str]] = {"noun": screen.noun}
    values |= {"filter": screen.filter_text} if screen.filter_text else {}
    values |= {"sort": screen.order_name} if screen.sort else {}
    values |= {"columns": list(screen.only)} if screen.only else {}
    known = name in app.settings.views
    put_table(app.settings.path, ("views", name), values)
    app.read_settings()
    verb = "replaced" if known else "saved"
    app.tell(Done(f"view {name} {verb} in {app.settings.path.name}; :view {name} shows it"))


def delete(app: Watchfloor, name: str) -> None:
    from app.settings_text import put_table

    _named(app, name)
    put_table(app.settings.path, ("views", name), None)
    app.read_settings()
    app.tell(Done(f"view {name} deleted"))


def show(app: Watchfloor, wanted: View) -> None:
    """Go to the view's noun and give its list the view's filter, order and columns."""
    app.go(wanted.noun)
    screen = app.area
    if not isinstance(screen, ListScreen) or screen.noun != wanted.noun:
        raise Usage("view_noun", f"The view {wanted.name} is of {wanted.noun}, which has no list here.")
    screen.show_as(wanted.filter, wanted.sort, wanted.columns)


def _named(app: Watchfloor, name: str) -> View:
    if name not in app.settings.views:
        known = ", ".join(sorted(app.settings.views))
        raise NotFound("no_view", f"There is no view {clean(name, 64)}.", f"Views: {known}." if known else HINT)
    return app.settings.views[name]


def _list(app: Watchfloor) -> None:
    from controlplane.lists import Line
    from screens.dialogs.viewer import Viewer

    lines: list[Line] = []
    for each in app.settings.views.values():
        lines += [(each.name, "title"), f"  {each.noun} /{each.filter}".rstrip("/ ")]
        lines += [f"  sort {each.sort}"] if each.sort else []
        lines += [f"  columns {', '.join(each.columns)}"] if each.columns else []
    app.push_screen(Viewer(app.session, "views", lines or ["No view yet.", "", HINT]))
