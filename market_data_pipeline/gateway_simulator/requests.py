"""What a client asks for, read from its messages. Field by field as `ibapi/client.py` and `ib_async/client.py` write them at version 178."""

from __future__ import annotations

from dataclasses import dataclass

from market_data_pipeline.gateway_simulator.market import ContractQuery, HistoryRequest
from market_data_pipeline.gateway_simulator.wire import Fields

_LEG_FIELDS = 4


@dataclass(frozen=True)
class HeadRequest:
    """How far back bars reach."""

    contract: ContractQuery
    use_rth: bool
    what: str
    format_date: int


@dataclass(frozen=True)
class RealTimeRequest:
    """Bars of five seconds, as they close."""

    contract: ContractQuery
    what: str
    use_rth: bool


@dataclass(frozen=True)
class TicksRequest:
    """Historical ticks. `start` or `end` is empty."""

    contract: ContractQuery
    start: str
    end: str
    count: int
    what: str
    use_rth: bool


def contract_details(fields: Fields) -> tuple[int, ContractQuery]:
    """Read message 9 after its number."""
    fields.skip()
    request_id = fields.number()
    c12 = [fields.text() for _ in range(12)]
    return request_id, _query(c12, include_expired=fields.flag(), sec_id_type=fields.text(), sec_id=fields.text())


def historical_data(fields: Fields) -> tuple[int, HistoryRequest]:
    """Read message 20 after its number."""
    request_id = fields.number()
    query = _contract_with_expired(fields)
    end, bar_size, duration = fields.text(), fields.text(), fields.text()
    use_rth, what, format_date = fields.flag(), fields.text(), fields.number()
    if query.sec_type == "BAG":
        fields.skip_groups(fields.number(), _LEG_FIELDS)
    keep_up_to_date = fields.flag()
    return request_id, HistoryRequest(
        contract=query,
        end=end,
        bar_size=bar_size,
        duration=duration,
        use_rth=use_rth,
        what=what,
        format_date=format_date,
        keep_up_to_date=keep_up_to_date,
    )


def head_time_stamp(fields: Fields) -> tuple[int, HeadRequest]:
    """Read message 87 after its number."""
    request_id = fields.number()
    query = _contract_with_expired(fields)
    return request_id, HeadRequest(query, use_rth=fields.flag(), what=fields.text(), format_date=fields.number())


def real_time_bars(fields: Fields) -> tuple[int, RealTimeRequest]:
    """Read message 50 after its number. Its bar size is always 5 seconds, whatever was asked."""
    fields.skip()
    request_id = fields.number()
    query = _query([fields.text() for _ in range(12)])
    fields.skip()
    return request_id, RealTimeRequest(query, what=fields.text(), use_rth=fields.flag())


def historical_ticks(fields: Fields) -> tuple[int, TicksRequest]:
    """Read message 96 after its number."""
    request_id = fields.number()
    query = _contract_with_expired(fields)
    start, end, count = fields.text(), fields.text(), fields.number()
    return request_id, TicksRequest(query, start, end, count, what=fields.text(), use_rth=fields.flag())


def _contract_with_expired(fields: Fields) -> ContractQuery:
    c12 = [fields.text() for _ in range(12)]
    return _query(c12, include_expired=fields.flag())


def _query(c12: list[str], *, include_expired: bool = False, sec_id_type: str = "", sec_id: str = "") -> ContractQuery:
    con_id, symbol, sec_type, expiry, strike, right, multiplier, exchange, primary_exchange, currency, local_symbol, trading_class = c12
    return ContractQuery(
        con_id=Fields([con_id]).number(),
        symbol=symbol,
        sec_type=sec_type,
        expiry=expiry,
        strike=strike,
        right=right,
        multiplier=multiplier,
        exchange=exchange,
        primary_exchange=primary_exchange,
        currency=currency,
        local_symbol=local_symbol,
        trading_class=trading_class,
        include_expired=include_expired,
        sec_id_type=sec_id_type,
        sec_id=sec_id,
    )
