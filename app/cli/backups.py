"""`watchfloor home backup FILE` and `watchfloor home restore FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from app.cli.asked import CHANGING, READING, Changing, Reading, chosen
from app.cli.homes import ask, done, owner
from app.cli.output import document, say, tell
from controlplane.errors import NotFound
from controlplane.operations import Risk
from controlplane.text import clean


def backup(file: Path, *, asked: Reading = READING) -> None:
    """Write the home, with its trail, to a new file. Logins and their passwords are not in it."""
    from backends.postgres.backup import back_up
    from backends.postgres.refusals import as_refusals

    with as_refusals():
        size = back_up(owner(asked)[0], file, on_table=_progress)
    if asked.json:
        document({"item": {"file": str(file), "bytes": size}})
        return
    say(clean(f"{file}: {size:,} bytes. Take it in with: watchfloor home restore {file} --home ANOTHER"))


def restore(file: Path, *, asked: Changing = CHANGING) -> None:
    """Make a home of an empty database, or of a folder that is not there yet, from a backup."""
    from backends.postgres.backup import restore as take_in
    from backends.postgres.refusals import as_refusals

    if not file.is_file():
        raise NotFound("no_backup", f"There is no file {file}.", "watchfloor home backup FILE makes one.")
    choice, _ = chosen(asked)
    ask(asked, "home restore", Risk.CONFIRM, "", f"{file} becomes the home {choice.value}.")
    missing: list[str] = []
    if not asked.dry_run:
        conninfo, admin = owner(asked)
        with as_refusals():
            missing = take_in(conninfo, file, admin=admin, on_table=_progress)
    lines = ["restored" if not asked.dry_run else "it would be restored"]
    lines += [f"{name} is not let in here yet: watchfloor operators add {name} --role ROLE" for name in missing]
    done(asked, {"restored": not asked.dry_run, "operators_without_login": missing}, lines)


def _progress(table: str) -> None:
    if sys.stderr.isatty():
        tell(clean(f"  {table}"))
