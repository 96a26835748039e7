"""`watchfloor telemetry`: the numbers of the rows, pages that keep their window, and what is dropped when."""

from __future__ import annotations

import base64
import csv
import json
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.app.commands import Cli
from tests.postgres import Server

MINUTES = 50


@pytest.fixture(scope="module")
def template_database(postgres_server: Server, template_database: str) -> Iterator[str]:
    """Fifty minutes of seven tenants that were rolled up: t0 has least requests and t6 most, all of t3's fail."""
    with postgres_server.database(template_database) as rolled:
        with psycopg.connect(rolled.owner, autocommit=True) as owner:
            owner.execute(
                """UPDATE wf.request_marks SET minutes_from = at, minutes_until = at
                   FROM (SELECT date_trunc('minute', now()) - make_interval(mins => 5 + %s) AS at) AS start""",
                [MINUTES],
            )
            owner.execute(
                """INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, key_prefix, region, at)
                   SELECT 't' || t, '/r' || m % 2, 'GET', CASE t WHEN 3 THEN 500 ELSE 200 END, 10 * (t + 1),
                          'wf_' || m % 3, 'eu', minutes_from + m * interval '1 minute' + i * interval '1 second'
                   FROM wf.request_marks, generate_series(0, 6) t, generate_series(0, 49) m, generate_series(0, t) i"""
            )
            assert owner.execute("SELECT minutes FROM wf.roll_up_requests()").fetchone() == (MINUTES,)
        yield rolled.name


@pytest.fixture
def start(cli: Cli) -> datetime:
    """When the fifty minutes begin."""
    [(start,)] = cli.sql("SELECT minutes_from FROM wf.request_marks")
    return start.astimezone(UTC)


def window(start: datetime) -> list[str]:
    return ["--start", start.isoformat(), "--end", (start + timedelta(minutes=MINUTES)).isoformat()]


def test_series_of_each_scope(cli: Cli, start: datetime) -> None:
    for words, n in (
        ([], 50 * 28),
        (["--tenant", "t2"], 150),
        (["--tenant", "t2", "--route", "/r1"], 75),
        (["--tenant", "t6", "--key", "wf_0"], 17 * 7),
        (["--region", "eu"], 50 * 28),
        (["--route", "/r0"], 25 * 28),
    ):
        items = cli.done("telemetry", "series", *words, "--step", "10m", *window(start))["items"]
        assert sum(item["n"] or 0 for item in items) == n, words
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('idle', 'Idle')")
    answer = cli("telemetry", "series", "--tenant", "idle", "--step", "10m", *window(start))
    assert answer.code == 0 and " 0 " not in answer.out and "–" in answer.out, "unknown is not zero"
    assert cli("telemetry", "series", "--key", "wf_0").code == 2
    assert "scope_unreadable" in cli("telemetry", "series", "--key", "wf_0").err


TENANT, ROUTE, REGION = ("--tenant", "nosuch"), ("--route", "/nosuch"), ("--region", "nosuch")
KEY = ("--tenant", "t6", "--key", "wf_nosuch")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *(((command, *TENANT), "no_tenant") for command in ("series", "export", "top")),
        *(((command, *ROUTE), "no_route") for command in ("series", "export", "top")),
        *(((command, *ROUTE, "--tenant", "t6"), "no_route") for command in ("series", "export", "top")),
        *(((command, *REGION), "no_region") for command in ("series", "export", "top")),
        *(((command, *KEY), "no_key") for command in ("series", "export")),
        *((("series", *TENANT, "--by", by), "no_tenant") for by in ("route", "key", "region")),
        (("top", "key", *KEY), "no_key"),
        (("export", *TENANT, "--format", "svg"), "no_tenant"),
        (("export", *TENANT, "--by", "route"), "no_tenant"),
        (("saturation", "nosuch"), "no_tenant"),
        (("anomalies", "nosuch"), "no_tenant"),
        (("anomalies", "t6", "--key", "wf_nosuch"), "no_key"),
    ],
)
def test_what_does_not_exist_is_not_found(cli: Cli, start: datetime, words: tuple[str, ...], code: str) -> None:
    answer = cli("telemetry", *words)
    assert (answer.code, answer.out) == (4, "") and f"[{code}]" in answer.err, answer


