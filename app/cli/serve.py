"""`watchfloor serve`: the console in a browser, for a wall or a manager; it only shows."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from app.cli.asked import READING, Reading, opened
from app.cli.output import say, tell
from app.cli.parameters import Parameter
from controlplane.errors import Refusal, Usage
from controlplane.text import clean

KEPT = (
    *("HOME", "LANG", "LC_ALL", "TZ", "PATH", "PYTHONPATH", "DBUS_SESSION_BUS_ADDRESS"),
    *("PGPASSWORD", "PGPASSFILE", "PGSSLROOTCERT", "PGSSLMODE", "WATCHFLOOR_HOME", "WATCHFLOOR_SETTINGS"),
)
"""What a console in a browser is given of this program's environment, besides XDG_…: none of its other secrets."""
SHORTEST_TOKEN = 20


async def serve(
    *,
    host: Annotated[str, Parameter(help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port.")] = 8765,
    public_url: Annotated[
        str | None, Parameter(help="The address that browsers see, when there is a proxy with TLS in front.")
    ] = None,
    token_from: Annotated[
        str | None, Parameter(help="Where the token is kept (env:, file:, keyring:, …); default: a new one.")
    ] = None,
    most: Annotated[int, Parameter(help="How many consoles at once; each is a process of about 80 MB.")] = 10,
    asked: Reading = READING,
) -> int:
    """Show the console in a browser, to whoever has the token; the login must be a viewer's."""
    try:
        from backends.browser.server import Place, Server
        from backends.browser.server import serve as serving
    except ImportError:
        raise Refusal(
            "serve_not_installed", "serve needs packages that are not here.", 'pip install "watchfloor[serve]"'
        ) from None
    url = _url(public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}")
    if not (1 <= port <= 65535 and 1 <= most <= 200):
        raise Usage("usage", "A port is 1 to 65535, and 1 to 200 consoles can be open.")
    token = await asyncio.to_thread(_token, token_from)
    async with opened(asked) as context:
        name, role = context.name, context.home.actor.role
        title = f"Watchfloor: {name} ({context.environment})"
    if role != "viewer":
        raise Refusal(
            "serve_role",
            f"The login is {role}: what is shown in a browser must only be able to read.",
            "watchfloor operators add wall --role viewer, and a profile with that login.",
        )
    command = [sys.executable, "-m", "app.served"]
    place = Place(
        url, token, name, title, lambda link: [*command, *([link] if link else [])], _environment(asked.home), most
    )

    def ready() -> None:
        say(f"{url}/?token={token}" if token_from is None else f"{url}/?token=…")
        tell(f"{clean(name)} is shown there, read-only; ctrl+c ends it. A link as Y copies it is opened after {url}/")
        if not _loopback(host):
            tell("It listens beyond this machine: without a proxy that speaks TLS the token can be read on the way.")

    task = asyncio.ensure_future(serving(Server(place, time.monotonic), host, port, ready))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
    except OSError as error:
        raise Refusal("serve_port", f"{host}:{port} cannot be listened on: {error.strerror}.", "--port N") from None
    return 0


def _url(text: str) -> str:
    """An origin, as browsers send it. Raises Usage `serve_url`."""
    try:
        found = urlsplit(text)
        good = found.scheme in ("http", "https") and found.hostname and found.path in ("", "/") and not found.query
        if not good or found.username is not None:
            raise ValueError
        default = {"http": 80, "https": 443}[found.scheme]
        port = "" if found.port in (None, default) else f":{found.port}"
    except ValueError:
        raise Usage("serve_url", "The public URL is not an origin.", "https://wall.example.com") from None
    named = f"[{found.hostname}]" if ":" in (found.hostname or "") else found.hostname
    return f"{found.scheme}://{named}{port}"


def _token(reference: str | None) -> str:
    if reference is None:
        return secrets.token_urlsafe(32)
    from app.cli.passwords import resolved

    token = resolved(reference, "serve")
    if len(token) < SHORTEST_TOKEN:
        raise Usage("serve_token", f"The token is shorter than {SHORTEST_TOKEN} characters.", "Make a random one.")
    return token


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _environment(home: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("XDG_")}
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    return {**kept, **({"WATCHFLOOR_HOME": home} if home else {}), "PYTHONPATH": paths, "TERM": "xterm-256color"}
