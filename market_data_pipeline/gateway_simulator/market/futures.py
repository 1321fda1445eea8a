"""Expiries of futures: which are listed, and when each is last traded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from market_data_pipeline.calendars import published_calendar_of_venue
from market_data_pipeline.domain.sessions import date_of, day_number
from market_data_pipeline.gateway_simulator.market.contract_file import ExpiryRule, Future

_CODES = "FGHJKMNQUVXZ"
_FRIDAY = 4
# IBKR: data of an expired future is kept for two years after it expired.
_KEPT_DAYS = 2 * 365


@dataclass(frozen=True)
class Expiry:
    """One expiry of a family.

    Attributes:
        month: `202612`.
        local_symbol: `ESZ6`.
        last_trade: The last date on which it trades.
        listed: The first.
    """

    month: str
    local_symbol: str
    last_trade: dt.date
    listed: dt.date


def expiries_of(family: Future, today: dt.date) -> tuple[list[Expiry], list[Expiry]]:
    """Return the expiries listed on a day, nearest first, and those that expired in the two years before it, oldest first."""
    expiries = sorted(_expiries(family, today.year - 3, today.year + 7), key=lambda expiry: expiry.last_trade)
    current = [expiry for expiry in expiries if expiry.last_trade >= today]
    past = [expiry for expiry in expiries if today - dt.timedelta(days=_KEPT_DAYS) <= expiry.last_trade < today]
    return current[: family.ahead], past


def _expiries(family: Future, first_year: int, last_year: int) -> Iterator[Expiry]:
    business_days = published_calendar_of_venue("NYSE").days
    last_known = date_of(business_days[-1])
    a_step = dt.timedelta(days=365 * family.ahead // len(family.months))
    for year in range(first_year, last_year + 1):
        for code in family.months:
            month = _CODES.index(code) + 1
            last_trade = _last_trade(family.expiry, year, month)
            if last_trade >= last_known:
                return
            listed = max(family.listed, last_trade - a_step)
            if last_trade > family.listed:
                yield Expiry(f"{year}{month:02}", f"{family.symbol}{code}{year % 10}", last_trade, listed)


def _last_trade(rule: ExpiryRule, year: int, month: int) -> dt.date:
    """Return the last trade date of a contract month.

    CME rulebook: stock index futures end on the third Friday, or the business day before a holiday (chapter 358); crude oil three business
    days before the 25th of the month before, counted from the business day before it where the 25th is none (chapter 200).
    """
    if rule is ExpiryRule.THIRD_FRIDAY:
        first = dt.date(year, month, 1)
        return _business_day(first + dt.timedelta(days=(_FRIDAY - first.weekday()) % 7 + 14), 0)
    before = dt.date(year, month, 1) - dt.timedelta(days=1)
    return _business_day(before.replace(day=25), 3)


def _business_day(date: dt.date, back: int) -> dt.date:
    """Return the business day `back` days before the last one that is not later than `date`; days on which New York's stocks trade count."""
    days = published_calendar_of_venue("NYSE").days
    position = int(np.searchsorted(days, day_number(date), side="right")) - 1 - back
    return date_of(days[max(position, 0)])