def test_what_exists_and_is_idle_is_a_gap(cli: Cli, start: datetime) -> None:
    """A list has it, or a request of it is stored: rolled up, or not yet."""
    cli.sql(
        "INSERT INTO wf.tenants (id, name, region, allowed_regions) VALUES ('idle', 'Idle', 'us', '{us,ap}');"
        "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, label) VALUES"
        " ('key_01H455VB4PEX5VSKNK084SN02Q', 'idle', 'live', 'wf_live_idle', sha256('x'), '');"
        "INSERT INTO wf.requests (tenant_id, route, method, status, key_prefix, region, at)"
        " VALUES ('new', '/new', 'GET', 200, 'wf_new', 'moon', now())"
    )
    earlier = ["--start", (start - timedelta(hours=5)).isoformat(), "--end", (start - timedelta(hours=4)).isoformat()]
    for words in (
        [],
        ["--tenant", "idle"],
        ["--tenant", "idle", "--key", "wf_live_idle"],
        ["--tenant", "t6", "--key", "wf_0"],
        ["--tenant", "idle", "--route", "/r1"],
        ["--region", "us"],
        ["--region", "ap"],
        ["--region", "eu"],
        ["--region", "moon"],
        ["--tenant", "new", "--route", "/new"],
        ["--tenant", "new", "--key", "wf_new"],
    ):
        answer = cli.done("telemetry", "series", *words, *earlier)
        assert answer["items"] and all(item["n"] is None for item in answer["items"]), words
        assert cli.done("telemetry", "top", "key" if "--key" in words else "tenant", *words, *earlier)["items"] == []


@pytest.mark.parametrize(
    "words",
    [
        *("series --end 0001-01-01", "series --start 9999-12-31 --end 9999-12-31T23:59:59Z", "series --end 3000-01-01"),
        *(
            "series --start 1969-12-31",
            "export --format svg --start 9999-12-31",
            "series --start 0001-01-01T00:00+23:59",
        ),
        *("top --end 0001-01-01T00:00Z", "verify --start 9999-12-31", "saturation default --end 9999-12-31"),
        *("series --start 1e400", "series --start nan", "series --window nan", "series --step 1e3s"),
        *("anomalies default --errors nan", "anomalies default --errors inf", "anomalies default --fewest 0"),
    ],
)
def test_a_time_or_number_of_any_form_is_read_or_refused(cli: Cli, words: str) -> None:
    answer = cli("telemetry", *words.split())
    assert (answer.code, answer.out) == (2, ""), answer
    assert re.search(r"\[(time|duration|limits)_unreadable\]", answer.err)


def test_pages_of_series_keep_their_window_and_their_question(cli: Cli, start: datetime) -> None:
    seen: list[str] = []
    words = ["--by", "tenant", "--limit", "3", "--step", "10m", *window(start)]
    page = cli.done("telemetry", "series", *words)
    while True:
        ids = [item["tenant_id"] for item in page["items"] if item["n"]]
        seen += sorted({*ids})
        assert all(datetime.fromisoformat(item["at"]) >= start - timedelta(minutes=10) for item in page["items"])
        if page["next"] is None:
            break
        page = cli.done("telemetry", "series", "--after", page["next"], "--window", "5m")  # the cursor's window holds
    assert seen == [f"t{n}" for n in range(7)]
    for by, names in (("route", ["/r0", "/r1"]), ("key", ["wf_0", "wf_1", "wf_2"]), ("region", ["eu"])):
        field = {"route": "route", "key": "key_prefix", "region": "region"}[by]
        answer = cli.done("telemetry", "series", "--tenant", "t6", "--by", by, *window(start))
        assert sorted({item[field] for item in answer["items"]}) == names
        assert sum(item["n"] or 0 for item in answer["items"]) == 350


def test_a_cursor_of_something_else_is_refused(cli: Cli, start: datetime) -> None:
    words = ["telemetry", "series", "--tenant", "t6", "--by", "key", "--limit", "1", *window(start)]
    good = cli.done(*words)["next"]
    text, _, signature = good.partition(".")
    held = json.loads(base64.urlsafe_b64decode(text + "=="))

    def other(**instead: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(held | instead).encode()).decode().rstrip("=") + "." + signature

    def refused(cursor: str, tenant: str) -> str:
        return cli("telemetry", "series", "--tenant", tenant, "--by", "key", "--after", cursor).err

    assert "cursor_of_another_tenant" in refused(good, "t5")
    for forged in (other(tenant="t5"), other(v=2), other(place=["zzz"]), text + "." + "A" * 43):
        assert "cursor_forged" in refused(forged, "t6")
    for nonsense in ("x", "", ".", "é.é", "A" * 5000, base64.urlsafe_b64encode(b"\0").decode() + ".AA=="):
        assert "cursor_" in refused(nonsense, "t6")


