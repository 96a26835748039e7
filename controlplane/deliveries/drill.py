"""Notices that reach nobody, for drills: a line of JSON in a file or on standard output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from controlplane import jsontext
from controlplane.deliveries.model import DrillLine, Notice, Text
from controlplane.deliveries.webhook import notice_data, timestamp
from controlplane.errors import Usage

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class DrillTarget:
    """`file`: a name in the worker's folder of drills; "" is its standard output."""

    file: str = ""


def check_file(name: str) -> str:
    """Raises Usage `drill_file`: the name comes from the home, and must not lead out of the folder."""
    if not _NAME.fullmatch(name):
        raise Usage(
            "drill_file", "The file of a drill has a plain name.", "Letters, digits, . _ and -, as in fire-drill.jsonl"
        )
    return name


def notice_line(notice: Notice, text: Text, target: DrillTarget, at: datetime) -> DrillLine:
    said = {"key": notice.key, "type": notice.event_type, "sent_at": timestamp(at), "test": notice.test}
    line = jsontext.write(said | notice_data(notice, text)) + b"\n"
    return DrillLine(line, check_file(target.file) if target.file else "")
