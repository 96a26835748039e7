"""Label matchers, and which routes an alert takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.matchers import MAX_MATCHERS, Matcher, failing, match_all, parse_matchers, show
from controlplane.routes.matching import MAX_DEPTH, group_key, group_labels, matched, stage, tried
from tests.controlplane.alerting import alert, route

values = st.text(max_size=20)
names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ('team="db"', {"team": "db"}, True),
        ('team="db"', {"team": "DB"}, False),
        ('team="db"', {}, False),
        ('team=""', {}, True),
        ('team!=""', {}, False),
        ('team!="db"', {}, True),
        ('team!="db"', {"team": "db"}, False),
        ('team=~"db|web"', {"team": "web"}, True),
        ('team=~"db|web"', {"team": "webs"}, False),
        ('team=~"eb"', {"team": "web"}, False),
        ('team=~".*"', {}, True),
        ('team=~".+"', {}, False),
        ('team!~".+"', {}, True),
        ('team!~"d.*"', {"team": "web"}, True),
        ('team!~"d.*"', {"team": "db"}, False),
    ],
)
def test_a_matcher_means_what_it_means_to_alertmanager(text: str, labels: dict[str, str], expected: bool) -> None:
    [matcher] = parse_matchers(text)
    assert matcher.matches(labels) is expected


def test_all_have_to_match_and_the_first_that_does_not_is_named() -> None:
    both = parse_matchers('team="db", env!="prod"')
    assert match_all(both, {"team": "db"}) and match_all((), {})
    assert failing(both, {"team": "db", "env": "prod"}) == both[1] and failing(both, {"team": "db"}) is None


def test_they_are_read_as_amtool_takes_them() -> None:
    assert parse_matchers("") == parse_matchers(" { } ") == ()
    wanted = (Matcher("a", "=", "x"), Matcher("b", "!~", "y z"))
    assert parse_matchers('a=x,b!~"y z"') == parse_matchers('{ a = "x" , b !~ "y z", }') == wanted
    assert parse_matchers(r'a="q\"\\\n\d"')[0].value == 'q"\\\n\\d'


@given(st.lists(st.builds(Matcher, names, st.sampled_from(["=", "!="]), values), max_size=5))
def test_what_is_written_is_read_again(matchers: list[Matcher]) -> None:
    assert parse_matchers(", ".join(map(str, matchers))) == tuple(matchers)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("team", "no matchers: team"),
        ('team="db" env="x"', 'comma is missing before env="x"'),
        ('team="db', 'no matchers: team="db'),
        ("team=", "no matchers"),
        ('1a="x"', "no matchers"),
        ('a=~"("', "regular expression cannot be used"),
        ('a=~"(x+)+"', "must not itself hold a repeat"),
        ('a=~""', "it is empty"),
        (f'a="{"x" * 401}"', "at most 400"),
        (f'{"a" * 201}="x"', "a label is"),
        (",".join(["a=b"] * (MAX_MATCHERS + 1)), "at most 50"),
    ],
)
def test_what_is_no_matcher_says_where_and_why(text: str, says: str) -> None:
    with pytest.raises(Usage) as refused:
        parse_matchers(text)
    assert says in str(refused.value)


def test_an_operator_that_there_is_not_is_refused() -> None:
    with pytest.raises(Usage, match="there is no =="):
        Matcher("a", "==", "b")  # type: ignore[arg-type]


def test_the_cost_of_a_value_is_bounded() -> None:
    [matcher] = parse_matchers('a=~"a*a*a*b"')
    assert not matcher.matches({"a": "a" * 100_000 + "b"})  # unbounded, this would be for ever
    assert matcher.matches({"a": "a" * 399 + "b"})


def test_they_are_shown_inert() -> None:
    assert show(parse_matchers('a="\x1b[2J", b="x"')) == 'a="␛[2J", b="x"' and show(()) == "everything"


# Routes


def test_the_first_route_that_matches_is_taken_and_with_continue_the_next_too() -> None:
    routes = [
        route(3, 'team="db"', position=3),
        route(1, 'team="db"', position=1, continues=True),
        route(2, 'team="web"', position=2, continues=True),
        route(4, position=4),
    ]
    assert [each.id for each in matched(routes, alert(labels={"team": "db"}))] == [1, 3]
    assert [each.id for each in matched(routes, alert(labels={"team": "web"}))] == [2, 4]
    assert [each.id for each in matched(routes, alert())] == [4]


def test_of_a_tree_the_deepest_is_meant() -> None:
    routes = [
        route(1, 'team="db"'),
        route(2, 'env="prod"', parent=1, continues=True),
        route(3, 'severity="critical"', parent=1),
        route(4, position=9),
    ]
    prod = {"team": "db", "env": "prod"}
    assert [each.id for each in matched(routes, alert(labels={"team": "db"}))] == [1]
    assert [each.id for each in matched(routes, alert(labels=prod))] == [2]
    assert [each.id for each in matched(routes, alert(labels=prod, severity="critical"))] == [2, 3]
    assert [each.id for each in matched(routes, alert())] == [4]
    below = [(each.id, fault) for each, fault in tried(routes, alert(labels=prod))]
    assert below[0] == (2, "") and below[-1] == (1, "a route below it matches")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"enabled": False}, "disabled"),
        ({"tenant_id": "globex"}, "of the tenant globex"),
        ({"events": ("quota_over", "quota_near")}, "events are quota_over, quota_near, not burn_rate"),
        ({"events": ("burn",)}, "not burn_rate"),
        ({"min_severity": "error"}, "for error and above, not warning"),
        ({"matchers": 'team="db"'}, 'team="db" does not match an alert without that label'),
        ({"matchers": 'tenant!="acme"'}, 'tenant!="acme" does not match "acme"'),
        ({"matchers": 'kind="x"'}, 'kind="x" does not match "burn_rate"'),
    ],
)
def test_why_a_route_is_not_taken(fields: dict[str, object], why: str) -> None:
    [(found, fault)] = tried([route(**fields)], alert(labels={"kind": "x", "tenant": "y"}))
    assert why in fault and stage(found, fault).verdict == "hold"


def test_what_a_route_takes() -> None:
    for fields in (
        {"tenant_id": "acme"},
        {"events": ("quota_over", "burn_rate")},
        {"events": ("quota_over", "*")},
        {"min_severity": "warning"},
        {"min_severity": "info"},
    ):
        assert matched([route(**fields)], alert())


def test_a_circle_of_routes_is_never_reached_and_a_deep_tree_ends() -> None:
    assert matched([route(1, parent=2), route(2, parent=1)], alert()) == []
    deep = [route(n, parent=n - 1 or None) for n in range(1, 2000)]
    assert [each.id for each in matched(deep, alert())] == [MAX_DEPTH]


def test_groups_are_by_the_values_of_their_labels() -> None:
    by_team = route(group_by=("team", "severity"))
    db = alert("a1", labels={"team": "db", "key": "k1"})
    assert group_labels(by_team, db) == {"severity": "warning", "team": "db"}
    assert group_key(by_team, db) == group_key(by_team, alert("a2", labels={"team": "db", "key": "k2"}))
    assert group_key(by_team, alert()) == group_key(by_team, alert("a2", labels={"team": ""}))
    keys = {
        group_key(each, one)
        for each in (by_team, route(2, group_by=("team", "severity")), route(group_by=()), route())
        for one in (db, alert("a2"), alert("a3", severity="error"))
    }
    assert len(keys) == 3 + 3 + 1 + 3