def test_top_lists(cli: Cli, start: datetime) -> None:
    def first(*words: str) -> list[str]:
        field = {"route": "route", "key": "key_prefix"}.get(words[0], "tenant_id")
        return [item[field] for item in cli.done("telemetry", "top", *words, *window(start))["items"]]

    cli.sql("INSERT INTO wf.tenants (id, name, region) VALUES ('idle', 'Idle', 'us')")
    assert first("tenant") == ["t6", "t5", "t4", "t3", "t2", "t1", "t0"]
    assert first("tenant", "--limit", "1") == ["t6"]
    assert first("tenant", "--measure", "errors", "--limit", "1") == ["t3"]
    assert first("tenant", "--measure", "error_share", "--limit", "1") == ["t3"]
    assert first("tenant", "--measure", "p95", "--limit", "2") == ["t6", "t5"]
    assert sorted(first("route")) == ["/r0", "/r1"]
    assert len(first("key", "--tenant", "t6")) == 3
    assert first("tenant", "--route", "/r0", "--limit", "2") == ["t6", "t5"]
    assert sorted(first("key", "--route", "/r1", "--tenant", "t6")) == ["wf_0", "wf_1", "wf_2"]
    for words, n in (
        (["tenant", "--region", "eu"], 350),
        (["tenant", "--route", "/r0"], 175),
        (["route", "--tenant", "t6", "--key", "wf_0"], 63),
        (["key", "--tenant", "t6", "--route", "/r0"], 63),
        (["tenant", "--region", "us"], None),
    ):
        rows = cli.done("telemetry", "top", *words, *window(start))["items"]
        assert (rows[0]["n"] if rows else None) == n, words
    assert "scope_unreadable" in cli("telemetry", "top", "route", "--region", "eu", *window(start)).err
    [busiest] = cli.done("telemetry", "top", "--limit", "1", *window(start))["items"]
    assert (busiest["n"], busiest["growth"], busiest["before"]) == (350, None, None)
    assert busiest["p95"] == pytest.approx(70, rel=0.02)
    week_before = (start - timedelta(days=7)).replace(minute=0)
    cli.sql(
        "INSERT INTO wf.request_hours (tenant_id, route, hour, n, errors_4xx, errors_5xx, buckets, counts)"
        " SELECT 't6', '/r0', %s::timestamptz + h * interval '1 hour', 60, 0, 0, '{}', '{}'"
        " FROM generate_series(0, 2) h",
        week_before,
    )
    [grown] = cli.done("telemetry", "top", "--measure", "growth", "--limit", "1", *window(start))["items"]
    assert (grown["tenant_id"], grown["before"], grown["growth"]) == ("t6", pytest.approx(50), pytest.approx(7))
    assert "× WEEK BEFORE" in cli("telemetry", "top", "route", *window(start)).out


def test_exports_hold_the_same_numbers(cli: Cli, start: datetime) -> None:
    words = ["telemetry", "export", "--tenant", "t3", "--step", "10m", *window(start)]
    lines = cli(*words).out.splitlines()
    assert lines[0].startswith("# context: ")
    rows = list(csv.DictReader(lines[1:]))
    assert sum(int(row["n"] or 0) for row in rows) == sum(int(row["errors_5xx"] or 0) for row in rows) == 200
    ndjson = [json.loads(line) for line in cli(*words, "--format", "ndjson").out.splitlines()[1:]]
    assert sum(row["n"] or 0 for row in ndjson) == 200
    assert sum(row["n"] or 0 for row in json.loads(cli(*words, "--format", "json").out)["items"]) == 200


def test_verifying_finds_what_was_changed(cli: Cli, start: datetime) -> None:
    answer = cli("telemetry", "verify", *window(start))
    assert answer.code == 0 and ", 0 differ" in answer.err, answer
    middle = start + timedelta(minutes=24)  # its hour has too many requests to be a quiet one, whenever it is now
    cli.sql("UPDATE wf.request_minutes SET n = n + 1 WHERE tenant_id = 't4' AND minute = %s AND dim = 'key'", middle)
    cli.sql(
        "UPDATE wf.request_minutes SET counts[1] = 9 WHERE tenant_id = 't5' AND minute = %s AND dim = 'route'", middle
    )
    cli.sql("DELETE FROM wf.request_minutes WHERE tenant_id = 't6' AND minute = %s AND dim = 'region'", middle)
    cli.sql("UPDATE wf.request_minutes SET n = n + 1 WHERE tenant_id = 't3' AND minute = %s AND dim = 'tenant'", middle)
    cli.sql("UPDATE wf.request_minutes SET n = 1 WHERE tenant_id = '' AND minute = %s AND route = ''", middle)
    answer = cli("telemetry", "verify", *window(start), "--json")
    assert answer.code == 1
    found = {(each["tenant_id"], each["dim"], each["what"]) for each in answer.document["item"]["differences"]}
    assert found == {
        ("t3", "tenant", "requests"),
        ("t4", "key", "requests"),
        ("t5", "route", "latencies"),
        ("t6", "region", "not rolled up"),
        (None, "route", "not the sum of its tenants"),
        (None, "region", "not the sum of its tenants"),
    }
    assert "t5" in cli("telemetry", "verify", *window(start)).out


