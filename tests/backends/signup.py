"""The rules by which the home answers a sign-up, once more as a pure function: the tests compare the home with it."""

from __future__ import annotations

import re

ATTEMPTS_PER_HOUR = 5
MAX_EMAIL_CHARACTERS = 254
_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_NOT_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")


def sign_up_fault(email: str, name: str) -> str | None:
    """`invalid_email`, `invalid_name`, or None: what `wf_data.sign_up` answers, apart from its limit of attempts."""
    local, _, domain = email.partition("@")
    if (
        len(email) > MAX_EMAIL_CHARACTERS
        or _UNSEEN.search(email)
        or not local
        or "@" in domain
        or "." not in domain
        or domain.startswith(".")
        or domain.endswith(".")
    ):
        return "invalid_email"
    if not 3 <= len(name) <= 64 or _NOT_IN_NAMES.search(name):
        return "invalid_name"
    return None
