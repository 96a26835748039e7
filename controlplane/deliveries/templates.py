"""People's own templates of notices, in minijinja: the first line is the title, the rest the text below it.

What a template can do is little, because the worker runs it between pages: it shows fields, chooses, and repeats over
lists. It reads no file, calls nothing, and makes no lists or variables, by which a few lines could fill the memory (the
engine's fuel bounds loops and the text that filters make, but not what printing a list costs). When it fails while a
notice is sent, the built-in text is sent instead and says so.
"""

from __future__ import annotations

import json
import re
from typing import Any

from controlplane import jsontext
from controlplane.deliveries.model import Notice, Text
from controlplane.deliveries.webhook import bounded, timestamp
from controlplane.deliveries.words import MAX_BODY, built_in, finished
from controlplane.errors import Usage
from controlplane.text import UNKNOWN, clean

MAX_TEMPLATE_CHARACTERS = 4000
FUEL = 20_000
"""What a template may compute: about one unit for each step, and for each character that a filter makes."""
MAX_OUTPUT = 2 * MAX_BODY
MAX_DETAILS_BYTES = 64 * 1024
CANNOT = "The template cannot be used: "
STATEMENTS = ("if", "elif", "else", "endif", "for", "endfor")
FILTERS = (
    *("abs", "capitalize", "default", "first", "int", "join", "last", "length", "lower"),
    *("replace", "round", "sort", "title", "tojson", "trim", "upper"),
)
WITH_ARGUMENTS = ("default", "join", "replace", "round")
_WORDS = ("and", "or", "not", "in", "is", "if", "elif", "else", "for", "recursive")

_OPENING = re.compile(r"\{(?:\{|%|#)")
_TOKEN = re.compile(
    r"""\s+|(?P<end>[-+]?(?:\}\}|%\}))|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<name>[^\W\d]\w*)"""
    r"""|(?P<number>\d+(?:\.\d+)?)|(?P<sign>==|!=|<=|>=|//|[-+~/%<>.,:|()\[\]=])""",
    re.DOTALL,
)


def check(template: str) -> None:
    """Raises Usage `template_invalid` for what is not offered; the engine itself finds the other faults."""
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        raise _invalid(f"it has more than {MAX_TEMPLATE_CHARACTERS:,} characters")
    place = 0
    while opening := _OPENING.search(template, place):
        if opening[0] == "{#":
            place = template.find("#}", opening.end()) + 2
            if place == 1:
                raise _fault(template, opening.start(), "a comment is not closed")
        else:
            place = _check_tag(template, opening)


def preview(template: str, notice: Notice) -> Text:
    """What would be sent. Raises Usage `template_invalid`: also for a field that the notice does not have."""
    check(template)
    title, _, body = _rendered(template, notice).strip().partition("\n")
    if not title:
        raise _invalid("it gives no text")
    return finished(notice, title, body)


def text_of(template: str, notice: Notice) -> Text:
    """What is sent: never raises. Without a template, or when it fails, the built-in text."""
    if not template.strip():
        return built_in(notice)
    try:
        return preview(template, notice)
    except Usage as fault:
        plain = built_in(notice)
        words = fault.message.removeprefix(CANNOT).rstrip(".")
        return finished(notice, notice.summary, plain.body, words)


def fields(notice: Notice) -> dict[str, Any]:
    """What a template can show, with plain values only."""
    return {
        "tenant": notice.tenant_id,
        "event": notice.event_type,
        "action": notice.action,
        "severity": notice.severity,
        "summary": clean(notice.summary),
        "reason": notice.reason,
        "at": timestamp(notice.at),
        "value": notice.value,
        "threshold": notice.threshold,
        "unit": notice.unit,
        "route": notice.label or notice.route,
        "test": notice.test,
        "details": json.loads(jsontext.write(bounded(notice.details, MAX_DETAILS_BYTES))),
    }


def _rendered(template: str, notice: Notice) -> str:
    from minijinja import Environment, TemplateError  # not before the first paint

    left = MAX_OUTPUT

    def shown(value: object) -> str:
        nonlocal left
        text = UNKNOWN if value is None else str(value)
        left -= len(text)
        if left < 0:
            raise _invalid(f"it gives more than {MAX_OUTPUT:,} characters")
        return text

    engine = Environment(
        fuel=FUEL, undefined_behavior="strict", finalizer=shown, auto_escape_callback=lambda name: False, pycompat=False
    )
    try:
        return engine.render_str(template, "template", **fields(notice))
    except TemplateError as error:
        raise _invalid(_words(template, error)) from None


def _words(template: str, error: Any) -> str:
    what = clean(error.message.partition("\n")[0].partition(" (in template")[0], 200)
    if error.kind == "UndefinedError" and error.range:
        start, end = error.range
        what = f"there is no {clean(template.encode()[start:end].decode(errors='replace'), 80)}"
    elif error.kind == "OutOfFuel":
        what = "it computes too much"
    return f"line {error.line or 1}: {what}"


def _check_tag(template: str, opening: re.Match[str]) -> int:
    """Where the tag ends."""
    place = opening.end() + (template[opening.end() : opening.end() + 1] in ("-", "+"))
    before: list[str] = []
    while token := _TOKEN.match(template, place):
        place = token.end()
        if token["end"]:
            return place
        if not token[0].strip():
            continue
        if words := _unfit(token, before, statement=opening[0] == "{%"):
            raise _fault(template, token.start(), words)
        before.append(token["name"] or token["sign"] or "'")
    raise _fault(template, place, "this is not offered" if template[place:].strip() else "a tag is not closed")


def _unfit(token: re.Match[str], before: list[str], statement: bool) -> str:
    """Why the token may not stand there; "" when it may."""
    last = before[-1] if before else ""
    if statement and not before and token[0] not in STATEMENTS:
        return f"{clean(token[0], 40)} is not offered; there are {', '.join(STATEMENTS)}"
    if last == "|" and token[0] not in FILTERS:
        return f"there is no filter {clean(token[0], 40)}; there are {', '.join(FILTERS)}"
    if token[0] == "(" and not (before[-2:-1] == ["|"] and last in WITH_ARGUMENTS):
        return f"only {', '.join(WITH_ARGUMENTS)} are called"
    if token[0] == "[" and not ((last.isidentifier() and last not in _WORDS) or last in ("]", ")")):
        return "lists cannot be made"
    return ""


def _invalid(words: str) -> Usage:
    return Usage("template_invalid", f"{CANNOT}{words}.")


def _fault(template: str, place: int, words: str) -> Usage:
    return _invalid(f"line {template.count(chr(10), 0, place) + 1}: {words}")
