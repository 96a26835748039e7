"""What libpq, PostgreSQL's client library, finds in the environment: all of it for a home by URL, nothing for an
embedded one.

PGSERVICE, PGTZ, PGDATESTYLE and PGGEQO beat every parameter of a connection, so the only way not to be led astray by
them is that they are not there.
"""

from __future__ import annotations

import os

_aside: dict[str, str] = {}


def hide_libpq() -> None:
    """All that libpq reads begins with PG. It is put aside before an embedded home is reached."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        _aside[name] = os.environ.pop(name)


def show_libpq() -> None:
    """Put it back, before a home by URL is reached."""
    for name in list(_aside):
        os.environ.setdefault(name, _aside.pop(name))
