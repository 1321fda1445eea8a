"""Files of platforms that export everything: TradingView, Databento, Interactive Brokers, Finam."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

from market_data_pipeline_tests.sources.csv.files.case import AAPL, ES, Case
from market_data_pipeline_tests.sources.csv.files.invented import (
    MOSCOW,
    UTC,
    cents,
    days,
    shares,
    stocks,
)
from market_data_pipeline_tests.sources.csv.files.market import (
    DAY,
    HOUR,
    MINUTE,
    NEW_YORK,
    Bar,
    Clock,
    decimal,
    round_the_clock,
    short,
    walk,
)


def tradingview() -> list[Case]:
    """TradingView, Export chart data: times of bar opens as epoch or ISO, the chart's indicators in columns behind."""

    def indicators(bar: Bar, i: int) -> str:
        return f"{bar.volume}," + (f"{decimal(bar.close - 7, 2)},48.{i % 90 + 10}" if i > 8 else ",")

    def epoch(bar: Bar, i: int, clock: Clock) -> str:
        return f"{int(clock.stamp(bar, HOUR).timestamp())},{','.join(cents(bar, short))},{indicators(bar, i)}"

    def iso(bar: Bar, i: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, HOUR).isoformat()},{','.join(cents(bar, short))},{indicators(bar, i)}"

    head = ("time,open,high,low,close,Volume,MA,RSI",)
    source = "tradingview.com/support/solutions/43000537255, time format: {}"
    return [
        Case(
            "tradingview-epoch.csv",
            source.format("UNIX timestamp"),
            AAPL,
            "1-HOUR-LAST",
            stocks(HOUR, 12),
            epoch,
            UTC,
            head,
            layout="tradingview",
        ),
        Case(
            "tradingview-iso.csv",
            source.format("ISO time"),
            AAPL,
            "1-HOUR-LAST",
            stocks(HOUR, 13),
            iso,
            Clock(NEW_YORK),
            head,
            layout="tradingview",
        ),
    ]


def databento() -> list[Case]:
    """Databento: `ohlcv-1m`, `ohlcv-1h`, `ohlcv-1d` as CSV. ts_event is the bar's open, rtype 33, 34, 35; prices in 1e-9 unless pretty."""

    def raw(bar: Bar, _: int, clock: Clock) -> str:
        seconds = int(clock.stamp(bar, MINUTE).timestamp())
        prices = (str(value * 10_000_000) for value in (bar.open, bar.high, bar.low, bar.close))
        return f"{seconds}000000000,33,2,38,{','.join(prices)},{bar.volume}"

    def pretty(rtype: int, length: int, symbol: str) -> Callable[[Bar, int, Clock], str]:
        def row(bar: Bar, _: int, clock: Clock) -> str:
            prices = (f"{price}0000000" for price in cents(bar))
            return f"{clock.stamp(bar, length):%Y-%m-%dT%H:%M:%S}.000000000Z,{rtype},1,5602,{','.join(prices)},{bar.volume},{symbol}"

        return row

    def both(bar: Bar, i: int, clock: Clock) -> str:
        other = bar._replace(open=bar.open + 20_000, high=bar.high + 20_000, low=bar.low + 20_000, close=bar.close + 20_000)
        return f"{pretty(35, DAY, 'AAPL')(bar, i, clock)}\n{pretty(35, DAY, 'MSFT')(other, i, clock)}"

    hours = [t for t in round_the_clock("2024-03-07", "2024-03-13", HOUR) if _futures_trade(t)]
    futures = [Bar(b.opened, 25 * b.open, 25 * b.high, 25 * b.low, 25 * b.close, b.volume) for b in walk(hours, 20_560, 9, shares, 15)]
    head = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume"
    source = "databento.com/docs/schemas-and-data-formats/ohlcv, {}"
    return [
        Case(
            "databento-ns.csv",
            source.format("raw CSV"),
            AAPL,
            "1-MINUTE-LAST",
            stocks(MINUTE, 16, keep=0.2),
            raw,
            UTC,
            (head,),
            layout="databento-fixed",
        ),
        Case(
            "databento-pretty.csv",
            source.format("pretty_px, pretty_ts, map_symbols"),
            ES,
            "1-HOUR-LAST",
            futures,
            pretty(34, HOUR, "ESH4"),
            UTC,
            (f"{head},symbol",),
            layout="databento",
        ),
        Case(
            "databento-symbols.csv",
            source.format("two symbols, ohlcv-1d"),
            AAPL,
            "1-DAY-LAST",
            days(17),
            both,
            UTC,
            (f"{head},symbol",),
            options=("--symbol", "AAPL"),
            layout="databento",
        ),
    ]


