"""The command of an operation, made from its definition: none is written by hand.

Arguments are only read as texts here; the operation's request validates them, and words the faults.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import types
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.cli.asked import CHANGING, Changing, opened
from app.cli.changing import carry_out, print_outcome
from app.cli.files import Source, read
from app.cli.parameters import Parameter
from controlplane import jsontext
from controlplane.errors import Usage
from controlplane.operations import Operation
from controlplane.runs.bulk import PACE, in_bulk
from controlplane.text import clean

Kind = Literal["text", "flag", "list", "table", "file", "secret"]
FROM = "_from"
"""A secret field is never an argument: its option, the name with this ending, says where it is kept."""


def command(operation: Operation[Any]) -> Callable[..., Awaitable[int]]:
    """The command's function. It receives only given arguments, so that the others stay as they are."""

    bulk = in_bulk(operation) and len(operation.request.subject) == 1

    async def run(*subjects: Any, asked: Changing = CHANGING, **given: Any) -> int:
        text = given.pop("filter", None) if bulk else None
        secrets_to = given.pop("secrets_to", None)
        pace = {name: given.pop(name) for name in PACE if bulk and name in given}
        if bulk and (len(subjects) > 1 or text is not None):
            if subjects and text is not None:
                raise Usage("usage", "Name the things, or give a --filter; not both.", _help(operation))
            if given.get("version") is not None:
                raise Usage("usage", "--version is only for a single thing.", _help(operation))
            shared, _ = fields_of(operation, None, given)
            from app.cli.bulk import to_many

            return await to_many(operation, subjects or None, text, shared, pace, secrets_to, asked)
        if pace:
            option = next(iter(pace)).replace("_", "-")
            raise Usage("usage", f"--{option} is for many: name several things, or give a --filter.", _help(operation))
        if secrets_to is not None:
            raise Usage(
                "usage", "--secrets-to is for several keys; the secret of a single one is printed.", _help(operation)
            )
        fields, source = fields_of(operation, subjects, given)
        fields |= await asyncio.to_thread(_secrets, operation, given)
        try:
            request = operation.parse(fields)
        except Usage as fault:
            raise (source.located(fault) if source else fault) from None
        async with opened(asked) as context:
            secret = None
            if operation.name in ("operators.add", "operators.password"):
                from app.cli.passwords import password_of

                secret = await password_of(context, operation, request, given.get("password_from"), asked)
                request = operation.parse(fields | {"password": secret.value})
            outcome = await carry_out(context, operation, request, asked)
        print_outcome(secret.shown(outcome) if secret else outcome, asked)
        return 0

    run.__doc__ = operation.summary + "."
    run.__name__ = operation.name
    run.__signature__ = signature(operation)  # type: ignore[attr-defined]
    return run


def signature(operation: Operation[Any]) -> inspect.Signature:
    """The subject's fields are positional; the others are options."""
    model = operation.request
    several = len(model.subject) == 1
    positional, options = [], []
    for name, field in model.model_fields.items():
        kind = kind_of(field)
        if kind == "file" and not model.subject:
            note = Parameter(help=f"A YAML or JSON file with the {name}; - is stdin.", allow_leading_hyphen=True)
            positional.append(_parameter(name, inspect.Parameter.POSITIONAL_ONLY, Annotated[str, note], field))
        elif name in model.subject:
            note = Parameter(help=field.description or f"The {name.replace('_', ' ')}.")
            if several:
                positional.append(_parameter(name, inspect.Parameter.VAR_POSITIONAL, Annotated[str, note], field))
            else:
                positional.append(_parameter(name, inspect.Parameter.POSITIONAL_ONLY, Annotated[str, note], field))
        else:
            options.append(_option(name, field, kind))
    positional.sort(key=lambda p: model.subject.index(p.name) if p.name in model.subject else -1)
    if several and in_bulk(operation):
        note = Parameter(help="Do it to all that match this filter, written as in list.", allow_leading_hyphen=True)
        text = Annotated[str | None, note]
        options.append(inspect.Parameter("filter", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=text))
        for name, help_ in PACE.items():
            number = Annotated[str | None, Parameter(help=help_)]
            options.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=number))
        if operation.makes_secret:
            place = Annotated[
                str | None, Parameter(help="A new file, readable only by you, for the secrets of several keys.")
            ]
            options.append(
                inspect.Parameter("secrets_to", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=place)
            )
    asked = inspect.Parameter("asked", inspect.Parameter.KEYWORD_ONLY, default=CHANGING, annotation=Changing)
    return inspect.Signature([*positional, *options, asked])


def _parameter(name: str, kind: Any, annotation: Any, field: FieldInfo) -> inspect.Parameter:
    return inspect.Parameter(name, kind, annotation=annotation)


