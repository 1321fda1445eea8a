"""The files that must be taken: one or more of each exporter."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from zoneinfo import ZoneInfo

from market_data_pipeline_tests.sources.csv.files.case import AAPL, BTCUSD, BTCUSDT, ES, EURUSD, MSFT, Case
from market_data_pipeline_tests.sources.csv.files.market import (
    DAY,
    HOUR,
    MINUTE,
    NEW_YORK,
    Bar,
    Clock,
    at,
    currency_times,
    decimal,
    midnights,
    round_the_clock,
    short,
    stock_times,
    walk,
    weekdays,
)

UTC, ATHENS, MOSCOW = Clock("UTC"), Clock("Europe/Athens"), Clock("Europe/Moscow")
# New York moved its clocks on 2024-03-10, Europe on 2024-03-31.
MARCH = weekdays("2024-03-07", "2024-03-13")
WINTER_DAYS = weekdays("2024-01-02", "2024-02-09", ["2024-01-15"])


def shares(luck: random.Random) -> int:
    return luck.randint(100, 90_000)


def lots(luck: random.Random) -> int:
    return luck.randint(100, 99_999)


def ticks(luck: random.Random) -> int:
    return luck.randint(1, 400) * 100


def coins(luck: random.Random) -> int:
    return luck.randint(1_000, 90_000_000)


def none(_: random.Random) -> int:
    return 0


def days(seed: int, swing: int = 150) -> list[Bar]:
    return walk(midnights(WINTER_DAYS), 18_500, swing, lambda luck: luck.randint(30_000_000, 90_000_000), seed)


def stocks(step_s: int, seed: int, keep: float = 1.0, hours: tuple[str, str] = ("09:30", "16:00")) -> list[Bar]:
    return walk(stock_times(MARCH, step_s, *hours, keep=keep, seed=seed), 17_000, 9, shares, seed)


def cents(bar: Bar, write: Callable[[int, int], str] = decimal, decimals: int = 2) -> list[str]:
    return [write(value, decimals) for value in (bar.open, bar.high, bar.low, bar.close)]


def yahoo() -> list[Case]:
    """Yahoo Finance: the download button until 2024, the table on the page since, and yfinance's `to_csv`."""

    def old(bar: Bar, _: int, clock: Clock) -> str:
        stamp = clock.stamp(bar, DAY)
        prices = cents(bar, decimal, 6)
        return f"{stamp:%Y-%m-%d},{','.join(prices)},{decimal(bar.close - 643_210, 6)},{bar.volume}"

    def page(bar: Bar, _: int, clock: Clock) -> str:
        stamp = clock.stamp(bar, DAY)
        return f'"{stamp:%b} {stamp.day}, {stamp.year}",{",".join(cents(bar))},{decimal(bar.close - 41, 2)},"{bar.volume:,}"'

    def intraday(bar: Bar, _: int, clock: Clock) -> str:
        stamp = clock.stamp(bar, 300)
        o, h, low, c = cents(bar, short)
        return f"{stamp.isoformat(sep=' ')},{c},{h},{low},{o},{bar.volume}"

    fine = walk(midnights(WINTER_DAYS), 374_660_004, 1_500_000, lambda luck: luck.randint(20_000_000, 40_000_000), 2)
    head = (
        "Date,Open,High,Low,Close Close price adjusted for splits.,"
        "Adj Close Adjusted close price adjusted for splits and dividend and/or capital gain distributions.,Volume"
    )
    return [
        Case(
            "yahoo-old.csv",
            "the file behind query1.finance.yahoo.com/v7/finance/download, as shown in pandas-datareader's tests",
            MSFT,
            "1-DAY-LAST",
            fine,
            old,
            UTC,
            ("Date,Open,High,Low,Close,Adj Close,Volume",),
            layout="yahoo",
        ),
        Case(
            "yahoo-new.csv",
            "finance.yahoo.com, Historical Data: the table, saved; a dividend stands in a row of its own",
            AAPL,
            "1-DAY-LAST",
            days(3),
            page,
            UTC,
            (head,),
            layout="yahoo",
            newest_first=True,
            extra=lambda _: {28: ['"Feb 9, 2024",0.24 Dividend,,,,,']},
        ),
        Case(
            "yahoo-intraday.csv",
            "yfinance: history(interval='5m').to_csv(), columns as of 0.2.50",
            AAPL,
            "5-MINUTE-LAST",
            stocks(300, 4),
            intraday,
            Clock(NEW_YORK),
            ("Datetime,Close,High,Low,Open,Volume",),
            layout="yahoo-intraday",
        ),
    ]


