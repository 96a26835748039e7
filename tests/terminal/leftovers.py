"""What a program left switched on in the terminal, judged from its bytes."""

from __future__ import annotations

import re

# What a program switches on, what switches it off again.
_MODES = {
    "the alternate screen": 1049,
    **{f"mouse mode {mode}": mode for mode in (1000, 1002, 1003, 1005, 1006, 1015, 1016)},
    "bracketed paste": 2004,
    "focus events": 1004,
    "synchronized output": 2026,
    "in-band resizes": 2048,
}


def left_on(raw: bytes) -> list[str]:
    wrong = [name for name, mode in _MODES.items() if _last_is(raw, mode, b"h")]
    if _last_is(raw, 25, b"l"):
        wrong.append("the cursor is hidden")
    if _last_is(raw, 7, b"l"):
        wrong.append("no line wrap")
    if len(re.findall(rb"\x1b\[>\d+u", raw)) != raw.count(b"\x1b[<u"):
        wrong.append("the keyboard protocol")
    if raw.count(b"\x1b[22;2t") != raw.count(b"\x1b[23;2t"):
        wrong.append("the title")
    return wrong


def _last_is(raw: bytes, mode: int, switch: bytes) -> bool:
    found = re.findall(rb"\x1b\[\?%d([hl])" % mode, raw)
    return bool(found) and found[-1] == switch
