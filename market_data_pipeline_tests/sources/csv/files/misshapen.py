"""Files of another shape than bars of one series, and files that were cut or are no text at all."""

from __future__ import annotations

import gzip
import io
import zipfile

from market_data_pipeline_tests.sources.csv.files.invented import cents, days, shares
from market_data_pipeline_tests.sources.csv.files.market import (
    DAY,
    MINUTE,
    NEW_YORK,
    midnights,
    stock_times,
    walk,
    weekdays,
)
from market_data_pipeline_tests.sources.csv.files.refusal import HEADER, JANUARY, NY, SYMBOL, UTC, ZONE, Refusal, lines, text


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
