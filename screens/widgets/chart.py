"""A chart on the screen: drawn again when its data or its size changed, painted only where it differs."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from controlplane.telemetry.charts import ChartSpec, HeatSpec, Tone
from controlplane.telemetry.spoken import said_of
from controlplane.text import clean, fit, fold
from screens.widgets.painted import Line, Painted


class Chart(Painted):
    """Shows a `ChartSpec`; None: nothing was ever measured."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"chart--{name}" for name in ("text", "good", "bad", "warn", "muted")}
    DEFAULT_CSS = """
    Chart {
        height: 1fr;
        & > .chart--good { color: $text-success; }
        & > .chart--bad { color: $text-error; text-style: bold; }
        & > .chart--warn { color: $text-warning; }
        & > .chart--muted { color: $text-muted; }
    }
    """

    def __init__(self, *, ascii_only: bool | None = None, id: str | None = None) -> None:
        """`ascii_only`: None takes the program's. A chart must know it, for braille has no ASCII to be turned into."""
        super().__init__(id=id)
        self._asked_ascii = ascii_only
        self._spec: ChartSpec | HeatSpec | None = None
        self._cursor: float | None = None
        self._begin: float | None = None
        self._plotted: tuple[object, list[list[tuple[str, Tone]]]] = (None, [])
        """The last plot and its data, so that moving the cursor does not plot again."""
        self._words = ""
        self._zone_offset = timedelta()

    @property
    def _ascii_only(self) -> bool:
        return bool(getattr(self.app, "ascii_only", False)) if self._asked_ascii is None else self._asked_ascii

    def show(
        self,
        spec: ChartSpec | HeatSpec | None,
        zone_offset: timedelta = timedelta(),
        *,
        words: str = "no data",
        cursor: float | None = None,
        begin: float | None = None,
    ) -> None:
        """`zone_offset`: east of UTC, for the times. `words`: what to say instead of a chart when there is none.
        `cursor`: a time; `begin`: the other end of a range.
        """
        self._spec, self._zone_offset, self._words = spec, zone_offset, clean(words, 200)
        self._cursor, self._begin = cursor, begin
        self.repaint()

    def lines(self) -> list[Line]:
        width, height = self.size
        if width < 1 or height < 1:
            return []
        if self._spec is not None and self.app.has_class("accessible"):
            return self._said(self._spec, width, height)
        if self._spec is None:
            blank = (" " * width, self.look("chart--text"))
            words = (fit(self._words, width, "centre"), self.look("chart--muted"))
            return [(words,) if y == height // 2 else (blank,) for y in range(height)]
        from screens.widgets.plot import finish  # plotext is imported when the first chart is drawn

        plot = self._plot(self._spec, width, height)
        drawn = finish(plot, self._spec, self._cursor, self._ascii_only, self._begin)
        return [tuple((text, self.look(f"chart--{tone or 'text'}")) for text, tone in runs) for runs in drawn]

    def _said(self, spec: ChartSpec | HeatSpec, width: int, height: int) -> list[Line]:
        """What the picture would show, in words."""
        folded: list[tuple[str, Tone]] = [
            (row, tone) for words, tone in said_of(spec, self._zone_offset) for row in fold(words, max(2, width))
        ]
        if len(folded) > height:
            more = f"{len(folded) - height + 1} more lines: a higher window has room"
            folded = [*folded[: height - 1], (more, "muted")]
        folded += [("", "")] * (height - len(folded))
        return [((fit(words, width), self.look(f"chart--{tone or 'text'}")),) for words, tone in folded]

    def _plot(self, spec: ChartSpec | HeatSpec, width: int, height: int) -> list[list[tuple[str, Tone]]]:
        from screens.widgets.heat import heated
        from screens.widgets.plot import plotted

        asked = (spec, width, height, self._zone_offset)
        if self._plotted[0] != asked:
            sizes = (width, height, self._zone_offset, self._ascii_only)
            lines = heated(spec, *sizes) if isinstance(spec, HeatSpec) else plotted(spec, *sizes)
            self._plotted = (asked, lines)
        return self._plotted[1]
