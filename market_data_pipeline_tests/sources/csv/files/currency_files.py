"""Files of currencies and coins: HistData, Dukascopy, MetaTrader, CryptoDataDownload, Kaggle, Binance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from market_data_pipeline_tests.sources.csv.files.case import BTCUSD, BTCUSDT, EURUSD, Case
from market_data_pipeline_tests.sources.csv.files.invented import (
    ATHENS,
    UTC,
    WINTER_DAYS,
    cents,
    coins,
    lots,
    none,
    ticks,
)
from market_data_pipeline_tests.sources.csv.files.market import (
    DAY,
    HOUR,
    MINUTE,
    Bar,
    Clock,
    at,
    currency_times,
    decimal,
    midnights,
    round_the_clock,
    short,
    walk,
)


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
