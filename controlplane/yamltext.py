"""YAML (and JSON, which is YAML) as people write it: bounded before it is built, every fault with its line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.errors import Usage
from controlplane.jsontext import DEEPEST
from controlplane.text import clean

if TYPE_CHECKING:
    import yaml

MAX_VALUES = 1_000_000  # values


@dataclass(frozen=True)
class YamlText:
    """A text, and where it stands: `before` lines of the file `name` are before it."""

    name: str
    text: str
    before: int = 0

    def value(self) -> Any:
        """None for an empty text. Raises Usage `file_unreadable`."""
        import yaml

        try:
            self._bound()
            loader = loader_of()(self.text)
            root = loader.get_single_node()
            if root is not None and (twice := _twice(root)):
                raise self.fault(twice.start_mark.line + 1, f"{clean(twice.value, 60)} is here twice")
            return None if root is None else loader.construct_document(root)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            words = clean(getattr(error, "problem", None) or str(error).partition("\n")[0], 200)
            raise self.fault(mark.line + 1 if mark else 1, words) from None
        except ValueError as error:  # a date that is none
            raise self.fault(1, clean(error, 200)) from None

    def root(self) -> Any:
        """The tree of nodes, which know their lines."""
        import yaml

        return yaml.compose(self.text, Loader=loader_of())

    def fault(self, line: int, words: str) -> Usage:
        """`line`: of the text, from 1."""
        at = f"{self.name}:{self.before + line}: {words}"
        return Usage("file_unreadable", f"{at}.", "Nothing was changed.", [at])

    def _bound(self) -> None:
        """Read the text as a stream of events before it is built: libyaml ends the program when it is nested too deep,
        and a few aliases of aliases grow beyond any memory. Raises Usage `file_unreadable`, YAMLError.
        """
        import yaml

        parts = 0
        begun: list[tuple[str | None, int]] = []
        anchored: dict[str | None, int] = {}
        events: Iterable[Any] = yaml.parse(self.text, Loader=loader_of())
        for event in events:
            anchor = getattr(event, "anchor", None)
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent):
                if anchor in {name for name, _ in begun}:
                    raise self.fault(line, f"*{clean(anchor, 60)} contains itself")
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
                raise self.fault(line, f"nested deeper than {DEEPEST} levels")
            if parts > MAX_VALUES:
                raise self.fault(line, f"more than {MAX_VALUES:,} values, counted where aliases stand")


def loader_of() -> Any:
    """The loader in C where PyYAML has it: it reads a large file in a twentieth of the time."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def line_of(node: Any, path: list[str]) -> int:
    """The line, from 1, of one of a node's parts, or of what lies on the way to it, as deep as the text has it."""
    try:
        line = int(node.start_mark.line) + 1
        for place, part in enumerate(path):
            found = None if _is_kind(node, part) and place + 1 < len(path) else _within(node, part)
            if found is not None:  # a part that is not there is a field that is missing
                mark, node = found
                line = int(mark.line) + 1
        return line
    except (AttributeError, IndexError, TypeError, ValueError):
        return 1


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
