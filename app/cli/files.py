"""A list in a YAML or JSON file (JSON is YAML), whose faults are reported with their line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controlplane.errors import Usage
from controlplane.jsontext import DEEPEST
from controlplane.text import clean

if TYPE_CHECKING:
    import yaml

MAX_FILE_BYTES = 20_000_000  # bytes
MAX_VALUES = 1_000_000  # values


@dataclass(frozen=True)
class Source:
    """A file's text, or that of stdin for "-"."""

    name: str
    text: str

    def items(self, field: str) -> list[Any]:
        """The list: the whole file, or what stands under `field`. Raises Usage `file_unreadable`."""
        import yaml

        try:
            self._bound()
            loader = _loader()(self.text)
            root = loader.get_single_node()
            if root is not None and (twice := _twice(root)):
                raise self._fault(twice.start_mark.line + 1, f"{clean(twice.value, 60)} stands here twice")
            value = None if root is None else loader.construct_document(root)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            words = clean(getattr(error, "problem", None) or str(error).partition("\n")[0], 200)
            raise self._fault(mark.line + 1 if mark else 1, words) from None
        except ValueError as error:  # a date that is none
            raise self._fault(1, clean(error, 200)) from None
        if isinstance(value, dict) and set(value) == {field}:
            value = value[field]
        if not isinstance(value, list):
            raise self._fault(1, f"expected a list, or a table with one key, {field}")
        return value

    def _bound(self) -> None:
        """Read the file as a stream of events before it is built: libyaml ends the program when it is nested too deep,
        and a few aliases of aliases grow beyond any memory. Raises Usage `file_unreadable`, YAMLError.
        """
        import yaml

        parts = 0
        begun: list[tuple[str | None, int]] = []
        anchored: dict[str | None, int] = {}
        events: Iterable[Any] = yaml.parse(self.text, Loader=_loader())
        for event in events:
            anchor = getattr(event, "anchor", None)
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent):
                if anchor in {name for name, _ in begun}:
                    raise self._fault(line, f"*{clean(anchor, 60)} stands inside of itself")
                parts += anchored.get(anchor, 0)
            elif isinstance(event, yaml.ScalarEvent):
                parts += 1
                anchored[anchor] = 1
            elif isinstance(event, yaml.CollectionStartEvent):
                begun.append((anchor, parts))
                parts += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = begun.pop()
                anchored[anchor] = parts - before
            if len(begun) > DEEPEST:
                raise self._fault(line, f"nested deeper than {DEEPEST} levels")
            if parts > MAX_VALUES:
                raise self._fault(line, f"more than {MAX_VALUES:,} values, counted where aliases stand")

    def located(self, fault: Usage) -> Usage:
        """The same fault with the line of every item that it names (`tenants.3.name: …`)."""
        import yaml

        root = yaml.compose(self.text, Loader=_loader())
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

    def _fault(self, line: int, words: str) -> Usage:
        return Usage("file_unreadable", f"{self.name}:{line}: {words}.", "Nothing was changed.")


def _loader() -> Any:
    """The loader in C where PyYAML has it: it reads a large file in a twentieth of the time."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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


def _twice(node: yaml.Node) -> yaml.ScalarNode | None:
    """The first key that stands twice in its table; YAML would silently take the last value."""
    import yaml

    if isinstance(node, yaml.SequenceNode):
        return next((found for part in node.value if (found := _twice(part))), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    seen = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                return key
            seen.add(key.value)
        if found := _twice(value):
            return found
    return None


def _parts(path: str | None) -> list[str]:
    return path.split(".") if path else []


def _line(root: Any, at: int, path: list[str]) -> int:
    """The line of an item of the list, or of what lies on the way to one of its parts, as deep as the file has it."""
    try:
        node = root.value[at]
        line = int(node.start_mark.line) + 1
        for place, part in enumerate(path):
            found = None if _is_kind(node, part) and place + 1 < len(path) else _within(node, part)
            if found is not None:  # a part that is not there is a field that is missing
                mark, node = found
                line = int(mark.line) + 1
        return line
    except (AttributeError, IndexError, TypeError, ValueError):
        return 1


def _is_kind(node: Any, part: str) -> bool:
    """Whether it names the kind that an item has, which may be the name of a field too."""
    pairs = node.value if isinstance(node.value, list) else ()
    return any(isinstance(pair, tuple) and pair[0].value == "kind" and pair[1].value == part for pair in pairs)


def _within(node: Any, part: str) -> tuple[Any, Any] | None:
    """Where a field, or an item by its place, begins, and what it is."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark, value) for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
        item = node.value[int(part)]
        return item.start_mark, item
    return None
