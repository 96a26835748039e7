"""Shows what another console shows, or what was shown before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from screens.desk import Desk


def show(desk: Desk, record: Mapping[str, Any]) -> None:
    """`record`: of a View; foreign data. Raises Refusal when it is of no screen that there is."""
    from controlplane.listing import View

    view, area = View.read(record), desk.area
    if area is None or area.as_view().path != view.path:
        desk.run_command(f"{desk.session.context}/{view.path}")
        area = desk.area
    if area is not None and area.noun == view.noun:
        area.look_like(view)
