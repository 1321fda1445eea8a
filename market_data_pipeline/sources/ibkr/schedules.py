"""IBKR's own sessions of a contract: `reqHistoricalData` for SCHEDULE."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from market_data_pipeline.domain.bar_types import DAY_NS, NANOSECONDS
from market_data_pipeline.domain.calendar_differences import TradingHours, joined
from market_data_pipeline.domain.errors import SourceRefused
from market_data_pipeline.domain.sessions import day_number
from market_data_pipeline.sources.ibkr.codes import NothingThere
from market_data_pipeline.sources.ibkr.contracts import asking_contract
from market_data_pipeline.sources.ibkr.questions import schedule_question

if TYPE_CHECKING:
    from ib_async.contract import ContractDetails
    from ib_async.objects import HistoricalSession

    from market_data_pipeline.sources.ibkr.gateway import IbkrGateway
    from market_data_pipeline.sources.ibkr.settings import Hours

# "Duration": days up to 365.
_DAYS_AT_ONCE = 350
# Asked for beyond the first date, so that a venue closed on it is told from an instrument that was not listed yet.
_MARGIN_DAYS = 14
_FORM = "%Y%m%d-%H:%M:%S"


def broker_sessions(
    gateway: IbkrGateway, details: ContractDetails, instrument_id: str, first: dt.date, last: dt.date, hours: Hours
) -> dict[dt.date, TradingHours]:
    """Return the sessions dated up to `last` that IBKR tells of a contract, with their hours; one request a year.

    Those of some days before `first` are told too: where there are none, the instrument was not listed yet.

    Args:
        gateway: Whom to ask.
        details: The contract.
        instrument_id: Its id, for messages.
        first: First date.
        last: Last date, inclusive; must not lie in the future: IBKR tells what was.
        hours: Regular hours, or all.

    Raises:
        SourceError: If the gateway cannot be asked, or refuses, or answers what is no schedule.
    """
    contract, found = asking_contract(details), list[tuple[dt.date, TradingHours]]()
    end = last
    while end >= first:
        start = max(first, end - dt.timedelta(days=_DAYS_AT_ONCE - 1))
        # `N D` counts trading days, so it reaches back too far, never too short; sessions are told by their dates, and may be told twice.
        end_ns = (day_number(end) + 1) * DAY_NS - NANOSECONDS
        question = schedule_question(contract, end_ns, (end - start).days + _MARGIN_DAYS, hours, f"Sessions of {instrument_id}")
        try:
            zone, sessions = gateway.ask(question)
        except NothingThere:
            break
        told = [_session(zone, one, question.what) for one in sessions]
        found += [(date, hours_of) for date, hours_of in told if date <= end]
        end = start - dt.timedelta(days=1)
    return joined(found)


def _session(zone: str, session: HistoricalSession, what: str) -> tuple[dt.date, TradingHours]:
    try:
        clock = ZoneInfo(zone)
        opens, closes = (dt.datetime.strptime(text, _FORM).replace(tzinfo=clock) for text in (session.startDateTime, session.endDateTime))
        date = dt.datetime.strptime(session.refDate, "%Y%m%d").replace(tzinfo=dt.UTC).date()
    except (ValueError, ZoneInfoNotFoundError):
        told = f"{session.startDateTime}, {session.endDateTime}, {session.refDate} {zone}"
        raise SourceRefused(f"{what}: the gateway answered {told!r}, which is no session.") from None
    return date, TradingHours(*(round(moment.timestamp()) * NANOSECONDS for moment in (opens, closes)))
