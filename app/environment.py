"""What libpq, PostgreSQL's client library, finds in the environment: all of it for a home by URL, nothing for an
embedded one.

PGSERVICE, PGTZ, PGDATESTYLE and PGGEQO override every parameter of a connection, so they have to be removed.
"""

from __future__ import annotations

import os

_aside: dict[str, str] = {}


def hide_libpq() -> None:
    """Put aside all that libpq reads, which begins with PG, before an embedded home is reached."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        _aside[name] = os.environ.pop(name)


def show_libpq() -> None:
    """Put it back, before a home by URL is reached."""
    for name in list(_aside):
        os.environ.setdefault(name, _aside.pop(name))