def _option(name: str, field: FieldInfo, kind: Kind) -> inspect.Parameter:
    default: Any = inspect.Parameter.empty if field.is_required() else None
    annotation: Any = None
    about = field.description or ""
    if kind == "flag":
        annotation = Annotated[bool, Parameter(help=about)]
        default = False
    elif kind == "list":
        # --empty-… says "none" where leaving it out says "as it is"
        note = Parameter(help=f"{about} (repeat it for several)".strip(), empty=not field.is_required())
        annotation = Annotated[list[str] | None, note]
    elif kind == "file":
        about = f"A YAML or JSON file with the {name}; - is stdin."
        annotation = Annotated[str | None, Parameter(help=about, allow_leading_hyphen=True)]
    elif kind == "table":
        about = f"{about}: KEY=VALUE, repeated, or one JSON object"
        annotation = Annotated[list[str] | None, Parameter(help=about)]
    elif kind == "secret":
        name, default = name + FROM, None
        about = f"Where the {name.removesuffix(FROM)} is kept (env:, file:, keyring:, …); - is stdin."
        annotation = Annotated[str | None, Parameter(help=about, allow_leading_hyphen=True)]
    else:
        choices = _choices(field)
        text: Any = Literal[choices] if choices else str
        text = text if field.is_required() else text | None
        called = [f"--{name.replace('_', '-')}", *_also(field)]
        annotation = Annotated[text, Parameter(name=called, help=about, allow_leading_hyphen=not choices)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def kind_of(field: FieldInfo) -> Kind:
    """How a field is written on the command line."""
    if not field.repr:
        return "secret"
    types_ = _types(field.annotation)
    if any(get_origin(t) is list and _is_model(get_args(t)[0]) for t in types_):
        return "file"
    if any(get_origin(t) is list for t in types_):
        return "list"
    if any(get_origin(t) is dict for t in types_):
        return "table"
    return "flag" if types_ == [bool] else "text"


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _types(annotation: Any) -> list[Any]:
    """The types that a field may have, without None and the metadata of Annotated."""
    if get_origin(annotation) is Annotated:
        return _types(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [kind for part in get_args(annotation) for kind in _types(part) if kind is not type(None)]
    return [annotation]


def _also(field: FieldInfo) -> list[str]:
    """Another name of its option, where the field's own is not the only one that comes to mind."""
    more = field.json_schema_extra
    return [f"--{more['also']}"] if isinstance(more, dict) and "also" in more else []


def _choices(field: FieldInfo) -> tuple[str, ...]:
    [kind, *more] = _types(field.annotation)
    return get_args(kind) if not more and get_origin(kind) is Literal else ()


def fields_of(
    operation: Operation[Any], subjects: tuple[Any, ...] | None, given: dict[str, Any]
) -> tuple[dict[str, Any], Source | None]:
    """The fields that the request is made of, and the file that holds a part of them. Without subjects only the
    fields that many requests share. Raises Usage.
    """
    model = operation.request
    fields: dict[str, Any] = {}
    source = None
    positional = [*model.subject] or [name for name, field in model.model_fields.items() if kind_of(field) == "file"]
    if subjects is None:
        positional, subjects = [], ()
    if len(subjects) != len(positional):
        wanted = " ".join(name.upper() for name in positional)
        raise Usage("usage", f"{operation.name} takes {wanted}; {len(subjects)} were given.", _help(operation))
    for name, text in [*zip(positional, subjects, strict=True), *given.items()]:
        if name.endswith(FROM) and name.removesuffix(FROM) in model.model_fields:
            continue
        kind = kind_of(model.model_fields[name])
        if kind == "table":
            fields[name] = _table(name, text)
        elif kind == "list" and len(text) == 1 and text[0].startswith("["):
            fields[name] = _json(name, text[0], list)
        elif kind == "file":
            source = read(text)
            fields[name] = source.items(name)
        else:
            fields[name] = text
    return fields, source


def _secrets(operation: Operation[Any], given: dict[str, Any]) -> dict[str, Any]:
    """The secret fields, from where they are kept; passwords of logins are asked for later. Blocks."""
    fields = operation.request.model_fields
    named = {name: given.get(name + FROM) for name, field in fields.items() if kind_of(field) == "secret"}
    found: dict[str, Any] = {}
    for name, reference in named.items():
        if reference is not None and name != "password":
            from app.cli.passwords import first_line, resolved

            text = first_line() if reference == "-" else resolved(reference, operation.name)
            table = any(get_origin(kind) is dict for kind in _types(fields[name].annotation))
            found[name] = _json(name, text, dict) if table else text
    return found


def _help(operation: Operation[Any]) -> str:
    return f"watchfloor {operation.noun} {operation.verb} --help"


def _table(name: str, words: list[str]) -> dict[str, Any]:
    """`key=value` (a value that is JSON is taken as such, null too), or one JSON object."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        found: dict[str, Any] = _json(name, words[0], dict)
        return found
    table: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not key or not equals:
            raise Usage(
                f"{name}_unreadable", f'--{name} "{clean(word, 60)}" is not KEY=VALUE.', "Or give one JSON object."
            )
        try:
            table[key] = jsontext.read(text, constant=str, real=_finite)
        except ValueError:
            table[key] = text
    return table


def _finite(text: str) -> float | str:
    """A number that a float can hold; JSON has no infinity."""
    return value if math.isfinite(value := float(text)) else text


def _json(name: str, text: str, kind: type) -> Any:
    try:
        value = jsontext.read(text)
    except ValueError as error:
        raise Usage(f"{name}_unreadable", f"--{name} is not JSON: {clean(error, 200)}.") from None
    if not isinstance(value, kind):
        raise Usage(f"{name}_unreadable", f"--{name} is not a JSON {'object' if kind is dict else 'list'}.")
    return value
