"""People's own templates of notices: what they can do, and what they cannot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.deliveries.model import Notice
from controlplane.deliveries.templates import FILTERS, MAX_TEMPLATE_CHARACTERS, fields, preview, text_of
from controlplane.deliveries.words import MAX_BODY, MAX_TITLE, built_in
from controlplane.errors import Usage
from tests.controlplane.notices import NOTICES, notice

DETAILS: dict[str, Any] = {"regions": ["eu", "us"], "worst": {"key": "k1", "age": 41}, "nothing": None}
NOTICE = notice(details=DETAILS)


@pytest.mark.parametrize(
    ("template", "title", "body"),
    [
        ("{{ summary }}", "tenant acme has 2 stale active key(s)", ""),
        ("{{ tenant|upper }}: {{ value|round(1) }} {{ unit }}", "ACME: 2 keys", ""),
        ("x\n{{ details.worst.key }} {{ details['worst'].age }} {{ details.regions[0] }}", "x", "k1 41 eu"),
        ("x\n{% for r in details.regions %}{{ loop.index }}={{ r }} {% endfor %}", "x", "1=eu 2=us"),
        ("{% if severity == 'critical' and value > threshold %}bad{% else %}fine{% endif %}", "bad", ""),
        ("{{ details.nothing }} {{ details.nope|default('none') }}", "– none", ""),
        ("{{ details.regions|join(', ') }} {{ details.regions|length }} {# not shown }} #}", "eu, us 2", ""),
        ("{{ details.nope is defined }} {{ '}}' }} {{- 'x' -}} y", "False }}xy", ""),
        ("{{ at }} {{ route }} {{ reason }} {{ event }} {{ action }} {{ test }}", None, ""),
        ("{{ details.regions|tojson }}", '["eu", "us"]', ""),
        ("\n\n  {{ tenant }}\n\n", "acme", ""),
        ("x {%- if test -%} y {%- elif not test +%} z{%+ endif -%} {{- 1 +}}", "x z1", ""),
        ("{{ summary ~ '!' }} {{ 7 - 1 }} {{ tenant[:2] }}", "tenant acme has 2 stale active key(s)! 6 ac", ""),
    ],
)
def test_a_template_shows_chooses_and_repeats(template: str, title: str | None, body: str) -> None:
    text = preview(template, NOTICE)
    assert text.fault == "" and text.body == body
    assert title is None or text.title == f"[CRITICAL] {title}"


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{{ nope }}", "line 1: there is no nope"),
        ("x\n\n{{ details.nope }}", "line 3: there is no details.nope"),
        ("x\n{% if nope %}{% endif %}", "line 2: there is no nope"),
        ("{{ summary", "line 1: a tag is not closed"),
        ("{# x", "line 1: a comment is not closed"),
        ("{% if tenant %}", "line 1: .*end of"),
        ("x\n{{ tenant|nope }}", "line 2: there is no filter nope; there are abs, "),
        ("{{ 1 / 0 }}", "line 1: "),
        ("", "it gives no text"),
        ("{% if false %}x{% endif %}", "it gives no text"),
        ("x" * (MAX_TEMPLATE_CHARACTERS + 1), "more than 4,000 characters"),
        ("{{ 'x'|replace('x', '" + "y" * 300 + "')|replace('y', '" + "z" * 40 + "') }}", "more than 8,000 characters"),
    ],
)
def test_a_fault_is_shown_with_its_line(template: str, fault: str) -> None:
    with pytest.raises(Usage, match=fault) as refused:
        preview(template, NOTICE)
    assert refused.value.code == "template_invalid"
    if template:
        text = text_of(template, NOTICE)
        assert text.title == built_in(NOTICE).title and text.body.startswith(built_in(NOTICE).body)
        assert "The template of this route failed (" in text.body and "this is the built-in text" in text.body
        assert text.fault


BINDS = "{% for a in details.regions %}"
DOUBLED = "{% set a = [1, 2] %}" + "{% set a = a + a %}" * 30


@pytest.mark.parametrize(
    "template",
    [
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% raw %}x{% endraw %}",
        "{% macro m() %}{% endmacro %}",
        "{% filter upper %}x{% endfilter %}",
        DOUBLED + "{{ a }}",
        DOUBLED + "{{ a|tojson }}",
        DOUBLED + "{{ a ~ '' }}",
        "{{ [1] }}",
        "{{ {'a': 1} }}",
        "{{ (1, 2) }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 10 ** 100 }}",
        "{{ range(1000000) }}",
        "{{ dict(a=1) }}",
        "{{ namespace() }}",
        "{{ debug() }}",
        "{{ tenant.upper() }}",
        "{{ tenant.__class__ }}",
        "{{ details|tojson(100000000) }}",
        "{{ details|tojson(indent=100000000) }}",
        "{{ details|indent(100000000) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ details|batch(1000000000) }}",
        "{{ details|string }}",
        "{{ details|map('upper') }}",
        "{% for a in [[1]] %}{% endfor %}",
        "{% for a in [1] if [a] %}{% endfor %}",
        "{% for a in details.regions recursive %}{{ loop(a) }}{% endfor %}",
        "{{ tenant|upper() }}",
        "{{ tenant | 'x' }}",
        BINDS + "{{ a }}" + "{% do x %}" + "{% endfor %}",
    ],
)
def test_what_could_read_or_fill_or_hang_is_not_offered(template: str) -> None:
    with pytest.raises(Usage) as refused:
        preview(template, NOTICE)
    assert refused.value.code == "template_invalid"


LONG = notice(details={"many": ["y" * 900] * 30, "text": "z" * 30_000})


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in details.many %}" * 3 + "{% endfor %}" * 3 + "x",
        "{% for a in details.many %}" * 2 + "x" * 3000 + "{% endfor %}" * 2,
        "{% for a in details.many %}" * 4 + "{{ a }}" + "{% endfor %}" * 4,
        "{% for a in details.text %}{% for b in details.text %}{% endfor %}{% endfor %}x",
        "{{ details.text|replace('z', details.text) }}",
        "{{ details.many|join(details.text) }}",
        "{{ details.text|replace('', details.text)|length }}",
        "{% for a in details.many %}{% if details|tojson|length > 1 %}{% endif %}{% endfor %}x",
        "{% for a in details.many %}{% if details ~ details == 'x' %}{% endif %}{% endfor %}x",
        "{{ details }}",
    ],
)
def test_what_computes_too_much_is_stopped(template: str) -> None:
    with pytest.raises(Usage, match=r"computes too much|more than 8,000 characters"):
        preview(template, LONG)


def test_foreign_text_is_never_read_as_a_template() -> None:
    words = "{{ 7 * 7 }}{% include '/etc/passwd' %}"
    text = preview("{{ summary }}\n{{ details.a }}", notice(summary=words, details={"a": words}))
    assert text.title == f"[CRITICAL] {words}" and text.body == words


@given(NOTICES)
def test_foreign_text_is_inert_and_bounded(hostile: Notice) -> None:
    text = text_of("{{ summary }}\n{{ tenant }} {{ details }}", hostile)
    assert len(text.title) <= MAX_TITLE + 40 and len(text.body) <= MAX_BODY + 600
    assert text.title.isprintable() and all(line.isprintable() for line in text.body.split("\n"))
    assert text.title.startswith("TEST ") == hostile.test


@given(st.text() | st.lists(st.sampled_from(
    ["{{", "}}", "{%", "%}", "{#", "#}", " ", "\n", "if", "for", "in", "endif", "endfor", "else", "a", "details",
     "'", '"', "|", ".", "(", ")", "[", "]", "{", "}", "+", "*", "~", "-", "1", "=", ",", "loop", "not", *FILTERS]
), max_size=25).map("".join))  # fmt: skip
def test_any_template_gives_a_text_that_can_be_sent(template: str) -> None:
    text = text_of(template, NOTICE)
    assert text.title.startswith("[CRITICAL] ") and text.title.isprintable()


def test_the_built_in_text() -> None:
    text = built_in(notice(tenant_id="", test=True, action="resolve", value=None, unit=""))
    assert text.title == "TEST [RESOLVED] tenant acme has 2 stale active key(s)"
    assert text.body.split("\n") == [
        "This is a TEST: nothing has happened.",
        "tenant: all tenants",
        "what: key_rotation_sla_failed",
        "value: unknown",
        "threshold: 1",
        "severity: critical",
        "at: 2026-11-29 11:40:18 UTC",
        "why you: first notification",
        "route: ops",
    ]
    assert text_of("  \n", NOTICE) == built_in(NOTICE)


def test_a_template_sees_plain_values_only() -> None:
    class Trap:
        def __str__(self) -> str:
            return "inert"

    seen = fields(notice(details={"a": Trap(), "b": 10**400, "c": float("inf"), "d": "x" * 70_000}))
    assert seen["details"].keys() == {"left_out"}
    assert fields(notice(details={"a": Trap(), "c": float("inf")}))["details"] == {"a": "inert", "c": None}
