"""Make `app/cli/known.tsv`, which help and completion read: .venv/bin/python -m tests.app.known"""

from __future__ import annotations

from pathlib import Path

from app.cli.known import FILE
from app.cli.tree import described


def text() -> str:
    return "".join(f"{each.line()}\n" for each in described())


if __name__ == "__main__":
    Path(FILE).write_text(text(), encoding="utf-8")
