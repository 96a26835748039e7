"""The view that was shown when the connection was cut: kept at a hang-up, shown once at the next start."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from controlplane.errors import Refusal
from screens.desk import Desk, Done
from screens.views import show

if TYPE_CHECKING:
    from app.console import Watchfloor


def path() -> Path:
    from platformdirs import user_state_path

    return user_state_path("watchfloor", appauthor=False) / "view.json"


def keep(app: Watchfloor) -> None:
    """Save the view, quickly and without waiting: the program is being ended."""
    area = app.area
    if area is None or app.session.plane is None or app.session.environment == "demo":
        return  # the next demonstration is another home
    kept: dict[str, Any] = {"context": app.session.context, "home": _home(app), **area.as_view().record()}
    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}-{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        json.dump(kept, written)
    new.replace(file)


def _home(app: Watchfloor) -> str:
    """Where it is: two folders of one name are two homes."""
    from app.switching import choices

    choice = choices(app).get(app.session.context)
    return (choice.value if choice else None) or ""


def show_again(app: Watchfloor) -> bool:
    """Show the view that was cut off in this context, if there is one; it is forgotten then."""
    file = path()
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if (kept["context"], kept["home"]) != (app.session.context, _home(app)) or not kept["path"]:
            return False
        file.unlink()
        show(cast(Desk, app), kept)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, Refusal):
        return False  # nothing was kept, or by another version
    app.tell(Done("the connection was cut here last time: this is the view you had", "muted"))
    return True
