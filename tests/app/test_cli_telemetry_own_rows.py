"""`watchfloor telemetry` where a test's home holds rows of its own, or none."""

from __future__ import annotations

import pytest

from tests.app.commands import Cli


def test_what_is_due_is_rolled_up_by_hand(cli: Cli) -> None:
    cli.sql("UPDATE wf.request_marks SET minutes_from = now() - interval '1 hour'")
    cli.sql(
        "INSERT INTO wf.requests (tenant_id, route, method, status, at)"
        " SELECT 'acme', '/a', 'GET', 200, now() - m * interval '1 minute' FROM generate_series(5, 7) m"
    )
    done = cli.done("telemetry", "roll-up")["item"]
    assert (done["minutes"], done["minutes_left"]) == (3, 0)
    assert cli.done("telemetry", "roll-up")["item"]["minutes"] == 0


def test_what_is_kept_by_the_hour_alone_is_shown_by_the_hour(cli: Cli) -> None:
    cli.log_in("viewer")
    cli.sql(
        """INSERT INTO wf.request_hours
             (tenant_id, dim, value, route, hour, n, errors_4xx, errors_5xx, latency_sum, buckets, counts)
           SELECT 'default', 'route', '', '', date_trunc('hour', now()) - h * interval '1 hour', 100, 0, 0, 5000,
                  ARRAY[158], ARRAY[100] FROM generate_series(1, 12) h"""
    )
    cli.sql("UPDATE wf.request_marks SET hours_until = date_trunc('hour', now())")
    items = cli.done("telemetry", "series", "--tenant", "default", "--window", "12h")["items"]
    assert 1100 <= sum(item["n"] or 0 for item in items) <= 1200 and len(items) <= 13
    items = cli.done("telemetry", "series", "--tenant", "default", "--window", "12h", "--step", "15m")["items"]
    assert not any(item["n"] for item in items), "a step that was asked for is kept"


def test_a_fresh_home_has_a_status(cli: Cli) -> None:
    found = cli.done("telemetry", "status")["item"]
    assert (found["rolled_at"], found["behind"], found["minutes_due"], found["hours_due"]) == (None, None, 0, 0)
    kept = {each["data"]: each for each in found["kept"]}
    assert [each["from_at"] for each in kept.values()] == [None, None, None]
    assert kept["minutes"]["until_at"] is kept["raw"]["until_at"] is None and kept["raw"]["strays"] == 0
    shown = cli("telemetry", "status")
    assert shown.code == 0 and "Nothing was rolled up here yet" in shown.err and "inf" not in shown.out


def test_strange_keys_are_named_with_why(cli: Cli) -> None:
    cli.log_in("viewer")
    cli.sql(
        """WITH calls AS (
          SELECT date_trunc('hour', now()) - h * interval '1 hour' AS hour, key, CASE
            WHEN key = 'spiky' AND h <= 24 THEN 300 WHEN key = 'new' AND h > 24 THEN 0 ELSE 100 END AS n,
            CASE WHEN key = 'scan' AND h <= 24 THEN 60 ELSE 1 END AS refused
          FROM generate_series(2, 190) h, unnest(ARRAY['calm', 'spiky', 'new', 'scan']) key)
        INSERT INTO wf.request_hours (tenant_id, dim, value, route, hour, n, errors_4xx, errors_5xx, latency_sum,
                                      buckets, counts)
        SELECT 'acme', 'key', key, '/a', hour, n, refused, 0, n * 50.0, ARRAY[158], ARRAY[n] FROM calls WHERE n > 0
        UNION ALL
        SELECT 'acme', 'route', '', '/a', hour, sum(n), 4, 0, 1, '{}', '{}' FROM calls GROUP BY hour""",
    )
    cli.sql(
        "INSERT INTO wf.requests (tenant_id, route, method, status, key_prefix, at)"
        " SELECT 'acme', '/a', 'GET', 403, 'scan', now() - interval '5 hours' FROM generate_series(1, 7)"
    )
    answer = cli.done("telemetry", "anomalies", "acme", "--all")
    found = {item["key_prefix"]: item for item in answer["items"]}
    assert {key: [signal["name"] for signal in found[key]["signals"]] for key in found} == {
        "spiky": ["spike"],
        "new": ["new_key"],
        "scan": ["client_errors"],
        "calm": [],
    }
    assert found["scan"]["denied"] == {"403": 7}
    [spike] = found["spiky"]["signals"]
    assert spike["inputs"]["ratio"] == pytest.approx(3, rel=0.1)
    [only] = cli.done("telemetry", "anomalies", "acme", "--key", "scan", "--all")["items"]
    assert only["key_prefix"] == "scan" and [signal["name"] for signal in only["signals"]] == ["client_errors"]
    shown = cli("telemetry", "anomalies", "acme", "--why")
    assert "calm" not in shown.out and "7 × 403" in shown.out and "standard errors" in shown.out
    assert "3 of 4" in shown.err
    assert "Nothing is known" in cli("telemetry", "anomalies", "default").err
    cli.sql("DELETE FROM wf.request_hours WHERE dim = 'key' AND hour < now() - interval '20 hours'")
    known = cli.done("telemetry", "anomalies", "acme", "--all")["items"]
    assert {item["baseline"]["hours"] for item in known} == {0}, "when no key was named before, none of them is new"
    assert not any(signal["name"] in ("new_key", "spike") for item in known for signal in item["signals"])
