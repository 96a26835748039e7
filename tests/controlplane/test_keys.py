"""The secret's form and the life of a key."""

from __future__ import annotations

import string
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Refusal, Usage
from controlplane.keys import rules, secret, verify
from controlplane.keys.model import Key, StalePolicy
from controlplane.keys.requests import KeyRegister, instant
from controlplane.keys.rules import is_late
from controlplane.keys.verify import check
from controlplane.registry import named
from tests.controlplane.keys import a_key, a_rotation

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WHOLE = st.builds(
    lambda prefix, env, body: f"{prefix}_{env}_{body}" + secret.checksum(f"{prefix}_{env}_{body}"),
    st.text(secret.ALPHABET, min_size=1, max_size=8),
    st.sampled_from(["live", "test"]),
    st.text(secret.ALPHABET, min_size=1, max_size=40),
)


def test_a_made_secret_has_its_parts_and_is_whole() -> None:
    made = secret.make("wf", "live")
    assert secret.is_whole(made) and made.isascii() and len(made) == len("wf_live_") + 36
    assert set(made.removeprefix("wf_live_")) <= set(string.ascii_letters + string.digits)
    assert secret.display(made) == made[:12]
    assert secret.make("wf", "live") != made


def test_the_checksum_is_the_crc_of_all_before_it_with_leading_zeros() -> None:
    made = secret.make("wf", "test", lambda letters: letters[7])
    assert made[:-6] == "wf_test_" + "7" * 30
    number = 0
    for letter in made[-6:]:
        number = number * 62 + secret.ALPHABET.index(letter)
    assert number == zlib.crc32(made[:-6].encode())
    assert secret.checksum("") == "000000"
    body = next(f"wf_live_{i}" for i in range(10_000) if zlib.crc32(f"wf_live_{i}".encode()) < 62**4)
    assert secret.checksum(body).startswith("00") and secret.is_whole(body + secret.checksum(body))


def test_no_length_is_assumed() -> None:
    body = "ghs_live_" + "a" * 505
    token = body + secret.checksum(body)
    assert len(token) == 520 and secret.is_whole(token) and not secret.is_whole(token[:-1] + "-")
    assert not secret.is_whole(body)


@given(WHOLE, st.data())
def test_any_single_character_that_is_changed_is_noticed(token: str, data: st.DataObject) -> None:
    assert secret.is_whole(token)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.one_of(st.sampled_from(secret.ALPHABET + "_- "), st.characters()))
    changed = token[:place] + other + token[place + 1 :]
    assert secret.is_whole(changed) is (changed == token)


def test_ids_are_in_the_order_of_time_and_come_from_it() -> None:
    first, second = secret.new_id(NOW, lambda bits: 0), secret.new_id(NOW + timedelta(milliseconds=1), lambda bits: 0)
    assert first < second and len(first) == 30 and first.endswith("0" * 16)
    assert secret.new_id(NOW, lambda bits: 2**bits - 1) < second


@pytest.mark.parametrize("pasted", ["", "wf_live_tooshort", "wf_test_" + "a" * 36, "wf_live_a-b"])
def test_what_can_be_no_key_is_refused_before_anybody_is_asked(pasted: str) -> None:
    with pytest.raises(Refusal) as refused:
        check(pasted, "wf")
    assert refused.value.code in ("key_missing", "key_checksum") and (not pasted or pasted not in str(refused.value))


def test_a_key_of_another_system_has_no_checksum_to_be_wrong() -> None:
    for theirs in ("AKIA0123456789", "sk_live_" + "a" * 24, "wf-old-style"):
        check(theirs, "wf")


@pytest.mark.parametrize(
    ("text", "after"), [("90d", timedelta(days=90)), ("0", timedelta(0)), ("1h 30m", timedelta(minutes=90))]
)
def test_a_time_is_a_duration_from_now(text: str, after: timedelta) -> None:
    assert instant(text, NOW) == NOW + after


