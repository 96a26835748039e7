"""A runbook's Markdown: what is read of it, and every fault with its line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.runbook_folder import shipped
from controlplane.errors import Usage
from controlplane.runbooks.document import QuestionSpec, filled, placeholders
from controlplane.runbooks.model import StepRow
from controlplane.runbooks.parsing import parse
from controlplane.runbooks.words import output_words, step_lines, text_lines

GOOD = """# A title

The first
paragraph.

Another.

## 1. Ask

```question tenant
ask: Which one?
```

## 2. Suspend

Like this:

~~~sh
watchfloor tenants suspend x
## no step
~~~

```operation tenants.suspend
fields: {id: "{tenant}"}
reason: why
within: 1h
```

## Look

```check list
noun: tenants
filter: "id:{tenant} status:suspended"
equals: 1
```

## Back

```operation tenants.resume
fields: {id: "{tenant}"}
when_failed: Look
```
"""


def test_headings_are_steps_and_blocks_say_what_they_do() -> None:
    book = parse("good", GOOD)
    assert (book.title, book.means) == ("A title", "The first paragraph.")
    assert [(s.name, s.kind, s.what, s.line) for s in book.steps] == [
        ("Ask", "question", "tenant", 8),
        ("Suspend", "operation", "tenants.suspend", 14),
        ("Look", "check", "list", 29),
        ("Back", "operation", "tenants.resume", 37),
    ]
    assert book.step(2).spec.within == 3600 and book.step(4).remedy_of == 3
    assert book.step(2).text == ("Like this:", "", "~~~sh", "watchfloor tenants suspend x", "## no step", "~~~")


STEP = "# T\n\n## A step\n\n"
ASKED = "# T\n\n## Ask\n\n```question x\nask: a\nwords: true\n```\n\n## A step\n\n"
FAULTS = {
    "no title": ("## A step\n", "a.md:1: it begins with its title: # TITLE"),
    "no step": ("# T\n", "a.md:1: it has no step: every ## heading is one"),
    "twice": (f"{STEP}## 2. A step\n", 'a.md:5: there is a step "A step" already'),
    "two blocks": (f"{STEP}```person\n```\n```person\n```\n", "a.md:7: a step does one thing: begin another with ##"),
    "open block": (f"{STEP}```person\n", "a.md:5: this block is not closed"),
    "yaml": (f"{STEP}```person\nwithin: [1\n```\n", "a.md:7: did not find expected ',' or ']'"),
    "twice a key": (f"{STEP}```person\nwithin: 1h\nwithin: 2h\n```\n", "a.md:7: within is here twice"),
    "a list": (f"{STEP}```person\n- a\n```\n", "a.md:5: a block has fields: NAME: VALUE"),
    "a field": (f"{STEP}```person\nwithn: 1h\n```\n", "a.md:6: withn: Extra inputs are not permitted"),
    "a time": (f"{STEP}```person\nwithin: soon\n```\n", "a.md:6: within:"),
    "an operation": (f"{STEP}```operation tenants.boil\n```\n", "a.md:5: there is no operation tenants.boil"),
    "a missing field": (f"{STEP}```operation tenants.resume\n```\n", "a.md:5: tenants.resume needs the field id"),
    "an unknown field": (
        f"{STEP}```operation tenants.resume\nfields:\n  id: a\n  name: b\n```\n",
        "a.md:8: tenants.resume has no field name",
    ),
    "a bad value": (f"{STEP}```operation tenants.resume\nfields:\n  id: '&'\n```\n", "a.md:6: id: letters, digits"),
    "no reason": (
        f"{STEP}```operation tenants.suspend\nfields: {{id: a}}\n```\n",
        "a.md:6: tenants.suspend needs a reason",
    ),
    "not in bulk": (
        f"{STEP}```operation gates.run\nfields: {{environment: staging}}\nfilter: a\n```\n",
        "a.md:7: gates.run is done to one thing",
    ),
    "itself": (f"{STEP}```operation runbooks.run\nfields: {{name: a}}\n```\n", "a.md:6: runbooks.run is no step"),
    "a check": (f"{STEP}```check weather\n```\n", "a.md:5: there is no check weather"),
    "sql": (f"{STEP}```check sql\nsql: SELECT 1\n```\n", "a.md:5: there is no check sql"),
    "no limit": (f"{STEP}```check list\nnoun: tenants\n```\n", "a.md:6: give at_most, at_least or equals"),
    "too many": (f"{STEP}```check list\nnoun: tenants\nat_most: 20000\n```\n", "a.md:6: rows are counted up to"),
    "no list": (f"{STEP}```check list\nnoun: weather\nequals: 1\n```\n", "a.md:6: weather has no list"),
    "a filter": (
        f"{STEP}```check list\nnoun: tenants\nfilter: 'boiled:1'\nequals: 1\n```\n",
        "a.md:7:",
    ),
    "when": (f"{STEP}```person\nwhen_failed: That\n```\n", 'a.md:5: when_failed: no check before it is named "That"'),
    "not asked": (
        f"{STEP}```operation tenants.resume\nfields: {{id: '{{x}}'}}\n```\n",
        "a.md:3: A step: {x} is used, and no question before it is named x",
    ),
    "a sentence": (
        f"{ASKED}```check list\nnoun: tenants\nfilter: '{{x}}'\nequals: 1\n```\n",
        "a.md:10: A step: {x} is a sentence, and cannot stand in a filter",
    ),
    "control characters": (f'{STEP}```question x\nask: "a\\u202eb"\n```\n', "a.md:6: ask: holds characters"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_line(name: str) -> None:
    text, words = FAULTS[name]
    with pytest.raises(Usage) as found:
        parse("a", text)
    assert found.value.code == "runbook_unreadable"
    assert any(each.startswith(words) for each in found.value.why), found.value.why


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(Usage) as found:
        parse("a", f"{STEP}```person\nwithn: 1h\n```\n\n## Another\n\n```check weather\n```\n")
    assert [each.partition(": ")[0] for each in found.value.why] == ["a.md:6", "a.md:11"]


@given(st.text())
def test_no_text_is_more_than_a_fault(text: str) -> None:
    try:
        parse("a", text)
    except Usage as fault:
        assert fault.code == "runbook_unreadable" and fault.why


@given(st.one_of(st.text(), st.text("-~/:<>,'\"a1. ")))
def test_an_answer_in_a_filter_adds_no_term(answer: str) -> None:
    """What is taken as one word is one word of the filter, whatever it is."""
    from controlplane.filters.grammar import parse as terms
    from controlplane.tenants.list import TENANTS

    question = QuestionSpec.model_validate({"ask": "Which?"})
    if not question.fault(answer):
        for text, fields in (("id:{x} status:active", ["id", "status"]), ("{x} status:active", ["", "status"])):
            found = terms(filled(text, {"x": answer}), TENANTS.fields)
            assert [term.field for term in found] == fields
            assert not found[0].negated and found[0].values == (answer,)


def test_answers_stand_in_their_places() -> None:
    value = {"a": "{x} and {y}", "b": ["{x}", 1], "c": "{not one}"}
    assert placeholders(value) == {"x", "y"}
    assert filled(value, {"x": "{y}"}) == {"a": "{y} and {y}", "b": ["{y}", 1], "c": "{not one}"}


def test_markdown_becomes_plain_lines() -> None:
    lines = text_lines(["One", "paragraph.", "", "- a", "- b", "```sh", "code", "```", "### Head"])
    assert lines == ["One paragraph.", "", "- a", "- b", ("    code", "muted"), ("Head", "title")]


@pytest.mark.parametrize("file", shipped(), ids=lambda file: file.name)
def test_a_shipped_runbook_reads_and_each_step_has_a_name_of_its_own(file: object) -> None:
    book = parse(file.name, file.body)  # type: ignore[attr-defined]
    assert book.means and len(book.steps) > 4
    assert any(step.kind == "check" for step in book.steps), "something is looked at"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("answer", "run", "done", "audit", "state", "value", "unit", "held_to", "words")


@given(st.dictionaries(st.sampled_from(FIELDS), anything), st.text(max_size=20))
def test_whatever_an_operator_wrote_as_the_outcome_of_a_step_is_shown_inert(output: dict, name: str) -> None:
    at = datetime(2026, 12, 1, tzinfo=UTC)
    row = StepRow(
        1, 1, name, "check", None, None, at, "ana", at, None, "passed", "", output, at, 1, 1
    )  # fmt: skip
    assert isinstance(output_words(row), str)
    for line in step_lines(row, at):
        assert (line if isinstance(line, str) else line[0]).isprintable()
