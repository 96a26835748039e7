"""`watchfloor home …` and `watchfloor contexts list`: the homes and their PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.cli import asking
from app.cli.asked import CHANGING, READING, Changing, Reading, chosen
from app.cli.output import Column, answering, changed, document, facts, listed, say, table, tell
from app.homes import HomeChoice, home_name
from controlplane.clock import machine_now
from controlplane.errors import Refusal
from controlplane.operations import Risk
from controlplane.text import clean
from controlplane.urls import shown_url

if TYPE_CHECKING:
    from app.settings import Settings
    from backends.postgres.migrate import SchemaState


def status(*, asked: Reading = READING) -> None:
    """Show where the home is, whether it runs, and whether this program can use it."""
    choice, settings = chosen(asked)
    item: dict[str, Any] = {"kind": "embedded" if choice.kind == "folder" else "url", "source": choice.source}
    item |= _embedded_status(choice) if choice.kind == "folder" else _url_status(choice, settings)
    if asked.json:
        document({"item": item})
        return
    problem = item.pop("problem")
    openings = item.pop("open")
    facts((name, "–" if value is None else str(value)) for name, value in item.items())
    for words in openings or ():
        tell(clean(f"open: {words}"))
    if problem:
        tell(clean(f"{problem['message']} {problem['hint']} [{problem['code']}]"))


def _embedded_status(choice: HomeChoice) -> dict[str, Any]:
    from app.embedded import embedded_of

    embedded = embedded_of(choice)
    found = embedded.status()
    known = embedded.known() if found.state == "running" else None
    item = found._asdict() | {"folder": str(found.folder), "socket_folder": None}
    item["worker"] = "running" if found.worker_pid is not None else "none" if found.state == "running" else None
    if found.socket_folder is not None:
        item["socket_folder"] = str(found.socket_folder)
    full = embedded.out_of_room() if found.state != "absent" else None
    item |= _schema(known.owner_conninfo()) if known else _no_schema(None)
    return item | {"problem": item["problem"] or _words(full)}


def _url_status(choice: HomeChoice, settings: Settings) -> dict[str, Any]:
    from app.contexts import conninfo_of

    try:
        return {"url": choice.value, "state": "running"} | _schema(conninfo_of(choice, settings))
    except Refusal as refusal:
        return {"url": choice.value, "state": "unknown"} | _no_schema(refusal)


def _schema(conninfo: str) -> dict[str, Any]:
    """Raises HomeUnreachable."""
    from backends.postgres.link import Link, dressed, pooler_of
    from backends.postgres.migrate import schema_state
    from backends.postgres.openings import openings
    from backends.postgres.refusals import as_refusals

    with as_refusals(), Link.connect(dressed(conninfo, "command"), autocommit=True) as connection:
        pooler = pooler_of(connection, conninfo)
        state: SchemaState = schema_state(connection)
        found = openings(connection)
    usable = {"server": state.server, "pooler": pooler, "migration": state.applied, "migrations_known": state.known}
    return usable | {"usable": state.problem is None, "open": found, "problem": _words(state.problem)}


def _no_schema(problem: Refusal | None) -> dict[str, Any]:
    return {
        "server": None,
        "pooler": None,
        "migration": None,
        "migrations_known": None,
        "usable": None,
        "open": None,
        "problem": _words(problem),
    }


def _words(problem: Refusal | None) -> dict[str, Any] | None:
    return {"code": problem.code, "message": problem.message, "hint": problem.hint} if problem else None


def migrate(*, asked: Changing = CHANGING) -> None:
    """Bring the home to this program's schema, and make one of an empty database."""
    from app.embedded import embedded_of, renew_worker
    from backends.postgres import migrate as migrations
    from backends.postgres.refusals import as_refusals

    choice, _ = chosen(asked)
    conninfo, admin = owner(asked)
    if asked.dry_run:
        state = _schema(conninfo)
        names = [f"{m.number:04}_{m.name}" for m in migrations.known_migrations()[state["migration"] :]]
        if not names and state["problem"] and state["problem"]["code"] == "home_older":
            names = ["functions"]
    else:
        with as_refusals():
            names = migrations.migrate(conninfo, admin=admin)
        if choice.kind == "folder":
            renew_worker(embedded_of(choice), names)
    done(asked, {"applied": names}, [f"applied {name}" for name in names] or ["nothing to apply"])