def test_a_time_is_an_instant_or_never() -> None:
    assert instant("never", NOW) is None
    assert instant("2027-01-01", NOW) == datetime(2027, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="not a duration"):
        instant("soon", NOW)


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("keys.rotate", {"id": "k", "grace": "never"}, "a grace must end"),
        ("keys.rotate", {"id": "k", "grace": "tomorrow"}, "not a duration"),
        ("keys.create", {"tenant_id": "a", "addresses": ["10.0.0.1/8"]}, "host bits"),
        ("keys.create", {"tenant_id": "a", "scopes": ["a b"]}, "no blanks"),
        ("keys.create", {"tenant_id": "a", "expires_in": "0"}, "longer than that"),
        ("keys.create", {"tenant_id": "a", "spend_cap": -1}, "0 or more"),
        ("keys.edit", {"id": "k"}, "nothing to change"),
        ("keys.register", {"tenant_id": "a", "display": "x", "sha256": "no"}, "64 hex digits"),
    ],
)
def test_what_cannot_be_asked_is_said_in_words(name: str, fields: dict[str, object], words: str) -> None:
    with pytest.raises(Usage, match=words):
        named(name).parse(fields)


def test_a_secret_is_not_taken_for_what_may_be_shown_of_it() -> None:
    hashed = secret.digest("sk_abcdefgh").hex()
    with pytest.raises(ValueError, match="whole secret"):
        KeyRegister(tenant_id="a", display="sk_abcdefgh", sha256=hashed, label=None)
    assert KeyRegister(tenant_id="a", display="sk_abc", sha256=hashed.upper()).sha256 == hashed


def test_a_warning_never_comes_after_the_key_is_stale() -> None:
    with pytest.raises(Usage) as refused:
        StalePolicy(max_age=timedelta(days=10), warn=timedelta(days=11))
    assert refused.value.code == "stale_warn_after_max"
    StalePolicy(max_age=timedelta(days=10), warn=timedelta(days=10))


def test_a_rotation_is_late_from_half_of_its_grace_on_when_somebody_still_uses_the_old_key() -> None:
    made = NOW - timedelta(hours=12)
    half = a_rotation(made, made + timedelta(hours=24), used=made + timedelta(hours=1))
    assert is_late(half, NOW) and not is_late(half, NOW - timedelta(seconds=1))
    assert not is_late(half, NOW + timedelta(hours=2)), "nobody used it for half of the grace"
    assert not is_late(a_rotation(made, made + timedelta(hours=24), used=None), NOW)


# The life of a key

SOON, PAST = NOW + timedelta(seconds=1), NOW - timedelta(hours=1)


def key(**instead: object) -> Key:
    return a_key(NOW - timedelta(days=10), **{"rotated_to": "key_2", "rotated_at": PAST, **instead})


@pytest.mark.parametrize(
    ("marks", "state"),
    [
        ({}, "active"),
        *[({name: None}, "active") for name in ("revoked_at", "disabled_at", "expires_at", "grace_until")],
        ({"revoked_at": NOW}, "revoked"),
        ({"revoked_at": SOON}, "active"),
        ({"disabled_at": NOW}, "disabled"),
        ({"disabled_at": SOON}, "active"),
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": SOON}, "active"),
        ({"grace_until": NOW}, "expired"),
        ({"grace_until": SOON}, "rotating"),
        ({"grace_until": SOON, "expires_at": NOW}, "expired"),
        ({"grace_until": NOW, "expires_at": SOON}, "expired"),
        ({"revoked_at": PAST, "disabled_at": PAST, "expires_at": PAST}, "revoked"),
        ({"disabled_at": PAST, "expires_at": PAST}, "disabled"),
    ],
)
def test_a_key_is_in_the_worst_state_that_it_has_come_to(marks: dict[str, object], state: str) -> None:
    assert rules.state(key(**marks), NOW) == state


CHECKS = {
    "rotate": rules.check_rotate,
    "grace": rules.check_grace,
    "disable": rules.check_disable,
    "enable": rules.check_enable,
    "leak": rules.check_leak,
    "revoke": rules.check_not_revoked,
}


