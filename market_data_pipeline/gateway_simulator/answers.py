"""What a gateway writes, message by message. Field order as `ibapi/decoder.py` and `ib_async/decoder.py` read it at server version 178."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline.gateway_simulator.market import BarRow, ListedContract
from market_data_pipeline.gateway_simulator.messages import Say
from market_data_pipeline.gateway_simulator.wire import frame

type Row = Sequence[str]
"""Date, open, high, low, close, volume, average price, count of trades: text, as on the wire."""


def accounts(names: str) -> bytes:
    """Return message 15."""
    return frame(Say.MANAGED_ACCOUNTS, 1, names)


def next_valid_id() -> bytes:
    """Return message 9."""
    return frame(Say.NEXT_VALID_ID, 1, 1)


def current_time(seconds: int) -> bytes:
    """Return message 49, UTC seconds since 1970."""
    return frame(Say.CURRENT_TIME, 1, seconds)


def contract(request_id: int, listed: ListedContract) -> bytes:
    """Return message 10."""
    return frame(
        Say.CONTRACT,
        request_id,
        listed.symbol,
        listed.sec_type,
        listed.expiry,
        listed.strike,
        listed.right,
        listed.exchange,
        listed.currency,
        listed.local_symbol,
        listed.market_name,
        listed.trading_class,
        listed.con_id,
        listed.min_tick,
        listed.multiplier,
        listed.order_types,
        ",".join(listed.valid_exchanges),
        listed.price_magnifier,
        listed.under_con_id,
        listed.long_name,
        listed.primary_exchange,
        listed.contract_month,
        listed.industry,
        listed.category,
        listed.subcategory,
        listed.time_zone,
        listed.trading_hours,
        listed.liquid_hours,
        listed.ev_rule,
        listed.ev_multiplier,
        len(listed.security_ids),
        *(part for pair in listed.security_ids for part in pair),
        listed.aggregate_group,
        listed.under_symbol,
        listed.under_sec_type,
        listed.market_rule_ids,
        listed.real_expiration_date,
        listed.stock_type,
        listed.min_size,
        listed.size_increment,
        listed.suggested_size_increment,
    )


def contract_end(request_id: int) -> bytes:
    """Return message 52."""
    return frame(Say.CONTRACT_END, 1, request_id)


def bars(request_id: int, start: str, end: str, rows: Sequence[Row]) -> bytes:
    """Return message 17."""
    return frame(Say.BARS, request_id, start, end, len(rows), *(cell for row in rows for cell in row))


def bar_update(request_id: int, bar: BarRow) -> bytes:
    """Return message 90, whose order is not that of message 17."""
    return frame(Say.BAR_UPDATE, request_id, bar.count, bar.date, bar.open, bar.close, bar.high, bar.low, bar.wap, bar.volume)


def real_time_bar(request_id: int, bar: BarRow) -> bytes:
    """Return message 50, stamped with the bar's start in UTC seconds since 1970."""
    start_s = bar.start_ns // 1_000_000_000
    return frame(Say.REAL_TIME_BAR, 3, request_id, start_s, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.wap, bar.count)


def head_time_stamp(request_id: int, text: str) -> bytes:
    """Return message 88."""
    return frame(Say.HEAD_TIME_STAMP, request_id, text)


def schedule(request_id: int, start: str, end: str, zone: str, sessions: Sequence[Sequence[str]]) -> bytes:
    """Return message 106; each session is start, end and reference date."""
    return frame(Say.SCHEDULE, request_id, start, end, zone, len(sessions), *(cell for session in sessions for cell in session))


def symbols(request_id: int, found: Sequence[ListedContract]) -> bytes:
    """Return message 79."""
    fields: list[object] = []
    for one in found:
        fields += [one.con_id, one.symbol, one.sec_type, one.primary_exchange, one.currency]
        fields += [len(one.derivative_sec_types), *one.derivative_sec_types, one.long_name, ""]
    return frame(Say.SYMBOLS, request_id, len(found), *fields)
