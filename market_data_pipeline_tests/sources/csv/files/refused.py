"""The files that must be refused, each with the reason and with what has to be said."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from market_data_pipeline_tests.sources.csv.files.case import AAPL, BTCUSDT, EURUSD
from market_data_pipeline_tests.sources.csv.files.invented import cents, coins, days, lots, none, shares
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
    stock_times,
    walk,
    weekdays,
)

HEADER = "timestamp,open,high,low,close,volume"
# Neither New York nor Europe moved its clocks in these weeks.
JANUARY = weekdays("2024-01-22", "2024-01-26")
MARCH = weekdays("2024-03-07", "2024-03-13")


@dataclass(frozen=True)
class Refusal:
    """A file that nobody may take as it stands.

    Attributes:
        name: Of the file.
        reason: Why it must be refused.
        content: Its bytes.
        says: Pieces of which the message has to hold at least one of each group; letter case does not matter.
        instrument: The instrument that it is said to hold.
        spec: The bars that it is said to hold.
        options: What the user says.
    """

    name: str
    reason: str
    content: bytes
    says: tuple[tuple[str, ...], ...]
    instrument: str = AAPL
    spec: str = "1-MINUTE-LAST"
    options: tuple[str, ...] = ()


def text(lines: Sequence[str], head: str | None = HEADER) -> bytes:
    return "".join(f"{line}\n" for line in ([head] if head else []) + list(lines)).encode()


def lines(bars: Sequence[Bar], length: int, clock: Clock, form: str = "%Y-%m-%d %H:%M:%S", decimals: int = 2, volume: int = 0) -> list[str]:
    return [f"{clock.stamp(bar, length):{form}},{','.join(cents(bar, decimal, decimals))},{decimal(bar.volume, volume)}" for bar in bars]


def quarters(dates: Sequence[object], keep: float = 1.0, first: str = "09:30", last: str = "16:00") -> list[Bar]:
    return walk(stock_times(dates, 15 * MINUTE, first, last, keep=keep), 17_000, 9, shares, 40)  # type: ignore[arg-type]  # dates


NY, UTC = Clock(NEW_YORK), Clock("UTC")
ZONE, STAMP, SYMBOL, LAYOUT = ("--timezone",), ("--stamp",), ("--symbol",), ("--layout",)


def undecided() -> list[Refusal]:
    """Files that can be read in two ways, so that the user has to say which."""
    fives = walk(stock_times(weekdays("2024-05-06", "2024-05-06"), 5 * MINUTE), 18_000, 9, shares, 41)
    early = walk(stock_times(weekdays("2024-03-04", "2024-03-04"), 5 * MINUTE), 18_000, 9, shares, 42)
    midweek = [at(day, "00:00", "UTC") + i * 900 for day in weekdays("2024-01-23", "2024-01-25") for i in range(96)]
    euro = walk(midweek, 108_800, 9, lots, 43)
    coin = walk(round_the_clock("2024-01-22", "2024-01-25", HOUR), 4_000_000, 9_000, coins, 44)
    winter = walk(currency_times(["2024-01-07", "2024-01-14"], 15 * MINUTE), 109_000, 9, none, 45)
    noon = walk(stock_times(JANUARY, MINUTE, "11:00", "14:00"), 17_000, 9, shares, 46)
    thin = walk(stock_times(weekdays("2024-01-22", "2024-01-25"), MINUTE, "10:03", "15:41", keep=0.2, seed=47), 17_000, 9, shares, 47)
    epochs = [f"{bar.opened},{','.join(cents(bar))},{decimal(bar.volume, 6)}" for bar in coin]
    athens = Clock("Europe/Athens")
    four = [f"{row.replace(' ', ',', 1)}" for row in lines(euro, 900, Clock("Etc/GMT+5"), "%Y.%m.%d %H:%M", 5)]
    four_winter = [f"{row.replace(' ', ',', 1)}" for row in lines(winter, 900, athens, "%Y.%m.%d %H:%M", 5)]
    return [
        Refusal(
            "day-or-month.csv",
            "05/06/2024 is 6 May or 5 June, and both were sessions",
            text(lines(fives, 300, NY, "%m/%d/%Y %H:%M")),
            (("YYYY", "time_form"), LAYOUT),
            spec="5-MINUTE-LAST",
            options=("--timezone", NEW_YORK, "--stamp", "open"),
        ),
        Refusal(
            "two-digit-year.csv",
            "03/04/05 style dates: three orders are possible",
            text(lines(early, 300, NY, "%m/%d/%y %H:%M")),
            (("YY", "time_form"),),
            spec="5-MINUTE-LAST",
            options=("--timezone", NEW_YORK, "--stamp", "open"),
        ),
        Refusal(
            "currencies-midweek.csv",
            "Tuesday to Thursday, day and night: no weekend and no change of clocks shows the zone",
            text(lines(euro, 900, athens, decimals=5, volume=2)),
            (ZONE,),
            EURUSD,
            "15-MINUTE-BID",
        ),
        Refusal(
            "currencies-midweek-mt.csv",
            "MetaTrader and HistData write the same columns; no weekend shows whose zone it is",
            text(four, None),
            ((*LAYOUT, *ZONE),),
            EURUSD,
            "15-MINUTE-BID",
        ),
        Refusal(
            "server-time-winter.csv",
            "two winter weeks of a broker's server: Athens, Cairo or a fixed offset cannot be told apart for other months",
            text(four_winter, None),
            ((*LAYOUT, *ZONE),),
            EURUSD,
            "15-MINUTE-BID",
        ),
        Refusal(
            "coins-open-or-close.csv",
            "trading never stops: whole hours may be opens or closes",
            text(lines(coin, HOUR, UTC, "%Y-%m-%dT%H:%M:%SZ", volume=6)),
            (STAMP,),
            instrument=BTCUSDT,
            spec="1-HOUR-LAST",
        ),
        Refusal(
            "coins-without-zone.csv",
            "trading never stops: nothing shows the zone",
            text(lines(coin, HOUR, NY, volume=6)),
            (ZONE,),
            instrument=BTCUSDT,
            spec="1-HOUR-LAST",
            options=("--stamp", "open"),
        ),
        Refusal("coins-epoch.csv", "epoch hours of a market that never stops", text(epochs), (STAMP,), instrument=BTCUSDT, spec="1-HOUR-LAST"),
        Refusal(
            "midday-only.csv",
            "11:00 to 14:00: neither an open nor a close of a session shows zone and stamps",
            text(lines(noon, MINUTE, NY)),
            ((*ZONE, *STAMP),),
        ),
        Refusal(
            "thin-winter.csv",
            "few trades, first 10:03 and last 15:40: opens or closes, New York or Chicago",
            text(lines(thin, MINUTE, NY)),
            ((*ZONE, *STAMP),),
        ),
    ]


def exporters_elsewhere() -> list[Refusal]:
    """Headers of one exporter above rows that it does not write."""
    first_days = walk(midnights(weekdays("2024-02-01", "2024-02-12")), 18_500, 90, shares, 48)
    rows = []
    for bar in first_days:
        o, h, low, c = (f"${price}" for price in cents(bar))
        rows.append(f"{UTC.stamp(bar, DAY):%d/%m/%Y},{c},{bar.volume},{o},{h},{low}")
    return [
        Refusal(
            "nasdaq-day-first.csv",
            "nasdaq.com writes the month first; here that would put the days a month apart, all the same in one February",
            text(rows, "Date,Close/Last,Volume,Open,High,Low"),
            (("time-form",), ("DD/MM/YYYY",)),
            spec="1-DAY-LAST",
        )
    ]


def contradicted() -> list[Refusal]:
    """Files whose times say something else than the user, or than their exporter always writes."""
    march = walk(stock_times(MARCH, 5 * MINUTE), 17_000, 9, shares, 50)
    january = walk(stock_times(JANUARY, 5 * MINUTE), 17_000, 9, shares, 51)
    fixed = Clock("Etc/GMT+5")
    autumn = walk(round_the_clock("2024-11-02", "2024-11-05", HOUR), 6_900_000, 9_000, coins, 52)
    spring = walk(round_the_clock("2024-03-09", "2024-03-12", HOUR), 6_900_000, 9_000, coins, 53)
    weeks = walk(currency_times(["2024-03-03", "2024-03-10"], MINUTE, keep=0.02, seed=54), 108_500, 6, none, 54)
    follows = [f"{row.rpartition(',')[0].replace(',', ';')};0" for row in lines(weeks, MINUTE, NY, "%Y%m%d %H%M%S", 5)]
    odd = [bar._replace(opened=bar.opened + 107 * MINUTE) for bar in january]
    return [
        Refusal(
            "declared-fixed.csv",
            "opens at 09:30 on both sides of 2024-03-10: New York local, not a fixed offset",
            text(lines(march, 300, NY)),
            (ZONE,),
            options=("--timezone", "Etc/GMT+5"),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "declared-new-york.csv",
            "opens at 09:30, then at 08:30 after 2024-03-10: a fixed offset, not New York",
            text(lines(march, 300, fixed)),
            (ZONE,),
            options=("--timezone", NEW_YORK),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "declared-utc.csv",
            "09:30 to 15:59 cannot be UTC for a New York share",
            text(lines(january, 300, NY)),
            (ZONE,),
            options=("--timezone", "UTC"),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "declared-close.csv",
            "first stamp 09:30, last 15:55: opens",
            text(lines(january, 300, NY)),
            (STAMP,),
            options=("--timezone", NEW_YORK, "--stamp", "close"),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "declared-open.csv",
            "first stamp 09:35, last 16:00: closes",
            text(lines(january, 300, Clock(NEW_YORK, "close"))),
            (STAMP,),
            options=("--timezone", NEW_YORK, "--stamp", "open"),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "histdata-with-summer-time.csv",
            "HistData's shape, but the week opens at 17:00 on both sides of 2024-03-10: not fixed EST",
            text(follows, None),
            ((*ZONE, *LAYOUT),),
            EURUSD,
            "1-MINUTE-BID",
        ),
        Refusal(
            "autumn-hour-twice.csv",
            "01:00 stands twice on 2024-11-03, so the times cannot be UTC",
            text(lines(autumn, HOUR, NY, volume=6)),
            (("2024-11-03",),),
            options=("--timezone", "UTC", "--stamp", "open"),
            instrument=BTCUSDT,
            spec="1-HOUR-LAST",
        ),
        Refusal(
            "spring-hour-there.csv",
            "02:00 on 2024-03-10 did not exist in New York",
            text(lines(spring, HOUR, UTC, volume=6)),
            (("skip", "2024-03-10"),),
            options=("--timezone", NEW_YORK, "--stamp", "open"),
            instrument=BTCUSDT,
            spec="1-HOUR-LAST",
        ),
        Refusal(
            "an-hour-late.csv",
            "the times say that they are UTC, but sessions then last from 10:30 to 17:00 New York",
            text(lines([bar._replace(opened=bar.opened + HOUR) for bar in january], 300, UTC, "%Y-%m-%dT%H:%M:%SZ")),
            (("10:30",), ("--layout",)),
            spec="5-MINUTE-LAST",
            options=("--stamp", "open"),
        ),
        Refusal(
            "a-day-late.csv",
            "whole sessions on Saturdays",
            text(lines([bar._replace(opened=bar.opened + DAY) for bar in january], 300, NY)),
            (("2024-01-27",), ("--layout",)),
            spec="5-MINUTE-LAST",
            options=("--timezone", NEW_YORK, "--stamp", "open"),
        ),
        Refusal(
            "no-venue-hours.csv",
            "sessions from 11:17 to 17:42: no zone makes that the hours of NYSE",
            text(lines(odd, 300, NY)),
            ((*ZONE, "session", "hours"),),
            spec="5-MINUTE-LAST",
        ),
    ]


def other_shapes() -> list[Refusal]:
    """Files that are not bars of one series in one form."""
    january = walk(stock_times(JANUARY, 5 * MINUTE), 17_000, 9, shares, 60)
    rows = lines(january, 300, NY)
    half = len(rows) // 2
    german = lines(january, 300, NY, "%d.%m.%Y %H:%M:%S")
    drift = [bar._replace(opened=bar.opened + 7 * i) for i, bar in enumerate(january)]
    known = ("--timezone", NEW_YORK, "--stamp", "open")
    dated = lines(days(61), DAY, UTC, "%Y-%m-%d")
    other = lines(days(62), DAY, UTC, "%Y-%m-%d")
    mondays_of_half_a_year = [day for day in weekdays("2023-07-10", "2024-01-12", ["2023-09-04", "2023-12-25", "2024-01-01"]) if day.weekday() == 0]
    mondays = walk(midnights(mondays_of_half_a_year), 18_500, 90, shares, 63)
    no_close = [row.rpartition(",")[0].rpartition(",")[0] for row in dated]
    numbers = [row.split(",") for row in dated]
    swapped = [f"{d},{o},{low},{h},{c},{v}" for d, o, h, low, c, v in numbers]
    comma = [";".join((d, *(price.replace(".", ",") if i % 2 else price for price in prices), v)) for i, (d, *prices, v) in enumerate(numbers)]
    points = [
        ";".join((d, *(f"1.{price.replace('.', ',')}" if i % 3 else f"1{price}" for price in prices), v)) for i, (d, *prices, v) in enumerate(numbers)
    ]
    symbols = ("date,symbol,open,high,low,close,volume", [row.replace(",", f",{name},", 1) for name in ("AAPL", "MSFT") for row in dated])
    mixed = [f"{bar.opened * (1_000 if i > half else 1)},{','.join(cents(bar))},{bar.volume}" for i, bar in enumerate(january)]
    clock12 = lines(walk(stock_times(JANUARY, 5 * MINUTE, "08:00", "16:00"), 17_000, 9, shares, 64), 300, NY, "%Y-%m-%d %I:%M")
    header = HEADER.replace("timestamp", "date")
    return [
        Refusal(
            "wide-headers.csv",
            "yfinance's columns of several levels: the header takes three rows",
            text(
                [
                    "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL,MSFT,MSFT,MSFT,MSFT,MSFT",
                    "Date,,,,,,,,,,",
                    *(f"{d},{c},{h},{low},{o},{v},{c},{h},{low},{o},{v}" for d, o, h, low, c, v in numbers),
                ],
                "Price,Close,High,Low,Open,Volume,Close,High,Low,Open,Volume",
            ),
            (("header", "two rows", "rows of names"), ("multi_level_index", "stack", "one symbol", "each symbol", "per symbol")),
            spec="1-DAY-LAST",
        ),
        Refusal(
            "mixed-forms.csv",
            "ISO in the first half, DD.MM.YYYY in the second",
            text(rows[:half] + german[half:]),
            (("not a time",),),
            options=known,
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "several-symbols-day-by-day.csv",
            "two symbols, and nobody says which",
            text([r for p in zip(symbols[1][:28], symbols[1][28:], strict=True) for r in p], symbols[0]),
            (SYMBOL, ("MSFT",)),
            spec="1-DAY-LAST",
        ),
        Refusal(
            "several-symbols-in-blocks.csv", "sorted by symbol instead of time", text(symbols[1], symbols[0]), (SYMBOL, ("AAPL",)), spec="1-DAY-LAST"
        ),
        Refusal(
            "two-series-unnamed.csv",
            "two symbols one below the other, without a column that names them",
            text(dated + other, header),
            (("repeated",),),
            spec="1-DAY-LAST",
        ),
        Refusal(
            "stamps-drift.csv",
            "each stamp is 7 seconds later than the one before should be",
            text(lines(drift, 300, NY)),
            (("whole minute",),),
            options=known,
            spec="5-MINUTE-LAST",
        ),
        Refusal("no-close.csv", "a header without a close", text(no_close, "date,open,high,low"), (("close",),), spec="1-DAY-LAST"),
        Refusal(
            "high-low-swapped.csv",
            "the columns of high and low stand under each other's name",
            text(swapped, header),
            (("low > high",),),
            spec="1-DAY-LAST",
        ),
        Refusal(
            "weekly-as-daily.csv",
            "a row a week is said to be days",
            text(lines(mondays, DAY, UTC, "%Y-%m-%d"), header),
            (("1-WEEK", "week"),),
            spec="1-DAY-LAST",
        ),
        Refusal("daily-as-minutes.csv", "dates without a time of day are said to be minutes", text(dated, header), (("1-DAY",),)),
        Refusal(
            "five-minutes-as-one.csv",
            "a row every five minutes, none between, is said to be minutes",
            text(rows),
            (("5-MINUTE", "5 minutes", "minute"),),
            options=known,
        ),
        Refusal(
            "one-minute-as-five.csv",
            "rows a minute apart are said to be five minutes",
            text(lines(walk(stock_times(JANUARY[:2], MINUTE), 17_000, 9, shares, 65), MINUTE, NY)),
            (("1-MINUTE", "closer"),),
            options=known,
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "negative-price.csv",
            "a price below zero",
            text([*dated[:9], "2024-01-17,-185.10,186.00,-185.20,185.90,100", *dated[11:]], header),
            (("negative",),),
            spec="1-DAY-LAST",
        ),
        Refusal("mixed-epochs.csv", "seconds, then milliseconds", text(mixed), (("epoch",),), options=("--stamp", "open"), spec="5-MINUTE-LAST"),
        Refusal(
            "half-a-clock.csv",
            "a clock of twelve hours without AM or PM: 01:00 comes after 12:55",
            text(clock12),
            (("repeated", "session", "hours", "order", *ZONE),),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "decimal-marks-mixed.csv",
            "185,10 and 185.10 in one column",
            text(comma, header.replace(",", ";")),
            (("number", "decimal"),),
            spec="1-DAY-LAST",
        ),
        Refusal(
            "thousands-and-decimals-mixed.csv",
            "1.185,10 and 1185.10 in one column",
            text(points, header.replace(",", ";")),
            (("number", "decimal"),),
            spec="1-DAY-LAST",
        ),
        Refusal(
            "volume-in-millions.csv",
            "82.49M is rounded: no exact volume",
            text([f"{row.rpartition(',')[0]},82.49M" for row in dated], header),
            (("number",), ("volume",)),
            spec="1-DAY-LAST",
        ),
        Refusal(
            "excel-dates.csv",
            "45293 is a day of Excel's own count",
            text([f"{45_293 + i},{row.partition(',')[2]}" for i, row in enumerate(dated)], header),
            (("time",),),
            spec="1-DAY-LAST",
        ),
        Refusal(
            "ticks.csv",
            "trades, not bars",
            text([f"2024-01-22 09:30:0{i},170.{i}0,100" for i in range(9)], "time,price,size"),
            (("open", "column"),),
            options=known,
        ),
        Refusal(
            "quotes.csv",
            "quotes, not bars",
            text([f"2024-01-22 09:30:0{i},170.10,170.12,3,4" for i in range(9)], "time,bid,ask,bid_size,ask_size"),
            (("open", "column"),),
            options=known,
        ),
    ]


def damaged() -> list[Refusal]:
    """Files that were cut, or are no text at all."""
    dated = text(lines(days(70), DAY, UTC, "%Y-%m-%d"), HEADER.replace("timestamp", "date"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as sheet:
        sheet.writestr(zipfile.ZipInfo("[Content_Types].xml"), "<Types/>")
        sheet.writestr(zipfile.ZipInfo("xl/worksheets/sheet1.xml"), "<worksheet><sheetData/></worksheet>")
    body = "<h1>Not Found</h1>, <p>try, again, later, please, now</p>"
    page = f"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n<body>{body}</body></html>\n"
    return [
        Refusal("cut-in-the-middle.csv", "the last line ends after two numbers", dated[:-38], (("column",), ("line 29",)), spec="1-DAY-LAST"),
        Refusal(
            "cut.csv.gz",
            "the compressed stream ends early",
            gzip.compress(dated, mtime=0)[:-60],
            (("gzip", "compressed", "cut", "ends", "damaged"),),
            spec="1-DAY-LAST",
        ),
        Refusal(
            "noise.csv",
            "bytes that are no text",
            bytes((i * 197 + i // 7 * 31) % 256 for i in range(4_000)),
            (("text", "no rows", "column", "header", "csv"),),
            spec="1-DAY-LAST",
        ),
        Refusal("page.csv", "an error page of a web server", page.encode(), (("html", "page"),), spec="1-DAY-LAST"),
        Refusal("sheet.csv", "an Excel file under another name", archive.getvalue(), (("excel", "zip"),), spec="1-DAY-LAST"),
        Refusal(
            "answer.csv",
            "a JSON answer of an API",
            b'{"code":429,"message":"limit, reached, try, again, later, on"}\n',
            (("json", "header", "column"),),
            spec="1-DAY-LAST",
        ),
        Refusal("empty.csv", "no bytes", b"", (("no rows", "empty"),), spec="1-DAY-LAST"),
        Refusal(
            "only-a-header.csv", "a header and nothing below it", text([], "date,open,high,low,close,volume"), (("no rows",),), spec="1-DAY-LAST"
        ),
    ]


REFUSALS: dict[str, Refusal] = {
    refusal.name: refusal for group in (undecided, exporters_elsewhere, contradicted, other_shapes, damaged) for refusal in group()
}
"""Every file that must be refused, by name."""
