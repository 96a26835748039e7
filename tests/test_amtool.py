"""Our routes and Alertmanager's, on the same random trees: its own `amtool config routes test` says what is right."""

from __future__ import annotations

import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from controlplane.matchers import Matcher, Op
from controlplane.routes.matching import matched
from controlplane.routes.model import Route
from tests import alertmanager
from tests.controlplane.alerting import alert

TREES, ALERTS = 500, 2
VALUES: dict[str, tuple[str, ...]] = {
    "team": ("db", "web", "edge", ""),
    "env": ("prod", "dev", ""),
    "key": ("k-1", "K-1", "k_22", ""),
}
PATTERNS = (
    "db|web",
    ".*",
    ".+",
    "d.",
    "k-[0-9]+",
    r"\w+",
    "(db|web)?",
    "^prod$",
    "K.*",
    "e(dge)?",
    "[^k].*",
    "p{1}rod",
)
OPS: tuple[Op, ...] = ("=", "=", "!=", "=~", "!~")

pytestmark = pytest.mark.skipif(alertmanager.program() is None, reason="there is no amtool here (see `make setup`)")


def a_matcher(chance: random.Random) -> Matcher:
    label, op = chance.choice([*VALUES]), chance.choice(OPS)
    return Matcher(label, op, chance.choice(PATTERNS if "~" in op else VALUES[label]))


def a_tree(chance: random.Random) -> list[Route]:
    """Of up to four levels, below a root that takes everything."""
    routes = [Route(1, "r1")]
    levels = {1: 0}
    for number in range(2, chance.randint(3, 14)):
        parent = chance.choice([each for each, level in levels.items() if level < 4])
        matchers = tuple(a_matcher(chance) for _ in range(chance.randint(0, 2)))
        continues = chance.random() < 0.4
        position = chance.choice((0, number))  # equal ones are in the order of their ids
        routes.append(
            Route(number, f"r{number}", parent=parent, matchers=matchers, continues=continues, position=position)
        )
        levels[number] = levels[parent] + 1
    return routes


def as_configured(routes: list[Route], parent: int | None = None) -> list[dict[str, object]]:
    below = sorted((each for each in routes if each.parent == parent), key=lambda each: (each.position, each.id))
    return [
        {
            "receiver": each.name,
            "matchers": [str(matcher) for matcher in each.matchers],
            "continue": each.continues,
            "routes": as_configured(routes, each.id),
        }
        for each in below
    ]


def ask(config: Path, labels: dict[str, str]) -> list[str]:
    words = [str(alertmanager.program()), "config", "routes", "test", f"--config.file={config}"]
    words += [f"{name}={value}" for name, value in labels.items() if value]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip().split(",")


def test_routes_are_taken_as_alertmanager_takes_them_on_500_random_trees(tmp_path: Path) -> None:
    cases = []
    for seed in range(TREES):
        chance = random.Random(seed)
        routes = a_tree(chance)
        [root] = as_configured(routes)
        config = tmp_path / f"{seed}.yml"
        receivers = [{"name": each.name} for each in routes]
        config.write_text(yaml.safe_dump({"route": root, "receivers": receivers}))
        for _ in range(ALERTS):
            cases.append((config, routes, {name: chance.choice(some) for name, some in VALUES.items()}))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda case: ask(case[0], case[2]), cases))
    ours = [[each.name for each in matched(routes, alert(labels=labels))] for _, routes, labels in cases]
    assert ours == answers
    assert len({tuple(answer) for answer in answers}) > 50 and max(map(len, answers)) >= 3  # so it was not a farce
