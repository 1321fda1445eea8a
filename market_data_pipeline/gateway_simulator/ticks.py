"""Historical ticks (message 96), made from bars of one second: the last price of each second is its one tick."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from market_data_pipeline.gateway_simulator.market import HistoryRequest, Market, Refusal
from market_data_pipeline.gateway_simulator.market.durations import parse_end
from market_data_pipeline.gateway_simulator.messages import Say
from market_data_pipeline.gateway_simulator.requests import TicksRequest
from market_data_pipeline.gateway_simulator.wire import frame

_SPAN_S = 1_800
_MOST = 1_000
_NO_DATA = 162
_QUOTED_SIZE = "100"
_BILLION = 1_000_000_000


def answer(market: Market, request_id: int, request: TicksRequest, now_ns: int) -> tuple[bytes, int]:
    """Return message 96, 97 or 98, and how many ticks it carries: at most 1,000, and of at most half an hour.

    Raises:
        Refusal: As for bars; 321 where neither or both ends are given, or for another kind of ticks.
    """
    if bool(request.start) == bool(request.end):
        raise Refusal(321, "Error validating request.-'bW' : cause - Either start or end date/time must be given, and not both.")
    end = request.end
    if request.start:
        moment = dt.datetime.fromtimestamp(parse_end(request.start, now_ns) // _BILLION + _SPAN_S, dt.UTC)
        end = f"{moment:%Y%m%d-%H:%M:%S}"
    ticks: list[tuple[str, ...]]
    bars = HistoryRequest(request.contract, end, "1 secs", f"{_SPAN_S} S", request.use_rth, request.what)
    if request.what == "BID_ASK":
        bids, asks = (_rows(market, replace(bars, what=what), now_ns) for what in ("BID", "ASK"))
        asked = {row[0]: row[4] for row in asks}
        ticks = [(row[0], "0", row[4], asked[row[0]], _QUOTED_SIZE, _QUOTED_SIZE) for row in bids if row[0] in asked]
        say = Say.TICKS_BID_ASK
    elif request.what == "MIDPOINT":
        ticks = [(row[0], "0", row[4], "0") for row in _rows(market, bars, now_ns)]
        say = Say.TICKS
    elif request.what in {"TRADES", "AGGTRADES"}:
        exchange = request.contract.exchange
        ticks = [(row[0], "0", row[4], row[5], exchange, "") for row in _rows(market, bars, now_ns)]
        say = Say.TICKS_LAST
    else:
        raise Refusal(321, f"Error validating request.-'bW' : cause - Historical ticks of {request.what} are not available.")
    most = max(0, min(request.count, _MOST))
    kept = ticks[:most] if request.start else ticks[len(ticks) - min(most, len(ticks)) :]
    return frame(say, request_id, len(kept), *(cell for tick in kept for cell in tick), 1), len(kept)


def _rows(market: Market, request: HistoryRequest, now_ns: int) -> list[tuple[str, ...]]:
    """Return bars, none where there are none: ticks have no error for that."""
    try:
        return [*market.history(request, now_ns).rows]
    except Refusal as refusal:
        if refusal.code != _NO_DATA:
            raise
        return []
