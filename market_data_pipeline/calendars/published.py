"""Exchange calendars as pandas_market_calendars publishes them, mended where the exchanges' own notices say otherwise.

Importing this module imports pandas (0.9 s in all): `market_data_pipeline.calendars` does so only when its cache has no answer.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandas_market_calendars

from market_data_pipeline.calendars.clocks import FIRST_DAY, months_and_days, utc_ns
from market_data_pipeline.domain.bar_table import Int64s
from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.sessions import CALENDAR_ARRAYS, SessionCalendar, date_of, day_number

_NEW_YORK = "America/New_York"
_CHICAGO = "America/Chicago"


def published_calendar(name: str, last_year: int) -> SessionCalendar:
    """Return one of our calendars that a library has: `NYSE`, `CME`, `CBOT`, `NYMEX`, `COMEX` or `CBOE`, 1990 to the end of `last_year`."""
    library_name, time_zone, mend = _CALENDARS[name]
    return mend(_read(name, library_name, time_zone, last_year))


def _read(name: str, library_name: str, time_zone: str, last_year: int) -> SessionCalendar:
    """Return the library's schedule as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own: it calls what pandas 3 deprecates
        schedule = pandas_market_calendars.get_calendar(library_name).schedule(date_of(FIRST_DAY), dt.date(last_year, 12, 31), market_times="all")
    days = schedule.index.to_numpy().astype("datetime64[D]").astype(np.int64)
    opens, closes = _nanoseconds(schedule["market_open"]), _nanoseconds(schedule["market_close"])

    def column(label: str, otherwise: Int64s) -> Int64s:
        if label not in schedule:
            return otherwise
        return np.where(schedule[label].isna().to_numpy(), otherwise, _nanoseconds(schedule[label]))

    return SessionCalendar(
        name,
        time_zone,
        days,
        pre_ns=column("pre", opens),
        open_ns=opens,
        close_ns=closes,
        end_ns=column("post", closes),
        break_start_ns=column("break_start", closes),
        break_end_ns=column("break_end", closes),
    )


def _nanoseconds(times: pd.Series) -> Int64s:
    """Return aware times as UTC nanoseconds; pandas 3 keeps them in microseconds."""
    nanoseconds: Int64s = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
    return nanoseconds


def _us_equities(read: SessionCalendar) -> SessionCalendar:
    """Give pre-market from 04:00 and post-market until 20:00, or 17:00 after a planned early close (NYSE holiday notices).

    Where the floor opened late or stopped early for another reason (2001-09-17, 2005-06-01), the library ends all trading with it; other
    venues went on.
    """
    stopped = read.end_ns == read.close_ns
    end = np.where(stopped, utc_ns(read.days, dt.time(20), _NEW_YORK), read.end_ns)
    return replace(read, pre_ns=utc_ns(read.days, dt.time(4), _NEW_YORK), end_ns=end)


def _index_options(read: SessionCalendar) -> SessionCalendar:
    """Turn stock sessions into those of Cboe's index options: to 15 minutes after stocks, global hours before, curb session after.

    Cboe keeps the holidays and early closes of stocks (NYSE holiday notices: "1:15 p.m. for eligible options"). The library's own
    CBOE_Index_Options knows no early close on 24 December and has sessions from 2001-09-11 to 14. Global hours begin at 19:15 Chicago on
    the calendar day before, the curb session ends at 16:00 (Cboe, "Extended Global Trading Hours", 2022).
    """
    closes = read.close_ns + 15 * 60 * NANOSECONDS
    return replace(
        read,
        pre_ns=utc_ns(read.days - 1, dt.time(19, 15), _CHICAGO),
        close_ns=closes,
        end_ns=np.maximum(closes, utc_ns(read.days, dt.time(16), _CHICAGO)),
        break_start_ns=closes,
        break_end_ns=closes,
    )


