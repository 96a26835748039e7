"""What a terminal sends for a key."""

from __future__ import annotations

KEYS = {
    **{"enter": "\r", "esc": "\x1b", "tab": "\t", "space": " ", "backspace": "\x7f", "shift+tab": "\x1b[Z"},
    **{"up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F"},
    **{"shift+up": "\x1b[1;2A", "shift+down": "\x1b[1;2B", "insert": "\x1b[2~", "delete": "\x1b[3~"},
    **{"pageup": "\x1b[5~", "pagedown": "\x1b[6~", "f1": "\x1bOP", "f2": "\x1bOQ", "f3": "\x1bOR", "f4": "\x1bOS"},
    **{f"f{n}": f"\x1b[{code}~" for n, code in zip(range(5, 11), (15, 17, 18, 19, 20, 21), strict=True)},
    **{f"ctrl+{chr(code + 96)}": chr(code) for code in range(1, 27)},
}