def _futures_trade(opened: int) -> bool:
    """Return whether an hour lies in Sunday to Friday, 17:00 to 16:00 Chicago."""
    local = dt.datetime.fromtimestamp(opened, ZoneInfo("America/Chicago"))
    return local.hour != 16 and (local.weekday() < 4 or (local.weekday() == 4 and local.hour < 16) or (local.weekday() == 6 and local.hour >= 17))


def ib() -> list[Case]:
    """Interactive Brokers: `util.df(bars).to_csv()` of ib_async, and what programs print of the API's `BarData`. Stamps are bar opens."""

    def tail(bar: Bar, i: int) -> str:
        return f"{','.join(cents(bar, short))},{bar.volume},{decimal(bar.close - 1, 2)}1,{i % 400 + 12}"

    def frame(bar: Bar, i: int, clock: Clock) -> str:
        return f"{i},{clock.stamp(bar, 300).isoformat(sep=' ')},{tail(bar, i)}"

    def zoned(bar: Bar, i: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, 300):%Y%m%d %H:%M:%S} US/Eastern,{tail(bar, i)}"

    def bare(bar: Bar, i: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, 300):%Y%m%d  %H:%M:%S},{tail(bar, i)}"

    def epoch(bar: Bar, i: int, clock: Clock) -> str:
        return f"{int(clock.stamp(bar, 300).timestamp())},{tail(bar, i)}"

    def daily(bar: Bar, i: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, DAY):%Y%m%d},{tail(bar, i)}"

    head, new_york = ("date,open,high,low,close,volume,average,barCount",), Clock(NEW_YORK)
    source = "interactivebrokers.github.io/tws-api/historical_bars.html: {}"
    return [
        Case(
            "ib-frame.csv",
            "ib_async, util.df(bars).to_csv()",
            AAPL,
            "5-MINUTE-LAST",
            stocks(300, 19),
            frame,
            new_york,
            (f",{head[0]}",),
            layout="ibkr",
        ),
        Case(
            "ib-zoned.csv",
            source.format("formatDate 1, since TWS 10.17"),
            AAPL,
            "5-MINUTE-LAST",
            stocks(300, 20),
            zoned,
            new_york,
            head,
            layout="ibkr",
        ),
        Case(
            "ib-bare.csv",
            source.format("formatDate 1, older"),
            AAPL,
            "5-MINUTE-LAST",
            stocks(300, 21),
            bare,
            new_york,
            head,
            options=("--timezone", NEW_YORK),
            layout="ibkr",
        ),
        Case("ib-epoch.csv", source.format("formatDate 2"), AAPL, "5-MINUTE-LAST", stocks(300, 22), epoch, UTC, head, layout="ibkr"),
        Case("ib-daily.csv", source.format("day bars"), AAPL, "1-DAY-LAST", days(23), daily, UTC, head, layout="ibkr"),
    ]


def finam() -> list[Case]:
    """finam.ru, Quotes export: the user chooses separator, form of dates, and whether a bar's start or end is written. Moscow time."""

    def row(separator: str, date: str, ticker: str) -> Callable[[Bar, int, Clock], str]:
        def write(bar: Bar, _: int, clock: Clock) -> str:
            stamp = clock.stamp(bar, 300)
            prices = [f"{price}00000" for price in cents(bar)]
            return separator.join((*ticker.split(), stamp.strftime(date), f"{stamp:%H%M%S}", *prices, str(bar.volume)))

        return write

    tail = ("<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>")
    moscow = ("--timezone", "Europe/Moscow", "--stamp")
    source = "finam.ru/profile/…/export: {}; its URL parameters in the R package rusquant"
    return [
        Case(
            "finam.csv",
            source.format("dtf=1, sep=3, MSOR=0"),
            AAPL,
            "5-MINUTE-LAST",
            stocks(300, 28),
            row(";", "%Y%m%d", "US2.AAPL 5"),
            MOSCOW,
            head=(";".join(("<TICKER>", "<PER>", *tail)),),
            options=(*moscow, "open"),
            layout="finam",
        ),
        Case(
            "finam-closes.csv",
            source.format("dtf=4 (dd/mm/yy), sep=1, MSOR=1"),
            AAPL,
            "5-MINUTE-LAST",
            stocks(300, 29),
            row(",", "%d/%m/%y", "US2.AAPL 5"),
            Clock("Europe/Moscow", "close"),
            head=(",".join(("<TICKER>", "<PER>", *tail)),),
            options=(*moscow, "close"),
            layout="finam",
        ),
        Case(
            "finam-short.csv",
            source.format("dtf=1, sep=3, no ticker"),
            AAPL,
            "5-MINUTE-LAST",
            stocks(300, 30),
            row(";", "%Y%m%d", ""),
            MOSCOW,
            head=(";".join(tail),),
            options=(*moscow, "open"),
        ),
    ]