def stooq() -> list[Case]:
    """stooq.com: a symbol's own file, and the archives of whole markets, whose lines end in CR LF."""

    def symbol(bar: Bar, _: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, DAY):%Y-%m-%d},{','.join(cents(bar, short))},{bar.volume}"

    def bulk(per: str, length: int) -> Callable[[Bar, int, Clock], str]:
        def row(bar: Bar, _: int, clock: Clock) -> str:
            return f"AAPL.US,{per},{clock.stamp(bar, length):%Y%m%d,%H%M%S},{','.join(cents(bar, short))},{bar.volume},0"

        return row

    head = ("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",)
    archive = "stooq.com/db/h: d_us_txt.zip, 5_us_txt.zip"
    warsaw = Clock("Europe/Warsaw")
    return [
        Case(
            "stooq-symbol.csv",
            "stooq.com/q/d/l/?s=aapl.us&i=d",
            AAPL,
            "1-DAY-LAST",
            days(5),
            symbol,
            UTC,
            head=("Date,Open,High,Low,Close,Volume",),
            options=("--layout", "stooq"),
            layout="stooq",
            end="\r\n",
        ),
        Case("stooq-bulk-daily.txt", archive, AAPL, "1-DAY-LAST", days(6), bulk("D", DAY), UTC, head, layout="stooq-bulk", end="\r\n"),
        Case(
            "stooq-bulk-5min.txt",
            archive,
            AAPL,
            "5-MINUTE-LAST",
            stocks(300, 7),
            bulk("5", 300),
            warsaw,
            head,
            options=("--timezone", "Europe/Warsaw", "--stamp", "open"),
            layout="stooq-bulk",
            end="\r\n",
        ),
    ]


def histdata() -> list[Case]:
    """HistData.com: minutes of bids, New York's winter time all year, volume 0."""

    def ascii_(bar: Bar, _: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, MINUTE):%Y%m%d %H%M%S};{';'.join(f'{price}0' for price in cents(bar, decimal, 5))};0"

    def metatrader(bar: Bar, _: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, MINUTE):%Y.%m.%d,%H:%M},{','.join(f'{price}0' for price in cents(bar, decimal, 5))},0"

    source = "histdata.com/f-a-q/data-files-detailed-specification"
    bars = walk(currency_times(["2024-03-03", "2024-03-10"], MINUTE, keep=0.12, seed=8), 108_500, 6, none, 8)
    winter = Clock("Etc/GMT+5")
    return [
        Case("histdata-ascii.csv", source, EURUSD, "1-MINUTE-BID", bars, ascii_, winter, layout="histdata"),
        Case("histdata-metatrader.csv", source, EURUSD, "1-MINUTE-BID", bars, metatrader, winter, layout="histdata-metatrader"),
    ]


def dukascopy() -> list[Case]:
    """Dukascopy's historical data export: closed hours are filled with flat rows of volume 0."""

    def gmt(bar: Bar, _: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, 900):%d.%m.%Y %H:%M:%S}.000,{','.join(cents(bar, short, 5))},{short(bar.volume, 2)}"

    def local(bar: Bar, _: int, clock: Clock) -> str:
        stamp = clock.stamp(bar, 900)
        return f"{stamp:%d.%m.%Y %H:%M:%S}.000 GMT{stamp:%z},{','.join(cents(bar, short, 5))},{short(bar.volume, 2)}"

    friday, sunday, tuesday = (dt.date(2024, 3, day) for day in (8, 10, 12))
    before, after = range(at(friday, "06:00"), at(friday, "17:00"), 900), range(at(sunday, "17:00"), at(tuesday, "12:00"), 900)
    bars = walk([*before, *after], 109_400, 9, lots, 9)
    last = bars[len(before) - 1].close
    weekend = [Bar(t, last, last, last, last, 0) for t in range(at(friday, "17:00"), at(sunday, "17:00"), 900)]

    def filled(row: Callable[[Bar, int, Clock], str]) -> Callable[[Clock], dict[int, list[str]]]:
        return lambda clock: {len(before): [row(bar, 0, clock) for bar in weekend]}

    source = "dukascopy.com/swiss/english/marketwatch/historical: CSV, {} time, flats: all"
    berlin = Clock("Europe/Berlin")
    head = "{} time,Open,High,Low,Close,Volume"
    return [
        Case(
            "dukascopy-gmt.csv",
            source.format("GMT"),
            EURUSD,
            "15-MINUTE-BID",
            bars,
            gmt,
            UTC,
            (head.format("Gmt"),),
            layout="dukascopy",
            extra=filled(gmt),
        ),
        Case(
            "dukascopy-local.csv",
            source.format("local"),
            EURUSD,
            "15-MINUTE-BID",
            bars,
            local,
            berlin,
            (head.format("Local"),),
            layout="dukascopy-local",
            extra=filled(local),
        ),
    ]


