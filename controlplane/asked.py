"""What a form says about the fields of a request: what each is, which values there are, and what it is now."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from controlplane.operations import Operation, Request

EDITS = ("edit", "rename")
"""The verbs of operations that change fields of a thing: their forms begin with what is there."""
UNITS = ((604_800, "w"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def choices_of(info: FieldInfo) -> list[str]:
    """All values that a field can have, where these are few."""
    return list(dict.fromkeys(_choices(info.annotation)))


def described(info: FieldInfo) -> str:
    """What a field is, and its choices, where the description does not name them all."""
    words, choices = _description(info), choices_of(info)
    if len(choices) < 2 or all(choice in words for choice in choices):
        return words
    listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return f"{words}: {listed}" if words else listed


def as_it_is(operation: Operation[Any], shown: Any) -> dict[str, str]:
    """The fields that an edit may change, as a person would type what a list's row has, or the row within it.

    Not those that are personal, those that are merged into what is there, and those that cannot be typed so that the
    same is read.
    """
    request = operation.request
    if operation.verb not in EDITS:
        return {}
    row = (operation.on.of(shown) if operation.on else None) or shown
    found: dict[str, str] = {}
    for name in request.model_fields:
        if name in (*request.subject, *request.personal, "version") or f"replace_{name}" in request.model_fields:
            continue
        value = getattr(row, name, None)
        if value not in (None, "", [], ()) and (typed := typed_as(request, name, value)) is not None:
            found[name] = typed
    return found


def _choices(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from (str(each.value) for each in annotation)
    else:
        for each in get_args(annotation):
            yield from _choices(each)


def _description(info: FieldInfo) -> str:
    """Its own, else that of the type that it optionally has."""
    if info.description:
        return info.description
    for kind in get_args(info.annotation):
        for each in getattr(kind, "__metadata__", ()):
            if isinstance(each, FieldInfo) and each.description:
                return each.description
    return ""


def typed_as(request: type[Request], name: str, value: Any) -> str | None:
    """A text that a field of a request reads as this value; None: there is none."""
    if isinstance(value, list | tuple):
        return ", ".join(value) if all(isinstance(part, str) and "," not in part for part in value) else None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return None
    number = f"{value:.12g}"
    size, unit = next((each for each in UNITS if value and value % each[0] == 0), UNITS[-1])
    texts = [number, f"{value / size:.12g}{unit}", f"{value * 100:.10g}%"]
    if 0 < value < 1:
        texts.reverse()  # a share
    if isinstance(value, int) and value and _reads(request, name, texts[1]) == value:
        return texts[1]  # a duration
    return next((text for text in texts if _reads(request, name, text) == value), None)


def _reads(request: type[Request], name: str, text: str) -> Any:
    try:
        return _adapter(request, name).validate_python(text)
    except ValidationError:
        return None


@lru_cache(maxsize=256)
def _adapter(request: type[Request], name: str) -> TypeAdapter[Any]:
    return TypeAdapter(request.model_fields[name].rebuild_annotation())
