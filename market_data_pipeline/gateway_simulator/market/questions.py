"""What is asked of the market about bars, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from market_data_pipeline.gateway_simulator.market.contracts import ContractQuery


@dataclass(frozen=True)
class HistoryRequest:
    """A request for historical bars (message 20), fields as they came.

    Attributes:
        contract: What of.
        end: `''` for now, or one of the forms of endDateTime.
        bar_size: `1 min`.
        duration: `5 D`.
        use_rth: Regular trading hours only.
        what: `TRADES`, `MIDPOINT` …
        format_date: 1 for texts in the contract's zone, 2 for seconds since 1970 UTC. Day bars are dates in both.
        keep_up_to_date: Whether updates are wanted.
    """

    contract: ContractQuery
    end: str
    bar_size: str
    duration: str
    use_rth: bool
    what: str
    format_date: int = 2
    keep_up_to_date: bool = False


@dataclass(frozen=True)
class BarRow:
    """One bar as texts: prices without trailing zeros, volume, wap and count -1 where there are no trades.

    `start_ns` is where the bar begins, in UTC nanoseconds since 1970 (for day bars, midnight UTC of the date); `date` is its stamp as text.
    """

    start_ns: int
    date: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    wap: str
    count: str


@dataclass(frozen=True)
class HistoryAnswer:
    """Bars as message 17 carries them.

    Attributes:
        start: Header text: where the request begins.
        end: Header text: where it ends.
        rows: (date, open, high, low, close, volume, wap, count), oldest first.
    """

    start: str
    end: str
    rows: list[tuple[str, str, str, str, str, str, str, str]]


@dataclass(frozen=True)
class ScheduleAnswer:
    """Sessions as message 106 carries them.

    Attributes:
        start: Start of the first session, `YYYYMMDD-HH:MM:SS` in `time_zone`.
        end: End of the last.
        time_zone: IBKR's name of the zone.
        sessions: (start, end, date `YYYYMMDD`), oldest first.
    """

    start: str
    end: str
    time_zone: str
    sessions: list[tuple[str, str, str]]
