"""Draw the README's pictures: the program itself, on its demonstration, without a terminal. `make picture`.

`overview.svg` and `chart.svg` are two of its screens. `tour.svg` moves: each frame is a screen of the program, with the
keys that led to it, and the SVG's own style sheet shows them in turn.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from app.console import Watchfloor
from app.contexts import Context
from app.demo import folders, prepared, present
from app.demo.estate import DEFAULT_SEED
from app.demo.opening import Shown, opened
from app.settings import Settings
from backends.postgres.home import Home
from controlplane.text import clean

DOCS = Path(__file__).parent
SIZE, TOUR_SIZE = (110, 34), (96, 26)
FRAME_SECONDS = 4.0
MOST_BYTES = 300_000
SETTLED_SECONDS = 4.0
TOUR: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("The whole fleet: what fails, what is due, what changed.", ()),
    ("1, S, e: the tenants, worst first.", ("1", "S", "e", "j", "k")),
    ("enter, tab: one tenant, and what was done to it.", ("enter", "tab")),
    ("m, -, tab: its errors began forty minutes ago.", ("m", "minus", "tab")),
    ("w: why this is shown, and what can be done.", ("w",)),
    ("esc, :incidents, enter, tab: what went wrong two days ago.", ("escape", ":incidents", "enter", "tab")),
)
"""What is said below each frame, and the keys that lead to it from the one before."""


async def draw(conninfo: str, size: tuple[int, int], steps: tuple[tuple[str, ...], ...]) -> list[str]:
    """The console's screen as SVG after each step's keys; a step that begins with a colon is a command."""

    async def open_context(report: object) -> Context:
        home = Home(conninfo)
        await home.open()
        return Context(home, "acme-prod", "production", True, "the picture", embedded=True)

    app = Watchfloor(Settings(path=Path("none"), theme="night"), open_context)
    found = []
    async with app.run_test(size=size) as pilot:
        async with asyncio.timeout(60):
            while app.session.plane is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            for keys in steps:
                await _press(app, pilot, keys)
                found.append(_without_fonts(app.export_screenshot(title="watchfloor")))
        assert app.context is not None
        await app.context.home.close()
    return found


async def _press(app: Watchfloor, pilot: Any, keys: tuple[str, ...]) -> None:
    for key in keys:
        if key.startswith(":"):
            app.run_command(key[1:])
        else:
            await pilot.press(key)
        await asyncio.sleep(SETTLED_SECONDS / 4)
    await asyncio.sleep(SETTLED_SECONDS)


def _without_fonts(picture: str) -> str:
    """A font from somebody's server is not needed to look at a picture."""
    return re.sub(r"@font-face \{.*?\}", "", picture, flags=re.S)


def tour(frames: list[str], words: list[str]) -> str:
    """One SVG that shows each frame for some seconds, with its words below. Without motion it shows the first."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', frames[0])
    assert found is not None
    width, height = float(found[1]), float(found[2])
    whole, share = FRAME_SECONDS * len(frames), 100 / len(frames)  # seconds; per cent of them
    style = (
        f".f{{visibility:hidden;animation:f {whole:g}s step-end infinite}}.f:first-of-type{{visibility:visible}}"
        f"@keyframes f{{0%{{visibility:visible}}{share:.3f}%{{visibility:hidden}}}}"
        "@media (prefers-reduced-motion:reduce){.f{animation:none}}"
    )
    shown = "".join(
        f'<g class="f" style="animation-delay:{n * FRAME_SECONDS:g}s">{frame}'
        f'<text x="{width / 2}" y="{height + 26}" text-anchor="middle" class="w">{_escaped(said)}</text></g>\n'
        for n, (frame, said) in enumerate(zip(map(_inner, frames), words, strict=True))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height + 44:g}">\n<style>{style}'
        f".w{{font:20px monospace;fill:#8a8a8a}}</style>\n{shown}</svg>\n"
    )


def _inner(frame: str) -> str:
    """A picture within a picture, with coordinates no finer than can be seen."""
    inner = re.sub(r"<!--.*?-->", "", frame[frame.index("<svg") :], flags=re.S)
    inner = re.sub(r'="[^"]*"', lambda each: re.sub(r"(\d+\.\d)\d+", r"\1", each[0]), inner)
    inner = re.sub(r"terminal-(\d{3})\d+", r"t\1", inner)
    inner = re.sub(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', r'viewBox="0 0 \1 \2" width="\1" height="\2"', inner, count=1)
    return re.sub(r">\s+<", "><", inner)


def _escaped(words: str) -> str:
    return clean(words).replace("&", "&amp;").replace("<", "&lt;")


def main() -> None:
    folder, _held = folders.make()
    try:
        with ThreadPoolExecutor(1) as beside:
            start = prepared.start(DEFAULT_SEED, folders.home(folder), beside, careless=True)
            shown = opened(DEFAULT_SEED, start, lambda words: None, careless=True)
        present.await_worker(shown.site)
        _draw_all(shown)
    finally:
        folders.remove(folder)


def _draw_all(shown: Shown) -> None:
    known = shown.home.known()
    assert known is not None
    conninfo = known.login_conninfo()
    overview, chart = asyncio.run(draw(conninfo, SIZE, ((), (":telemetry", "plus"))))
    (DOCS / "overview.svg").write_text(overview, encoding="utf-8")
    (DOCS / "chart.svg").write_text(chart, encoding="utf-8")
    moving = tour(asyncio.run(draw(conninfo, TOUR_SIZE, tuple(keys for _, keys in TOUR))), [said for said, _ in TOUR])
    assert len(moving.encode()) < MOST_BYTES, len(moving.encode())
    (DOCS / "tour.svg").write_text(moving, encoding="utf-8")


if __name__ == "__main__":
    main()
