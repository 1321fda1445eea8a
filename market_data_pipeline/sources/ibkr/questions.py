"""The requests that we know to make, and nothing else: contract details, symbols, bars, sessions, head time stamps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from market_data_pipeline.domain.bar_types import NANOSECONDS, Aggregation, BarSpec, PriceType
from market_data_pipeline.domain.errors import InvalidBarType, SourceRefused
from market_data_pipeline.domain.pacing_windows import PacedRequest
from market_data_pipeline.domain.request_sizes import bar_seconds
from market_data_pipeline.sources.ibkr.settings import Hours

if TYPE_CHECKING:
    from ib_async.contract import Contract

# "Historical Bar Sizes" (TWS API documentation).
_SIZES = {
    Aggregation.SECOND: ("secs", (1, 5, 10, 15, 30)),
    Aggregation.MINUTE: ("mins", (1, 2, 3, 5, 10, 15, 20, 30)),
    Aggregation.HOUR: ("hours", (1, 2, 3, 4, 8)),
    Aggregation.DAY: ("days", (1,)),
    Aggregation.WEEK: ("weeks", (1,)),
    Aggregation.MONTH: ("months", (1,)),
}
_PRICES = {PriceType.LAST: "TRADES", PriceType.MID: "MIDPOINT", PriceType.BID: "BID", PriceType.ASK: "ASK"}
_DAY_S = 86_400
_UTC_STAMPS = 2  # formatDate: seconds since 1970; text forms lose an hour of a night in autumn


@dataclass(frozen=True)
class Question:
    """One request to a gateway.

    Attributes:
        what: What is asked, for messages.
        paced: What the pacing table must know of it.
        send: Sends it: called with ib_async's client and the request's id.
        cancel: Tells the gateway that the answer is not wanted any more; None where there is no such message.
        stays_open: True where the gateway keeps a request open that it has answered, so that it is cancelled in any case.
    """

    what: str
    paced: PacedRequest
    send: Callable[[Any, int], None]
    cancel: Callable[[Any, int], None] | None = None
    stays_open: bool = False


def bar_size_of(spec: BarSpec) -> str:
    """Return how IBKR writes a bar's length: `1 min`, `5 secs`, `1 day`.

    Raises:
        InvalidBarType: If IBKR has no such bars.
    """
    unit, steps = _SIZES[spec.aggregation]
    if spec.step not in steps:
        raise InvalidBarType(
            f"IBKR has no bars of {spec.step} {spec.aggregation}. Steps of {spec.aggregation} that it has: {', '.join(map(str, steps))}."
        )
    # "1 secs" keeps its s.
    return f"{spec.step} {unit[:-1] if spec.step == 1 and unit != 'secs' else unit}"


def what_to_show(sec_type: str, price_type: PriceType) -> str:
    """Return what IBKR calls bars of a price type.

    Raises:
        InvalidBarType: If IBKR has no such bars of this kind of instrument.
    """
    if sec_type == "CASH" and price_type is PriceType.LAST:
        raise InvalidBarType("Currency pairs have no trades at IBKR, so no LAST bars. Ask for MID, BID or ASK, for example 1-MINUTE-MID.")
    # Nautilus' adapter asks PAXOS for the same: crypto has AGGTRADES in place of TRADES.
    return "AGGTRADES" if sec_type == "CRYPTO" and price_type is PriceType.LAST else _PRICES[price_type]


def end_text(end_ns: int) -> str:
    """Return an end as IBKR reads it in UTC, `YYYYMMDD-HH:MM:SS`, cut to whole seconds."""
    return dt.datetime.fromtimestamp(end_ns // NANOSECONDS, dt.UTC).strftime("%Y%m%d-%H:%M:%S")


@dataclass(frozen=True)
class BarQuestion:
    """A request for bars.

    Attributes:
        contract: The contract, with its conId.
        spec: Which bars.
        what: What they are made of, as IBKR writes it.
        hours: Which hours.
        end_ns: UTC nanoseconds before which the last bar opens.
        duration: How far back from there, as IBKR writes it.
        name: What is asked, for messages.
    """

    contract: Contract
    spec: BarSpec
    what: str
    hours: Hours
    end_ns: int
    duration: str
    name: str

    @property
    def question(self) -> Question:
        """The request."""
        end, size, rth = end_text(self.end_ns), bar_size_of(self.spec), int(self.hours is Hours.RTH)
        contract, duration, what = self.contract, self.duration, self.what
        paced = PacedRequest(paced_contract(contract), what, f"{end}|{duration}|{size}|{rth}|{what}", bar_seconds(self.spec), "history")
        return Question(
            self.name,
            paced,
            lambda client, req_id: client.reqHistoricalData(req_id, contract, end, duration, size, what, rth, _UTC_STAMPS, False, []),
            lambda client, req_id: client.cancelHistoricalData(req_id),
        )


def head_question(contract: Contract, what: str, hours: Hours, name: str) -> Question:
    """Return the request for the earliest time that has data."""
    rth = int(hours is Hours.RTH)
    return Question(
        name,
        PacedRequest(paced_contract(contract), what, f"head|{rth}|{what}", 0, "head"),
        lambda client, req_id: client.reqHeadTimeStamp(req_id, contract, what, rth, _UTC_STAMPS),
        lambda client, req_id: client.cancelHeadTimeStamp(req_id),
        stays_open=True,
    )


def schedule_question(contract: Contract, end_ns: int, days: int, hours: Hours, name: str) -> Question:
    """Return the request for the sessions of `days` days before an end, UTC nanoseconds. IBKR has it for bars of a day only."""
    end, duration, rth = end_text(end_ns), f"{days} D", int(hours is Hours.RTH)
    return Question(
        name,
        PacedRequest(paced_contract(contract), "SCHEDULE", f"{end}|{duration}|1 day|{rth}|SCHEDULE", _DAY_S, "history"),
        lambda client, req_id: client.reqHistoricalData(req_id, contract, end, duration, "1 day", "SCHEDULE", rth, _UTC_STAMPS, False, []),
        lambda client, req_id: client.cancelHistoricalData(req_id),
    )


def details_question(contract: Contract, name: str) -> Question:
    """Return the request for all contracts that fit a description."""
    return Question(
        name,
        PacedRequest(paced_contract(contract), "", f"details|{contract}", 0, "details"),
        lambda client, req_id: client.reqContractDetails(req_id, contract),
    )


def matching_question(pattern: str) -> Question:
    """Return the request for stocks whose symbol or name begins with a text."""
    return Question(
        f"Symbols that match {pattern!r}",
        PacedRequest(pattern, "", f"matching|{pattern}", 0, "matching"),
        lambda client, req_id: client.reqMatchingSymbols(req_id, pattern),
    )


def paced_contract(contract: Contract) -> str:
    """Return a contract in one way of writing, for the pacing table: `265598@SMART`."""
    known = contract.conId or f"{contract.secType}:{contract.localSymbol or contract.symbol}:{contract.lastTradeDateOrContractMonth}"
    return f"{known}@{contract.exchange}"


def head_ns_of(text: str, what: str) -> int:
    """Parse a head time stamp: seconds since 1970, or `YYYYMMDD-HH:MM:SS` in UTC."""
    if text.isdigit() and len(text) != len("YYYYMMDD"):
        return int(text) * NANOSECONDS
    for form in ("%Y%m%d-%H:%M:%S", "%Y%m%d %H:%M:%S", "%Y%m%d"):
        try:
            time = dt.datetime.strptime(" ".join(text.split()), form).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
        return int(time.timestamp()) * NANOSECONDS
    raise SourceRefused(f"{what}: the gateway answered {text!r}, which is no time.")
