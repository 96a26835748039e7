"""A machine whose clock is off, while the home's is right."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

import pytest

from controlplane import clock

DAY = timedelta(days=1)
OFF = {"ahead": (DAY, "1d ahead"), "behind": (-DAY, "1d behind")}


def put_off(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    class Off(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + by

    monkeypatch.setattr(clock, "datetime", Off)
