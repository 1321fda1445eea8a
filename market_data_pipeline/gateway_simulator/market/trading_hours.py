"""The texts of trading hours in contract details."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from market_data_pipeline.domain.sessions import SessionCalendar
from market_data_pipeline.gateway_simulator.market.hours import DAY_S, Hours, date_texts, hours_of, local_texts

_DAYS = 7


def hours_texts(calendar: SessionCalendar, zone: str, now_ns: int) -> tuple[str, str]:
    """Return trading hours and liquid hours of a week from today: `20240105:0930-20240105:1600;20240106:CLOSED;…` on the zone's clocks.

    The week goes on to its next session, so that the last hours are never closed ones: Nautilus takes the time at which a future expires from
    the end of the text.
    """
    hours = hours_of(calendar, zone, regular=False)
    position = max(0, int(np.searchsorted(hours.start_s, now_ns // 10**9, side="right")) - 1)
    today = int((now_ns // 10**9 + hours.offset_s[position]) // DAY_S)
    return _texts(calendar, zone, today)


@lru_cache(maxsize=256)
def _texts(calendar: SessionCalendar, zone: str, today: int) -> tuple[str, str]:
    return (
        _text(hours_of(calendar, zone, regular=False), today),
        _text(hours_of(calendar, zone, regular=True), today),
    )


def _text(hours: Hours, today: int) -> str:
    first = int(np.searchsorted(hours.days, today))
    stop = min(int(np.searchsorted(hours.days, today + _DAYS - 1)) + 1, len(hours.days))
    sessions = {int(hours.days[i]): _session(hours, i) for i in range(first, stop)}
    days = np.arange(today, max(sessions, default=today) + 1, dtype=np.int64)
    texts = dict(zip(days.tolist(), date_texts(days), strict=True))
    opening = {session[:8] for session in sessions.values()}  # a Sunday on which Monday's session opens is not closed
    return ";".join(sessions.get(day, f"{text}:CLOSED") for day, text in texts.items() if day in sessions or text not in opening)


def _session(hours: Hours, position: int) -> str:
    spans = hours.between(position, position + 1)
    starts, stops = (local_texts(column, int(hours.offset_s[position]), ":") for column in (spans.start_s, spans.stop_s))
    return ",".join(f"{_minutes(start)}-{_minutes(stop)}" for start, stop in zip(starts, stops, strict=True))


def _minutes(text: str) -> str:
    """Return `20240105:0930` of `20240105:09:30:00`."""
    return f"{text[:9]}{text[9:11]}{text[12:14]}"
