"""A command's words: read by its function's signature. The same signature makes its help and its completion.

Positional parameters are arguments, keyword-only ones are options; a dataclass stands for the options of its fields.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from controlplane.errors import Usage

REQUIRED = inspect.Parameter.empty


class Parameter(NamedTuple):
    """What an annotation says of a parameter. `name`: of the option, where it is not the parameter's; several names
    stand for the same. `allow_leading_hyphen`: the value may begin with one. `empty`: of a list; --empty-NAME says that
    there are none. `parse`: False where it is not written on the command line.
    """

    help: str = ""
    name: str | Sequence[str] = ()
    allow_leading_hyphen: bool = False
    empty: bool = False
    parse: bool = True


class Argument(NamedTuple):
    """One argument or option. `group`: the parameter that holds the dataclass of which it is a field."""

    name: str
    names: tuple[str, ...]
    kind: Any
    note: Parameter
    default: Any
    several: bool = False
    group: str = ""

    @property
    def flag(self) -> bool:
        return self.kind is bool


class Taken(NamedTuple):
    """What a command takes. `groups`: the dataclasses of options, by parameter."""

    arguments: tuple[Argument, ...]
    options: tuple[Argument, ...]
    groups: Mapping[str, type]

    def named(self, word: str) -> Argument | None:
        return next((each for each in self.options if word in each.names), None)


def taken_by(command: Callable[..., Any]) -> Taken:
    arguments: list[Argument] = []
    options: list[Argument] = []
    groups: dict[str, type] = {}
    for each in inspect.signature(command, eval_str=True).parameters.values():
        if each.kind in (each.POSITIONAL_ONLY, each.VAR_POSITIONAL, each.POSITIONAL_OR_KEYWORD):
            kind, note = _read(each.annotation)
            arguments.append(Argument(each.name, (), kind, note, each.default, each.kind is each.VAR_POSITIONAL))
        elif isinstance(each.annotation, type) and dataclasses.is_dataclass(each.annotation):
            groups[each.name] = each.annotation
            options += _fields(each.name, each.annotation)
        else:
            options += _option(each.name, each.annotation, each.default, "")
    return Taken(tuple(arguments), tuple(options), groups)


def _fields(group: str, declared: Any) -> Iterator[Argument]:
    hints = get_type_hints(declared, include_extras=True)
    for field in dataclasses.fields(declared):
        yield from _option(field.name, hints[field.name], field.default, group)


def _option(name: str, annotation: Any, default: Any, group: str) -> Iterator[Argument]:
    kind, note = _read(annotation)
    if not note.parse:
        return
    given = (note.name,) if isinstance(note.name, str) else tuple(note.name)
    names = given or (f"--{name.replace('_', '-')}",)
    several = get_origin(kind) in (list, tuple)
    kind = get_args(kind)[0] if several else kind
    yield Argument(name, names, kind, note, default, several, group)
    if note.empty:
        help_ = f"None of the {name.replace('_', ' ')}."
        yield Argument(name, (f"--empty-{names[0][2:]}",), bool, Parameter(help=help_), False, True, group)


def _read(annotation: Any) -> tuple[Any, Parameter]:
    """The type without None, and the note in its Annotated."""
    note = Parameter()
    while get_origin(annotation) is Annotated:
        annotation, *notes = get_args(annotation)
        note = next((each for each in notes if isinstance(each, Parameter)), note)
    if get_origin(annotation) in (Union, types.UnionType):
        [annotation] = [each for each in get_args(annotation) if each is not type(None)]
        kind, inner = _read(annotation)
        return kind, inner if note == Parameter() else note
    return (str if annotation in (Any, REQUIRED) else annotation), note


def parse(command: Callable[..., Any], words: Sequence[str]) -> inspect.BoundArguments:
    """The call that the words ask for; what was not given is left out. Raises Usage `usage`."""
    taken = taken_by(command)
    texts: list[str] = []
    given: dict[str, dict[str, Any]] = {name: {} for name in ("", *taken.groups)}
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            texts += left
            break
        name, equals, value = word.partition("=")
        if (option := taken.named(name)) is not None:
            _take(option, name, value if equals else None, left, given[option.group])
        elif _is_option(word) and not _is_text(taken.arguments, len(texts)):
            raise Usage("usage", f"There is no option {name}.{_near(name, taken)}")
        else:
            texts.append(word)
    missing = [each.names[0] for each in taken.options if required(each) and each.name not in given[each.group]]
    if missing:
        raise Usage("usage", f"{missing[0]} is needed.")
    positional = _positional(taken.arguments, texts)
    groups = {name: kind(**given[name]) for name, kind in taken.groups.items()}
    return inspect.signature(command).bind(*positional, **given[""], **groups)


def _is_text(arguments: Sequence[Argument], before: int) -> bool:
    """Whether a word with a hyphen can be the next argument."""
    following = arguments[min(before, len(arguments) - 1) :]
    return (
        bool(following) and following[0].note.allow_leading_hyphen and (following[0].several or before < len(arguments))
    )


def _take(option: Argument, name: str, value: str | None, left: list[str], given: dict[str, Any]) -> None:
    if option.flag:
        if value is not None:
            raise Usage("usage", f"{name} takes no value.")
        given[option.name] = [] if option.several else True
        return
    if value is None:
        if not left or (_is_option(left[0]) and not option.note.allow_leading_hyphen):
            raise Usage("usage", f"{name} needs a value.")
        value = left.pop(0)
    found = _converted(value, option.kind, name)
    given[option.name] = [*given.get(option.name, []), found] if option.several else found


def _positional(arguments: Sequence[Argument], texts: Sequence[str]) -> list[Any]:
    found, left = [], list(texts)
    for each in arguments:
        if each.several:
            found += [_converted(text, each.kind, each.name.upper()) for text in left]
            left = []
        elif left:
            found.append(_converted(left.pop(0), each.kind, each.name.upper()))
        elif each.default is REQUIRED:
            raise Usage("usage", f"{each.name.upper()} is needed.")
    if left:
        raise Usage("usage", f"{left[0]!r} is one word too many.")
    return found


def _is_option(word: str) -> bool:
    """Whether it looks like one: not a lone hyphen, nor a negative number."""
    return word.startswith("-") and len(word) > 1 and not word[1].isdigit()


def _converted(text: str, kind: Any, name: str) -> Any:
    if get_origin(kind) is Literal:
        choices = [str(each) for each in get_args(kind)]
        if text not in choices:
            raise Usage("usage", f"{name} is one of {', '.join(choices)}; not {text!r}.")
        return text
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise Usage("usage", f"{name} is {what}; {text!r} is not.") from None
    return Path(text) if kind is Path else text


def _near(name: str, taken: Taken) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [each for option in taken.options for each in option.names], 1)
    return f" Did you mean {near[0]}?" if near else ""


def required(each: Argument) -> bool:
    """Whether it must be given."""
    return each.default is REQUIRED or each.default is dataclasses.MISSING


def value_words(each: Argument) -> str:
    """What its value is, in help: the choices, or the kind."""
    if get_origin(each.kind) is Literal:
        return "|".join(map(str, get_args(each.kind)))
    return {int: "NUMBER", float: "NUMBER", Path: "PATH"}.get(each.kind, "TEXT")
