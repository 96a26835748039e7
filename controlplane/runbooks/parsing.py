"""Reads a runbook's Markdown. Every fault is reported, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from controlplane.errors import Usage
from controlplane.refusals import OPERATION_UNKNOWN
from controlplane.runbooks.document import (
    CHECKS,
    MAX_STEPS,
    NAME,
    WORD,
    CheckSpec,
    ListCheck,
    OperationSpec,
    PersonSpec,
    QuestionSpec,
    Runbook,
    Spec,
    Step,
    StepSpec,
    placeholders,
)
from controlplane.runbooks.files import MAX_BYTES
from controlplane.runbooks.model import KINDS, Kind
from controlplane.text import clean
from controlplane.yamltext import YamlText, line_of

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})\s*([^`]*)$")
NUMBER = re.compile(r"^\d+[.)]\s+")
_OWN = tuple(StepSpec.model_fields)


@dataclass
class _Block:
    """A fenced block: its info string, the line of its fence (from 1), and what is in it."""

    info: str
    line: int
    lines: list[str] = field(default_factory=list)
    closed: bool = False


@dataclass
class _Section:
    name: str
    line: int
    text: list[str] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)


class _Faults:
    def __init__(self, name: str) -> None:
        self.name = name
        self.found: list[str] = []

    def add(self, line: int, words: str) -> None:
        self.found.append(f"{self.name}:{line}: {clean(words, 400)}")

    def check(self) -> None:
        if self.found:
            words = "\n  ".join(["The runbook cannot be read:", *self.found])
            raise Usage("runbook_unreadable", words, "docs/runbooks.md says how one is written.", self.found)


@lru_cache(maxsize=256)
def parse(name: str, body: str) -> Runbook:
    """Raises Usage `runbook_unreadable`; its `why` has each fault as "name.md:LINE: words"."""
    faults = _Faults(f"{name}.md")
    if NAME.fullmatch(name) is None:
        faults.add(1, "a runbook's file is named in lower-case letters, digits and '-'")
    if len(body.encode()) > MAX_BYTES:
        faults.add(1, f"a runbook has at most {MAX_BYTES:,} bytes")
    faults.check()
    title, means, sections = _sections(body, faults)
    if not sections:
        faults.add(1, "it has no step: every ## heading is one")
    elif len(sections) > MAX_STEPS:
        faults.add(sections[MAX_STEPS].line, f"a runbook has at most {MAX_STEPS} steps")
    steps: list[Step] = []
    for section in sections[:MAX_STEPS]:
        steps.append(_step(section, len(steps) + 1, steps, faults))
    _check_answers(steps, faults)
    faults.check()
    return Runbook(name, title, means, tuple(steps), body)


def _sections(body: str, faults: _Faults) -> tuple[str, str, list[_Section]]:
    """The title, the first paragraph, and the steps."""
    title, opening = "", list[str]()
    sections: list[_Section] = []
    block: _Block | None = None
    fence = ""
    for number, line in enumerate(body.splitlines(), 1):
        found = FENCE.match(line)
        if block is not None:
            if found and not found[2].strip() and found[1][0] == fence[0] and len(found[1]) >= len(fence):
                block.closed, block = True, None
            else:
                block.lines.append(line)
            if sections and not _carried(sections[-1].blocks[-1]):
                sections[-1].text.append(line)
        elif found:
            block, fence = _Block(found[2].strip(), number), found[1]
            if sections:
                sections[-1].blocks.append(block)
                if not _carried(block):
                    sections[-1].text.append(line)
        elif line.startswith("# ") and not title:
            title = line[2:].strip()
        elif line.startswith("## "):
            sections.append(_Section(NUMBER.sub("", line[3:].strip()), number))
        elif sections:
            sections[-1].text.append(line)
        else:
            opening.append(line)
    if block is not None:
        faults.add(block.line, "this block is not closed")
    if not title:
        faults.add(1, "it begins with its title: # TITLE")
    paragraph = next(iter("\n".join(opening).strip().split("\n\n")), "")
    return clean(title, 200), clean(" ".join(paragraph.split()), 400), sections


def _carried(block: _Block) -> bool:
    return block.info.split(" ")[0] in KINDS


def _step(section: _Section, place: int, before: list[Step], faults: _Faults) -> Step:
    name = clean(section.name, 200)
    if not name or any(each.name == name for each in before):
        faults.add(section.line, f'there is a step "{name}" already' if name else "a step has a name")
    blocks = [block for block in section.blocks if _carried(block)]
    if len(blocks) > 1:
        faults.add(blocks[1].line, "a step does one thing: begin another with ##")
    kind: Kind = "person"
    what, line = "", section.line
    spec: Spec = PersonSpec(within=None)
    if blocks:
        kind, what, made = _read(blocks[0], faults)
        spec, line = made or spec, blocks[0].line
    step = Step(place, name, kind, what, spec, _trimmed(section.text), section.line)
    if spec.when_failed:
        wanted = NUMBER.sub("", spec.when_failed)
        remedied = next((each for each in before if each.name == wanted and each.kind == "check"), None)
        if remedied is None:
            faults.add(line, f'when_failed: no check before it is named "{clean(wanted, 100)}"')
        else:
            step = replace(step, remedy_of=remedied.place)
    return step


def _trimmed(lines: list[str]) -> tuple[str, ...]:
    return tuple("\n".join(lines).strip("\n").split("\n")) if any(map(str.strip, lines)) else ()


def _read(block: _Block, faults: _Faults) -> tuple[Kind, str, Any]:
    """The kind of a block, what it names, and what it says; None for that when it has a fault."""
    word, _, rest = block.info.partition(" ")
    kind: Kind = next(each for each in KINDS if each == word)
    what = rest.strip()
    text = YamlText(faults.name, "\n".join(block.lines), block.line)
    try:
        value = text.value()
    except Usage as fault:
        faults.found += fault.why
        return kind, what, None
    value = {} if value is None else value
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value):
        faults.add(block.line, "a block has fields: NAME: VALUE")
        return kind, what, None
    try:
        return kind, what, _spec(kind, what, value)
    except ValidationError as error:
        root = text.root()
        for each in error.errors():
            path = [str(part) for part in each["loc"]]
            words = f"{'.'.join(path)}: " if path else ""
            faults.add(block.line + line_of(root, path), words + str(each["msg"]).removeprefix("Value error, "))
    except Usage as fault:
        root = text.root()
        for words in fault.why or (fault.message,):
            where, _, said = words.partition("|")
            at = line_of(root, where.split(".")) if said and root is not None else 0
            faults.add(block.line + at, said or words)
    return kind, what, None


def _spec(kind: Kind, what: str, value: dict[str, Any]) -> Spec:
    """Raises ValidationError; Usage, whose `why` is "path|words"."""
    if kind == "operation":
        spec = OperationSpec.model_validate(value)
        _check_operation(what, spec)
        return spec
    if kind == "question":
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", what):
            raise Usage("question_name", "a question has a name: ```question NAME")
        return QuestionSpec.model_validate(value)
    if kind == "check":
        if what not in CHECKS:
            raise Usage("check_kind", f"there is no check {clean(what, 60)}; checks: {', '.join(CHECKS)}")
        own = {name: value[name] for name in _OWN if name in value}
        others = {name: each for name, each in value.items() if name not in own}
        check = CHECKS[what].model_validate({"kind": what, "name": "check"} | others)
        if isinstance(check, ListCheck):
            _check_list(check)
        return CheckSpec.model_validate({"kind": what, "check": check} | own)
    if what:
        raise Usage("person_name", "a person's block has no name: ```person")
    return PersonSpec.model_validate(value)


def _check_operation(name: str, spec: OperationSpec) -> None:
    from controlplane.registry import operations
    from controlplane.runs.bulk import in_bulk

    found = operations().get(name)
    if found is None:
        raise OPERATION_UNKNOWN(f"there is no operation {clean(name, 60)}; watchfloor operations lists them")
    fields = found.request.model_fields
    why = [f"fields.{each}|{name} has no field {clean(each, 60)}" for each in spec.fields if each not in fields]
    given = {*spec.fields}
    if spec.filter is not None:
        if not in_bulk(found):
            why.append(f"filter|{name} is done to one thing")
        given |= {*found.request.subject}
    missing = [each for each, info in fields.items() if info.is_required() and each not in given]
    why += [f"fields|{name} needs the field {each}" for each in missing]
    if found.needs_reason and not spec.reason:
        why.append(f"reason|{name} needs a reason")
    if name.startswith("runbooks."):
        why.append(f"fields|{name} is no step of a runbook")
    if any(not info.repr for each, info in fields.items() if each in given):
        why.append("fields|a secret belongs into no runbook")
    if why:
        raise Usage("runbook_operation", name, why=why)
    if spec.filter is None and not placeholders(spec.fields):
        try:
            found.parse(spec.fields)
        except Usage as fault:
            raise Usage("runbook_operation", name, why=[f"fields|{words}" for words in fault.why]) from None


def _check_list(check: ListCheck) -> None:
    from controlplane.filters.grammar import parse as parse_filter
    from controlplane.nouns import list_named, noun_named

    noun = noun_named(check.noun)
    if noun is None or not noun.list:
        raise Usage("check_list", check.noun, why=[f"noun|{clean(check.noun, 60)} has no list"])
    if not placeholders(check.filter):
        try:
            parse_filter(check.filter, list_named(check.noun).fields)
        except Usage as fault:
            raise Usage("check_list", check.noun, why=[f"filter|{fault.message}"]) from None


def _check_answers(steps: list[Step], faults: _Faults) -> None:
    """Each answer is asked for before it is used, and what stands in a filter is one word."""
    asked: dict[str, QuestionSpec] = {}
    for step in steps:
        for name, in_filter in _used(step.spec):
            question = asked.get(name)
            if question is None:
                faults.add(step.line, f"{step.name}: {{{name}}} is used, and no question before it is named {name}")
            elif in_filter and (question.words or not all(map(WORD.fullmatch, question.choices))):
                faults.add(step.line, f"{step.name}: {{{name}}} is a sentence, and cannot stand in a filter")
        if isinstance(step.spec, QuestionSpec):
            if step.what in asked:
                faults.add(step.line, f"the question {step.what} is asked twice")
            asked[step.what] = step.spec


def _used(spec: Spec) -> Iterator[tuple[str, bool]]:
    parts: Mapping[str, Any] = {}
    if isinstance(spec, OperationSpec):
        parts = {"filter": spec.filter, "fields": spec.fields, "reason": spec.reason}
    elif isinstance(spec, CheckSpec):
        parts = spec.check.model_dump()
    for part, value in parts.items():
        for name in sorted(placeholders(value)):
            yield name, part in ("filter", "which")
