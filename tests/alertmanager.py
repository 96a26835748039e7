"""Alertmanager's own judge of routing, `amtool`, for the tests.

Where none is installed it comes from Debian's package: `make setup` runs this file.
"""

from __future__ import annotations

from tests import debian

PACKAGE, NEEDED = "prometheus-alertmanager", ("amtool",)


def program() -> str | None:
    return debian.program("amtool", PACKAGE)


if __name__ == "__main__":
    debian.main(PACKAGE, NEEDED)
