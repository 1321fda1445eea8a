"""Files of shares: Yahoo, Stooq, FirstRate, Alpaca, nasdaq.com, zipline, tables of many symbols, spreadsheets."""

from __future__ import annotations

from collections.abc import Callable

from market_data_pipeline_tests.sources.csv.files.case import AAPL, MSFT, Case
from market_data_pipeline_tests.sources.csv.files.invented import (
    UTC,
    WINTER_DAYS,
    cents,
    days,
    stocks,
)
from market_data_pipeline_tests.sources.csv.files.market import (
    DAY,
    MINUTE,
    NEW_YORK,
    Bar,
    Clock,
    decimal,
    midnights,
    short,
    walk,
)


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