@pytest.mark.parametrize(
    ("marks", "codes"),
    [
        ({}, {"grace": "key_not_rotating", "enable": "not_disabled"}),
        ({"grace_until": SOON}, {"rotate": "key_rotated_once", "enable": "not_disabled"}),
        (
            {"disabled_at": PAST},
            {"rotate": "key_not_alive", "grace": "key_not_rotating", "disable": "already_disabled"}
            | {"leak": "key_not_alive"},
        ),
        (
            {"expires_at": PAST},
            {"rotate": "key_not_alive", "grace": "key_not_rotating", "enable": "not_disabled", "leak": "key_not_alive"},
        ),
        (
            {"revoked_at": PAST, "revoked_reason": "leaked"},
            {"rotate": "key_not_alive", "grace": "key_not_rotating", "leak": "key_not_alive"}
            | dict.fromkeys(("disable", "enable", "revoke"), "key_revoked"),
        ),
    ],
)
def test_what_can_be_done_with_a_key_and_what_is_refused(marks: dict[str, object], codes: dict[str, str]) -> None:
    refused = {}
    for name, checked in CHECKS.items():
        try:
            checked(key(**marks), NOW)
        except Refusal as refusal:
            refused[name] = refusal.code
            assert refusal.why[0] == f"state: {rules.state(key(**marks), NOW)}" and "wf_live_abcd" in refusal.message
    assert refused == codes


def test_the_way_to_a_state_is_told_step_by_step() -> None:
    marks = {
        "revoked_at": PAST,
        "revoked_reason": "leaked",
        "disabled_at": PAST,
        "expires_at": NOW,
        "grace_until": SOON,
    }
    assert rules.why(key(), NOW) == ["state: active"]
    assert rules.why(key(**marks), NOW) == [
        "state: revoked",
        "revoked 1 h ago: leaked",
        "disabled 1 h ago",
        "expires 2026-05-01 12:00 UTC (now)",
        "rotated 1 h ago, good until 2026-05-01 12:00 UTC",
    ]


hours = st.integers(-100, 100).map(lambda number: NOW + timedelta(hours=number))


@given(hours, st.none() | hours)
def test_a_grace_is_never_over_before_now_nor_outlives_its_key(until: datetime, expires: datetime | None) -> None:
    end = rules.grace_end(key(expires_at=expires), NOW, until)
    assert end in (NOW, until, expires)
    assert end >= NOW or end == expires
    assert expires is None or end <= expires
    assert end == until or until < NOW or (expires is not None and expires < until), "as it was asked for, if it can be"


def test_a_successor_lives_as_long_as_its_predecessor_was_made_for() -> None:
    assert rules.successor_expiry(key(), NOW) is None
    assert rules.successor_expiry(key(expires_at=NOW + timedelta(days=80)), NOW) == NOW + timedelta(days=90)


def test_a_rotation_is_late_when_the_last_use_is_half_a_grace_old() -> None:
    made = NOW - timedelta(hours=24)
    for used, late in ((NOW - timedelta(hours=12), True), (NOW - timedelta(hours=12, seconds=1), False)):
        assert is_late(a_rotation(made, made + timedelta(hours=24), used=used), NOW) is late


# What is pasted


def test_what_is_far_too_long_is_no_key() -> None:
    check("x" * 65_536, "wf")
    with pytest.raises(Refusal, match="no key in what was given"):
        check("x" * 65_537, "wf")


def test_a_checksum_alone_is_no_key() -> None:
    assert not secret.is_whole("wf_live_" + secret.checksum("wf_live_"))
    assert secret.is_whole("wf_live_0" + secret.checksum("wf_live_0"))


def test_a_verdict_in_words_leaves_out_what_does_not_apply() -> None:
    assert verify.words(verify.Verdict(key(rotated_to=None), "suspended"), NOW) == [
        *("wf_live_abcd, a live key: active", "id        key_1", "tenant    acme (suspended)"),
        *("project   all of the tenant", "expires   never"),
    ]
    marks = {"project_id": "shop", "expires_at": NOW + timedelta(days=2), "grace_until": SOON, "revoked_reason": "lost"}
    assert verify.words(verify.Verdict(key(**marks), "active"), NOW)[3:] == [
        *("project   shop", "expires   2026-05-03 12:00 UTC (in 2 d)"),
        *("rotated   good until 2026-05-01 12:00 UTC; successor key_2", "revoked   lost"),
    ]


def test_a_paste_that_is_too_long_is_no_key() -> None:
    check("a" * verify.MAX_PASTED_CHARACTERS, "wf")
    with pytest.raises(Refusal, match="There is no key"):
        check("a" * (verify.MAX_PASTED_CHARACTERS + 1), "wf")
