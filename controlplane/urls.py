"""URLs of databases as messages show them: a secret is never repeated, wherever it stands and whatever the typo."""

from __future__ import annotations

import re

HIDDEN = "•••"
SECRET_PARAMETERS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
KNOWN_PARAMETERS = (
    " service servicefile passfile channel_binding connect_timeout dbname host hostaddr port client_encoding options "
    "user application_name fallback_application_name keepalives keepalives_idle keepalives_interval "
    "keepalives_count tcp_user_timeout sslmode sslnegotiation sslcompression sslcert sslkey sslcertmode sslrootcert "
    "sslcrl sslcrldir sslsni requirepeer requiressl require_auth min_protocol_version max_protocol_version "
    "ssl_min_protocol_version ssl_max_protocol_version gssencmode krbsrvname gsslib gssdelegation replication "
    "target_session_attrs load_balance_hosts oauth_issuer oauth_client_id oauth_scope sslkeylogfile authtype "
)
"""libpq's parameters, up to PostgreSQL 18. One that is not among them may be a password under a mistyped name."""

# As libpq reads it, which allows a "?" in a password; and as people write it who forget that "/" must be %2F.
_PASSWORD = r"(?<=://)([^@:/]*):[^@/]+@"
_PASSWORD_WITH_SLASH = r"(?<=://)([^@:/?]*):[^@?]+@"
_PARAMETER = r"(?<=[?&])([^=&]+)=[^&]+"
_HOST = r"(?:[\w.%~-]*|\[[0-9A-Fa-f:.]*\])(?::\d*)?"
_FINE = (
    rf"[A-Za-z][A-Za-z0-9+.-]*://(?:[^:@/?#\s]*(?::{HIDDEN})?@)?{_HOST}(?:,{_HOST})*"
    rf"(?:/[^:@?#\s]*)?(?:\?[^#\s]*)?"
)
_IN_WORDS = r"[^\s'\"]*//[^\s'\"]*[@=][^\s'\"]*"
_LIKE_A_URL = r"[^\s'\"]*:[^\s'\"]*@[^\s'\"]*"
_NAMED_IN_WORDS = r"(?i)(\b\w*(?:passw|pwd|secret|token)\w*\s*=\s*)[^\s&'\"]+"


def redact(url: str) -> str:
    """The same URL with its passwords made unreadable."""
    for pattern in (_PASSWORD, _PASSWORD_WITH_SLASH):
        url = re.sub(pattern, rf"\1:{HIDDEN}@", url)
    return re.sub(_PARAMETER, _redact_parameter, url)


def odd_port(url: str) -> bool:
    """Whether the port is not a number: it may be a password that the @ is missing after."""
    hosts = re.sub(r"^[^:/]*://(?:[^@/?#]*@)?|[/?#].*|\[[^]]*\]", "", url)
    return any(not re.fullmatch(r"[^:]*(?::\d*)?", host) for host in hosts.split(","))


def _unknown_parameters(url: str) -> bool:
    """Whether it has parameters that no libpq knows."""
    from urllib.parse import unquote  # libpq decodes names as well

    names = (unquote(found[1]).lower() for found in re.finditer(_PARAMETER, url))
    return any(f" {name} " not in KNOWN_PARAMETERS and name not in SECRET_PARAMETERS for name in names)


def shown_url(text: str) -> str:
    """A URL for a message. What cannot be read as one is not repeated at all: nobody knows where its secret is."""
    url = redact(text.strip())
    return url if re.fullmatch(_FINE, url) and not _unknown_parameters(url) else HIDDEN


def shown_name(text: str) -> str:
    """What should be a name; when it may be a mistyped URL, nothing of it is shown."""
    return HIDDEN if re.search("[:@]", text) else text


def without_secrets(words: str) -> str:
    """A message that may repeat a URL, without the secrets in it."""
    words = re.sub(_IN_WORDS, lambda found: shown_url(found[0]), words)
    return re.sub(_NAMED_IN_WORDS, rf"\g<1>{HIDDEN}", words)


def without_words_like_urls(words: str) -> str:
    """A library's message that may repeat what was typed, without anything that looks like a URL with a password."""
    return re.sub(_LIKE_A_URL, HIDDEN, without_secrets(words))


def _redact_parameter(match: re.Match[str]) -> str:
    from urllib.parse import unquote

    return f"{match[1]}={HIDDEN}" if unquote(match[1]).lower() in SECRET_PARAMETERS else match[0]
