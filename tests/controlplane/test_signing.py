"""The signatures of webhooks, judged by the library of the standard itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from controlplane.deliveries.signing import MAX_ACTIVE_SECRETS, aionis_headers, key_of, new_secret, standard_headers
from controlplane.errors import Usage

KEYS = st.binary(min_size=24, max_size=64)
SECRETS = KEYS.map(lambda key: "whsec_" + base64.b64encode(key).decode())
IDS = st.from_regex(r"msg_[0-9a-f]{40}", fullmatch=True)
BODIES = st.dictionaries(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers(), max_size=3)


def now() -> datetime:
    return datetime.now(UTC)  # the judge compares with the machine's clock


@given(IDS, BODIES, st.lists(SECRETS, min_size=1, max_size=MAX_ACTIVE_SECRETS))
def test_whoever_has_one_of_the_active_secrets_verifies_it(key: str, said: dict[str, int], active: list[str]) -> None:
    from controlplane import jsontext

    body = jsontext.write(said)
    headers = dict(standard_headers(key, now(), body, active))
    for secret in active:
        assert Webhook(secret).verify(body, headers) == said
    assert headers["webhook-id"] == key and headers["webhook-signature"].count("v1,") == len(active)


@given(SECRETS, SECRETS, st.text(alphabet="abc{}:1", min_size=1, max_size=50).map(str.encode), st.integers(0, 6))
def test_nothing_else_verifies(secret: str, other: str, body: bytes, bit: int) -> None:
    headers = dict(standard_headers("msg_1", now(), body, [secret]))
    changed = bytes([body[0] ^ 1 << bit]) + body[1:]
    cases = [(secret, changed, headers), (secret, body, headers | {"webhook-id": "msg_2"})]
    if key_of(other).rstrip(b"\0") != key_of(secret).rstrip(b"\0"):  # HMAC fills a key up with zeros
        cases.append((other, body, headers))
    old = dict(standard_headers("msg_1", now() - timedelta(minutes=6), body, [secret]))
    cases.append((secret, body, old))
    cases.append((secret, body, old | {"webhook-timestamp": headers["webhook-timestamp"]}))
    for judge, content, sent in cases:
        with pytest.raises(WebhookVerificationError):
            Webhook(judge).verify(content, sent)


def test_the_signature_is_that_of_a_known_example() -> None:
    """The vector that the libraries of the standard are tested with."""
    at = datetime.fromtimestamp(1614265330, UTC)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert standard_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', [secret]) == (
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    )


def test_a_new_secret_can_be_used_and_is_never_the_same() -> None:
    made = {new_secret() for _ in range(10)}
    assert len(made) == 10 and all(len(key_of(secret)) == 32 for secret in made)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "hunter2",
        "whsec_",
        "whsec_hunter2",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        base64.b64encode(bytes(32)).decode(),
        "whsec_hunter2é" + "A" * 40,
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
    ],
)
def test_what_is_no_secret_is_refused_and_never_repeated(secret: str) -> None:
    with pytest.raises(Usage) as refused:
        key_of(secret)
    assert refused.value.code == "webhook_secret" and "hunter2" not in str(refused.value)


@pytest.mark.parametrize("number", [0, MAX_ACTIVE_SECRETS + 1])
def test_so_many_secrets_are_not_active_at_once(number: int) -> None:
    with pytest.raises(Usage, match="1 to 4 active"):
        standard_headers("msg_1", now(), b"{}", [new_secret() for _ in range(number)])


@given(st.text(min_size=1), st.binary(max_size=50), st.integers(0, 2**33))
def test_the_older_form_signs_as_its_receivers_verify(secret: str, body: bytes, seconds: int) -> None:
    headers = dict(aionis_headers(datetime.fromtimestamp(seconds, UTC), body, secret))
    assert headers["x-aionis-signature-ts"] == str(seconds)
    by_hand = hmac.new(secret.encode("utf-8", "replace"), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["x-aionis-signature"] == by_hand


def test_the_older_form_without_a_secret_is_not_signed() -> None:
    assert aionis_headers(now(), b"{}", "") == ()
