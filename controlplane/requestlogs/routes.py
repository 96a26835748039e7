"""Routes: what the paths of requests are counted under."""

from __future__ import annotations

import re

MAX_ROUTE_CHARACTERS = 200
_HEX = "[0-9a-fA-F]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_ID = f"[0-9]+|(?:[A-Za-z]{{1,16}}[-_])?(?:{_UUID}|{_HEX}{{16,}})|(?=[a-fA-F]*[0-9]){_HEX}{{8,}}"
_ID_PART = re.compile(rf"(?<=/)(?:{_ID})(?=/|$)")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def route_of(path: str, tenant_id: str = "") -> str:
    """What a request's path is counted under: no origin, no query string, ids as {id}, at most 200 characters.

    An id is the tenant's own, a number, a UUID, or a hexadecimal number of at least 8 characters that is not a word;
    it may have a short prefix, as in `srv_…`.
    """
    path = path[len(origin_of(path)) :]
    if "?" in path or "#" in path:
        path = path.partition("?")[0].partition("#")[0]
    path = path[: 4 * MAX_ROUTE_CHARACTERS] or "/"
    route = _ID_PART.sub("{id}", path)
    if tenant_id and tenant_id in route:
        route = "/".join("{id}" if part == tenant_id else part for part in route.split("/"))
    return route if len(route) <= MAX_ROUTE_CHARACTERS else route[: MAX_ROUTE_CHARACTERS - 1] + "…"


def origin_of(url: str) -> str:
    """`https://shop.example:443` of a whole URL; "" of a path."""
    origin = None if url.startswith("/") else _ORIGIN.match(url)
    return origin[0] if origin else ""


class Routes:
    """`route_of` with a cache, because a log holds few paths, many times. A full cache is emptied."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], str] = {}

    def __call__(self, path: str, tenant_id: str) -> str:
        route = self.known.get((path, tenant_id))
        if route is None:
            if len(self.known) >= 10_000:
                self.known.clear()
            route = route_of(path, tenant_id)
            if len(path) <= 1000:
                self.known[path, tenant_id] = route
        return route