def _globex(read: SessionCalendar) -> SessionCalendar:
    """End each window when the last product of a Globex exchange stops, and leave out Good Fridays on which none traded.

    On holidays products halt at hours of their own (2024-07-04: equities 12:00 Chicago, energy 13:30, currencies 16:00), and all reopen at
    17:00. So the regular close is that of the exchange's main products, and the window ends at 16:00 on every day. Up to 2015-09-18 Globex
    ran on to 16:15 (NinjaTrader advisory 25); 17:00 holds that too.
    """
    later = read.days < day_number(dt.date(2015, 9, 21))
    end = np.where(later, utc_ns(read.days, dt.time(17), _CHICAGO), utc_ns(read.days, dt.time(16), _CHICAGO))
    whole = replace(read, end_ns=np.maximum(read.close_ns, end))
    return _rows(whole, ~_is_closed_good_friday(whole))


def _is_closed_good_friday(calendar: SessionCalendar) -> npt.NDArray[np.bool_]:
    """Return which sessions are Good Fridays without trading.

    The library opens every Good Friday since 2023 until 08:15 (10:15 for rates). Globex opens only for the employment report, which comes
    out on the first Friday of a month: 2021-04-02, 2023-04-07 and 2026-04-03, but not 2024-03-29 or 2025-04-18. No other session of March
    or April closes before 11:00.
    """
    months, of_month = months_and_days(calendar.days)
    early = calendar.close_ns < utc_ns(calendar.days, dt.time(11), _CHICAGO)
    return np.isin(months, (3, 4)) & early & (of_month > 7)


def _cme(read: SessionCalendar) -> SessionCalendar:
    """Add the days of mourning on which equity index futures stopped at 08:30 Chicago (CME Group, 2018-12-02 and 2024-12-30)."""
    return _closing(_globex(read), {dt.date(2018, 12, 5): dt.time(8, 30), dt.date(2025, 1, 9): dt.time(8, 30)})


def _cbot(read: SessionCalendar) -> SessionCalendar:
    """Add the same days for CBOT: 2018 only its index futures traded, to 08:30; 2025 its rates to 12:15 (the same notices)."""
    return _closing(_globex(read), {dt.date(2018, 12, 5): dt.time(8, 30), dt.date(2025, 1, 9): dt.time(12, 15)})


def _closing(calendar: SessionCalendar, closes: dict[dt.date, dt.time]) -> SessionCalendar:
    """Return the calendar with other regular closes on some dates."""
    close_ns = calendar.close_ns.copy()
    for date, clock in closes.items():
        at = calendar.days == day_number(date)
        close_ns[at] = utc_ns(calendar.days[at], clock, calendar.time_zone)
    return replace(calendar, close_ns=close_ns, break_start_ns=close_ns, break_end_ns=close_ns)


def _rows(calendar: SessionCalendar, keep: npt.NDArray[np.bool_]) -> SessionCalendar:
    """Return the calendar with only these sessions."""
    columns: dict[str, Int64s] = {name: getattr(calendar, name)[keep] for name in CALENDAR_ARRAYS}
    return SessionCalendar(calendar.name, calendar.time_zone, **columns)


# The library's name, the zone, and what has to be mended. All of NYMEX and COMEX share one class there (CMEGlobex_Energy, _Crude, _GC,
# _Metals are names of it). CBOT trades rates, index futures and grains: rates are its main products and have the same sessions as index
# futures; grains close on more holidays and at 13:20, so a calendar of theirs would cut the others short.
_CALENDARS: dict[str, tuple[str, str, Callable[[SessionCalendar], SessionCalendar]]] = {
    "NYSE": ("NYSE", _NEW_YORK, _us_equities),
    "CBOE": ("NYSE", _CHICAGO, _index_options),
    "CME": ("CME Globex Equity", _CHICAGO, _cme),
    "CBOT": ("CME Globex Fixed Income", _CHICAGO, _cbot),
    "NYMEX": ("CMEGlobex_Energy", _CHICAGO, _globex),
    "COMEX": ("CMEGlobex_Metals", _CHICAGO, _globex),
}