def test_status_names_rows_without_a_day_and_what_is_due(cli: Cli, start: datetime) -> None:
    kept = {each["data"]: each for each in cli.done("telemetry", "status")["item"]["kept"]}
    assert [(data, kept[data]["days"]) for data in ("minutes", "raw", "hours")] == [
        ("minutes", 2),
        ("raw", 14),
        ("hours", 396),
    ]
    cli.sql(
        "INSERT INTO wf.requests (tenant_id, route, method, status, at) VALUES ('t1', '/', 'GET', 200, '2020-01-01Z')"
    )
    answer = cli("telemetry", "status")
    assert answer.code == 0 and "raw: rows lie in the default partition" in answer.err


def test_keeping_less_names_what_goes_and_dropping_takes_it(cli: Cli, start: datetime) -> None:
    [(day, name)] = cli.sql("SELECT current_date - 9, 'requests_' || to_char(current_date - 9, 'YYYYMMDD')")
    cli.sql("SELECT wf.ensure_request_days(%s, %s)", day, day)
    retention = ["telemetry", "retention", "raw", "--days", "7", "--reason", "disk"]
    preview = cli.done(*retention, "--dry-run")
    assert [part["part"] for part in preview["result"]["would_go"]] == [name]
    assert cli.sql("SELECT days FROM wf.telemetry_retention WHERE data = 'raw'") == [(14,)]
    assert name in cli(*retention, "--dry-run").out, "a person sees it as well"
    done = cli.done(*retention, "--yes")
    assert cli("telemetry", "retention", "raw", "--days", "7", "--reason", "again", "--yes").code != 0
    drop = ["telemetry", "drop-old", "--reason", "disk"]
    assert [part["part"] for part in cli.done(*drop, "--dry-run")["result"]["dropped"]] == [name]
    assert cli.sql("SELECT to_regclass('wf.' || %s) IS NULL", name) == [(False,)]
    cli.done(*drop, "--yes")
    assert cli.sql("SELECT to_regclass('wf.' || %s) IS NULL", name) == [(True,)]
    cli.done("undo", str(done["audit_ids"][0]), "--yes")
    assert cli.sql("SELECT days FROM wf.telemetry_retention WHERE data = 'raw'") == [(14,)]
    with pytest.raises(psycopg.errors.CheckViolation, match="retention_days"):
        cli.sql("UPDATE wf.telemetry_retention SET days = 0")


def test_a_series_is_drawn_as_svg(cli: Cli, start: datetime) -> None:
    done = cli("telemetry", "export", "--tenant", "t3", "--step", "10m", "--format", "svg", *window(start))
    assert done.out.startswith("<svg") and all(f"{name}: t3" in done.out for name in ("requests", "latency", "heat"))
    assert cli("telemetry", "export", "--by", "tenant", "--format", "svg", *window(start)).code == 2


def test_every_command_of_the_page_runs(cli: Cli, start: datetime) -> None:
    page = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M)
    cli.sql(
        "INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme');"
        "INSERT INTO wf.requests (tenant_id, route, method, status, key_prefix, at)"
        " VALUES ('acme', '/v1/orders', 'GET', 200, 'wf_live_ab12', now())"
    )
    for line in block.splitlines():
        done = cli(*shlex.split(line)[1:])
        assert done.code == 0, f"{line}\n{done.out}{done.err}"


def test_saturation_says_how_full_the_limits_are(cli: Cli, start: datetime) -> None:
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('t6', 'Six')")
    noon = f"Etc/GMT{start.hour - 12:+d}"  # where it is noon at the start, so that no day ends within the window
    cli.sql("UPDATE wf.subscriptions SET billing_zone = %s WHERE tenant_id = 't6'", noon)
    found = cli.done("telemetry", "saturation", "t6", "--step", "10m", *window(start))
    [limit] = found["limits"]
    assert (limit["name"], limit["most"], limit["period"]) == ("api_calls", 1000, "day")
    shares = [item["share"] for item in found["items"] if item["share"] is not None]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(0.35)
    shown = cli("telemetry", "saturation", "t6", "--step", "10m", *window(start))
    assert "35.00" in shown.out and "api_calls: 1,000/day" in shown.err and "at least" in shown.err
    unsold = cli("telemetry", "saturation", "t5", *window(start))
    assert unsold.code == 0 and "There is no subscription of t5." in unsold.err