def owner(asked: Reading) -> tuple[str, str | None]:
    """The connection that owns the home, and who shall be an admin of an embedded one."""
    from app.contexts import conninfo_of
    from app.embedded import embedded_of

    choice, settings = chosen(asked)
    if choice.kind == "folder":
        credentials = embedded_of(choice).ensure()
        return credentials.owner_conninfo(), credentials.login_user
    return conninfo_of(choice, settings), None


def stop(*, asked: Changing = CHANGING) -> None:
    """Stop the embedded home's PostgreSQL and its worker. The next program that needs it starts it again."""
    from app.embedded import embedded_of

    embedded = embedded_of(chosen(asked)[0])
    ask(asked, "home stop", Risk.CONFIRM, "", f"PostgreSQL in {embedded.folder} stops; connected programs lose it.")
    stopped = not asked.dry_run and embedded.stop()
    done(asked, {"stopped": stopped}, ["stopped" if stopped else "it was not stopped"])


def destroy(*, asked: Changing = CHANGING) -> None:
    """Stop the embedded home and remove its folder with all data. Cannot be undone."""
    from app.embedded import embedded_of

    embedded = embedded_of(chosen(asked)[0])
    found = embedded.status()
    size = f"{found.size_bytes / 1e6:,.0f} MB"
    words = f"{embedded.folder} with all of its data ({size}) is removed. This cannot be undone."
    ask(asked, "home destroy", Risk.TYPED, str(embedded.folder), words)
    if not asked.dry_run:
        embedded.destroy()
    destroyed = not asked.dry_run and found.state != "absent"
    done(asked, {"destroyed": destroyed}, ["destroyed" if destroyed else "nothing was destroyed"])


def ask(asked: Changing, what: str, risk: Risk, name: str, preview: str) -> None:
    if asked.yes or asked.dry_run:
        return
    tell(clean(preview))
    asking.confirmed(what, risk, name)


def done(asked: Changing, result: dict[str, Any], lines: list[str]) -> None:
    """Print a change outside of the control plane: the same document, without audit rows."""
    if asked.dry_run:
        _print(asked, result, lines)
        tell("Nothing was changed: this is a preview.")
        return
    with answering("watchfloor home status shows how it is now."):
        _print(asked, result, lines)


def _print(asked: Changing, result: dict[str, Any], lines: list[str]) -> None:
    if not asked.json:
        for line in lines:
            say(clean(line))
        return
    changed(result, asked.request_id, dry_run=asked.dry_run)


def contexts(*, asked: Reading = READING) -> None:
    """List the control planes that can be opened, and which one is."""
    choice, settings = chosen(asked)
    items: list[dict[str, Any]] = []
    if choice.profile is None:
        from app.contexts import EMBEDDED, UNNAMED

        where, environment = (
            (shown_url(choice.value or ""), UNNAMED) if choice.kind == "url" else ("embedded", EMBEDDED)
        )
        items.append({"name": home_name(choice), "environment": environment, "read_only": False, "home": where})
    for profile in settings.profiles.values():
        fields = {"name": profile.name, "environment": profile.environment, "read_only": profile.read_only}
        items.append(fields | {"home": shown_url(profile.url)})
    current = choice.profile or items[0]["name"]
    for item in items:
        item["current"] = item["name"] == current
    if asked.json:
        listed(items, machine_now())
        return
    columns = [Column(""), Column("CONTEXT"), Column("ENVIRONMENT"), Column("MODE"), Column("HOME")]
    rows = [
        [
            "›" if item["current"] else "",
            str(item["name"]),
            str(item["environment"] or "–"),
            "read-only" if item["read_only"] else "",
            str(item["home"]),
        ]
        for item in items
    ]
    table(columns, rows)