def metatrader() -> list[Case]:
    """MetaTrader 4 (History Center, Export) and 5 (Symbols, Bars, Export Bars): the time of the broker's server."""

    def four(bar: Bar, _: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, 900):%Y.%m.%d,%H:%M},{','.join(cents(bar, decimal, 5))},{bar.volume // 100}"

    def five(bar: Bar, i: int, clock: Clock) -> str:
        stamp = clock.stamp(bar, 900)
        return "\t".join((f"{stamp:%Y.%m.%d}", f"{stamp:%H:%M:%S}", *cents(bar, decimal, 5), str(bar.volume // 100), "0", str(1 + i % 7)))

    def five_daily(bar: Bar, i: int, clock: Clock) -> str:
        stamp = clock.stamp(bar, DAY)
        return "\t".join((f"{stamp:%Y.%m.%d}", *cents(bar, decimal, 5), str(bar.volume // 100), "0", str(1 + i % 7)))

    intraday = walk(currency_times(["2024-03-24", "2024-03-31"], 900), 108_100, 12, ticks, 10)
    daily = walk(midnights(WINTER_DAYS), 109_000, 300, ticks, 11)
    head = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    athens = ("--timezone", "Europe/Athens")
    four_source, five_source = "mql5.com forum, 'MT4 history center export format'", "metatrader5.com help, Symbols, Bars, Export Bars"
    return [
        Case(
            "metatrader4.csv",
            four_source,
            EURUSD,
            "15-MINUTE-BID",
            intraday,
            four,
            ATHENS,
            options=athens,
            layout="metatrader4",
        ),
        Case(
            "metatrader4-daily.csv",
            four_source,
            EURUSD,
            "1-DAY-BID",
            daily,
            four,
            UTC,
            layout="metatrader4",
        ),
        Case("metatrader5.csv", five_source, EURUSD, "15-MINUTE-BID", intraday, five, ATHENS, (head,), athens, layout="metatrader5"),
        Case(
            "metatrader5-daily.csv",
            five_source,
            EURUSD,
            "1-DAY-BID",
            daily,
            five_daily,
            UTC,
            (head.replace("<TIME>\t", ""),),
            layout="metatrader5-daily",
        ),
    ]


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


def firstrate() -> list[Case]:
    """FirstRate Data: US Eastern, stamps of bar opens, minutes without trades absent, 04:00 to 20:00."""

    def row(bar: Bar, _: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, MINUTE):%Y-%m-%d %H:%M:%S},{','.join(cents(bar, short))},{bar.volume}"

    extended = stocks(MINUTE, 14, keep=0.35, hours=("04:00", "20:00"))
    source = "firstratedata.com/about/FAQ: US Eastern time, {}"
    return [
        Case("firstrate.txt", source.format("no header"), AAPL, "1-MINUTE-LAST", extended, row, Clock(NEW_YORK), layout="firstrate"),
        Case(
            "firstrate-header.csv.gz",
            source.format("newer bundles with a header"),
            AAPL,
            "1-MINUTE-LAST",
            extended,
            row,
            Clock(NEW_YORK),
            head=("timestamp,open,high,low,close,volume",),
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


def alpaca() -> list[Case]:
    """Alpaca: `get_stock_bars(...).df.to_csv()` of alpaca-py. Stamps are bar opens in UTC."""

    def row(symbol: str) -> Callable[[Bar, int, Clock], str]:
        def write(bar: Bar, _: int, clock: Clock) -> str:
            stamp = clock.stamp(bar, 300).isoformat(sep=" ")
            return f"{symbol},{stamp},{','.join(cents(bar, short))},{bar.volume}.0,{bar.volume // 90 + 1}.0,{decimal(bar.close - 3, 2)}17"

        return write

    bars = stocks(300, 18)
    other = [bar._replace(open=bar.open + 90, high=bar.high + 95) for bar in bars]
    head = ("symbol,timestamp,open,high,low,close,volume,trade_count,vwap",)
    source = "alpaca.markets/sdks/python/market_data.html; docs.alpaca.markets, Historical bars: t is the start of the bar"
    return [
        Case("alpaca.csv", source, AAPL, "5-MINUTE-LAST", bars, row("AAPL"), UTC, head, layout="alpaca"),
        Case(
            "alpaca-symbols.csv",
            source,
            AAPL,
            "5-MINUTE-LAST",
            bars,
            row("AAPL"),
            UTC,
            head,
            options=("--symbol", "AAPL"),
            layout="alpaca",
            extra=lambda clock: {len(bars): [row("MSFT")(bar, 0, clock) for bar in other]},
        ),
    ]


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


def nasdaq() -> list[Case]:
    """nasdaq.com, Historical Quotes, Download: US dates, dollar signs, newest first."""

    def row(bar: Bar, _: int, clock: Clock) -> str:
        o, h, low, c = (f"${price}" for price in cents(bar))
        return f"{clock.stamp(bar, DAY):%m/%d/%Y},{c},{bar.volume},{o},{h},{low}"

    return [
        Case(
            "nasdaq.csv",
            "nasdaq.com/market-activity/stocks/aapl/historical",
            AAPL,
            "1-DAY-LAST",
            days(24),
            row,
            UTC,
            head=("Date,Close/Last,Volume,Open,High,Low",),
            layout="nasdaq",
            newest_first=True,
        )
    ]


def crypto() -> list[Case]:
    """CryptoDataDownload (a line with its address first), the Bitstamp minutes on Kaggle, and Binance's archives. All stamp opens, in UTC."""

    def downloaded(bar: Bar, i: int, clock: Clock) -> str:
        stamp = clock.stamp(bar, HOUR)
        quoted = f"{bar.volume * 62_000 // 10**6}.37"
        return (
            f"{int(stamp.timestamp())}000,{stamp:%Y-%m-%d %H:%M:%S},BTCUSDT,{','.join(cents(bar, short))},{decimal(bar.volume, 6)},{quoted},{i + 900}"
        )

    def downloaded_daily(bar: Bar, _: int, clock: Clock) -> str:
        stamp = clock.stamp(bar, DAY)
        return f"{int(stamp.timestamp())},{stamp:%Y-%m-%d %H:%M:%S},BTC/USD,{','.join(cents(bar, short))},{decimal(bar.volume, 8)},{bar.volume}.5"

    def kaggle(bar: Bar, _: int, clock: Clock) -> str:
        amount = decimal(bar.volume, 8)
        return f"{int(clock.stamp(bar, MINUTE).timestamp())},{','.join(cents(bar))},{amount},{bar.volume // 700}.0000000193,{decimal(bar.close, 2)}"

    def klines(bar: Bar, i: int, clock: Clock) -> str:
        opened = int(clock.stamp(bar, HOUR).timestamp()) * 1_000
        prices = [f"{price}000000" for price in cents(bar)]
        return (
            f"{opened},{','.join(prices)},{decimal(bar.volume, 6)}00,{opened + 3_599_999},{bar.volume}.11000000,{i + 700},1.50000000,93000.10000000,0"
        )

    hours = walk(round_the_clock("2024-03-08", "2024-03-12", HOUR), 6_700_000, 9_000, coins, 25)
    dates = walk(round_the_clock("2024-01-01", "2024-02-10", DAY), 4_300_000, 90_000, coins, 26)
    every = round_the_clock("2019-03-09", "2019-03-10", MINUTE)[:600]
    traded = walk([t for i, t in enumerate(every) if i % 5 not in (2, 3)], 389_000, 60, coins, 27)
    untraded = {3 * i + 2: every[5 * i + 2 : 5 * i + 4] for i in range(120)}

    def gaps(clock: Clock) -> dict[int, list[str]]:
        def stamp(opened: int) -> int:
            return int(clock.stamp(Bar(opened, 0, 0, 0, 0, 0), MINUTE).timestamp())

        return {i: [f"{stamp(opened)},{','.join(['NaN'] * 7)}" for opened in opens] for i, opens in untraded.items()}

    address = "https://www.CryptoDataDownload.com"
    cdd, head = "cryptodatadownload.com/data/{}", "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume {}"
    return [
        Case(
            "cryptodatadownload.csv",
            cdd.format("binance"),
            BTCUSDT,
            "1-HOUR-LAST",
            hours,
            downloaded,
            UTC,
            head=(address, f"{head.format('USDT')},tradecount"),
            layout="cryptodatadownload",
            newest_first=True,
        ),
        Case(
            "cryptodatadownload-daily.csv",
            cdd.format("bitstamp"),
            BTCUSD,
            "1-DAY-LAST",
            dates,
            downloaded_daily,
            UTC,
            head=(address, head.format("USD").lower().replace("volume btc", "Volume BTC").replace("volume usd", "Volume USD")),
            layout="cryptodatadownload",
            newest_first=True,
        ),
        Case(
            "kaggle-bitcoin.csv",
            "kaggle.com/datasets/mczielinski/bitcoin-historical-data: start of the window; NaN without trades",
            BTCUSD,
            "1-MINUTE-LAST",
            traded,
            kaggle,
            UTC,
            ("Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price",),
            layout="kaggle-bitcoin",
            extra=gaps,
        ),
        Case(
            "binance-klines.csv",
            "github.com/binance/binance-public-data: klines without a header",
            BTCUSDT,
            "1-HOUR-LAST",
            hours,
            klines,
            UTC,
            options=("--layout", "binance"),
            layout="binance",
        ),
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


def zipline() -> list[Case]:
    """Zipline's csvdir bundle: daily/ and minute/, one file a symbol. Its minutes are labelled by their end, in UTC."""

    def daily(bar: Bar, _: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, DAY):%Y-%m-%d},{','.join(cents(bar, short, 6))},{bar.volume},0.0,1.0"

    def minute(bar: Bar, _: int, clock: Clock) -> str:
        return f"{clock.stamp(bar, MINUTE):%Y-%m-%d %H:%M:%S},{','.join(cents(bar, short))},{bar.volume},0.0,1.0"

    fine = walk(midnights(WINTER_DAYS), 58_485_714, 400_000, lambda luck: luck.randint(20_000_000, 90_000_000), 31)
    head = ("date,open,high,low,close,volume,dividend,split",)
    source = "zipline.ml4trading.io/bundles.html, Ingesting Data from .csv Files"
    return [
        Case("zipline-daily.csv", source, MSFT, "1-DAY-LAST", fine, daily, UTC, head, layout="zipline"),
        Case(
            "zipline-minute.csv",
            source,
            AAPL,
            "1-MINUTE-LAST",
            stocks(MINUTE, 32, keep=0.3),
            minute,
            Clock("UTC", "close"),
            head,
            options=("--timezone", "UTC", "--stamp", "close"),
            layout="zipline",
        ),
    ]


def several_symbols() -> list[Case]:
    """A table of many symbols, day by day, as people write it out of a data frame or a database."""

    def row(bar: Bar, _: int, clock: Clock) -> str:
        date = f"{clock.stamp(bar, DAY):%Y-%m-%d}"
        mine = f"{date},AAPL,{','.join(cents(bar))},{bar.volume}"
        return "\n".join((mine, f"{date},GOOG,140.10,141.20,139.30,140.40,1200300", f"{date},MSFT,370.10,371.20,369.30,370.40,2200300"))

    return [
        Case(
            "several-symbols.csv",
            "Kaggle's S&P 500 tables (date, Name, …), data frames in long form",
            AAPL,
            "1-DAY-LAST",
            days(33),
            row,
            UTC,
            head=("date,symbol,open,high,low,close,volume",),
            options=("--symbol", "AAPL"),
        )
    ]


def spreadsheet() -> list[Case]:
    """A sheet saved as Excel's "Unicode text": UTF-16 with tabs and CR LF."""

    def row(bar: Bar, _: int, clock: Clock) -> str:
        return "\t".join((f"{clock.stamp(bar, DAY):%Y-%m-%d}", *cents(bar), str(bar.volume)))

    return [
        Case(
            "excel-unicode.txt",
            "support.microsoft.com, File formats supported in Excel: Unicode Text",
            AAPL,
            "1-DAY-LAST",
            days(34),
            row,
            UTC,
            head=("Date\tOpen\tHigh\tLow\tClose\tVolume",),
            end="\r\n",
            encoding="utf-16",
        )
    ]


CASES: dict[str, Case] = {
    case.name: case
    for group in (
        *(yahoo, stooq, histdata, dukascopy, metatrader, tradingview, firstrate, databento, alpaca, ib, nasdaq, crypto, finam, zipline),
        several_symbols,
        spreadsheet,
    )
    for case in group()
}
"""Every file that must be taken, by name."""
