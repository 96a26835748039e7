"""A list in a YAML or JSON file (JSON is YAML), whose faults are reported with their line."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.errors import Usage
from controlplane.text import clean
from controlplane.yamltext import YamlText, line_of

MAX_FILE_BYTES = 20_000_000  # bytes


@dataclass(frozen=True)
class Source(YamlText):
    """A file's text, or that of stdin for "-"."""

    def items(self, field: str) -> list[Any]:
        """The list: the whole file, or what stands under `field`. Raises Usage `file_unreadable`."""
        value = self.value()
        if isinstance(value, dict) and set(value) == {field}:
            value = value[field]
        if not isinstance(value, list):
            raise self.fault(1, f"expected a list, or a table with one key, {field}")
        return value

    def located(self, fault: Usage) -> Usage:
        """The same fault with the line of every item that it names (`tenants.3.name: …`)."""
        import yaml

        root = self.root()
        if isinstance(root, yaml.MappingNode):
            root = root.value[0][1]
        faults = []
        for words in fault.why:
            place = re.match(r"(?:request: )?\w+\.(\d+)(?:\.([\w.]+))?: (?:(\w+\.\d+[\w.]*): )?", words)
            line = _line(root, int(place[1]), [*_parts(place[2]), *_parts(place[3])]) if place else 1
            faults.append(f"{self.name}:{line}: {clean(words, 400)}")
        return Usage(
            fault.code,
            "\n  ".join(["The file cannot be applied, so nothing was changed:", *faults]),
            fault.hint,
            faults,
        )


def read(path: str) -> Source:
    """Raises Usage `file_unreadable`."""
    name = "stdin" if path == "-" else clean(path, 400)
    try:
        if path == "-":
            content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise Usage("file_unreadable", f"{name} is larger than {MAX_FILE_BYTES:,} bytes.", "Apply it in parts.")
        return Source(name, content.decode("utf-8-sig"))
    except OSError as error:
        raise Usage("file_unreadable", f"{name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Usage("file_unreadable", f"{name}:{line}: this is not UTF-8 text.") from None


def _parts(path: str | None) -> list[str]:
    return path.split(".") if path else []


def _line(root: Any, at: int, path: list[str]) -> int:
    try:
        return line_of(root.value[at], path)
    except (AttributeError, IndexError, TypeError):
        return 1
