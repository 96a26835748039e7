"""Which addresses of receivers are taken."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.deliveries.targets import Origin, check_url, read_allowed, secrets_of, shown_target
from controlplane.errors import Refusal, Usage

ALLOWED = read_allowed(["hooks.internal", "hooks.internal:8443", "http://10.0.0.5:8080", "smtp://mail.internal:25"])


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://example.com/hook?a=b&c=@d", Origin("https", "example.com", 443)),
        ("HTTPS://Example.COM.:443", Origin("https", "example.com", 443)),
        ("https://1.1.1.1/", Origin("https", "1.1.1.1", 443)),
        ("https://[2606:4700::1111]/x", Origin("https", "2606:4700::1111", 443)),
        ("https://hooks.slack.com/services/T0/B0/xyz", Origin("https", "hooks.slack.com", 443)),
        ("https://hooks.internal/", Origin("https", "hooks.internal", 443)),
        ("https://hooks.internal:8443/x", Origin("https", "hooks.internal", 8443)),
        ("http://10.0.0.5:8080/x", Origin("http", "10.0.0.5", 8080)),
    ],
)
def test_a_receiver_is_taken(url: str, origin: Origin) -> None:
    assert check_url(url, ALLOWED) == origin
    assert urlsplit(url).hostname is not None


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/", "target_not_https"),
        ("http://hooks.internal/", "target_not_https"),
        ("https://example.com:22/", "target_port"),
        ("https://example.com:80/", "target_port"),
        ("https://hooks.internal:9000/", "target_port"),
        ("https://10.0.0.5/", "target_address"),
        ("https://127.0.0.1/", "target_address"),
        ("https://127.1/", "target_address"),
        ("https://2130706433/", "target_address"),
        ("https://[::1]/x", "target_address"),
        ("https://[::ffff:127.0.0.1]/", "target_address"),
        ("https://[64:ff9b::7f00:1]/", "target_address"),
        ("https://192.0.0.8/", "target_address"),
        *(
            (url, "target_unreadable")
            for url in (
                *("", "example.com", "ftp://example.com/", "https://", "https:///x", "https://?x", "//example.com/"),
                *("https://ana:s3cret@example.com/", "https://s3cret@example.com/", "https://example.com/#s3cret"),
                *("https://example.com:0/", "https://example.com:99999/", "https://example.com:s3cret/"),
                *("https://example.com\\@127.0.0.1/", "https://example.com /", " https://example.com/"),
                *("https://example.com/\n", "https://example.com/\r\nHost: x", "https://exämple.com/"),
                *("https://example.com/é", "https://exa\u2024mple.com/", "https://[::1/", "https://[::1%eth0]/"),
                *("https://example..com/", "https://.example.com/", "https://example.com/" + "a" * 2048),
                *("https://example.com\t/", "https://example.com\0/", "https://example。com/"),
            )
        ),
    ],
)
def test_another_is_refused_and_no_secret_repeated(url: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_url(url, ALLOWED)
    assert refused.value.code == code and "s3cret" not in str(refused.value)


@given(st.text(alphabet="https:/@\\#?[]%.:- aé1\n0x7f") | st.text())
def test_what_is_taken_is_read_alike_by_others(rest: str) -> None:
    try:
        origin = check_url(f"https://{rest}")
    except Refusal:
        return
    parts = urlsplit(f"https://{rest}")
    assert parts.hostname is not None and parts.hostname.removesuffix(".") == origin.host
    assert parts.username is None and not parts.fragment and (parts.port or 443) == origin.port


@pytest.mark.parametrize(
    "entry",
    ["", "http://", "hooks.internal/path", "ana@hooks.internal", "ftp://x", "10.0.0.0/8", "*", "x:0", "x:70000"],
)
def test_an_allowance_that_cannot_be_read_is_refused(entry: str) -> None:
    with pytest.raises(Usage) as refused:
        read_allowed([entry])
    assert refused.value.code == "allowed_target_invalid"


def test_a_target_is_shown_without_its_path_which_may_be_the_secret() -> None:
    assert shown_target("https://hooks.slack.com/services/T0/B0/s3cret") == "https://hooks.slack.com/•••"
    assert shown_target("https://example.com:8443?token=s3cret") == "https://example.com:8443/•••"
    assert shown_target("https://example.com/") == "https://example.com"
    assert shown_target("https://ana:s3cret@example.com/") == "•••"


def test_what_is_secret_of_a_target() -> None:
    url = "https://hooks.slack.com/services/T0/B0/s3cret"
    assert secrets_of(url) == (url, "/services/T0/B0/s3cret")
    assert secrets_of("https://example.com/in") == ("https://example.com/in",)
