"""What a key is made of: `<prefix>_<env>_<30 random letters><checksum>`, and what of it may be shown.

The checksum is CRC-32 of all before it, in base 62 with leading zeros: a key that was mistyped, cut or pasted with
something else is told from a real one without asking the home. Keys of any length can be checked.
"""

from __future__ import annotations

import re
import secrets
import zlib
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM = 30
CHECKSUM = 6
SHOWN = 4
"""How many letters of the random part may be shown."""
DEFAULT_PREFIX = "wf"
MAX_PREFIX_CHARACTERS = 16

_SHAPE = re.compile(r"([A-Za-z0-9]+)_(live|test)_([A-Za-z0-9]+)", re.ASCII)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def make(prefix: str, env: str, choose: Callable[[str], str] = secrets.choice) -> str:
    """A new secret. `choose` picks one letter of many, each as likely as the others."""
    body = f"{prefix}_{env}_" + "".join(choose(ALPHABET) for _ in range(RANDOM))
    return body + checksum(body)


def checksum(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM):  # 62⁶ is more than 2³²
        number, rest = divmod(number, len(ALPHABET))
        letters = ALPHABET[rest] + letters
    return letters


def is_whole(secret: str) -> bool:
    """Whether it has the shape of a key, of any length, and its checksum is right."""
    found = _SHAPE.fullmatch(secret)
    if found is None or len(found[3]) <= CHECKSUM:
        return False
    return checksum(secret[:-CHECKSUM]) == secret[-CHECKSUM:]


def display(secret: str) -> str:
    """What may be shown of a secret that is whole: enough to tell two keys apart, too little to use one."""
    prefix, env, letters = secret.split("_")
    return f"{prefix}_{env}_{letters[:SHOWN]}"


def digest(secret: str) -> bytes:
    """What is stored. Plain SHA-256: 30 random letters cannot be guessed, so a slow hash would add nothing."""
    return sha256(secret.encode()).digest()


def new_id(now: datetime, random: Callable[[int], int] = secrets.randbits) -> str:
    """`key_<ulid>`: ids sort by the time when they were made, and hold nothing of the secret."""
    number = int(now.timestamp() * 1000) << 80 | random(80)
    letters = ""
    for _ in range(26):
        number, rest = divmod(number, 32)
        letters = _CROCKFORD[rest] + letters
    return f"key_{letters}"
